package record

import (
	"context"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// Recorder takes events.
type Recorder interface {
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Readers record who reads the record: once for each reader, way of reading and filter in an hour. An event for every look of a page
// that looks each second would bury what they look for.
type Readers struct {
	recorder Recorder
	mu       sync.Mutex
	seen     map[string]time.Time
}

const (
	readEvery  = time.Hour
	maxReaders = 10_000
)

// Read is the data of the event record.read.
type Read struct {
	How     string `json:"how" enum:"list,follow,show,entries,page" doc:"how it was read"`
	Subject string `json:"subject,omitempty" doc:"the filter"`
	Type    string `json:"type,omitempty"`
	Actor   string `json:"actor,omitempty"`
}

// NewReaders makes readers of which none has read yet.
func NewReaders(r Recorder) *Readers { return &Readers{recorder: r, seen: map[string]time.Time{}} }

// Note records that who reads. What cannot be recorded is not read.
func (r *Readers) Note(ctx context.Context, now time.Time, who string, what Read) error {
	key := who + "\x00" + what.How + "\x00" + what.Subject + "\x00" + what.Type + "\x00" + what.Actor
	r.mu.Lock()
	last, ok := r.seen[key]
	r.mu.Unlock()
	if ok && now.Sub(last) < readEvery {
		return nil
	}
	e, err := audit.New(now, "record.read", who, "record/events", what)
	if err != nil {
		return err
	}
	if _, err := r.recorder.Commit(ctx, store.Write{Events: []audit.Event{e}}); err != nil {
		return errs.Wrap(errs.KindOf(err), err, "the record is not read by who cannot be recorded")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) >= maxReaders {
		clear(r.seen)
	}
	r.seen[key] = now
	return nil
}
