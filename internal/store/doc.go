// Package store says what is kept and how it is written: documents (resources, rollouts, what each unit shall
// run) and the events that say why, always in one transaction.
//
// A Write either happens whole or not at all. Every document carries a revision; a put names the revision it
// was based on and the whole write is refused with errs.Conflict when another was faster. So a decision made
// on old state is never recorded, a retried command is never recorded twice, and no lock is held between
// reading and writing. The adapters in store/sqlite and store/postgres keep the same promises, proved by the
// one suite in store/storetest.
package store
