package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// maxToldWrongs is how many of the wrong samples an answer tells of.
const maxToldWrongs = 10

// writing is one request on its way into a batch.
type writing struct {
	batch  *tsdb.Batch
	got    written
	wrongs []string
	n      int // how many were wrong
}

func (w *writing) wrong(n int, format string, args ...any) {
	if len(w.wrongs) < maxToldWrongs {
		w.wrongs = append(w.wrongs, fmt.Sprintf(format, args...))
	}
	w.n += n
}

// finish stores what was taken, unless err is one for which nothing can be.
func (w *writing) finish(err error) (written, error) {
	if err != nil {
		return written{}, errors.Join(err, w.batch.Rollback())
	}
	if err := w.batch.Commit(); err != nil {
		return written{}, err
	}
	if w.n == 0 {
		return w.got, nil
	}
	more := ""
	if w.n > len(w.wrongs) {
		more = fmt.Sprintf("; %d in all", w.n)
	}
	return w.got, errs.E(errs.Invalid, "some were not stored: %s%s", strings.Join(w.wrongs, "; "), more)
}

// one stores one sample, with the exemplars that belong to it, and counts it in n. An error ends the request.
func (w *writing) one(ref storage.SeriesRef, ls labels.Labels, st, at int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram,
	ex []exemplar.Exemplar, n *int) (storage.SeriesRef, error) {
	next, err := w.batch.Append(ref, ls, st, at, v, h, fh, storage.AppendV2Options{Exemplars: ex})
	var some *storage.AppendPartialError
	if errors.As(err, &some) {
		for _, e := range some.ExemplarErrors {
			w.wrong(1, "%s: exemplar: %v", ls.Get(model.MetricNameLabel), e)
		}
		w.got.exemplars -= len(some.ExemplarErrors)
		err = nil
	}
	if err == nil {
		*n++
		w.got.exemplars += len(ex)
		return next, nil
	}
	if _, ok := tsdb.Refusal(err); !ok {
		return 0, errs.Wrap(errs.Unavailable, err, "store samples")
	}
	w.wrong(1, "%s: %v", ls.Get(model.MetricNameLabel), err)
	return ref, nil
}

func (t *Intake) write1(ctx context.Context, body []byte) (written, error) {
	var req prompb.WriteRequest
	if err := req.Unmarshal(body); err != nil {
		return written{}, errs.Wrap(errs.Invalid, err, "the body is no %s", message1)
	}
	batch, err := t.Metrics.Begin(ctx)
	if err != nil {
		return written{}, err
	}
	w := writing{batch: batch}
	b := labels.NewScratchBuilder(16)
	for i := range req.Timeseries {
		if err := w.series1(&req.Timeseries[i], &b); err != nil {
			return w.finish(err)
		}
	}
	for _, m := range req.Metadata {
		batch.Describe(m.MetricFamilyName, metadata.Metadata{Type: model.MetricType(strings.ToLower(m.Type.String())), Help: m.Help, Unit: m.Unit})
	}
	return w.finish(nil)
}

func (w *writing) series1(ts *prompb.TimeSeries, b *labels.ScratchBuilder) (err error) {
	ls := ts.ToLabels(b, nil)
	var ex []exemplar.Exemplar
	for _, e := range ts.Exemplars {
		ex = append(ex, e.ToExemplar(b, nil))
	}
	var ref storage.SeriesRef
	left := len(ts.Samples) + len(ts.Histograms)
	for _, s := range ts.Samples {
		left--
		if ref, err = w.one(ref, ls, 0, s.Timestamp, s.Value, nil, nil, last(left, ex), &w.got.samples); err != nil {
			return err
		}
	}
	for _, h := range ts.Histograms {
		left--
		if h.IsFloatHistogram() {
			ref, err = w.one(ref, ls, 0, h.Timestamp, 0, nil, h.ToFloatHistogram(), last(left, ex), &w.got.histograms)
		} else {
			ref, err = w.one(ref, ls, 0, h.Timestamp, 0, h.ToIntHistogram(), nil, last(left, ex), &w.got.histograms)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// last gives the exemplars of a series to the last of its samples.
func last(left int, ex []exemplar.Exemplar) []exemplar.Exemplar {
	if left > 0 {
		return nil
	}
	return ex
}

func (t *Intake) write2(ctx context.Context, body []byte) (written, error) {
	var req writev2.Request
	if err := req.Unmarshal(body); err != nil {
		return written{}, errs.Wrap(errs.Invalid, err, "the body is no %s", message2)
	}
	if len(req.Timeseries) > 0 && (len(req.Symbols) == 0 || req.Symbols[0] != "") {
		return written{}, errs.E(errs.Invalid, "the body is no %s: its symbols begin with the empty text", message2)
	}
	batch, err := t.Metrics.Begin(ctx)
	if err != nil {
		return written{}, err
	}
	w := writing{batch: batch}
	b := labels.NewScratchBuilder(16)
	for i := range req.Timeseries {
		if err := w.series2(&req.Timeseries[i], req.Symbols, &b); err != nil {
			return w.finish(err)
		}
	}
	return w.finish(nil)
}

func (w *writing) series2(ts *writev2.TimeSeries, symbols []string, b *labels.ScratchBuilder) error {
	n := len(ts.Samples) + len(ts.Histograms)
	ls, err := ts.ToLabels(b, symbols)
	if err != nil {
		w.wrong(max(n, 1), "labels of a series: %v", err)
		return nil
	}
	if n == 0 {
		w.wrong(1, "%s: expected at least one sample or histogram", ls.Get(model.MetricNameLabel))
		return nil
	}
	meta, err := ts.ToMetadata(symbols)
	if err != nil {
		w.wrong(n, "%s: %v", ls.Get(model.MetricNameLabel), err)
		return nil
	}
	ex := w.exemplars2(ts, symbols, ls, b)
	var ref storage.SeriesRef
	for _, s := range ts.Samples {
		n--
		if ref, err = w.one(ref, ls, s.StartTimestamp, s.Timestamp, s.Value, nil, nil, last(n, ex), &w.got.samples); err != nil {
			return err
		}
	}
	for _, h := range ts.Histograms {
		n--
		if h.IsFloatHistogram() {
			ref, err = w.one(ref, ls, h.StartTimestamp, h.Timestamp, 0, nil, h.ToFloatHistogram(), last(n, ex), &w.got.histograms)
		} else {
			ref, err = w.one(ref, ls, h.StartTimestamp, h.Timestamp, 0, h.ToIntHistogram(), nil, last(n, ex), &w.got.histograms)
		}
		if err != nil {
			return err
		}
	}
	if ref != 0 && meta.Type != model.MetricTypeUnknown {
		w.batch.Describe(family(ls.Get(model.MetricNameLabel), meta.Type), meta)
	}
	return nil
}

func (w *writing) exemplars2(ts *writev2.TimeSeries, symbols []string, ls labels.Labels, b *labels.ScratchBuilder) (ex []exemplar.Exemplar) {
	for _, e := range ts.Exemplars {
		one, err := e.ToExemplar(b, symbols)
		if err != nil {
			w.wrong(1, "%s: exemplar: %v", ls.Get(model.MetricNameLabel), err)
			continue
		}
		ex = append(ex, one)
	}
	return ex
}

// family is the name under which a series of a metric is described.
func family(name string, of model.MetricType) string {
	var parts []string
	switch of {
	case model.MetricTypeHistogram, model.MetricTypeGaugeHistogram:
		parts = []string{"_bucket", "_sum", "_count"}
	case model.MetricTypeSummary:
		parts = []string{"_sum", "_count"}
	}
	for _, p := range parts {
		if short, ok := strings.CutSuffix(name, p); ok {
			return short
		}
	}
	return name
}
