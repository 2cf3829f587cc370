package notify

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	page       = 500
	maxPending = 2000 // events that wait to be told; those after them wait on the record
)

// quiet are steps on the way, of which people are told only when they ask for just these. Programs get them all.
var quiet = []string{rollout.EvReady, rollout.EvExposed, rollout.EvJudged, rollout.EvReverted}

// wants says whether a notifier is to be told of an event.
func (w *worker) wants(ctx context.Context, ev audit.Event, labels map[string]map[string]string) (bool, error) {
	said := incidentOf(ev)
	if slices.Contains(said.To, w.name) || slices.Contains(said.To, "*") {
		return true, nil
	}
	if !w.listens(ev) {
		return false, nil
	}
	service := cmp.Or(serviceOf(ev.Subject), said.Service)
	if service == "" { // it concerns all, such as a stop of the line
		return true, nil
	}
	if len(w.spec.Services) > 0 && !slices.Contains(w.spec.Services, service) {
		return false, nil
	}
	if len(w.spec.Labels) == 0 {
		return true, nil
	}
	has, known := labels[service]
	if !known {
		r, err := w.engine.Catalog.Get(ctx, resource.KindService, service)
		if err != nil && !errs.Is(err, errs.Missing) {
			return false, err
		}
		has = r.Metadata.Labels
		labels[service] = has
	}
	for k, v := range w.spec.Labels {
		if got, ok := has[k]; !ok || got != v {
			return false, nil
		}
	}
	return true, nil
}

// listens looks at the type alone. A notifier is never told of its own failures.
func (w *worker) listens(ev audit.Event) bool {
	if strings.HasPrefix(ev.Type, "notify.") && ev.Subject == subject(w.name) {
		return false
	}
	if w.spec.To.Alertmanager != nil { // it is told of alerts, by who keeps them
		return false
	}
	for _, prefix := range w.spec.Events {
		switch {
		case prefix == ev.Type:
			return true
		case prefix != "*" && !strings.HasPrefix(ev.Type, prefix) && !strings.HasPrefix(alias(ev), prefix):
		case !w.people() || !slices.Contains(quiet, ev.Type):
			return true
		}
	}
	return false
}

// alias is another name for what happens to a declared thing: who listens to freeze. is told when one is applied or
// deleted.
func alias(ev audit.Event) string {
	verb, ok := strings.CutPrefix(ev.Type, "resource.")
	if !ok {
		return ev.Type
	}
	kind, _, _ := strings.Cut(ev.Subject, "/")
	return kind + "." + verb
}

// people says whether the receiver is read by people, who are told in groups and in words.
func (w *worker) people() bool { return w.spec.To.Webhook == nil }

// serviceOf finds the service that a subject belongs to, "" when it belongs to none.
func serviceOf(subject string) string {
	kind, name, _ := strings.Cut(subject, "/")
	switch kind {
	case "service":
		return name
	case "release", "config":
		service, _, _ := strings.Cut(name, "/")
		return service
	case "rollout":
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				return name[:i]
			}
		}
		return name
	}
	return ""
}

// read brings in what was recorded since the last look.
func (w *worker) read(ctx context.Context) error {
	labels := map[string]map[string]string{}
	for len(w.pending) < maxPending {
		events, err := w.engine.Store.Events(ctx, store.EventQuery{After: w.seen, Limit: page})
		if err != nil {
			return err
		}
		for _, ev := range events {
			wanted, err := w.wants(ctx, ev, labels)
			if err != nil {
				return err
			}
			if _, done := slices.BinarySearch(w.at.Done, ev.Seq); wanted && !done {
				w.pending = append(w.pending, ev)
			}
			w.seen = ev.Seq
		}
		if len(events) < page {
			return nil
		}
	}
	return nil
}

// group is what becomes one message.
type group struct {
	events []audit.Event
	due    time.Time
}

// groups joins what happens to one subject from its first event on, within a time. The result
// depends on the record alone, so that a restart finds the same groups, and is in order of their dues.
func groups(pending []audit.Event, within time.Duration) []group {
	var all []group
	open := map[string]int{}
	for _, ev := range pending {
		if len(incidentOf(ev).To) > 0 { // somebody is called: that waits for nothing
			all = append(all, group{events: []audit.Event{ev}, due: ev.Time})
			continue
		}
		if i, ok := open[ev.Subject]; ok && ev.Time.Before(all[i].due) {
			all[i].events = append(all[i].events, ev)
			continue
		}
		open[ev.Subject] = len(all)
		all = append(all, group{events: []audit.Event{ev}, due: ev.Time.Add(within)})
	}
	slices.SortStableFunc(all, func(a, b group) int { return a.due.Compare(b.due) })
	return all
}

// next is the message to send now or the first that will be due; ok is false when nothing waits.
func (w *worker) next() (s Sending, ok bool) {
	if w.at.Sending != nil {
		return *w.at.Sending, true
	}
	if len(w.pending) == 0 {
		return s, false
	}
	first := group{events: w.pending[:1], due: w.pending[0].Time} // programs get one by one, in the order of the record
	if w.people() {
		first = groups(w.pending, w.spec.Group.D(0))[0]
	}
	s = Sending{Due: first.due, ID: eventID(first.events[0])}
	for _, ev := range first.events {
		s.Events = append(s.Events, ev.Seq)
	}
	if w.people() { // two notifiers' messages of one event are two messages
		s.ID = fmt.Sprintf("%s.%d.%s", s.ID, len(s.Events), w.name)
	}
	return s, true
}

// eventID is unlike that of any event of this or another record: after a restore, numbers begin again.
func eventID(ev audit.Event) string {
	return fmt.Sprintf("%d-%s", ev.Seq, ev.Hash[:min(16, len(ev.Hash))])
}

// entries finds the events of a message. Those that no longer pass the filter are still told: it was begun to.
func (w *worker) entries(ctx context.Context, s Sending) ([]audit.Event, error) {
	have := map[int64]audit.Event{}
	for _, ev := range w.pending {
		have[ev.Seq] = ev
	}
	for _, seq := range s.Events {
		if _, ok := have[seq]; ok {
			continue
		}
		found, err := w.engine.Store.Events(ctx, store.EventQuery{After: seq - 1, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 || found[0].Seq != seq {
			return nil, errs.E(errs.Internal, "event %d, of which %s is to be told, is not on the record", seq, w.name)
		}
		have[seq] = found[0]
	}
	maps.DeleteFunc(have, func(seq int64, _ audit.Event) bool { return !slices.Contains(s.Events, seq) })
	return slices.SortedFunc(maps.Values(have), func(a, b audit.Event) int { return cmp.Compare(a.Seq, b.Seq) }), nil
}
