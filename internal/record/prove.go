package record

import (
	"context"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Proof shows that an event is in the tree of a checkpoint.
type Proof struct {
	Event      audit.Event `json:"event"`
	Removed    bool        `json:"removed,omitempty" doc:"the event's content was removed after its time; its hash is still proved"`
	Checkpoint string      `json:"checkpoint" doc:"a signed checkpoint that covers the event"`
	Size       int64       `json:"size" doc:"how many events the checkpoint covers"`
	Root       string      `json:"root" doc:"the hash of its tree, in hexadecimal"`
	Leaf       string      `json:"leaf" doc:"SHA-256 of a zero byte and the event's hash, in hexadecimal"`
	Path       []string    `json:"path" doc:"the hashes beside the way from the leaf to the root, in hexadecimal"`
}

// Growth shows that the tree of one size began as that of another.
type Growth struct {
	From int64    `json:"from"`
	To   int64    `json:"to"`
	Old  string   `json:"old" doc:"the hash of the tree of the smaller size"`
	New  string   `json:"new" doc:"the hash of the tree of the larger size"`
	Path []string `json:"path" doc:"RFC 6962's consistency proof, in hexadecimal"`
}

// Prove proves the event with a number by a checkpoint made now, or by the newest one there is.
func (l *Ledger) Prove(ctx context.Context, seq int64) (Proof, error) {
	found, err := l.Store.Events(ctx, store.EventQuery{After: max(seq-1, 0), Limit: 1, Removed: true})
	if err != nil {
		return Proof{}, err
	}
	if len(found) == 0 || found[0].Seq != seq {
		return Proof{}, errs.E(errs.Missing, "there is no event %d", seq)
	}
	signed, err := l.Sign(ctx)
	if err != nil {
		return Proof{}, err
	}
	log, err := l.Log(ctx)
	if err != nil {
		return Proof{}, err
	}
	o, err := audit.OpenCheckpoint(signed, log.Publics())
	if err != nil {
		return Proof{}, l.damaged(err)
	}
	if seq > o.Size {
		return Proof{}, errs.E(errs.Unavailable, "event %d is newer than the newest checkpoint, of %d events", seq, o.Size).Next("Try again in a few minutes.")
	}
	path, err := audit.ProveEvent(o.Head, seq, l.source(ctx))
	if err != nil {
		return Proof{}, l.damaged(err)
	}
	leaf, err := audit.Leaf(found[0].Hash)
	if err != nil {
		return Proof{}, l.damaged(err)
	}
	return Proof{Event: found[0], Removed: found[0].Removed(), Checkpoint: string(signed), Size: o.Size, Root: o.Root.String(), Leaf: leaf.String(), Path: texts(path)}, nil
}

// Growth proves that the tree of size to began as that of size from; to is the present size when it is 0.
func (l *Ledger) Growth(ctx context.Context, from, to int64) (Growth, error) {
	head, err := l.Tree.Tree(ctx)
	if err != nil {
		return Growth{}, err
	}
	if to == 0 {
		to = head.Size
	}
	if from < 1 || from > to || to > head.Size {
		return Growth{}, errs.E(errs.Invalid, "from %d to %d: expected 1 ≤ from ≤ to ≤ %d", from, to, head.Size)
	}
	later := audit.Head{Size: to}
	if later.Root, err = audit.RootAt(head, to, l.source(ctx)); err != nil {
		return Growth{}, l.damaged(err)
	}
	old, err := audit.RootAt(head, from, l.source(ctx))
	if err != nil {
		return Growth{}, l.damaged(err)
	}
	path, err := audit.ProveGrowth(later, from, l.source(ctx))
	if err != nil {
		return Growth{}, l.damaged(err)
	}
	return Growth{From: from, To: to, Old: old.String(), New: later.Root.String(), Path: texts(path)}, nil
}

// Tile is a tile of hashes, by what comes after "tile/" in its path.
func (l *Ledger) Tile(ctx context.Context, path string) ([]byte, error) {
	t, entries, err := audit.ParseTile(path)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "tile")
	}
	if entries {
		return nil, errs.E(errs.Invalid, "entries are asked for elsewhere")
	}
	if err := l.has(ctx, t); err != nil {
		return nil, err
	}
	b, err := l.Tree.Tiles(ctx, []audit.Tile{t})
	if err != nil {
		return nil, err
	}
	return b[0], nil
}

func (l *Ledger) has(ctx context.Context, t audit.Tile) error {
	head, err := l.Tree.Tree(ctx)
	if err == nil && !t.In(head.Size) {
		err = errs.E(errs.Missing, "the tree of %d events has no %s", head.Size, t.Path())
	}
	return err
}

// Entries is a bundle of entries, by what comes after "tile/entries/" in its path: of each the two bytes of its length and the 32 of
// the event's hash.
func (l *Ledger) Entries(ctx context.Context, path string) ([]byte, error) {
	t, entries, err := audit.ParseTile("entries/" + path)
	if err != nil || !entries {
		return nil, errs.Wrap(errs.Invalid, err, "entries")
	}
	if err := l.has(ctx, t); err != nil {
		return nil, err
	}
	events, err := l.Store.Events(ctx, store.EventQuery{After: t.N * audit.TileWidth, Limit: t.Width, Removed: true})
	if err != nil {
		return nil, err
	}
	if len(events) != t.Width {
		return nil, errs.E(errs.Internal, "the record is damaged or was tampered with: of %d events after %d only %d are there", t.Width, t.N*audit.TileWidth, len(events))
	}
	var out []byte
	for _, e := range events {
		content, err := audit.LeafContent(e.Hash)
		if err != nil {
			return nil, l.damaged(err)
		}
		out = append(append(out, 0, byte(len(content))), content...)
	}
	return out, nil
}

func texts(hs []audit.Hash) []string {
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = h.String()
	}
	return out
}
