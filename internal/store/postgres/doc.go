// Package postgres keeps the store in a PostgreSQL database, for more than one machine.
//
// Everything lives in one schema, ringfence unless the address says ?schema=name, so that it can share a
// database. Several control planes may use one schema: whoever writes locks the row that holds the head of the
// chain first, which puts all writes of all of them in one order. Each process writes in batches through
// batch.Group, so that the lock is taken, and the disk flushed, once for many writes.
//
// A lost or refusing database gives errs.Unavailable; when it was lost during a commit the outcome is not known
// and the message says so. The server's synchronous_commit=off is overruled: a commit that returned is kept.
package postgres
