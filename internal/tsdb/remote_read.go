package tsdb

import (
	"context"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier reads raw samples: an instant query for a range gives each of them with its own time, on every server that
// speaks PromQL.
func (r *remote) Querier(from, to int64) (storage.Querier, error) {
	return &remoteQuerier{r, from, to}, nil
}

// ExemplarQuerier finds none: they are asked of the server itself.
func (r *remote) ExemplarQuerier(context.Context) (storage.ExemplarQuerier, error) {
	return noExemplars{}, nil
}

type noExemplars struct{}

func (noExemplars) Select(int64, int64, ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	return nil, nil
}

// remoteSet gives one series after the other.
type remoteSet struct {
	list []storage.Series
	n    int
}

func (s *remoteSet) Next() bool                        { s.n++; return s.n <= len(s.list) }
func (s *remoteSet) At() storage.Series                { return s.list[s.n-1] }
func (s *remoteSet) Err() error                        { return nil }
func (s *remoteSet) Warnings() annotations.Annotations { return nil }

type remoteQuerier struct {
	r        *remote
	from, to int64
}

func selector(ms []*labels.Matcher) string {
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = m.String()
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// Select is of storage.Querier.
func (q *remoteQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	from, to := q.from, q.to
	if hints != nil && hints.End > 0 {
		from, to = max(from, hints.Start), min(to, hints.End)
	}
	if to < from {
		return storage.EmptySeriesSet()
	}
	expr := selector(ms) + "[" + strconv.FormatInt(to-from+1, 10) + "ms]" // a range excludes its beginning
	_, all, err := q.r.query(ctx, "query", url.Values{"query": {expr}, "time": {secondsOf(to)}})
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	list := make([]storage.Series, 0, len(all))
	for _, s := range all {
		list = append(list, storage.NewListSeries(labels.FromMap(s.Metric), s.samples(from, to)))
	}
	slices.SortFunc(list, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &remoteSet{list: list}
}

// samples are those of both kinds in the order of their times.
func (s remoteSeries) samples(from, to int64) []chunks.Sample {
	all := make([]chunks.Sample, 0, len(s.Values)+len(s.Histograms))
	for _, p := range s.Values {
		if p.at >= from && p.at <= to {
			all = append(all, remoteFloat(p))
		}
	}
	for _, h := range s.Histograms {
		if h.at >= from && h.at <= to && h.h != nil {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b chunks.Sample) int { return int(a.T() - b.T()) })
	return all
}

// LabelValues is of storage.Querier.
func (q *remoteQuerier) LabelValues(ctx context.Context, name string, _ *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var out []string
	err := q.r.get(ctx, "label/"+url.PathEscape(name)+"/values", q.form(ms), &out)
	return out, nil, err
}

// LabelNames is of storage.Querier.
func (q *remoteQuerier) LabelNames(ctx context.Context, _ *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var out []string
	err := q.r.get(ctx, "labels", q.form(ms), &out)
	return out, nil, err
}

func (q *remoteQuerier) form(ms []*labels.Matcher) url.Values {
	v := url.Values{}
	if len(ms) > 0 {
		v.Set("match[]", selector(ms))
	}
	if q.from > -1<<52 && q.to < 1<<52 {
		v.Set("start", secondsOf(q.from))
		v.Set("end", secondsOf(q.to))
	}
	return v
}

// Close is of storage.Querier.
func (q *remoteQuerier) Close() error { return nil }

// remoteFloat is a number as a sample.
type remoteFloat remotePoint

func (f remoteFloat) ST() int64                     { return 0 }
func (f remoteFloat) T() int64                      { return f.at }
func (f remoteFloat) F() float64                    { return f.v }
func (f remoteFloat) H() *histogram.Histogram       { return nil }
func (f remoteFloat) FH() *histogram.FloatHistogram { return nil }
func (f remoteFloat) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (f remoteFloat) Copy() chunks.Sample           { return f }

// remoteHistogram is a native histogram as a sample. An answer has its buckets by their bounds; those of an exponential one tell
// its schema.
type remoteHistogram struct {
	at int64
	h  *histogram.FloatHistogram
}

func (h remoteHistogram) ST() int64                     { return 0 }
func (h remoteHistogram) T() int64                      { return h.at }
func (h remoteHistogram) F() float64                    { return 0 }
func (h remoteHistogram) H() *histogram.Histogram       { return nil }
func (h remoteHistogram) FH() *histogram.FloatHistogram { return h.h }
func (h remoteHistogram) Type() chunkenc.ValueType      { return chunkenc.ValFloatHistogram }
func (h remoteHistogram) Copy() chunks.Sample           { return remoteHistogram{h.at, h.h.Copy()} }

// UnmarshalJSON reads [time, {count, sum, buckets}]. A histogram that cannot be had back from its bounds is nil.
func (h *remoteHistogram) UnmarshalJSON(raw []byte) error {
	var at json.Number
	var is struct {
		Count, Sum string
		Buckets    [][4]json.Number
	}
	if err := json.Unmarshal(raw, &[]any{&at, &is}); err != nil {
		return err
	}
	t, err := at.Float64()
	if err != nil {
		return err
	}
	h.at = int64(math.Round(t * 1000))
	out := &histogram.FloatHistogram{}
	if out.Count, err = parseFloat(is.Count); err != nil {
		return err
	}
	if out.Sum, err = parseFloat(is.Sum); err != nil {
		return err
	}
	var bs []bounded
	for _, b := range is.Buckets {
		var v [4]float64
		for i, n := range b {
			if v[i], err = parseFloat(string(n)); err != nil {
				return err
			}
		}
		bs = append(bs, bounded{v[1], v[2], v[3]})
	}
	if place(out, bs) {
		h.h = out
	}
	return nil
}

// bounded is one bucket.
type bounded struct{ lower, upper, count float64 }

// place puts buckets where their bounds say. It reports false for bounds that are none of an exponential histogram.
func place(h *histogram.FloatHistogram, bs []bounded) bool {
	at := map[bool]map[int32]float64{true: {}, false: {}}
	known := false
	for _, b := range bs {
		lo, hi := b.lower, b.upper
		if lo <= 0 && hi >= 0 { // the zero bucket, which may reach to one side alone
			h.ZeroCount, h.ZeroThreshold = b.count, max(-lo, hi)
			continue
		}
		positive := lo > 0
		if !positive {
			lo, hi = -hi, -lo
		}
		schema := -math.Log2(math.Log2(hi / lo))
		s := math.Round(schema)
		if math.Abs(schema-s) > 1e-3 || int32(s) < histogram.ExponentialSchemaMin || int32(s) > histogram.ExponentialSchemaMax || known && int32(s) != h.Schema {
			return false
		}
		h.Schema, known = int32(s), true
		at[positive][int32(math.Round(math.Log2(hi)*math.Exp2(s)))] = b.count
	}
	h.PositiveSpans, h.PositiveBuckets = spans(at[true])
	h.NegativeSpans, h.NegativeBuckets = spans(at[false])
	return true
}

func spans(at map[int32]float64) (out []histogram.Span, counts []float64) {
	keys := make([]int32, 0, len(at))
	for k := range at {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	next := int32(0)
	for i, k := range keys {
		if i > 0 && k == next {
			out[len(out)-1].Length++
		} else {
			out = append(out, histogram.Span{Offset: k - next, Length: 1})
		}
		next = k + 1
		counts = append(counts, at[k])
	}
	return out, counts
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }
