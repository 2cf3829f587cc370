// Package pgtest gives tests a private PostgreSQL, started from the installed programs.
//
// The first test that asks for a database starts a server in a temporary folder, on a Unix socket only that
// folder's owner reaches, as the user nobody when the tests run as root, which PostgreSQL refuses. All tests of
// a package share it, each in a schema of its own, and Main stops it. It dies with the test process too.
// Without installed programs a test is skipped, except where CI=true promises them.
package pgtest
