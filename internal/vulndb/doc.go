// Package vulndb reads databases of vulnerabilities: zip files of OSV's entries, as osv.dev publishes them, one file or all ecosystems together.
//
// A database is taken apart once, into files by package, so that a question reads only what may concern it and nothing has to be held in
// memory. These files are a cache: they are made again where they are missing. Entries have limits, paths within the zip are never used as paths, and a database in which
// entries cannot be read is refused whole.
package vulndb
