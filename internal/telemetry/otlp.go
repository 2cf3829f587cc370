package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	translate "github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/otlp"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// lookback is how long a value holds for queries; the series target_info is kept up by it.
const lookback = 5 * time.Minute

// settings are how names, units and attributes become Prometheus': as its own receiver does it when nothing is configured, and
// the attributes that tell versions apart become labels.
func settings() translate.Settings {
	c := config.DefaultOTLPConfig
	c.PromoteResourceAttributes = []string{"service", "version", "ring", "unit", "deployment.environment.name"}
	return translate.Settings{
		AddMetricSuffixes: true, PromoteResourceAttributes: translate.NewPromoteResourceAttributes(c), LookbackDelta: lookback,
		LabelNameUnderscoreSanitization: c.LabelNameUnderscoreSanitization, LabelNamePreserveMultipleUnderscores: c.LabelNamePreserveMultipleUnderscores,
	}
}

// metrics takes an export of metrics in.
func (t *Intake) metrics(ctx context.Context, r otlp.Request) (otlp.Partial, error) {
	began, code := time.Now(), "200"
	p, err := t.export(ctx, r)
	if err != nil {
		code = errs.KindOf(err).String()
	}
	t.seconds.WithLabelValues("otlp", code).Observe(time.Since(began).Seconds())
	return p, err
}

func (t *Intake) export(ctx context.Context, r otlp.Request) (otlp.Partial, error) {
	md, err := readMetrics(r.Body, r.JSON)
	if err != nil {
		return otlp.Partial{}, err
	}
	s := sift(md)
	if md.DataPointCount() > 0 {
		if err := t.translate(ctx, md, &s); err != nil {
			return otlp.Partial{}, err
		}
	}
	return s.partial(), nil
}

// readMetrics reads the message of an export.
func readMetrics(body []byte, asJSON bool) (md pmetric.Metrics, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = otlp.Undecodable(fmt.Errorf("%v", v))
		}
	}()
	req := pmetricotlp.NewExportRequest()
	if asJSON {
		err = req.UnmarshalJSON(body)
	} else {
		err = req.UnmarshalProto(body)
	}
	return req.Metrics(), otlp.Undecodable(err)
}

// translate makes samples of the points and stores them. Mostly all of a request are as they should be; when the translator stumbles,
// point after point is translated by itself, so that one of them keeps none of the others out.
func (t *Intake) translate(ctx context.Context, md pmetric.Metrics, s *sifted) error {
	batch, err := t.Metrics.Begin(ctx)
	if err != nil {
		return err
	}
	into := &appender{batch: batch}
	_, err = translate.NewPrometheusConverter(into).FromMetrics(ctx, md, settings())
	if err != nil && into.fatal == nil && ctx.Err() == nil {
		if err := batch.Rollback(); err != nil {
			return errs.Wrap(errs.Unavailable, err, "store points")
		}
		if batch, err = t.Metrics.Begin(ctx); err != nil {
			return err
		}
		into = &appender{batch: batch}
		apart(md, func(one pmetric.Metrics) {
			if _, err := translate.NewPrometheusConverter(into).FromMetrics(ctx, one, settings()); err != nil && into.fatal == nil {
				s.refuse(1, err.Error())
			}
		})
	}
	if err := errors.Join(into.fatal, ctx.Err()); err != nil {
		return errors.Join(errs.Wrap(errs.Unavailable, err, "store points"), batch.Rollback())
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	t.samples.WithLabelValues("otlp").Add(float64(into.n))
	s.refuse(int64(len(into.points)), into.why)
	return nil
}

// appender takes the translator's samples. It never fails for one that is refused, since the translator would leave out the
// others of the metric.
type appender struct {
	batch  *tsdb.Batch
	n      int
	points map[point]struct{} // that were refused, at least in part
	why    string
	fatal  error
	buf    []byte
}

// point is one of OpenTelemetry's, of which several samples are made when it is a histogram or a summary.
type point struct {
	family string
	labels uint64 // without le and quantile
	at     int64
}

func (a *appender) Append(_ storage.SeriesRef, ls labels.Labels, st, at int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	if a.fatal != nil {
		return 0, a.fatal
	}
	_, err := a.batch.Append(0, ls, st, at, v, h, fh, o)
	if errors.Is(err, &storage.AppendPartialError{}) {
		err = nil // exemplars are a bonus
	}
	if err == nil {
		a.n++
		return 0, nil
	}
	if _, ok := tsdb.Refusal(err); !ok {
		a.fatal = err
		return 0, err
	}
	if o.MetricFamilyName == "" || ls.Get(model.MetricNameLabel) == "target_info" {
		return 0, nil // is made from the resource, and no point of the sender's
	}
	if a.points == nil {
		a.points = map[point]struct{}{}
		a.why = err.Error()
	}
	var hash uint64
	hash, a.buf = ls.HashWithoutLabels(a.buf, "le", "quantile")
	a.points[point{o.MetricFamilyName, hash, at}] = struct{}{}
	return 0, nil
}

// Commit and Rollback are not the translator's to call.
func (a *appender) Commit() error { return nil }

// Rollback does nothing.
func (a *appender) Rollback() error { return nil }

// attributes makes the labels by which versions are told apart.
func attributes(r pcommon.Resource) {
	at := r.Attributes()
	for label, from := range map[string]string{"service": "service.name", "version": "service.version"} {
		if v, ok := at.Get(from); ok {
			if s := v.AsString(); s != "" {
				at.PutStr(label, s)
			}
		}
	}
}
