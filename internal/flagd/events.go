package flagd

import (
	"context"
	"net/http"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/ringfence/ringfence/internal/flag"
)

// event is what a stream of events sends.
type event struct {
	kind string
	data *structpb.Struct
}

const (
	ready     = "provider_ready"
	keepAlive = "keep_alive"
	changed   = "configuration_change"
)

// events tells a provider what it has to forget.
func (s *Service) events(ctx context.Context, h http.Header, send func(event) error) error {
	c, err := s.enter(ctx, h, "")
	if err != nil {
		return err
	}
	ctx, leave, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer leave()
	changes, cancel := s.gate.Source.Watch(c.client.Environment)
	defer cancel()
	if err := send(event{kind: ready, data: &structpb.Struct{}}); err != nil {
		return err
	}
	silent := time.NewTicker(s.o.KeepAlive)
	defer silent.Stop()
	known := c.view
	for {
		view, bad := s.gate.View(c.client, c.selector)
		if bad != nil {
			return refused(bad)
		}
		if view.Hash != known.Hash {
			if data := s.diffs.between(known, view); data != nil {
				if err := send(event{kind: changed, data: data}); err != nil {
					return err
				}
				silent.Reset(s.o.KeepAlive)
			}
			known = view
		}
		select {
		case <-changes:
		case <-silent.C:
			if err := send(event{kind: keepAlive}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ended(ctx)
		case <-s.done:
			return closing()
		}
	}
}

// diffs has the last changes as they are told, the same for all streams that look at the same flags.
type diffs struct {
	mu   sync.Mutex
	last map[[2]string]*structpb.Struct
}

// maxDiffs is how many are kept.
const maxDiffs = 64

// between is nil when no flag is another: when only what stands beside them in the document is.
func (d *diffs) between(before, after *flag.View) *structpb.Struct {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := [2]string{before.Hash, after.Hash}
	data, ok := d.last[of]
	if !ok {
		if d.last == nil || len(d.last) >= maxDiffs {
			d.last = map[[2]string]*structpb.Struct{}
		}
		flags := map[string]any{}
		for key, change := range flag.Changes(before, after) {
			flags[key] = map[string]any{"type": string(change)}
		}
		if len(flags) > 0 {
			data = structOf(map[string]any{"flags": flags})
		}
		d.last[of] = data
	}
	return data
}
