package ui

import (
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

func ptr(v float64) *float64 { return &v }

func TestGatesThatDoNotCountRequests(t *testing.T) {
	quantile := gateOf("k", health.Judgement{Verdict: health.Hold, Gate: health.Gate{Name: "p99", Signal: health.SignalQuantile, Quantile: 0.99, Compare: health.CompareStable, Max: ptr(0.5)},
		Evidence: health.Evidence{E: 3, LimitE: 1, Threshold: 100, ComparedRequests: 300, MoreRequests: 100, Quantile: &health.QuantileEvidence{Level: 0.99,
			Canary: health.Bounds{Estimate: ptr(0.3), Lower: ptr(0.2)}, Stable: health.Bounds{Estimate: ptr(0.1), Lower: ptr(0.05), Upper: ptr(0.2)}}}}, "v2", "v1")
	if quantile.Name != "Latency p99" || len(quantile.Bands) != 2 || quantile.E == nil || quantile.Limit == nil || quantile.Have != 300 || quantile.Need != 400 {
		t.Fatalf("%+v", quantile)
	}
	canary, stable := quantile.Bands[0], quantile.Bands[1]
	if canary.Detail != "at least 200 ms" || canary.X+canary.Width != barWidth || stable.Detail != "50 ms to 200 ms" || stable.X+stable.Width != canary.X || !(stable.X < stable.At && stable.At < canary.X) {
		t.Errorf("without an upper bound a band goes on to the end: %+v, %+v", canary, stable)
	}
	if quantile.BandAt <= canary.At {
		t.Errorf("the limit of 500 ms lies at %g, beyond the estimate at %g", quantile.BandAt, canary.At)
	}

	query := gateOf("k", health.Judgement{Gate: health.Gate{Name: "queue", Signal: health.SignalQuery, Max: ptr(10), Failures: 3},
		Evidence: health.Evidence{Readings: &health.ReadingsEvidence{Count: 7, NoData: 2, Bad: 1, InARow: 1, Value: ptr(5)}}}, "v2", "v1")
	if r := query.Reading; r == nil || r.Value != "5" || r.Limit != "at most 10" || r.Row != "1 of 3 bad ones in a row" || r.Count != "7 readings, 2 without data" || !r.Scaled || r.X*2 != r.Max || query.E != nil {
		t.Errorf("%+v", query.Reading)
	}

	for _, signal := range []string{health.SignalWebhook, health.SignalCommand, health.SignalProbe} {
		g := gateOf("k", health.Judgement{Gate: health.Gate{Name: "desk", Signal: signal}, Evidence: health.Evidence{Readings: &health.ReadingsEvidence{Count: 1, Text: strings.Repeat("no ", 300)}}}, "v2", "v1")
		if g.Reading == nil || !strings.HasPrefix(g.Reading.Text, "no no") || len(g.Reading.Text) > 410 || g.Reading.Value != "" || len(g.Shares) > 0 {
			t.Errorf("%s: %+v", signal, g.Reading)
		}
	}
	silent := gateOf("k", health.Judgement{Gate: health.Gate{Name: "desk", Signal: health.SignalProbe}}, "v2", "v1")
	if silent.Reading == nil || silent.Reading.Text != "" {
		t.Errorf("a gate that was never read: %+v", silent.Reading)
	}

	series := gateOf("k", health.Judgement{Gate: health.Gate{Name: "cpu", Signal: health.SignalSeries, Compare: health.CompareStable},
		Evidence: health.Evidence{E: 12, Threshold: 100, Series: &health.DistributionEvidence{CanaryPoints: 9, StablePoints: 8, CanaryMean: ptr(2), StableMean: ptr(1)}}}, "v2", "v1")
	if series.E == nil || series.E.Value != "12" || series.Reading.Value != "2" || !strings.Contains(series.Reading.Limit, "1 on v1") {
		t.Errorf("%+v", series)
	}
}

func TestWhatGatesWeigh(t *testing.T) {
	for _, c := range []struct {
		gate rollout.Gate
		want string
	}{
		{rollout.Gate{}, "failure takes it back"},
		{rollout.Gate{OnFail: "halt", NoData: "fail"}, "failure halts it, no data counts as fail"},
		{rollout.Gate{OnFail: "hold", When: "before", Rings: []string{"a", "b"}}, "asked before the next ring, only in a, b, failure keeps it from the next ring"},
		{rollout.Gate{OnFail: "halt", Informing: true}, "informing: decides nothing"},
	} {
		if got := strings.Join(weightOf(c.gate), ", "); got != c.want {
			t.Errorf("got %q, expected %q", got, c.want)
		}
	}
}

func TestFieldsOfAPlan(t *testing.T) {
	for _, text := range []string{"", "5%", "12.5%", "segment employees", "users a, b", "tenants a", "regions de, fr", `{"any":[{"users":["a"]},{"percent":5}]}`} {
		a, err := audienceOf(text)
		if err != nil || audienceText(a) != text {
			t.Errorf("%q is read as %q, %v", text, audienceText(a), err)
		}
	}
	for _, text := range []string{"5", "five%", "all", "{", "1.2.3%"} {
		if a, err := audienceOf(text); err == nil {
			t.Errorf("%q is taken for %+v", text, a)
		}
	}
	for _, text := range []string{"", "mon tue 09:00-17:00 Europe/Berlin", "22:00-04:00", "sat"} {
		h, err := hoursOf(text)
		if err != nil || hoursWords(h) != text {
			t.Errorf("%q is read as %q, %v", text, hoursWords(h), err)
		}
	}
	if got := words(" a, ,b "); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
}
