package responder

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	before = time.Hour // before the first bad event the timeline begins
	mostOf = 400       // lines of a timeline
)

// Timeline is what the record says of an incident and of the services around it, in order.
func (r *Responder) Timeline(ctx context.Context, s incident.State) ([]incident.Entry, error) {
	own, err := r.own(ctx, s)
	if err != nil {
		return nil, err
	}
	calls, err := r.dependencies(ctx)
	if err != nil {
		return nil, err
	}
	near := append(nearby(s.Service, calls), s.Service)
	from := s.Detected
	if start := s.Impact.Start; !start.IsZero() && start.Before(from) {
		from = start
	}
	from = from.Add(-before)
	to := int64(0)
	if s.Phase == incident.Closed && len(own) > 0 {
		to = own[len(own)-1].Seq
	}
	all := own
	for range mostPages {
		events, err := r.Store.Events(ctx, store.EventQuery{Before: to, Backward: true, Limit: batch})
		if err != nil {
			return nil, err
		}
		for _, ev := range events {
			to = ev.Seq
			if !ev.Time.Before(from) && concerns(ev, s, near) {
				all = append(all, ev)
			}
		}
		if len(events) < batch || events[len(events)-1].Time.Before(from) {
			break
		}
	}
	slices.SortFunc(all, func(a, b audit.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	var list []incident.Entry
	for _, ev := range all {
		if text := words(ev); text != "" {
			list = append(list, incident.Entry{At: ev.Time, Actor: ev.Actor, Type: ev.Type, Ref: ev.Subject, Text: text})
		}
	}
	return marked(s, list), nil
}

// own are the events of the incident itself.
func (r *Responder) own(ctx context.Context, s incident.State) ([]audit.Event, error) {
	var all []audit.Event
	after := int64(0)
	for range mostPages {
		events, err := r.Store.Events(ctx, store.EventQuery{Subject: "incident/" + s.ID, After: after, Limit: batch})
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
		if len(events) < batch {
			break
		}
		after = events[len(events)-1].Seq
	}
	return all, nil
}

// concerns says whether an event belongs on the timeline: it is of a rollout of the services around, of a flag, or a
// change of what they are declared as.
func concerns(ev audit.Event, s incident.State, near []string) bool {
	kind, name, _ := strings.Cut(ev.Subject, "/")
	switch kind {
	case "rollout":
		i := strings.LastIndexByte(name, '-')
		return slices.Contains(s.Rollouts, name) || i > 0 && slices.Contains(near, name[:i]) || strings.HasPrefix(name, "flag:")
	case "service":
		return slices.Contains(near, name)
	case "release", "config":
		service, _, _ := strings.Cut(name, "/")
		return slices.Contains(near, service)
	case "flagset", "flag", "ringplan", "segment", "freeze", "line", "experiment":
		return true
	}
	return false
}

// marked puts the moments that are no events of the record between those that are.
func marked(s incident.State, list []incident.Entry) []incident.Entry {
	add := func(at time.Time, mark, text string) {
		if !at.IsZero() {
			list = append(list, incident.Entry{At: at, Type: "incident." + mark, Ref: "incident/" + s.ID, Text: text, Mark: mark})
		}
	}
	where := ""
	if s.Impact.Where != "" {
		where = ", in " + s.Impact.Where
	}
	add(s.Impact.Start, "onset", "the first bad event"+where)
	add(s.Impact.End, "end", "the last bad event")
	slices.SortStableFunc(list, func(a, b incident.Entry) int { return a.At.Compare(b.At) })
	if len(list) > mostOf {
		list = list[len(list)-mostOf:]
	}
	return list
}

// skipped are steps on the way that say nothing to who reads a timeline.
var skipped = []string{rollout.EvReady, "incident.impact", "incident.reminded", "experiment.read"}

// words say what an event of the record is, in a line; "" for what is left out.
func words(ev audit.Event) string {
	if slices.Contains(skipped, ev.Type) {
		return ""
	}
	kind, name, _ := strings.Cut(ev.Subject, "/")
	by := who(ev.Actor)
	var s string
	switch kind {
	case "incident":
		s = ofIncident(ev, by)
	case "rollout":
		s = ofRollout(ev, name, by)
	default:
		s = fmt.Sprintf("%s: %s of %s", by, strings.NewReplacer(".", " ", "_", " ").Replace(ev.Type), ev.Subject)
		switch ev.Type {
		case "resource.applied":
			s = fmt.Sprintf("%s applied %s %s", by, kind, name)
		case "resource.deleted":
			s = fmt.Sprintf("%s deleted %s %s", by, kind, name)
			if kind == "freeze" {
				s = fmt.Sprintf("%s lifted freeze %s", by, name)
			}
		case "release.created", "config.created":
			s = fmt.Sprintf("%s made %s %s", by, kind, name)
		case "line.stopped":
			s = by + " stopped the line"
		case "line.lifted":
			s = by + " let the line go on"
		}
	}
	return clip(strings.Join(strings.Fields(s), " "), 500)
}

func who(actor string) string {
	kind, name, ok := strings.Cut(actor, ":")
	switch {
	case actor == "", kind == "system":
		return "Ringfence"
	case !ok:
		return actor
	}
	return name
}

func ofIncident(ev audit.Event, by string) string {
	var e incident.Event
	_ = json.Unmarshal(ev.Data, &e)
	switch ev.Type {
	case incident.EvOpened:
		return fmt.Sprintf("%s opened the incident: %s", by, e.Title)
	case incident.EvJoined:
		if e.Rollout != "" {
			return "rollout " + e.Rollout + " belongs to it: " + e.Text
		}
		if e.Page != nil {
			return "another alert belongs to it: " + e.Page.Summary
		}
	case incident.EvCleared:
		if e.Page != nil {
			return "the alert is over: " + e.Page.Summary
		}
	case incident.EvCalled:
		return strings.TrimSuffix(fmt.Sprintf("%s was called; %s", strings.Join(e.People, ", "), e.Text), "; ")
	case incident.EvUncalled:
		return e.Text
	case incident.EvAcked:
		return by + " took it"
	case incident.EvNoted:
		return by + ": " + e.Text
	case incident.EvUpdated:
		return by + " told everyone: " + e.Text
	case incident.EvRated:
		s := by + " changed"
		if e.Severity != nil {
			s += fmt.Sprintf(" severity to %d", *e.Severity)
		}
		if e.Commander != "" {
			s += " commander to " + who(e.Commander)
		}
		if e.Title != "" {
			s += " title to " + e.Title
		}
		return s
	case incident.EvCause:
		if e.Cause != nil && e.Cause.Unknown {
			return by + " named the cause unknown: " + e.Cause.Text
		} else if e.Cause != nil {
			return by + " confirmed the cause: " + e.Cause.Text
		}
	case incident.EvActed:
		return by + " acted: " + e.Text
	case incident.EvMitigated:
		return strings.TrimSuffix("users are not hurt any more: "+e.Text, ": ")
	case incident.EvResolved:
		return by + " resolved it"
	case incident.EvReopened:
		return "it is back"
	case incident.EvLearned:
		return by + " wrote the postmortem"
	case incident.EvAction:
		switch a := e.Action; {
		case a != nil && ev.Time.Sub(a.Done).Abs() < time.Second: // both are of the same decision, but not kept as finely
			return by + " ticked off an action item: " + e.Text
		case a != nil && ev.Time.Sub(a.Made).Abs() >= time.Second:
			return by + " changed an action item: " + e.Text
		}
		return by + " set an action item: " + e.Text
	case incident.EvClosed:
		return by + " closed it"
	}
	return by + ": " + ev.Type
}

func ofRollout(ev audit.Event, id, by string) string {
	var e rollout.Event
	_ = json.Unmarshal(ev.Data, &e)
	s := id + ": " + strings.ReplaceAll(ev.Type, ".", " ")
	switch ev.Type {
	case rollout.EvStarted:
		s = fmt.Sprintf("%s began to release %s (%s)", by, e.To, id)
	case rollout.EvExposed:
		s = fmt.Sprintf("%s: ring %s gets it", id, e.Ring)
	case rollout.EvBaking, rollout.EvJudged:
		return ""
	case rollout.EvHalted:
		s = id + " was halted"
	case rollout.EvAborted:
		s = fmt.Sprintf("%s called %s back", by, id)
	case rollout.EvRolledBack:
		s = id + ": everyone has the version before again"
	case rollout.EvSucceeded:
		s = id + ": everyone has it"
	case rollout.EvPassed:
		s = fmt.Sprintf("%s: ring %s passed", id, e.Ring)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}
