// Package ddl holds what a change of a PostgreSQL schema by expand and contract is: it reads migration files, checks them
// against a model of the catalogue, and turns them into a plan. It is pure; package schema carries plans out.
//
// Files are pgroll's, in JSON (manifest turns YAML into it), and plain SQL as goose writes it. Each operation is a file of this
// package, op_*.go, with four methods: validate says what is wrong before anything is done; start adds to the plan what makes
// the new version usable beside the old one; complete adds what the contract does; rollback adds what takes it back.
//
// A version of a schema is a schema of views, <schema>_<version>; a program chooses its version by search_path. A Plan has three
// parts. Expand is a list of steps, each of which may be interrupted and done again: columns and tables that the old version does
// not see, a trigger on each table that changes, the filling of rows that are there, indexes, constraints, and last of all the new
// version's views, so that no program can meet a row that is half filled. Contract and Undo are one transaction each, of
// statements that only change the catalogue; all that reads rows was done before.
//
// Where a column changes, it has a shadow: a second column that holds what the new version sees. The trigger computes the one
// from the other when it was written to, by the up and down expressions of the file. Who wrote is told first by what changed (a
// column that only one version has), then by search_path; an expression is computed again only when something that it reads has
// changed, so that a write by one version never takes back what the other wrote beside it.
//
// Names are quoted wherever they go into SQL. Expressions and SQL of a file are its author's, and run as the user that migrates.
package ddl
