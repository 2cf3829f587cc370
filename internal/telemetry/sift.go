package telemetry

import (
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/ringfence/ringfence/internal/otlp"
)

// sifted is how many points are not taken, and why.
type sifted struct {
	rejected int64
	whys     []string // each once, the first of them
	more     bool
}

const maxWhys = 5

func (s *sifted) refuse(n int64, why string) {
	if n == 0 {
		return
	}
	s.rejected += n
	if len(why) > 500 {
		why = why[:500] + "…"
	}
	switch {
	case slices.Contains(s.whys, why):
	case len(s.whys) < maxWhys:
		s.whys = append(s.whys, why)
	default:
		s.more = true
	}
}

func (s *sifted) partial() otlp.Partial {
	why := strings.Join(s.whys, "; ")
	if s.more {
		why += "; and for other reasons"
	}
	return otlp.Partial{Rejected: s.rejected, Message: why}
}

// sift takes out what cannot be kept, and notes it; what is left can be translated, but for single points.
func sift(md pmetric.Metrics) sifted {
	var s sifted
	for _, r := range md.ResourceMetrics().All() {
		attributes(r.Resource())
		for _, scope := range r.ScopeMetrics().All() {
			scope.Metrics().RemoveIf(func(m pmetric.Metric) bool {
				n := int64(pointsOf(m))
				why := unkept(m)
				if why != "" {
					s.refuse(n, why)
				}
				return why != "" || n == 0
			})
		}
	}
	return s
}

func pointsOf(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	}
	return 0
}

// unkept says why the points of a metric cannot be kept, "" when they can.
func unkept(m pmetric.Metric) string {
	if m.Name() == "" {
		return "a metric has no name"
	}
	of := pmetric.AggregationTemporalityCumulative
	switch m.Type() {
	case pmetric.MetricTypeSum:
		of = m.Sum().AggregationTemporality()
	case pmetric.MetricTypeHistogram:
		of = m.Histogram().AggregationTemporality()
	case pmetric.MetricTypeExponentialHistogram:
		of = m.ExponentialHistogram().AggregationTemporality()
	}
	if of != pmetric.AggregationTemporalityCumulative {
		return fmt.Sprintf("%.200s has %s temporality, expected cumulative: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative in the sender", m.Name(), of)
	}
	return ""
}

// apart calls use with each point by itself, in its metric, scope and resource.
func apart(md pmetric.Metrics, use func(pmetric.Metrics)) {
	for _, r := range md.ResourceMetrics().All() {
		for _, scope := range r.ScopeMetrics().All() {
			for _, m := range scope.Metrics().All() {
				for i := range pointsOf(m) {
					use(alone(r, scope, m, i))
				}
			}
		}
	}
}

// alone is the point i of m in a request of its own.
func alone(r pmetric.ResourceMetrics, scope pmetric.ScopeMetrics, m pmetric.Metric, i int) pmetric.Metrics {
	one := pmetric.NewMetrics()
	to := one.ResourceMetrics().AppendEmpty()
	r.Resource().CopyTo(to.Resource())
	in := to.ScopeMetrics().AppendEmpty()
	scope.Scope().CopyTo(in.Scope())
	in.SetSchemaUrl(scope.SchemaUrl())
	as := in.Metrics().AppendEmpty()
	as.SetName(m.Name())
	as.SetUnit(m.Unit())
	as.SetDescription(m.Description())
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		m.Gauge().DataPoints().At(i).CopyTo(as.SetEmptyGauge().DataPoints().AppendEmpty())
	case pmetric.MetricTypeSum:
		sum := as.SetEmptySum()
		sum.SetIsMonotonic(m.Sum().IsMonotonic())
		sum.SetAggregationTemporality(m.Sum().AggregationTemporality())
		m.Sum().DataPoints().At(i).CopyTo(sum.DataPoints().AppendEmpty())
	case pmetric.MetricTypeHistogram:
		h := as.SetEmptyHistogram()
		h.SetAggregationTemporality(m.Histogram().AggregationTemporality())
		m.Histogram().DataPoints().At(i).CopyTo(h.DataPoints().AppendEmpty())
	case pmetric.MetricTypeExponentialHistogram:
		h := as.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(m.ExponentialHistogram().AggregationTemporality())
		m.ExponentialHistogram().DataPoints().At(i).CopyTo(h.DataPoints().AppendEmpty())
	case pmetric.MetricTypeSummary:
		m.Summary().DataPoints().At(i).CopyTo(as.SetEmptySummary().DataPoints().AppendEmpty())
	}
	return one
}
