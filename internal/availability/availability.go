package availability

import (
	"context"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
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

// Record is what happened.
type Record interface {
	Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error)
}

// Catalog holds what people declared.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Reader reads how services were there.
type Reader struct {
	Catalog Catalog
	Record  Record
	Metrics Metrics
}

// Longest is the longest time that can be read at once.
const Longest = 25 * time.Hour

// Read says how a service was there from one minute until another, the one that passes included as far as it has come.
func (r *Reader) Read(ctx context.Context, service string, from, to time.Time) (Report, error) {
	from, to = from.UTC().Truncate(time.Minute), to.UTC().Add(time.Minute-time.Nanosecond).Truncate(time.Minute)
	if long := to.Sub(from); long < time.Minute || long > Longest {
		return Report{}, errs.E(errs.Invalid, "from %s to %s: expected one minute to %.0f hours", from.Format(time.RFC3339), to.Format(time.RFC3339), Longest.Hours())
	}
	res, err := r.Catalog.Get(ctx, resource.KindService, service)
	if err != nil {
		return Report{}, err
	}
	spec, err := resource.As[resource.Service](res)
	if err != nil {
		return Report{}, err
	}
	if r.Metrics == nil {
		return Report{}, errs.E(errs.Unavailable, "there are no metrics to read it from")
	}
	spec = spec.Defaults()
	out := Report{Service: service, From: from, To: to, Rule: *spec.Availability, Minutes: []Minute{}, Happened: []Happening{}}
	all, counted, err := r.counts(ctx, service, out.Rule, from, to)
	if err != nil {
		return Report{}, errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	happened, err := r.happened(ctx, service, spec, from.Add(-before), to)
	if err != nil {
		return Report{}, err
	}
	judge(&out, all, append(happened, counted...))
	return out, nil
}

// counts are what gateways counted in each minute, and what they tell besides.
func (r *Reader) counts(ctx context.Context, service string, rule resource.Availability, from, to time.Time) ([]counts, []Happening, error) {
	all := make([]counts, int(to.Sub(from)/time.Minute))
	var told []Happening
	of := fmt.Sprintf("{service=%q}", service)
	slow := "ringfence_request_duration_seconds" + of
	for _, q := range []struct {
		expr string
		put  func(c *counts, at time.Time, l Line, n float64)
	}{
		{"ringfence_requests_total" + of, func(c *counts, _ time.Time, l Line, n float64) {
			c.requests += n
			if code := l.Labels["code"]; code != "" && code[0] == '5' {
				c.failed += n
			}
		}},
		{fmt.Sprintf("histogram_count(%s) * (1 - histogram_fraction(0, %g, %s))", slow, rule.SlowOver.D(0).Seconds(), slow), func(c *counts, _ time.Time, _ Line, n float64) { c.slow += n }},
		{"ringfence_gateway_shed_total" + of, func(c *counts, at time.Time, l Line, n float64) {
			c.shed += n
			told = append(told, Happening{At: at, Kind: "limit", Text: fmt.Sprintf("the limit %s was reached: %.0f requests of priority %s were shed", l.Labels["limit"], n, l.Labels["priority"])})
		}},
		{"ringfence_gateway_failures_total" + of, func(c *counts, at time.Time, l Line, n float64) {
			if c.reasons == nil {
				c.reasons = map[string]float64{}
			}
			c.reasons[l.Labels["reason"]] += n
			if l.Labels["reason"] == "destination_unavailable" {
				told = append(told, Happening{At: at, Kind: "ready", Text: fmt.Sprintf("no instance of %s was ready for %.0f requests", l.Labels["version"], n)})
			}
		}},
		{"ringfence_gateway_ejections_total" + of, func(_ *counts, at time.Time, l Line, _ float64) {
			told = append(told, Happening{At: at, Kind: "ejection", Text: fmt.Sprintf("an instance of %s was left out: it failed requests and others did not", l.Labels["version"])})
		}},
	} {
		lines, err := r.Metrics.QueryRange(ctx, q.expr, from, to, time.Minute)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range lines {
			for _, c := range incident.Increases([]incident.Line{{Points: l.Points}}, from) {
				if i := minuteAt(c.At, from); i >= 0 && i < len(all) && c.Requests > 0.5 {
					q.put(&all[i], from.Add(time.Duration(i)*time.Minute), l, c.Requests)
				}
			}
		}
	}
	lines, err := r.Metrics.QueryRange(ctx, "max(ringfence_gateway_held_requests)", from, to, time.Minute) // each gateway says it, whatever it serves
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		for _, p := range l.Points {
			if i := minuteAt(time.UnixMilli(int64(p[0]*1000)), from); i >= 0 && i < len(all) {
				all[i].known = true
			}
		}
	}
	return all, told, nil
}

// minuteAt is which minute counts belong to that were read at its end.
func minuteAt(end, from time.Time) int {
	if !end.After(from) {
		return -1
	}
	return int((end.Sub(from) - time.Millisecond) / time.Minute)
}
