package tsdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
)

const (
	lateness = time.Hour        // how long after its successors a sample is still taken
	ahead    = 10 * time.Minute // how far a sample may be ahead of the clock
)

// Batch is the samples of one request: each is taken or refused by itself, and those that were taken are stored
// together by Commit. It is an appender of the inner database, and for one goroutine.
type Batch struct {
	db     *DB
	inner  storage.AppenderV2
	own    bool
	latest int64
}

// Begin begins a batch of someone else's samples: what is Ringfence's own is refused. An error means that nothing can be
// stored now.
func (db *DB) Begin(ctx context.Context) (*Batch, error) { return db.begin(ctx, false) }

func (db *DB) begin(ctx context.Context, own bool) (*Batch, error) {
	if err := db.space.check(); err != nil {
		return nil, err
	}
	return &Batch{db: db, inner: db.kept.AppenderV2(ctx), own: own, latest: time.Now().Add(ahead).UnixMilli()}, nil
}

// Append takes a sample. An error of which Refusal knows the reason concerns the sample alone, a storage.AppendPartialError its
// exemplars alone; with any other the batch is to be rolled back.
func (b *Batch) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram,
	o storage.AppendV2Options) (storage.SeriesRef, error) {
	err := b.check(ref, ls, t)
	if err == nil {
		if err = reduce(h, fh); err == nil {
			ref, err = b.inner.Append(ref, ls, st, t, v, h, fh, o)
		}
	}
	if err != nil {
		if why, ok := Refusal(err); ok {
			b.db.census.refused(why)
		}
		return ref, err
	}
	if o.MetricFamilyName != "" {
		b.Describe(o.MetricFamilyName, o.Metadata)
	}
	return ref, nil
}

// Describe notes what the sender says of a metric.
func (b *Batch) Describe(name string, m metadata.Metadata) {
	if name == "" || len(name) > maxHelp || m.Type == "" || m.Type == model.MetricTypeUnknown || !b.own && strings.HasPrefix(name, reservedPrefix) {
		return
	}
	b.db.meta.note(name, Family{Type: string(m.Type), Help: m.Help, Unit: m.Unit})
}

// Commit stores what was taken, and is the end of the batch.
func (b *Batch) Commit() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errs.E(errs.Unavailable, "store samples: %v", r)
		}
	}()
	if err := b.inner.Commit(); err != nil {
		return errs.Wrap(errs.Unavailable, err, "store samples")
	}
	return nil
}

// Rollback gives the batch up.
func (b *Batch) Rollback() error { return b.inner.Rollback() }

// fault is a sample that is wrong by itself.
type fault struct {
	why metric.Reason
	msg string
}

func (f *fault) Error() string { return f.msg }

// Refusal says why a sample was refused; false: the error is none of a single sample.
func Refusal(err error) (metric.Reason, bool) {
	var f *fault
	var limit *errLimit
	var h histogram.Error
	switch {
	case errors.As(err, &f):
		return f.why, true
	case errors.As(err, &limit):
		return metric.Limit, true
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return metric.Duplicate, true
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds):
		return metric.Old, true
	case errors.As(err, &h):
		return metric.Histogram, true
	}
	return "", false
}

// check looks at a sample. A reference was given for labels that were right.
func (b *Batch) check(ref storage.SeriesRef, ls labels.Labels, t int64) error {
	if t > b.latest {
		return &fault{metric.Future, fmt.Sprintf("%s: its time is more than %s ahead", ls.Get(model.MetricNameLabel), ahead)}
	}
	if ref != 0 {
		return nil
	}
	if err := checkLabels(ls); err != nil || b.own {
		return err
	}
	return checkReserved(ls)
}

// checkReserved refuses what is Ringfence's own.
func checkReserved(ls labels.Labels) error {
	if name := ls.Get(model.MetricNameLabel); strings.HasPrefix(name, reservedPrefix) {
		return &fault{metric.Forbidden, fmt.Sprintf("%s: names that begin with %s are Ringfence's own", name, reservedPrefix)}
	}
	if ls.Get("job") == metric.GatewayJob {
		return &fault{metric.Forbidden, fmt.Sprintf("%s: the job %s is Ringfence's own", ls.Get(model.MetricNameLabel), metric.GatewayJob)}
	}
	return nil
}

// checkLabels wants a name, and labels that are valid and not too many.
func checkLabels(ls labels.Labels) error {
	bad := func(format string, args ...any) error { return &fault{metric.Labels, fmt.Sprintf(format, args...)} }
	name := ls.Get(model.MetricNameLabel)
	if name == "" || len(name) > maxLabelValue {
		return bad("series %.200s: expected a name", ls)
	}
	if !ls.IsValid(model.UTF8Validation) {
		return bad("series %.200s: invalid labels", ls)
	}
	if twice, is := ls.HasDuplicateLabelNames(); is {
		return bad("series %s: label %s stands twice", name, twice)
	}
	if n := ls.Len(); n > maxLabels {
		return bad("series %s has %d labels, expected at most %d", name, n, maxLabels)
	}
	return ls.Validate(func(l labels.Label) error {
		if len(l.Value) > maxLabelValue || len(l.Name) > maxLabelValue {
			return bad("series %s: label %.100s is longer than %d bytes", name, l.Name, maxLabelValue)
		}
		return nil
	})
}

// reduce brings histograms of a finer resolution than is kept to the finest that is.
func reduce(h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	if h != nil && histogram.IsExponentialSchemaReserved(h.Schema) && h.Schema > histogram.ExponentialSchemaMax {
		return h.ReduceResolution(histogram.ExponentialSchemaMax)
	}
	if fh != nil && histogram.IsExponentialSchemaReserved(fh.Schema) && fh.Schema > histogram.ExponentialSchemaMax {
		return fh.ReduceResolution(histogram.ExponentialSchemaMax)
	}
	return nil
}

// Write stores samples that this program measured itself, also under names that only it may use. Each is taken or refused
// by itself; an error means that none was stored and that it makes sense to try again.
func (db *DB) Write(ctx context.Context, samples []metric.Sample) ([]metric.Refusal, error) {
	b, err := db.begin(ctx, true)
	if err != nil {
		return nil, err
	}
	var refused []metric.Refusal
	for i, s := range samples {
		_, err := b.Append(0, labels.FromMap(s.Labels), 0, s.At.UnixMilli(), s.Value, nil, nil, storage.AppendV2Options{})
		if err == nil {
			continue
		}
		why, ok := Refusal(err)
		if !ok {
			return nil, errors.Join(errs.Wrap(errs.Unavailable, err, "store samples"), b.Rollback())
		}
		refused = append(refused, metric.Refusal{Index: i, Reason: why, Detail: err.Error()})
	}
	return refused, b.Commit()
}
