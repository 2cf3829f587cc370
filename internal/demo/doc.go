// Package demo does the main job in front of one's eyes: it starts Ringfence as a user would, takes a good, a bad
// and a broken release of the example shop to production under traffic, and checks every promise made of it.
//
// It has no way of its own into Ringfence: it runs the ringfence commands, reads the API and, as the shop's
// users, sends requests to the gateway. Its users are strict: nothing is sent twice, and whatever is not a whole
// answer of the service counts against Ringfence.
package demo
