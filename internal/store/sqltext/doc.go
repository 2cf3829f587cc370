// Package sqltext holds the SQL that reads the same in every database Ringfence keeps its state in, and the
// rules for bringing a schema up to date. It touches no database: it makes statements and scans rows.
//
// Text is compared byte by byte everywhere, which for UTF-8 is the order of code points, so that a page of
// names is the same page in every store. Times are whole microseconds since 1970.
package sqltext
