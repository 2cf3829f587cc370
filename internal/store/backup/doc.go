// Package backup is the one format in which a store's whole content leaves and enters, the same for every
// database, so that a backup of one restores into another.
//
// A backup is text, one JSON value a line: a header with the versions of the format and the schema, the
// documents by kind and name, the events in order, and an end with the counts, the head of the chain and the
// SHA-256 of all lines before. Bodies and data are JSON text inside JSON strings, so that they come back byte
// for byte and the hash chain still holds.
//
// Writer and Reader hold one line at a time. Writer refuses to write, and Reader to read, a chain that does not
// verify; Reader returns io.EOF only after the end has proved everything before it. What it returned earlier
// must not be used until then: a store keeps it in an open transaction. Reader undoes gzip by itself.
//
// A backup holds what the store holds: whoever keeps it must guard it as well.
package backup
