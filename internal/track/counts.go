package track

import (
	"context"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
)

// Total is what a ramp asks of one variant.
type Total struct {
	Variant string
	Users   int64 // who were given it, and no other
	Did     int64 // of them, who have the event after their first exposure
}

// Totals counts users by variant since a time, and those who have an event of a metric; without a metric Did is 0. The
// answer is from Totals.At: one that is asked for all the time is counted again only as often as a tenth of a processor allows.
type Totals struct {
	At       time.Time
	Variants []Total
	Several  int64 // users who were given more than one
}

type totalsKey struct {
	environment, flag, metric string
	since                     int64
}

type totals struct {
	mu sync.Mutex
	by map[totalsKey]*keptTotals
}

type keptTotals struct {
	mu     sync.Mutex // held while counting: others wait for that answer
	totals Totals
	until  time.Time // when to count again
}

const (
	maxKeptTotals = 10_000
	restAfter     = 9 // times as long as counting took
)

// Totals counts for a ramp that began at since.
func (s *Store) Totals(ctx context.Context, environment, flag, metric string, since time.Time) (Totals, error) {
	k := s.totals.of(totalsKey{environment, flag, metric, since.UnixMilli()})
	k.mu.Lock()
	defer k.mu.Unlock()
	begin := s.now()
	if begin.Before(k.until) {
		return k.totals, nil
	}
	q := Query{Environment: environment, Flag: flag, Since: since, Until: begin.Add(maxAhead + time.Millisecond)}
	if metric != "" {
		q.Measure = Measure{Kind: experiment.Proportion, Event: metric}
	}
	res, err := s.Summaries(ctx, q)
	if err != nil {
		return Totals{}, err
	}
	t := Totals{At: begin, Several: res.Several}
	for _, v := range res.Variants {
		t.Variants = append(t.Variants, Total{Variant: v.Name, Users: v.N, Did: int64(v.Mean[experiment.Value]*float64(v.N) + 0.5)})
	}
	k.totals, k.until = t, s.now().Add(restAfter*s.now().Sub(begin))
	return t, nil
}

func (t *totals) of(key totalsKey) *keptTotals {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil || len(t.by) >= maxKeptTotals {
		t.by = map[totalsKey]*keptTotals{}
	}
	k := t.by[key]
	if k == nil {
		k = &keptTotals{}
		t.by[key] = k
	}
	return k
}

// Used says when a flag was last given to anyone.
type Used struct {
	Flag string
	Set  string // that was last told with it
	Last time.Time
}

// Usage returns the flags of an environment of which there were exposures, by name. It costs as much as there are flags.
func (s *Store) Usage(ctx context.Context, environment string) ([]Used, error) {
	return s.heard(ctx, environment, ofFlag)
}

// Metrics returns the metrics of an environment of which there were events, by name, as Usage does.
func (s *Store) Metrics(ctx context.Context, environment string) ([]Used, error) {
	return s.heard(ctx, environment, ofMetric)
}

func (s *Store) heard(ctx context.Context, environment string, kind int) ([]Used, error) {
	if err := s.Settle(ctx); err != nil {
		return nil, err
	}
	rows, err := s.events.reader.QueryContext(ctx, "SELECT name, flag_set, last FROM names WHERE environment = ? AND kind = ? ORDER BY name", environment, kind)
	if err != nil {
		return nil, kindOf(err, "read what was used")
	}
	defer rows.Close()
	var all []Used
	for rows.Next() {
		var u Used
		var last int64
		if err := rows.Scan(&u.Flag, &u.Set, &last); err != nil {
			return nil, kindOf(err, "read what was used")
		}
		u.Last = time.UnixMilli(last).UTC()
		all = append(all, u)
	}
	return all, kindOf(rows.Err(), "read what was used")
}
