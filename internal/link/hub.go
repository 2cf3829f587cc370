package link

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/store"
)

// Store has the Desired documents, named unit/service, and those of who has a unit.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Hub is the control plane's end of the link. It is safe for use by many goroutines.
type Hub struct {
	store    Store
	kind     string
	onReport func()
	fence    fence

	mu    sync.Mutex
	units map[string]*unit
}

type unit struct {
	changed  chan struct{} // closed and replaced when Desired changed
	observed fleet.Observed
	services map[string]int // of observed, by name
	at       time.Time
}

// NewHub makes a hub over the documents of kind. onReport is called after each report, outside of locks.
func NewHub(s Store, kind string, onReport func()) *Hub {
	return &Hub{store: s, kind: kind, onReport: onReport, units: map[string]*unit{}, fence: fence{began: time.Now(), holders: map[string]holder{}}}
}

// unit returns a unit that has reported or asked, known from now on. h.mu is held.
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
	if u := h.units[name]; u != nil { // else nobody waits
		close(u.changed)
		u.changed = make(chan struct{})
	}
}

// pollEvery is how often a waiting answer looks by itself: what another control plane on the same database has
// written is published there, not here.
const pollEvery = 2 * time.Second

// Desired returns what a unit shall run with a tag of it. While that still has the tag have, it waits for a
// change, at most wait long, and then answers with the same tag.
func (h *Hub) Desired(ctx context.Context, name, have string, wait time.Duration) (fleet.Desired, string, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		h.mu.Lock()
		changed := h.unit(name).changed
		h.mu.Unlock()
		docs, rest, tag, err := h.read(ctx, name)
		if err != nil {
			return fleet.Desired{}, "", err
		}
		if tag == have {
			select {
			case <-changed:
				continue
			case <-poll.C:
				continue
			case <-timeout.C:
			case <-ctx.Done():
				return fleet.Desired{}, "", ctx.Err()
			}
		}
		d, err := decode(name, docs)
		d.Rest = rest
		return d, tag, err
	}
}

// read returns a unit's documents, its maintenance, and a tag of them: equal for equal documents, whichever control plane is asked.
func (h *Hub) read(ctx context.Context, name string) ([]store.Doc, *fleet.Rest, string, error) {
	var all []store.Doc
	var rest *fleet.Rest
	sum := sha256.New()
	switch doc, err := h.store.Get(ctx, fleet.KindRest, name); {
	case err == nil:
		rest = &fleet.Rest{}
		if err := json.Unmarshal(doc.Body, rest); err != nil {
			return nil, nil, "", fmt.Errorf("%s %s: %w", doc.Kind, doc.Name, err)
		}
		sum.Write(doc.Body)
	case !errs.Is(err, errs.Missing):
		return nil, nil, "", err
	}
	for after := ""; ; {
		docs, err := h.store.List(ctx, store.Page{Kind: h.kind, Prefix: name + "/", After: after})
		if err != nil {
			return nil, nil, "", err
		}
		if len(docs) == 0 {
			return all, rest, hex.EncodeToString(sum.Sum(nil)[:12]), nil
		}
		for _, doc := range docs {
			sum.Write(doc.Body)
		}
		all = append(all, docs...)
		after = docs[len(docs)-1].Name
	}
}

func decode(name string, docs []store.Doc) (fleet.Desired, error) {
	d := fleet.Desired{Unit: name, Services: make([]fleet.Service, len(docs))}
	for i, doc := range docs {
		if err := json.Unmarshal(doc.Body, &d.Services[i]); err != nil {
			return d, fmt.Errorf("%s %s: %w", doc.Kind, doc.Name, err)
		}
	}
	return d, nil
}

// Report takes what a unit's data plane sees.
func (h *Hub) Report(_ context.Context, o fleet.Observed) error {
	if o.Unit == "" {
		return errs.E(errs.Invalid, "unit: expected the name of the reporting unit")
	}
	services := make(map[string]int, len(o.Services))
	for i, s := range o.Services {
		if _, twice := services[s.Name]; !twice {
			services[s.Name] = i
		}
	}
	h.mu.Lock()
	u := h.unit(o.Unit)
	u.observed, u.services, u.at = o, services, time.Now()
	h.mu.Unlock()
	h.onReport()
	return nil
}

// Observe returns what a unit last reported of a service and when; the zero time when it never did.
func (h *Hub) Observe(name, service string) (fleet.ServiceStatus, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.units[name]
	if u == nil {
		return fleet.ServiceStatus{}, time.Time{}
	}
	if i, ok := u.services[service]; ok {
		return u.observed.Services[i], u.at
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
	if u := h.units[name]; u != nil {
		return u.observed.Admin
	}
	return ""
}
