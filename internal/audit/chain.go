package audit

import (
	"encoding/json"
	"fmt"
	"time"
)

// EventPruned is the type of the event that says that the content of old events was removed. Its data is a Pruned.
const EventPruned = "record.pruned"

// Pruned says up to which number the content of events was removed, and what rule it was that had them removed.
type Pruned struct {
	Through int64     `json:"through" doc:"the number up to which the content of events was removed"`
	Before  time.Time `json:"before" doc:"they were older than this"`
	Reason  string    `json:"reason,omitempty"`
}

// Removed says that all that is left of e is its place, its hash and the hash before: its content was kept as long as it had to be.
func (e Event) Removed() bool { return e.Type == "" && e.Seq > 0 }

// Stripped is e without its content.
func (e Event) Stripped() Event {
	return Event{Seq: e.Seq, Time: time.UnixMicro(0).UTC(), Prev: e.Prev, Hash: e.Hash}
}

func (e Event) strippedWell() bool {
	return e.Actor == "" && e.Subject == "" && len(e.Data) == 0 && e.Time.UnixMicro() == 0
}

// prunedBy reads how far an event says that content was removed, 0 when it says nothing of that.
func prunedBy(e Event) int64 {
	if e.Type != EventPruned {
		return 0
	}
	var p Pruned
	if json.Unmarshal(e.Data, &p) != nil || p.Through >= e.Seq {
		return 0
	}
	return p.Through
}

// Bad is the first event that does not fit.
type Bad struct {
	Seq int64
	Why string
}

func (b *Bad) Error() string { return fmt.Sprintf("event %d: %s", b.Seq, b.Why) }

func bad(seq int64, format string, args ...any) error {
	return &Bad{Seq: seq, Why: fmt.Sprintf(format, args...)}
}

// Range is a number of events that follow each other.
type Range struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Chain checks a record event by event, from the first on. Other than Verify it takes events whose content was removed, when an event
// that comes later says that this was done. The zero Chain is at the beginning.
type Chain struct {
	seq      int64
	last     string
	promised int64
	removed  []Range
}

// Head is the number and hash of the last event that was added.
func (c *Chain) Head() (int64, string) {
	if c.seq == 0 {
		return 0, Genesis
	}
	return c.seq, c.last
}

// Add checks that e is the next one.
func (c *Chain) Add(e Event) error {
	seq, prev := c.Head()
	switch {
	case e.Seq != seq+1:
		return bad(seq+1, "expected here, found event %d: an event is missing, added or out of order", e.Seq)
	case e.Prev != prev:
		return bad(e.Seq, "does not continue event %d", seq)
	case e.Removed() && !e.strippedWell():
		return bad(e.Seq, "has no type but other content")
	case !e.Removed() && e.Hash != hashOf(e):
		return bad(e.Seq, "its content does not match its hash")
	}
	if _, err := LeafContent(e.Hash); err != nil {
		return bad(e.Seq, "%v", err)
	}
	if e.Removed() {
		if n := len(c.removed); n > 0 && c.removed[n-1].Last == seq {
			c.removed[n-1].Last = e.Seq
		} else {
			c.removed = append(c.removed, Range{e.Seq, e.Seq})
		}
	}
	c.seq, c.last = e.Seq, e.Hash
	c.promised = max(c.promised, prunedBy(e))
	return nil
}

// End checks, after the last event, that content is missing only where the record says so.
func (c *Chain) End() error {
	for _, r := range c.removed {
		if r.Last > c.promised {
			return bad(max(r.First, c.promised+1), "its content is missing, and no event says that it was removed")
		}
	}
	return nil
}

// Removed are the events whose content was removed.
func (c *Chain) Removed() []Range { return c.removed }
