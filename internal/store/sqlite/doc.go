// Package sqlite keeps the store in one SQLite file: the default, with nothing to install.
//
// A commit that returned is on disk: write-ahead log, synchronous=FULL. One connection writes, through
// batch.Group; a few others read, never blocked by the writer and seeing only whole transactions. The file is
// its owner's alone. A full disk, a locked or a vanished file gives errs.Unavailable and stores nothing.
//
// Open brings the schema up to date and refuses a file that is newer, that is another program's, or whose last
// event is not the head of the chain. That check is cheap and finds a record cut off at the end; Backup and
// audit.Verify find every other change.
package sqlite
