// Package drill rehearses: it breaks things on purpose, in a throw-away Ringfence on temporary folders, and scores what Ringfence
// makes of it.
//
// A drill of detection has two parts. In the first every fault of a list happens to a service of its own: real processes behind the
// gateway, users who send requests, releases and configs and flags by the commands that people use. Of each fault it is known when it
// began and what its cause is; asked is whether it was detected, how soon, by what, and whether the incident's first-ranked cause
// is the right one. In the second a healthy day passes in simulated time, with a peak, a night, deployments, restarts and a blip now and then,
// through the rules that evaluate the real ones; asked is who would have been called for nothing.
//
// Nothing is decided here in Ringfence's stead: faults are seen through its API alone.
package drill
