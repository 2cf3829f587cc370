// Package batch makes one transaction out of the writes that wait at the same time, for every adapter alike.
//
// A durable commit costs a flush to disk whether it holds one write or a hundred. So writes queue, and a single
// goroutine takes all that wait, decides each in turn against the state that the ones before it leave, and has
// the adapter store the sum in one transaction. A write alone is never held back to wait for company.
//
// Every write still happens whole or not at all and fails by itself: a stale revision is found before anything
// is stored. When the transaction fails for a reason that one write may have caused, each is tried alone.
// A write whose caller gives up is either withdrawn before it was taken, and then never happens, or is waited
// for: so the caller always learns what became of it.
package batch
