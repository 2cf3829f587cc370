package notify

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps cursors and the record. Errors: errs.Missing from Get, errs.Conflict from Commit when another was faster.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Catalog holds what people declared. Errors: errs.Missing.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Rollouts knows what became of changes. Errors: errs.Missing.
type Rollouts interface {
	Find(ctx context.Context, which string) (rollout.State, error)
}

// Changes tells of new events of this process; those of others are found by looking.
type Changes interface {
	Changed() <-chan struct{}
}

// Sender brings one message to a receiver, once, and says nil when it was taken. It returns when ctx ends. An error that
// is a *Failure says more about what is known; texts of errors hold no secrets, as they are recorded.
type Sender interface {
	Send(ctx context.Context, to resource.Receiver, m Message) error
}

// Failure is an attempt that did not succeed, or not wholly.
type Failure struct {
	Text    string        // what went wrong, without any secret
	Refused bool          // the receiver will not take this message, however often it is sent
	Unsure  bool          // it may have been taken all the same
	Partly  bool          // it was taken, but not for all who should have got it: nothing is sent again
	After   time.Duration // the receiver asks to be left alone for so long; 0 when it does not say
}

func (f *Failure) Error() string { return f.Text }
