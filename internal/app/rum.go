package app

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/rum"
)

// newRUM makes what takes pages' reports. Its metrics are among the gateway's.
func (d *dataPlane) newRUM(registry *prometheus.Registry, control *client.Client) {
	d.learned = &learned{unit: d.Unit, control: control}
	d.rum = rum.New(rum.Options{Unit: d.Unit, Registry: registry, Logger: d.Logger, Events: d.learned.add, Variants: d.variants,
		Seen: d.faults.add})
}

// faults are errors of pages' scripts on their way into the logs: those that are new, and of them so many at a time.
type faults struct {
	mu   sync.Mutex
	list []logs.Entry
}

const mostFaults = 1000

func (f *faults) add(service, version, ring, page string, e rum.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) >= mostFaults {
		return // their number is in the metrics
	}
	f.list = append(f.list, logs.Entry{Time: e.First, Severity: logs.Error, Labels: logs.Labels{Service: service, Version: version, Ring: ring, Source: logs.Script},
		Text: e.Message, Attributes: map[string]string{"page": page, "kind": e.Kind, "at": e.Source}})
}

// notes are what the gateway noted of requests, and what pages told of their scripts.
func (d *dataPlane) notes() []logs.Entry {
	all := d.gateway.Notes()
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	for _, e := range d.faults.list {
		e.Unit = d.Unit
		all = append(all, e)
	}
	d.faults.list = nil
	return all
}

// variants are those of some flags for a user, as they are served here.
func (d *dataPlane) variants(flags []string, key string, attributes map[string]any) []string {
	snapshot, err := d.flags.served.Current(d.flags.Environment)
	if err != nil || snapshot == nil {
		return nil
	}
	user := exposure.Context{TargetingKey: key, Attributes: attributes, Timestamp: time.Now().Unix()}
	var all []string
	for _, f := range flags {
		if r := snapshot.All().Evaluate(f, &user); r.HasValue() {
			all = append(all, f+"="+r.Variant)
		}
	}
	return all
}

// rumErrors answers the control plane with the errors of a service's pages.
func (d *dataPlane) rumErrors(w http.ResponseWriter, r *http.Request) {
	if !access.Bearer(r, d.token) {
		http.Error(w, "the data plane's token is needed", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(d.rum.Errors(r.URL.Query().Get("service")))
}

// learned tells the control plane which version users had and what they did, some seconds later. What it cannot tell for
// long it forgets, the oldest first: users wait for none of it.
type learned struct {
	unit    string
	control *client.Client

	mu   sync.Mutex
	kept []wire.UserEvent
}

const (
	mostLearned = 20_000
	learnedOnce = 2_000
	learnEvery  = 2 * time.Second
)

func (l *learned) add(events []rum.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		one := wire.UserEvent{Type: "metric", TargetingKey: e.Key, Time: e.Time, Metric: e.Name}
		if e.Name == "" {
			one = wire.UserEvent{Type: "exposure", TargetingKey: e.Key, Time: e.Time, Flag: outcome.Flag(e.Service), Variant: e.Version}
		} else {
			one.Value = &e.Value
		}
		l.kept = append(l.kept, one)
	}
	if over := len(l.kept) - mostLearned; over > 0 {
		l.kept = append(l.kept[:0], l.kept[over:]...)
	}
}

// run tells until ctx ends.
func (l *learned) run(ctx context.Context) error {
	tick := time.NewTicker(learnEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for l.tell(ctx) {
		}
	}
}

// tell tells some, and says whether there may be more.
func (l *learned) tell(ctx context.Context) bool {
	l.mu.Lock()
	n := min(len(l.kept), learnedOnce)
	some := append([]wire.UserEvent(nil), l.kept[:n]...)
	l.kept = append(l.kept[:0], l.kept[n:]...)
	l.mu.Unlock()
	if n == 0 {
		return false
	}
	if err := l.control.TellEvents(ctx, l.unit, some); err != nil {
		l.mu.Lock()
		l.kept = append(some, l.kept...)
		if over := len(l.kept) - mostLearned; over > 0 {
			l.kept = l.kept[over:]
		}
		l.mu.Unlock()
		return false
	}
	return true
}
