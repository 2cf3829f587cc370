// Package sandbox gives end-to-end tests what they all need: ringfence and the versions of the shop, built once, and
// a Ringfence of a test's own, on ports of its own, with users. It is imported by tests only.
//
// Nothing in it reaches into Ringfence: it starts `ringfence up` as anyone would and reads where it listens.
package sandbox
