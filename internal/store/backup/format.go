package backup

import (
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
)

// Format is the version of the format that this package writes and the only one it reads.
const Format = 1

// maxLine bounds what Reader holds. The longest line holds a body of store.MaxBody bytes, of which escaping
// at most doubles: valid JSON has no bare control characters except white space.
const maxLine = 2*store.MaxBody + 1<<20

// A line has exactly one of these fields.
type line struct {
	Header *header      `json:"ringfenceBackup,omitempty"`
	Doc    *docLine     `json:"doc,omitempty"`
	Event  *eventLine   `json:"event,omitempty"`
	End    *trailerLine `json:"end,omitempty"`
}

type header struct {
	Format int `json:"format"`
	Schema int `json:"schema"`
}

type docLine struct {
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Rev     int64     `json:"rev"`
	Updated time.Time `json:"updated"`
	Body    string    `json:"body"`
}

type eventLine struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Actor   string    `json:"actor"`
	Subject string    `json:"subject"`
	Data    string    `json:"data,omitempty"`
	Prev    string    `json:"prev"`
	Hash    string    `json:"hash"`
}

type trailerLine struct {
	Docs   int64  `json:"docs"`
	Events int64  `json:"events"`
	Head   string `json:"head"`   // hash of the last event
	SHA256 string `json:"sha256"` // of all lines before, newlines included
}

func (e eventLine) event() audit.Event {
	ev := audit.Event{Seq: e.Seq, Time: e.Time.UTC(), Type: e.Type, Actor: e.Actor, Subject: e.Subject, Prev: e.Prev, Hash: e.Hash}
	if e.Data != "" {
		ev.Data = json.RawMessage(e.Data)
	}
	return ev
}

// place tells apart the parts of a backup, which follow each other in this order.
type place uint8

const (
	atStart place = iota
	inDocs
	inEvents
	atEnd
)

// progress is what Writer and Reader both keep of what went past, to prove it whole.
type progress struct {
	at     place
	docs   int64
	events int64
	head   string
	last   store.Doc
	chain  audit.Chain
}

// follows says whether documents come strictly by kind and name, so that none comes twice.
func (p *progress) follows(d store.Doc) bool {
	return p.docs == 0 || d.Kind > p.last.Kind || d.Kind == p.last.Kind && d.Name > p.last.Name
}

func (p *progress) passedDoc(d store.Doc) {
	p.docs++
	p.last = store.Doc{Kind: d.Kind, Name: d.Name}
}

func (p *progress) passedEvent(e audit.Event) {
	p.events++
	p.head = e.Hash
}
