package workload

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// traffic is a gateway that notes what it is told.
type traffic struct {
	mu    sync.Mutex
	eps   map[string][]fleet.Endpoint // by version
	notes []string
	onSet func(version string, eps []fleet.Endpoint)
	drain func(ctx context.Context, ep fleet.Endpoint)

	inFlight, begun atomic.Int64
}

func newTraffic() *traffic { return &traffic{eps: map[string][]fleet.Endpoint{}} }

func (t *traffic) SetEndpoints(_, version string, eps []fleet.Endpoint) {
	t.mu.Lock()
	t.eps[version] = eps
	t.notes = append(t.notes, fmt.Sprintf("endpoints %s %d", version, len(eps)))
	f := t.onSet
	t.mu.Unlock()
	if f != nil {
		f(version, eps)
	}
}

func (t *traffic) Drain(ctx context.Context, ep fleet.Endpoint, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t.note("drain " + ep.ID)
	if t.drain != nil {
		t.drain(ctx, ep)
	}
}

func (t *traffic) Load(string) (inFlight, begun int64) { return t.inFlight.Load(), t.begun.Load() }

func (t *traffic) note(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, s)
}

func (t *traffic) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.notes)
}

func (t *traffic) of(version string) []fleet.Endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.eps[version]
}
