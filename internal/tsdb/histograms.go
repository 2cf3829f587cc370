package tsdb

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/ringfence/ringfence/internal/health"
)

const secondsMetric = "ringfence_request_duration_seconds"

// Histograms returns one sample for every scrape in (from, to], with its time: how long the requests took that were
// counted since the scrape before, of all rings and units. Sides, resets, gateways and the end of the window are as in
// Counts. Bounds are those of the buckets that have requests, so they differ from sample to sample. A sample takes about a
// kilobyte: whoever wants days asks for them in parts.
func (db *DB) Histograms(ctx context.Context, service, canary, stable string, from, to time.Time) ([]health.HistogramSample, []time.Time, error) {
	q := CountsQuery{Service: service, Canary: canary, Stable: stable, From: from, To: to}
	if err := q.check(); err != nil {
		return nil, nil, err
	}
	start, end := from.UnixMilli(), min(to.UnixMilli(), db.due.settled(time.Now().UnixMilli()))
	if end <= start {
		return nil, nil, nil
	}
	var p pile
	err := db.increases(ctx, q, secondsMetric, start, end, func(series []found, targets []*target) error {
		t := newTally(targets)
		p = pile{times: t.times, sides: make([][2]*histogram.FloatHistogram, len(t.times))}
		return p.addUp(series, targets)
	})
	if err != nil {
		return nil, nil, err
	}
	samples := make([]health.HistogramSample, len(p.sides))
	for i, s := range p.sides {
		samples[i] = sampleOf(s[0], s[1])
	}
	return samples, timesOf(p.times), nil
}

// pile adds up increases of histograms by sample and side.
type pile struct {
	times []int64
	sides [][2]*histogram.FloatHistogram // canary, stable
}

func (p *pile) addUp(series []found, targets []*target) error {
	var it chunkenc.Iterator
	for _, f := range series {
		for _, g := range targets {
			if !g.exposes(f.series.Labels()) {
				continue
			}
			it = f.series.Iterator(it)
			if err := p.follow(it, &g.steps, f.role); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow takes the increases of one series of one target. What a counter of requests does is done by all of its
// buckets at once; see counter.
func (p *pile) follow(it chunkenc.Iterator, s *steps, r role) error {
	var now, last *histogram.FloatHistogram
	done, before := 0, -1 // the scrapes before done are; the one with the last value
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind != chunkenc.ValHistogram && kind != chunkenc.ValFloatHistogram {
			continue
		}
		var at int64
		at, now = it.AtFloatHistogram(now)
		for done < len(s.times) && s.times[done] < at {
			done++
		}
		if done == len(s.times) || s.times[done] != at || value.IsStaleNaN(now.Sum) || now.UsesCustomBuckets() {
			continue
		}
		now.CounterResetHint = histogram.UnknownCounterReset // it speaks of the sample before, which may be another one than ours
		if k := s.slot[done]; k >= 0 {
			more := now.Copy()
			if before >= 0 && before == done-1 && !now.DetectReset(last) {
				if _, _, _, err := more.Sub(last); err != nil {
					return err
				}
			}
			if err := p.put(int(k), r, more); err != nil {
				return err
			}
		}
		before = done
		now, last = last, now
	}
	return it.Err()
}

func (p *pile) put(k int, r role, more *histogram.FloatHistogram) error {
	side := &p.sides[k][0]
	if r&stableRequests != 0 {
		side = &p.sides[k][1]
	}
	if *side == nil {
		*side = more
		return nil
	}
	sum, _, _, err := (*side).Add(more)
	*side = sum
	return err
}

// sampleOf lays out both sides over the same bounds: all that enclose a request of either side. In between there is none.
func sampleOf(canary, stable *histogram.FloatHistogram) health.HistogramSample {
	schema := histogram.ExponentialSchemaMax
	for _, h := range []*histogram.FloatHistogram{canary, stable} {
		if h != nil {
			schema = min(schema, h.Schema)
		}
	}
	for ; ; schema-- { // a coarser one, when there are too many
		canary, stable = atMost(schema, canary), atMost(schema, stable)
		bounds := slices.Concat(edges(canary), edges(stable))
		slices.Sort(bounds)
		bounds = slices.Compact(bounds)
		if len(bounds) <= health.MaxBounds || schema <= histogram.ExponentialSchemaMin {
			return health.HistogramSample{Bounds: bounds, Canary: counts(canary, bounds), Stable: counts(stable, bounds)}
		}
	}
}

// atMost is h in a resolution of at most schema.
func atMost(schema int32, h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if h == nil || h.Schema <= schema {
		return h
	}
	return h.CopyToSchema(schema)
}

// edges are the bounds of the buckets with requests. Durations are not negative.
func edges(h *histogram.FloatHistogram) (bounds []float64) {
	each(h, func(b histogram.Bucket[float64]) {
		for _, v := range []float64{b.Lower, b.Upper} {
			if v > 0 && v <= health.MaxValue {
				bounds = append(bounds, v)
			}
		}
	})
	return bounds
}

func counts(h *histogram.FloatHistogram, bounds []float64) *health.Histogram {
	if h == nil {
		return nil
	}
	out := &health.Histogram{Counts: make([]int64, len(bounds)+1)}
	each(h, func(b histogram.Bucket[float64]) {
		i, _ := slices.BinarySearch(bounds, b.Upper)
		out.Counts[i] += int64(math.Round(b.Count))
	})
	return out
}

// each calls f for the buckets with requests.
func each(h *histogram.FloatHistogram, f func(histogram.Bucket[float64])) {
	if h == nil {
		return
	}
	for it := h.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count >= 0.5 {
			f(b)
		}
	}
}
