package link

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// Store lists the Desired documents, named unit/service.
type Store interface {
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
}

// Hub is the control plane's end of the link. It is safe for use by many goroutines.
type Hub struct {
	store    Store
	kind     string
	onReport func()

	mu    sync.Mutex
	units map[string]*unit
}

type unit struct {
	changed  chan struct{} // closed and replaced when Desired changed
	observed fleet.Observed
	at       time.Time
}

// NewHub makes a hub over the documents of kind. onReport is called after each report, outside of locks.
func NewHub(s Store, kind string, onReport func()) *Hub {
	return &Hub{store: s, kind: kind, onReport: onReport, units: map[string]*unit{}}
}

func (h *Hub) unit(name string) *unit {
	u := h.units[name]
	if u == nil {
		u = &unit{changed: make(chan struct{})}
		h.units[name] = u
	}
	return u
}

// Publish wakes whoever waits for a change of a unit's Desired.
func (h *Hub) Publish(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.unit(name)
	close(u.changed)
	u.changed = make(chan struct{})
}

// Desired returns what a unit shall run with a tag of it. While that still has the tag have, it waits for a
// change, at most wait long, and then answers with the same tag.
func (h *Hub) Desired(ctx context.Context, name, have string, wait time.Duration) (fleet.Desired, string, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		h.mu.Lock()
		changed := h.unit(name).changed
		h.mu.Unlock()
		d, tag, err := h.read(ctx, name)
		if err != nil || tag != have {
			return d, tag, err
		}
		select {
		case <-changed:
		case <-timeout.C:
			return d, tag, nil
		case <-ctx.Done():
			return d, tag, ctx.Err()
		}
	}
}

func (h *Hub) read(ctx context.Context, name string) (fleet.Desired, string, error) {
	d := fleet.Desired{Unit: name}
	sum := sha256.New()
	for after := ""; ; {
		docs, err := h.store.List(ctx, store.Page{Kind: h.kind, Prefix: name + "/", After: after})
		if err != nil {
			return d, "", err
		}
		if len(docs) == 0 {
			return d, hex.EncodeToString(sum.Sum(nil)[:12]), nil
		}
		for _, doc := range docs {
			var s fleet.Service
			if err := json.Unmarshal(doc.Body, &s); err != nil {
				return d, "", fmt.Errorf("%s %s: %w", h.kind, doc.Name, err)
			}
			d.Services = append(d.Services, s)
			sum.Write(doc.Body)
		}
		after = docs[len(docs)-1].Name
	}
}

// Report takes what a unit's data plane sees.
func (h *Hub) Report(_ context.Context, o fleet.Observed) error {
	if o.Unit == "" {
		return errs.E(errs.Invalid, "unit: expected the name of the reporting unit")
	}
	h.mu.Lock()
	u := h.unit(o.Unit)
	u.observed, u.at = o, time.Now()
	h.mu.Unlock()
	h.onReport()
	return nil
}

// Observe returns what a unit last reported of a service and when; the zero time when it never did.
func (h *Hub) Observe(name, service string) (fleet.ServiceStatus, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.unit(name)
	for _, s := range u.observed.Services {
		if s.Name == service {
			return s, u.at
		}
	}
	return fleet.ServiceStatus{}, u.at
}

// Units returns the last report of every unit.
func (h *Hub) Units() []fleet.Observed {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []fleet.Observed
	for name, u := range h.units {
		if u.at.IsZero() {
			continue
		}
		o := u.observed
		o.Unit, o.Time = name, u.at
		all = append(all, o)
	}
	return all
}

// Admin is where a unit's data plane has its metrics and logs; "" before it has reported.
func (h *Hub) Admin(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unit(name).observed.Admin
}
