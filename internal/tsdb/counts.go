package tsdb

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
)

const (
	requestsMetric = "ringfence_requests_total"
	slowMetric     = "ringfence_slow_requests_total"
	reservedPrefix = "ringfence_"
)

// nearLook is how far before a window the scrape before it is looked for first.
const nearLook = 2 * time.Minute

// CountsQuery says whose requests are wanted, and which of them are bad.
type CountsQuery struct {
	Service string
	Canary  string    // the version on trial
	Stable  string    // the version it is compared with, or several joined by |, as units may have different ones; empty: none
	Rings   []string  // rings whose requests to the canary count; nil: all. Stable counts wherever it answers
	Over    string    // empty: bad is a code of 500 and more; else a request slower than this value of the label over
	From    time.Time // exclusive
	To      time.Time // inclusive
}

func (q CountsQuery) check() error {
	switch {
	case q.Service == "" || q.Canary == "":
		return errs.E(errs.Invalid, "counts: a service and a canary version are needed")
	case q.besides(q.Canary):
		return errs.E(errs.Invalid, "counts: canary and stable are the same version %s", q.Canary)
	case q.From.IsZero() || q.To.Before(q.From):
		return errs.E(errs.Invalid, "counts: the window must have a start and not end before it")
	}
	return nil
}

// Counts returns one sample for every scrape in the window, with its time: the requests that were counted since the
// scrape before. A side is nil when no gateway exposed its version at that scrape. When two gateways were scraped at the same time
// their counts are added up. The window ends early at the oldest gateway scrape still in flight; to continue,
// ask again from the last time returned, or from the same From when there was none.
func (db *DB) Counts(ctx context.Context, q CountsQuery) ([]health.Sample, []time.Time, error) {
	if err := q.check(); err != nil {
		return nil, nil, err
	}
	from := q.From.UnixMilli()
	to := min(q.To.UnixMilli(), db.due.settled(time.Now().UnixMilli()))
	if to <= from {
		return nil, nil, nil
	}
	var t *tally
	err := db.increases(ctx, q, requestsMetric, from, to, func(series []found, targets []*target) error {
		t = newTally(targets)
		return addUp(t, series, targets)
	})
	if err != nil {
		return nil, nil, err
	}
	return t.finish(), timesOf(t.times), nil
}

func timesOf(ms []int64) []time.Time {
	times := make([]time.Time, len(ms))
	for i, at := range ms {
		times[i] = time.UnixMilli(at).UTC()
	}
	return times
}

// increases calls use with the series of the metric that count for the query, and with the scrapes of their targets
// in the window and before it.
func (db *DB) increases(ctx context.Context, q CountsQuery, metric string, from, to int64, use func([]found, []*target) error) error {
	ok, err := db.increasesWith(ctx, q, metric, from, to, nearLook.Milliseconds(), use)
	if err == nil && !ok {
		_, err = db.increasesWith(ctx, q, metric, from, to, maxGap, use)
	}
	return err
}

// increasesWith reads the window and look before it. It reports false when look was too short to find the scrape before one in the window.
func (db *DB) increasesWith(ctx context.Context, q CountsQuery, metric string, from, to, look int64, use func([]found, []*target) error) (bool, error) {
	querier, err := db.kept.Querier(from-look, to)
	if err != nil {
		return false, errs.Wrap(errs.Unavailable, err, "counts of %s", q.Service)
	}
	defer querier.Close()

	found, err := selectSeries(ctx, querier, q, metric)
	if err != nil {
		return false, errs.Wrap(errs.Unavailable, err, "counts of %s", q.Service)
	}
	targets, err := scrapesOf(ctx, querier, found)
	if err != nil {
		return false, errs.Wrap(errs.Unavailable, err, "scrapes of gateways")
	}
	for _, g := range targets {
		if look < maxGap && !based(g.times, from, to) {
			return false, nil
		}
		g.keep(from, to)
	}
	if err := use(found, targets); err != nil {
		return false, errs.Wrap(errs.Unavailable, err, "counts of %s", q.Service)
	}
	return true, nil
}

// found is a series that counts for the query.
type found struct {
	series storage.Series
	role   role
}

func selectSeries(ctx context.Context, querier storage.Querier, q CountsQuery, metric string) ([]found, error) {
	names := metric
	if q.Over != "" {
		names += "|" + slowMetric
	}
	set := querier.Select(ctx, false, nil,
		labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, names),
		labels.MustNewMatcher(labels.MatchEqual, "service", q.Service))
	var out []found
	for set.Next() {
		s := set.At()
		if r := q.roleOf(s.Labels()); r != 0 {
			out = append(out, found{s, r})
		}
	}
	return out, set.Err()
}

// besides reports whether a version is one that the canary is compared with.
func (q CountsQuery) besides(version string) bool {
	for v := range strings.SplitSeq(q.Stable, "|") {
		if v == version && v != "" {
			return true
		}
	}
	return false
}

// roleOf says what a series counts for, 0 for nothing.
func (q CountsQuery) roleOf(l labels.Labels) role {
	requests, bad := canaryRequests, canaryBad
	switch v := l.Get("version"); {
	case v == q.Canary:
		if q.Rings != nil && !slices.Contains(q.Rings, l.Get("ring")) {
			return 0
		}
	case q.besides(v):
		requests, bad = stableRequests, stableBad
	default:
		return 0
	}
	if l.Get(model.MetricNameLabel) == slowMetric {
		if l.Get("over") == q.Over {
			return bad
		}
		return 0
	}
	if q.Over == "" && isServerError(l.Get("code")) {
		return requests | bad
	}
	return requests
}

func isServerError(code string) bool {
	n, err := strconv.Atoi(code)
	return err == nil && n >= 500
}

// target is a gateway with its successful scrapes.
type target struct {
	steps
	labels labels.Labels
}

// exposes reports whether a series with labels l comes from the target. A target whose labels are changed becomes
// another one, with a first scrape of its own; its old counters are not taken for new ones.
func (g *target) exposes(l labels.Labels) bool {
	ok := true
	g.labels.Range(func(own labels.Label) { ok = ok && l.Get(own.Name) == own.Value })
	return ok
}

// scrapesOf returns the targets that exposed any of series, with the times of their successful scrapes.
func scrapesOf(ctx context.Context, querier storage.Querier, series []found) ([]*target, error) {
	set := querier.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "up"))
	var out []*target
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		g := &target{labels: s.Labels().DropReserved(func(n string) bool { return n == model.MetricNameLabel })}
		if !g.labels.Has("job") || !g.labels.Has("instance") { // no target of ours
			continue
		}
		if !slices.ContainsFunc(series, func(f found) bool { return g.exposes(f.series.Labels()) }) {
			continue
		}
		it = s.Iterator(it)
		for it.Next() == chunkenc.ValFloat {
			if at, v := it.At(); v == 1 {
				g.times = append(g.times, at)
			}
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, set.Err()
}

func addUp(t *tally, series []found, targets []*target) error {
	var it chunkenc.Iterator
	for _, f := range series {
		for _, g := range targets {
			if !g.exposes(f.series.Labels()) {
				continue
			}
			c := newCounter(&g.steps, f.role)
			it = f.series.Iterator(it)
			for it.Next() == chunkenc.ValFloat {
				at, v := it.At()
				t.add(&c, at, v)
			}
			if err := it.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
