package availability

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	page      = 500 // events read at once
	mostPages = 40
)

// kinds of happenings, by the type of their event; of incidents only the first.
var kinds = map[string]string{
	"rollout.started": "rollout", "stage.exposed": "rollout", "stage.baking": "", "rollout.lost": "rollout", "rollout.found": "rollout", "rollout.halted": "rollout",
	"rollback.started": "rollout", "rollback.switched": "rollout", "rollback.completed": "rollout", "rollout.succeeded": "rollout", "standby.retired": "rollout",
	"instance.restarted": "restart", "instances.scaled": "scaling",
	"unit.cordoned": "unit", "unit.drained": "unit", "unit.returned": "unit", "unit.left": "unit", "unit.rested": "unit", "unit.restarted": "unit", "unit.served": "unit", "unit.taken": "unit",
	"ringfence.upgraded": "upgrade", "ringfence.upgrade_failed": "upgrade",
	"incident.opened": "incident", "line.lifted": "line",
}

// happened is what the record says of a service from a time to another.
func (r *Reader) happened(ctx context.Context, service string, spec resource.Service, from, to time.Time) ([]Happening, error) {
	sets, err := r.flagSets(ctx, service)
	if err != nil {
		return nil, err
	}
	seq, err := r.seqAt(ctx, from)
	if err != nil {
		return nil, err
	}
	var all []Happening
	for range mostPages {
		events, err := r.Record.Events(ctx, store.EventQuery{After: seq, Limit: page})
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			seq = e.Seq
			if e.Time.After(to) {
				return all, nil
			}
			if kind := kindOf(e, service, spec, sets); kind != "" {
				all = append(all, Happening{At: e.Time, Kind: kind, Type: e.Type, Seq: e.Seq, Ref: e.Subject, Actor: e.Actor, Text: textOf(e)})
			}
		}
		if len(events) < page {
			break
		}
	}
	return all, nil
}

// seqAt is the number of the last event before a time. The record has no gaps, so it is halved.
func (r *Reader) seqAt(ctx context.Context, at time.Time) (int64, error) {
	newest, err := r.Record.Events(ctx, store.EventQuery{Backward: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	low, high := int64(0), newest[0].Seq
	for low < high {
		middle := (low + high) / 2
		one, err := r.Record.Events(ctx, store.EventQuery{After: middle, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(one) == 0 || !one[0].Time.Before(at) {
			high = middle
		} else {
			low = one[0].Seq
		}
	}
	return low, nil
}

// flagSets are the sets of flags that a service's requests judge.
func (r *Reader) flagSets(ctx context.Context, service string) ([]string, error) {
	all, err := r.Catalog.List(ctx, resource.KindFlagSet, "", 0)
	var names []string
	for _, set := range all {
		var spec struct{ Service string }
		if json.Unmarshal(set.Spec, &spec) == nil && spec.Service == service {
			names = append(names, set.Metadata.Name)
		}
	}
	return names, err
}

// kindOf says what an event is for a service; "" when it is nothing to it.
func kindOf(e audit.Event, service string, spec resource.Service, sets []string) string {
	what, name, _ := strings.Cut(e.Subject, "/")
	switch kind := kinds[e.Type]; {
	case what == "rollout" && kind != "":
		i := strings.LastIndexByte(name, '-')
		if i < 0 {
			return ""
		}
		if name[:i] == service {
			return kind
		}
		flag, ok := strings.CutPrefix(name[:i], "flag:")
		if ok && slices.Contains(sets, setOf(flag)) {
			return "flag"
		}
	case what == "service" && name == service:
		if e.Type == "resource.applied" || e.Type == "resource.deleted" {
			return "service"
		}
		return kind
	case what == "unit" && slices.Contains(spec.Units, name):
		return kind
	case what == "flagset" && slices.Contains(sets, name), what == "flag" && slices.Contains(sets, setOf(name)):
		return "flag"
	case what == "ringplan" && name == spec.Plan && strings.HasPrefix(e.Type, "resource."):
		return "plan"
	case kind == "incident":
		var d struct{ Service string }
		if json.Unmarshal(e.Data, &d) == nil && d.Service == service {
			return kind
		}
	case kind == "line", kind == "upgrade":
		return kind
	}
	return ""
}

// setOf is the set of a flag that is named set:key or set/key.
func setOf(flag string) string {
	if i := strings.IndexAny(flag, ":/"); i >= 0 {
		return flag[:i]
	}
	return flag
}

// textOf says what happened in a line.
func textOf(e audit.Event) string {
	var d struct {
		From, To, Ring, Unit, Instance, Reason, Title string
		Before, Instances                             int
	}
	_ = json.Unmarshal(e.Data, &d) // what cannot be read is told without
	name := e.Subject[strings.IndexByte(e.Subject, '/')+1:]
	because := func(text string) string {
		if d.Reason != "" {
			text += ": " + d.Reason
		}
		return text
	}
	switch e.Type {
	case "rollout.started":
		return fmt.Sprintf("rollout %s began: %s", name, d.To)
	case "stage.exposed":
		return fmt.Sprintf("rollout %s reached ring %s", name, d.Ring)
	case "rollback.switched":
		return fmt.Sprintf("rollout %s was taken back from its users", name)
	case "instance.restarted":
		return because(fmt.Sprintf("%s in unit %s was started again", d.Instance, d.Unit))
	case "instances.scaled":
		return because(fmt.Sprintf("%d instances after %d in unit %s", d.Instances, d.Before, d.Unit))
	case "incident.opened":
		return fmt.Sprintf("incident %s: %s", name, d.Title)
	}
	kind, verb, _ := strings.Cut(e.Type, ".")
	if kind == "resource" {
		kind, _, _ = strings.Cut(e.Subject, "/")
	}
	return because(fmt.Sprintf("%s %s %s", kind, name, strings.ReplaceAll(verb, "_", " ")))
}
