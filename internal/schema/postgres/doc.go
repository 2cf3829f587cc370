// Package postgres says to a PostgreSQL database, 14 or later, what package schema decides.
//
// What it keeps is in the schema ringfence_schema: a row for each migration, one of which at most is under way in a database; the
// functions of triggers while a migration goes on; and the function use, by which a program chooses its version and lets it
// be known. The lease is an advisory lock of the connection that does the work: when that connection ends, for whatever reason,
// the lease is free and what it was doing is undone by PostgreSQL.
//
// Which version a session uses is told by, in this order: the lock that use took; a name of the application that ends in @version;
// locks that it holds on views of a version at this moment; a search_path that its role has by ALTER ROLE. Of other sessions it is
// not known.
//
// As a superuser, fills do not fire the users' triggers and autovacuum makes way at once; as another, users' triggers see the fill, and
// locks wait for autovacuum.
package postgres
