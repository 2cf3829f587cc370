package batch

import (
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Head is the end of the record: the last event's number and hash, and the tree over all events. The tree may lag behind where a
// program wrote that knew of none.
type Head struct {
	Seq  int64
	Hash string
	Tree audit.Tree
}

// Key names a document.
type Key struct{ Kind, Name string }

// Revs holds the revision of every document asked for that exists.
type Revs map[Key]int64

// Changes is what a transaction stores: each document at most once, as the last write of the batch leaves it.
type Changes struct {
	Puts    []store.Doc // Rev and Updated as they are stored
	Deletes []Key
	Events  []audit.Event // sealed
	Head    Head          // after Events; its tree is the one before until Grow
	Tiles   []audit.TileRow
	Forget  int64 // the content of events up to this number is removed
}

// Grow brings the tree to the end of the record, which was at seq before.
func (c *Changes) Grow(seq int64, rows audit.Rows) error {
	if c.Head.Tree.Size == c.Head.Seq {
		return nil
	}
	more := make([]string, len(c.Events))
	for i, e := range c.Events {
		more[i] = e.Hash
	}
	var err error
	if c.Head.Tree, c.Tiles, err = audit.Grow(c.Head.Tree, seq, more, rows); err != nil {
		return tampered(err)
	}
	return nil
}

func tampered(err error) error {
	if errs.Is(err, errs.Unavailable) {
		return err
	}
	return errs.Wrap(errs.Internal, err, "the record is damaged or was tampered with").Next("Restore a backup into an empty database.")
}

func keysOf(batch []*pending) []Key {
	var keys []Key
	seen := map[Key]bool{}
	for _, p := range batch {
		for _, docs := range [][]store.Doc{p.write.Puts, p.write.Deletes} {
			for _, d := range docs {
				if k := (Key{d.Kind, d.Name}); !seen[k] {
					seen[k] = true
					keys = append(keys, k)
				}
			}
		}
	}
	return keys
}

// plan decides every write in turn, each against what those before it leave behind.
func plan(now time.Time, head Head, revs Revs, batch []*pending) Changes {
	last := map[Key]*store.Doc{} // nil: deleted
	var order []Key
	touch := func(k Key, d *store.Doc) {
		if _, ok := last[k]; !ok {
			order = append(order, k)
		}
		last[k] = d
	}
	c := Changes{Head: head}
	for _, p := range batch {
		if p.err = conflict(revs, p.write); p.err != nil {
			continue
		}
		for _, d := range p.write.Puts {
			k := Key{d.Kind, d.Name}
			if d.Updated.IsZero() {
				d.Updated = now
			}
			d.Rev++
			revs[k] = d.Rev
			touch(k, &d)
		}
		for _, d := range p.write.Deletes {
			k := Key{d.Kind, d.Name}
			delete(revs, k)
			touch(k, nil)
		}
		p.events = make([]audit.Event, 0, len(p.write.Events))
		for _, e := range p.write.Events {
			e = audit.Seal(c.Head.Seq, c.Head.Hash, e)
			c.Head.Seq, c.Head.Hash = e.Seq, e.Hash
			p.events = append(p.events, e)
		}
		c.Events = append(c.Events, p.events...)
		c.Forget = max(c.Forget, min(p.write.Forget, head.Seq)) // never what this very batch adds
	}
	for _, k := range order {
		if d := last[k]; d != nil {
			c.Puts = append(c.Puts, *d)
		} else {
			c.Deletes = append(c.Deletes, k)
		}
	}
	return c
}

// conflict says which document is not at the revision that the write was based on.
func conflict(revs Revs, w store.Write) error {
	for _, docs := range [][]store.Doc{w.Puts, w.Deletes} {
		for _, d := range docs {
			have, ok := revs[Key{d.Kind, d.Name}]
			switch {
			case !ok && d.Rev == 0, ok && d.Rev == have:
			case !ok:
				return errs.E(errs.Conflict, "%s/%s: there is none, expected revision %d", d.Kind, d.Name, d.Rev)
			case d.Rev == 0:
				return errs.E(errs.Conflict, "%s/%s: exists already, at revision %d", d.Kind, d.Name, have)
			default:
				return errs.E(errs.Conflict, "%s/%s: is at revision %d, not %d: it was changed meanwhile", d.Kind, d.Name, have, d.Rev)
			}
		}
	}
	return nil
}

// CheckHead compares the head of the chain with the last event, zero when there is none.
func CheckHead(h Head, last audit.Event) error {
	var err error
	switch {
	case h.Tree.Size > h.Seq:
		err = errs.E(errs.Internal, "the tree has %d leaves, the record %d events", h.Tree.Size, h.Seq)
	case h.Seq == 0 && last.Seq == 0 && h.Hash == audit.Genesis:
	case h.Seq != last.Seq || h.Hash != last.Hash:
		err = errs.E(errs.Internal, "the chain ends at event %d, the last event is %d", h.Seq, last.Seq)
	default:
		err = audit.Verify(last.Seq-1, last.Prev, []audit.Event{last})
	}
	if err == nil {
		return nil
	}
	return tampered(err)
}

// NotEmpty refuses a restore into a store that holds something.
func NotEmpty(docs int, h Head) error {
	return errs.E(errs.Conflict, "the store holds %d documents and %d events: a backup is restored into an empty store only", docs, h.Seq)
}
