package app

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/store"
)

// Store is what the adapters in store/ have in common.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
	Tree(ctx context.Context) (audit.Head, error)
	Tiles(ctx context.Context, want []audit.Tile) ([][]byte, error)
	Backup(ctx context.Context, w io.Writer) error
	Restore(ctx context.Context, r io.Reader) error
	Close() error
}

// notifying tells those who follow the record that there are new events, and calls declared when what people
// declared has changed. Other control planes on the same database are not heard of this way: followers poll as well.
type notifying struct {
	Store
	declared func()
	shown    func() // called after a write that may change what flags show
	mu       sync.Mutex
	changed  chan struct{}
}

func newNotifying(s Store, declared, shown func()) *notifying {
	return &notifying{Store: s, declared: declared, shown: shown, changed: make(chan struct{})}
}

func (n *notifying) Commit(ctx context.Context, w store.Write) ([]audit.Event, error) {
	sealed, err := n.Store.Commit(ctx, w)
	if err == nil && len(sealed) > 0 {
		n.mu.Lock()
		close(n.changed)
		n.changed = make(chan struct{})
		n.mu.Unlock()
	}
	if err == nil && slices.ContainsFunc(slices.Concat(w.Puts, w.Deletes), declares) {
		n.declared()
	}
	if err == nil && slices.ContainsFunc(slices.Concat(w.Puts, w.Deletes), shows) {
		n.shown()
	}
	return sealed, err
}

func declares(d store.Doc) bool {
	return d.Kind == resource.KindService || d.Kind == resource.KindRingPlan || d.Kind == resource.KindSegment || d.Kind == resource.KindFlagSet || d.Kind == controller.KindRestraint
}

// shows says whether a document has a part in what flags show.
func shows(d store.Doc) bool {
	return d.Kind == resource.KindFlagSet || d.Kind == serving.KindChoices || d.Kind == flag.KindKey || d.Kind == lab.KindRun
}

// Changed returns a channel that is closed at the next new event.
func (n *notifying) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}
