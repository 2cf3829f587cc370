// Package record makes the record a transparency log: it holds the log's identity, signs checkpoints of the tree over the events, ships
// them to where who can write to the database cannot, and looks whether what was shipped is still the beginning of what is there.
//
// The log has one origin and, after rotations, several keys; which ones is a document beside the record, and every change of it is an
// event. The private key is a file that only its owner reads, never in the database. Control planes on one database are one log: each
// needs the same key file, and one that lacks it serves what the others signed.
//
// A checkpoint that was shipped and is not the beginning of the record is an alarm that stands until a person accepts it with a reason:
// the end was cut off, the record was rewritten, or an older backup was restored.
package record
