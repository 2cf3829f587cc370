package store

import (
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
)

// Doc is a document of some kind, named uniquely within it.
type Doc struct {
	Kind    string
	Name    string
	Rev     int64           // in an answer: 1 for the first version and one more for each later one; in a put: the revision it replaces, 0 when there must be none
	Updated time.Time       // UTC, to the microsecond; a put that leaves it zero gets the time of the write
	Body    json.RawMessage // as written, byte for byte
}

// Write is one transaction: documents put and deleted, and the events that say why.
type Write struct {
	Puts    []Doc         // Rev is the revision that is replaced; 0 creates
	Deletes []Doc         // Kind, Name and the Rev that is deleted
	Events  []audit.Event // unsealed, in order
	Forget  int64         // when not 0, the content of events up to this number is removed; one of Events must be the record.pruned that says so
}

// Page asks for documents of one kind, by name, after a name.
type Page struct {
	Kind   string
	Prefix string // only names that begin with it
	After  string // only names greater than it
	Limit  int    // at most this many; 0 means 1000
}

// EventQuery asks for events in order of Seq.
type EventQuery struct {
	After    int64     // only Seq > After
	Before   int64     // only Seq < Before, when not 0
	Subject  string    // only this subject, when not empty
	Type     string    // only types with this prefix, when not empty
	Actor    string    // only by this actor, when not empty
	Since    time.Time // only at or after this time, when not zero
	Until    time.Time // only before this time, when not zero
	Removed  bool      // also those whose content was removed
	Limit    int       // at most this many; 0 means 1000
	Backward bool      // newest first
}
