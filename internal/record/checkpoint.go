package record

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// signed is the newest checkpoint as it is kept.
type signed struct {
	Note     string    `json:"note"`
	At       time.Time `json:"at"`
	Cosigned []string  `json:"cosigned,omitempty"` // lines of witnesses
}

// Latest is the newest checkpoint that was signed, with what witnesses said of it.
func (l *Ledger) Latest(ctx context.Context) ([]byte, error) {
	s, rev, err := get[signed](ctx, l, nameEnd)
	if err != nil {
		return nil, err
	}
	if rev == 0 {
		return nil, errs.E(errs.Missing, "no checkpoint was signed yet")
	}
	return []byte(s.Note + strings.Join(s.Cosigned, "")), nil
}

// Sign returns a checkpoint of the whole record as it is now. It is the one thing that is written without an event: it speaks of the
// record, and an event would make it out of date.
func (l *Ledger) Sign(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	private, public := l.private, l.public
	l.mu.Unlock()
	if private == "" {
		return l.Latest(ctx)
	}
	log, err := l.Log(ctx)
	if err != nil {
		return nil, err
	}
	head, err := l.Tree.Tree(ctx)
	if err != nil {
		return nil, err
	}
	last, rev, err := get[signed](ctx, l, nameEnd)
	if err != nil {
		return nil, err
	}
	if rev > 0 {
		before, err := audit.OpenCheckpoint([]byte(last.Note), log.Publics())
		if err != nil {
			return nil, errs.Wrap(errs.Internal, err, "the record is damaged or was tampered with: its last checkpoint")
		}
		if before.Head == head && before.Key == public {
			return []byte(last.Note), nil
		}
		if err := l.continues(ctx, head, before.Head); err != nil {
			return nil, err
		}
	}
	b, err := audit.SignCheckpoint(audit.Checkpoint{Origin: log.Origin, Head: head}, private)
	if err != nil {
		return nil, err
	}
	d, err := put(nameEnd, rev, signed{Note: string(b), At: l.Now().UTC()})
	if err != nil {
		return nil, err
	}
	if _, err := l.Store.Commit(ctx, store.Write{Puts: []store.Doc{d}}); errs.Is(err, errs.Conflict) {
		return l.Latest(ctx) // another one was faster
	} else if err != nil {
		return nil, err
	}
	return b, nil
}

// continues says whether the tree of head began as before.
func (l *Ledger) continues(ctx context.Context, head, before audit.Head) error {
	if before.Size > head.Size {
		return errs.E(errs.Internal, "the record has %d events, a checkpoint of it %d: its end was cut off", head.Size, before.Size)
	}
	root, err := audit.RootAt(head, before.Size, l.source(ctx))
	if err != nil {
		return l.damaged(err)
	}
	if root != before.Root {
		return errs.E(errs.Internal, "the record of %d events is another one than was signed: it was rewritten", before.Size)
	}
	return nil
}

func (l *Ledger) damaged(err error) error {
	if errs.Is(err, errs.Unavailable) {
		return err
	}
	return errs.Wrap(errs.Internal, err, "the record is damaged or was tampered with")
}

func (l *Ledger) source(ctx context.Context) audit.TileSource {
	return func(want []audit.Tile) ([][]byte, error) { return l.Tree.Tiles(ctx, want) }
}

// shipAll takes a checkpoint to every place that has not seen it, and to the witnesses.
func (l *Ledger) shipAll(ctx context.Context, b []byte) error {
	log, err := l.Log(ctx)
	if err != nil {
		return err
	}
	o, err := audit.OpenCheckpoint(b, log.Publics())
	if err != nil {
		return err
	}
	var all []error
	for _, s := range l.Ships {
		if l.shipped[s.Name()] == o.Size {
			continue
		}
		if err := s.Ship(ctx, o.Checkpoint, b); err != nil {
			all = append(all, errs.Wrap(errs.Unavailable, err, "ship a checkpoint to %s", s.Name()))
			continue
		}
		l.shipped[s.Name()] = o.Size
	}
	for _, w := range l.Witnesses {
		if err := l.witness(ctx, w, o.Checkpoint, b); err != nil {
			all = append(all, errs.Wrap(errs.Unavailable, err, "witness %s", w.Name()))
		}
	}
	return errors.Join(all...)
}

// witness has a checkpoint cosigned. A witness that has seen another size than we think says so, and is asked once more.
func (l *Ledger) witness(ctx context.Context, w Witness, c audit.Checkpoint, b []byte) error {
	old := l.seen[w.Name()]
	if old == c.Size {
		return nil
	}
	for range 2 {
		var proof []audit.Hash
		var err error
		if old > 0 && old <= c.Size {
			if proof, err = audit.ProveGrowth(c.Head, old, l.source(ctx)); err != nil {
				return l.damaged(err)
			}
		}
		line, seen, err := w.Add(ctx, old, proof, c, b)
		if err == nil {
			l.seen[w.Name()] = c.Size
			return l.cosigned(ctx, b, line)
		}
		if seen < 0 || seen == old {
			return err
		}
		if old = seen; old > c.Size {
			return errs.E(errs.Internal, "it has seen %d events of the record, which has %d: its end was cut off", old, c.Size)
		}
	}
	return errs.E(errs.Unavailable, "it goes on seeing another size")
}

// cosigned keeps a witness' line beside the checkpoint that it is of.
func (l *Ledger) cosigned(ctx context.Context, b []byte, line string) error {
	s, rev, err := get[signed](ctx, l, nameEnd)
	if err != nil || s.Note != string(b) || slices.Contains(s.Cosigned, line) {
		return err
	}
	s.Cosigned = append(s.Cosigned, line)
	d, err := put(nameEnd, rev, s)
	if err != nil {
		return err
	}
	if _, err = l.Store.Commit(ctx, store.Write{Puts: []store.Doc{d}}); errs.Is(err, errs.Conflict) {
		return nil
	}
	return err
}
