// Package schema carries out changes of a PostgreSQL schema by expand and contract, while programs of the old and the new version
// of the schema read and write. What is done is planned by package ddl; how it is said to a database is schema/postgres.
//
// An Engine has five commands, each of which may be repeated after any error or crash and goes on where it was:
//
//   - Plan says what a migration would do, with its locks and estimated times, and changes nothing.
//   - Start brings about the new version beside the old one. It returns when both are usable; until then nobody sees the new one.
//   - Status says what is under way, how far it is, which versions are live, and which sessions use which.
//   - Complete is the contract: one transaction, after which only the new version is there. It is refused unless the caller says
//     that the last ring has baked, and while a session of the old version lives, or one of which it is not known.
//   - Rollback takes everything back, in one transaction, refused while a session of the new version lives.
//
// The record of a migration is in the database that it changes, and is stored in the transaction of the step that it tells of: a
// step that is recorded was done, and one that is not was not, or is done again. The plan is recorded whole at the start. One
// migration at a time has the lease of a database; the lease is a session's, so that whoever dies loses it.
//
// Locks on tables are asked for in the order of their names, with a timeout that is far below PostgreSQL's deadlock_timeout, and
// asked for again after a while of random length: programs wait for as long as the timeout and never run into a deadlock with
// a migration. Rows are filled in batches that take a few hundredths of a second, with pauses that grow when the database
// answers more slowly than it did before.
package schema
