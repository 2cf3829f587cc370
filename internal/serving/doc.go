// Package serving keeps what each environment's users are shown: it puts the declared flag sets together with how far their
// exposures are, with the experiments that run and with what users chose, lowers all of it to plain sets of flags, and tells
// whoever waits that they have changed.
//
// What is served is a Snapshot, which never changes; the next one takes its place whole. A set that cannot be lowered or read
// is served as it last could be, and that is logged: a mistake in one set costs no other.
//
// An exposure is in force when the snapshot with it is what Current answers: the generation of an exposure says so, as that of
// a service's routes does. Programs that are fed from here acknowledge it by the generations that they report.
//
// Errors: errs.Invalid for a name that is no environment, errs.Unavailable while the store cannot be read and nothing is known
// yet.
package serving
