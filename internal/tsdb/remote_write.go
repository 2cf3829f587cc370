package tsdb

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"

	"github.com/ringfence/ringfence/internal/errs"
)

// remoteBatch gathers samples and sends them by remote write 1.0, which every such server takes.
type remoteBatch struct {
	r      *remote
	ctx    context.Context
	at     map[uint64][]int // series by the hash of their labels
	series []prompb.TimeSeries
	ls     []labels.Labels
}

func (r *remote) batch(ctx context.Context) *remoteBatch {
	return &remoteBatch{r: r, ctx: ctx, at: map[uint64][]int{}}
}

// of is the place of a series in the batch. A reference is that of the batch, one too large.
func (b *remoteBatch) of(ls labels.Labels) *prompb.TimeSeries {
	h := ls.Hash()
	for _, i := range b.at[h] {
		if labels.Equal(b.ls[i], ls) {
			return &b.series[i]
		}
	}
	b.at[h] = append(b.at[h], len(b.series))
	b.ls = append(b.ls, ls)
	b.series = append(b.series, prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil)})
	return &b.series[len(b.series)-1]
}

func (b *remoteBatch) add(ls labels.Labels, at int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) {
	s := b.of(ls)
	switch {
	case h != nil:
		s.Histograms = append(s.Histograms, prompb.FromIntHistogram(at, h))
	case fh != nil:
		s.Histograms = append(s.Histograms, prompb.FromFloatHistogram(at, fh))
	default:
		s.Samples = append(s.Samples, prompb.Sample{Timestamp: at, Value: v})
	}
}

func (b *remoteBatch) exemplar(ls labels.Labels, e exemplar.Exemplar) {
	s := b.of(ls)
	s.Exemplars = append(s.Exemplars, prompb.Exemplar{Labels: prompb.FromLabels(e.Labels, nil), Value: e.Value, Timestamp: e.Ts})
}

// Commit sends the batch. What the server finds wrong is its word: the rest was stored.
func (b *remoteBatch) Commit() error {
	if len(b.series) == 0 {
		return nil
	}
	for i := range b.series { // the protocol wants the samples of a series in order
		slices.SortStableFunc(b.series[i].Samples, func(a, c prompb.Sample) int { return int(a.Timestamp - c.Timestamp) })
	}
	raw, err := (&prompb.WriteRequest{Timeseries: b.series}).Marshal()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), remoteTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.r.write, bytes.NewReader(snappy.Encode(nil, raw)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	b.r.sign(req)
	resp, err := b.r.client.Do(req)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "the metrics server takes nothing")
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<10))
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusBadRequest:
		b.r.log.Warn("the metrics server refuses samples", "why", strings.TrimSpace(string(said)))
		return errs.E(errs.Invalid, "the metrics server: %s", strings.TrimSpace(string(said)))
	}
	return errs.E(errs.Unavailable, "the metrics server takes nothing: %s %s", resp.Status, strings.TrimSpace(string(said)))
}

// Rollback forgets the batch.
func (b *remoteBatch) Rollback() error { return nil }

// Appender is of storage.Appendable.
func (r *remote) Appender(ctx context.Context) storage.Appender { return remoteAppender{r.batch(ctx)} }

// AppenderV2 is of storage.AppendableV2.
func (r *remote) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return remoteAppender2{r.batch(ctx)}
}

type remoteAppender struct{ *remoteBatch }

func (a remoteAppender) Append(_ storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	a.add(ls, t, v, nil, nil)
	return 0, nil
}

func (a remoteAppender) AppendHistogram(_ storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	a.add(ls, t, 0, h, fh)
	return 0, nil
}

func (a remoteAppender) AppendExemplar(_ storage.SeriesRef, ls labels.Labels, e exemplar.Exemplar) (storage.SeriesRef, error) {
	a.exemplar(ls, e)
	return 0, nil
}

// Commit calls what the server found wrong stored: it says that of single samples, and a scrape is not to fail by them.
func (a remoteAppender) Commit() error {
	if err := a.remoteBatch.Commit(); err != nil && !errs.Is(err, errs.Invalid) {
		return err
	}
	return nil
}

func (a remoteAppender) SetOptions(*storage.AppendOptions) {}

func (a remoteAppender) UpdateMetadata(storage.SeriesRef, labels.Labels, metadata.Metadata) (storage.SeriesRef, error) {
	return 0, nil
}

func (a remoteAppender) AppendSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64) (storage.SeriesRef, error) {
	return 0, nil
}

func (a remoteAppender) AppendHistogramSTZeroSample(storage.SeriesRef, labels.Labels, int64, int64, *histogram.Histogram, *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return 0, nil
}

type remoteAppender2 struct{ *remoteBatch }

func (a remoteAppender2) Append(_ storage.SeriesRef, ls labels.Labels, _, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AppendV2Options) (storage.SeriesRef, error) {
	for _, err := range []error{validOf(h), validOfFloat(fh)} {
		if err != nil {
			return 0, err
		}
	}
	a.add(ls, t, v, h, fh)
	for _, e := range o.Exemplars {
		a.exemplar(ls, e)
	}
	return 0, nil
}

func validOf(h *histogram.Histogram) error {
	if h == nil {
		return nil
	}
	return h.Validate()
}

func validOfFloat(h *histogram.FloatHistogram) error {
	if h == nil {
		return nil
	}
	return h.Validate()
}
