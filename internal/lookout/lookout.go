package lookout

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/ringfence/ringfence/internal/lull"
	"github.com/ringfence/ringfence/internal/metric"
)

// Line is one series of an answer: Unix seconds and value, in order.
type Line struct {
	Labels map[string]string
	Points [][2]float64
}

// Metrics are read from and written to.
type Metrics interface {
	Lines(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error)
	Write(ctx context.Context, samples []metric.Sample) ([]metric.Refusal, error)
}

// Options of a lookout.
type Options struct {
	Metrics Metrics
	Scrape  time.Duration // time between two looks at a gateway
	Logger  *slog.Logger
}

const (
	shortest = 10 * time.Second // slice
	again    = 150 * time.Minute
	goneIn   = 3 // slices
)

// Lookout watches.
type Lookout struct {
	Options
	slice   time.Duration
	last    time.Time // the end of the last slice that was seen
	watches map[string]*watch
	before  map[string]float64 // the lowest of the day before, in a slice
	beforeT time.Time
}

type watch struct {
	*lull.Watch
	state   lull.State
	missing int
}

// New makes a lookout; Run begins it.
func New(o Options) *Lookout {
	return &Lookout{Options: o, slice: max(shortest, 4*o.Scrape).Truncate(time.Second), watches: map[string]*watch{}, before: map[string]float64{}}
}

// Run looks until ctx ends.
func (l *Lookout) Run(ctx context.Context) error {
	for {
		if err := l.Look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			l.Logger.Warn("traffic cannot be watched; it is tried again", "err", err)
		}
		next := time.Now().Truncate(l.slice).Add(l.slice + l.lag())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
	}
}

// lag is how long after the end of a slice all of it is known.
func (l *Lookout) lag() time.Duration { return l.Scrape + 500*time.Millisecond }

// Look takes in every slice that is over by now.
func (l *Lookout) Look(ctx context.Context, now time.Time) error {
	end := now.Add(-l.lag()).Truncate(l.slice)
	if !end.After(l.last) {
		return nil
	}
	from := l.last.Add(l.slice)
	if oldest := end.Add(-again).Truncate(l.slice); from.Before(oldest) {
		from = oldest
	}
	window := fmt.Sprintf("%ds", int(l.slice.Seconds()))
	// a service that nobody has asked yet has no counters: nothing came
	lines, err := l.Metrics.Lines(ctx, `sum by (service) (increase(ringfence_requests_total{service!~"flag:.*"}[`+window+`])) or (sum by (service) (ringfence_instance_ready) * 0 unless on (service) ringfence_requests_total)`,
		from, end, l.slice)
	if err != nil {
		return err
	}
	enough := max(1, int(l.slice/max(l.Scrape, time.Second))-1) // looks in a slice, one of which may have been late
	heard, err := l.Metrics.Lines(ctx, fmt.Sprintf(`min(min_over_time(up{job="gateway"}[%s]) * (count_over_time(up{job="gateway"}[%[1]s]) >= bool %d))`, window, enough), from, end, l.slice)
	if err != nil {
		return err
	}
	l.yesterday(ctx, end)
	counts, up := byTime(lines), map[int64]float64{}
	for _, h := range heard {
		for _, p := range h.Points {
			up[int64(p[0])] = p[1]
		}
	}
	for t := from; !t.After(end); t = t.Add(l.slice) {
		l.add(counts[t.Unix()], up[t.Unix()] == 1)
	}
	l.last = end
	return l.tell(ctx, end, counts[end.Unix()])
}

func byTime(lines []Line) map[int64]map[string]float64 {
	all := map[int64]map[string]float64{}
	for _, line := range lines {
		for _, p := range line.Points {
			t := int64(p[0])
			if all[t] == nil {
				all[t] = map[string]float64{}
			}
			all[t][line.Labels["service"]] = p[1]
		}
	}
	return all
}

// yesterday reads, once a minute, the lowest minute around this time of the day before.
func (l *Lookout) yesterday(ctx context.Context, at time.Time) {
	if at.Sub(l.beforeT) < time.Minute {
		return
	}
	lines, err := l.Metrics.Lines(ctx, `min_over_time(sum by (service) (increase(ringfence_requests_total{service!~"flag:.*"}[1m]))[10m:1m] offset 1435m)`, at, at, time.Minute)
	if err != nil {
		return // less is known, and no less is expected
	}
	l.beforeT = at
	clear(l.before)
	for _, line := range lines {
		for _, p := range line.Points {
			l.before[line.Labels["service"]] = p[1] * l.slice.Minutes()
		}
	}
}

// add feeds one slice to every watch. Of a service that is gone no watch is kept.
func (l *Lookout) add(counts map[string]float64, heard bool) {
	for service := range counts {
		if l.watches[service] == nil {
			l.watches[service] = &watch{Watch: lull.New(l.slice)}
		}
	}
	for service, w := range l.watches {
		s := lull.Slice{Count: math.NaN(), DayBefore: math.NaN()}
		count, there := counts[service]
		switch {
		case there && heard:
			s.Count, w.missing = count, 0
		case heard:
			if w.missing++; w.missing > goneIn {
				delete(l.watches, service)
				continue
			}
		}
		if before, ok := l.before[service]; ok {
			s.DayBefore = before
		}
		w.state = w.Add(s)
	}
}

func (l *Lookout) tell(ctx context.Context, at time.Time, counts map[string]float64) error {
	var out []metric.Sample
	for service, w := range l.watches {
		say := func(name string, v float64) { out = append(out, metric.New(name, at, v, "service", service)) }
		if count, ok := counts[service]; ok {
			say("ringfence_traffic_rate", count/l.slice.Seconds())
		}
		if w.state.Known {
			say("ringfence_traffic_usual", w.state.Usual/l.slice.Seconds())
		}
		is := 0.0
		if w.state.Lull {
			is = 1
		}
		say("ringfence_traffic_lull", is)
	}
	if len(out) == 0 {
		return nil
	}
	refused, err := l.Metrics.Write(ctx, out)
	if err == nil && len(refused) > 0 {
		l.Logger.Warn("what the lookout saw is refused", "of", out[refused[0].Index].String(), "why", refused[0].Detail)
	}
	return err
}
