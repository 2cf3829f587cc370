package contract

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
)

// Line is one series of an answer of Metrics: points are Unix seconds and value.
type Line struct {
	Labels map[string]string
	Points [][2]float64
}

// Metrics answers PromQL over a range of time.
type Metrics interface {
	QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error)
}

// Caller is who calls, and how much.
type Caller struct {
	Service  string    `json:"service" doc:"unknown when it does not say so, untrusted when it is not believed, other when there are too many"`
	Version  string    `json:"version,omitempty"`
	Requests int64     `json:"requests" doc:"within the window"`
	Last     time.Time `json:"last" doc:"when it last called"`
}

func (c Caller) name() string {
	if c.Version == "" {
		return c.Service + " callers"
	}
	return c.Service + " " + c.Version
}

// Call is what a caller asks of a version.
type Call struct {
	Caller
	Of        string // the version that is asked
	Operation string // empty of a version without an interface; other for what its interface does not name
}

// Counts are read at most mostPoints times within a window, and at least leastStep apart.
const (
	mostPoints = 300
	leastStep  = 5 * time.Second
)

// Calls are the calls of a service's operations until now; known says whether gateways were measured from the beginning of it on.
func (k *Keeper) Calls(ctx context.Context, service string, window time.Duration) (all []Call, known bool, err error) {
	if k.Metrics == nil {
		return nil, false, nil
	}
	now := k.Now().UTC()
	step := max(leastStep, (window / mostPoints).Truncate(time.Second))
	from := now.Add(-window)
	lines, err := k.Metrics.QueryRange(ctx, fmt.Sprintf("ringfence_calls_total{service=%q}", service), from, now, step)
	if err != nil {
		return nil, false, errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	type key struct{ of, operation, service, version string }
	sums := map[key]*Call{}
	for _, l := range lines {
		x := key{l.Labels["version"], l.Labels["operation"], l.Labels["caller"], l.Labels["caller_version"]}
		for _, c := range incident.Increases([]incident.Line{{Points: l.Points}}, from) {
			if c.Requests < 0.5 {
				continue
			}
			if sums[x] == nil {
				sums[x] = &Call{Caller: Caller{Service: x.service, Version: x.version}, Of: x.of, Operation: x.operation}
			}
			sums[x].Requests += int64(math.Round(c.Requests))
		}
	}
	// Each step looks at all that was scraped in it, so that a gateway that lived in between is not missed.
	last, err := k.Metrics.QueryRange(ctx, fmt.Sprintf("max_over_time(ringfence_call_last_seconds{service=%q}[%ds])", service, int(step.Seconds())), from, now, step)
	if err != nil {
		return nil, false, errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	for _, l := range last {
		x := key{l.Labels["version"], l.Labels["operation"], l.Labels["caller"], l.Labels["caller_version"]}
		for _, p := range l.Points {
			at := time.Unix(int64(p[1]), 0).UTC()
			if at.Before(from) {
				continue
			}
			if sums[x] == nil {
				sums[x] = &Call{Caller: Caller{Service: x.service, Version: x.version}, Of: x.of, Operation: x.operation}
			}
			if at.After(sums[x].Last) {
				sums[x].Last = at
			}
		}
	}
	for _, c := range sums {
		if c.Last.IsZero() {
			continue // it was counted, and is older than the window
		}
		c.Requests = max(1, c.Requests)
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Call) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Of, b.Of))
	})
	measured, err := k.Metrics.QueryRange(ctx, "max(ringfence_gateway_held_requests)", from, now, step)
	if err != nil {
		return nil, false, errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	for _, l := range measured {
		known = known || len(l.Points) > 0 && l.Points[0][0] <= float64(from.Add(2*step).Unix())
	}
	return all, known, nil
}

// Overview is a service's interface as it is served, with who calls it.
type Overview struct {
	Service    string                 `json:"service"`
	Rule       resource.InterfaceRule `json:"rule"`
	Known      bool                   `json:"known" doc:"calls were counted over the whole window"`
	Versions   []VersionInterface     `json:"versions" doc:"those that are served"`
	Operations []Usage                `json:"operations"`
}

// VersionInterface is the interface of a served version.
type VersionInterface struct {
	Version    string `json:"version"`
	Format     string `json:"format,omitempty" doc:"empty when its release carries none"`
	Digest     string `json:"digest,omitempty"`
	Operations int    `json:"operations"`
}

// Usage is an operation, and who calls it.
type Usage struct {
	fleet.Operation
	In      []string `json:"in" doc:"served versions that have it"`
	Callers []Caller `json:"callers" doc:"within the window, the latest first"`
}

// Show says what a service offers, what of it is deprecated, and who calls it.
func (k *Keeper) Show(ctx context.Context, service string) (Overview, error) {
	rule, err := k.rule(ctx, service)
	if err != nil {
		return Overview{}, err
	}
	out := Overview{Service: service, Rule: rule, Versions: []VersionInterface{}, Operations: []Usage{}}
	served, err := k.Served(ctx, service)
	if err != nil {
		return out, err
	}
	at := map[string]int{}
	usage := func(name string) *Usage {
		if _, ok := at[name]; !ok {
			at[name] = len(out.Operations)
			out.Operations = append(out.Operations, Usage{Operation: fleet.Operation{Name: name}, In: []string{}, Callers: []Caller{}})
		}
		return &out.Operations[at[name]]
	}
	for _, v := range served {
		rel, err := k.Catalog.Release(ctx, service, v)
		if err != nil {
			return out, err
		}
		one := VersionInterface{Version: v, Operations: len(rel.Operations())}
		if rel.Interface != nil {
			one.Format, one.Digest = rel.Interface.Format, rel.Interface.Digest
		}
		out.Versions = append(out.Versions, one)
		for _, op := range rel.Operations() {
			u := usage(op.Name)
			u.In = append(u.In, v)
			if !op.Deprecated.IsZero() {
				u.Operation = op
			}
		}
	}
	calls, known, err := k.Calls(ctx, service, rule.Window.D(0))
	if err != nil {
		return out, err
	}
	out.Known = known
	for _, c := range calls {
		u := usage(c.Operation)
		if i := slices.IndexFunc(u.Callers, func(o Caller) bool { return o.Service == c.Service && o.Version == c.Version }); i >= 0 {
			u.Callers[i].Requests += c.Requests // it calls several versions
			continue
		}
		u.Callers = append(u.Callers, c.Caller)
	}
	slices.SortStableFunc(out.Operations, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(boolInt(a.Deprecated.IsZero()), boolInt(b.Deprecated.IsZero())), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
