// Package audit is the one record: every command and every automatic decision, with the evidence it was
// made on, as an event in one append-only, hash-chained log.
//
// An event is sealed by the store in the transaction that also stores the state folded from it. Its hash
// covers its own fields and the hash of the event before it, so that no event can be changed, dropped from
// the middle or reordered without every later hash changing. Verify finds the first event that does not fit.
package audit
