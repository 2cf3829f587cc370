package objective

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// document declares an OpenSLO document.
func (w *world) document(name, method, window, objectives, indicator string) {
	if indicator != "" {
		indicator = `"indicator":{"metadata":{"name":"x"},"spec":` + indicator + `},`
	}
	w.declare("SLO", name, fmt.Sprintf(`{"apiVersion":"openslo/v1","kind":"SLO","metadata":{"name":%q},"spec":{"service":"shop","budgetingMethod":%q,%s
		"timeWindow":[%s],"objectives":[%s]}}`, name, method, indicator, window, objectives))
}

func prom(query string) string {
	q, _ := json.Marshal(query)
	return fmt.Sprintf(`{"metricSource":{"type":"Prometheus","spec":{"query":%s}}}`, q)
}

func errorsOf(feed string) string {
	return `{"ratioMetric":{"counter":true,"bad":` + prom(`errors_total{case="`+feed+`"}`) + `,"total":` + prom(`requests_total{case="`+feed+`"}`) + `}}`
}

// values appends a gauge, every step in (from, to].
func (w *world) values(name string, from, to time.Time, step time.Duration, value func(time.Time) float64) {
	w.t.Helper()
	app := w.db.Appender(context.Background())
	for at := from.Add(step); !at.After(to); at = at.Add(step) {
		if _, err := app.Append(0, labels.FromStrings("__name__", name), at.UnixMilli(), value(at)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.commit(app)
}

func (w *world) commit(app storage.Appender) {
	w.t.Helper()
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// took appends the gateway's histogram of requests of 0.1 and of 1 second.
func (w *world) took(from, to time.Time, step time.Duration, quick, slow float64) {
	w.t.Helper()
	app := w.db.Appender(context.Background())
	of := func(name string) labels.Labels {
		return labels.FromStrings("__name__", name, "service", "shop", "ring", "all")
	}
	n := 0.0
	for at := from.Add(step); !at.After(to); at = at.Add(step) {
		n++
		h := &histogram.FloatHistogram{Schema: 3, Count: n * (quick + slow), Sum: n * (quick*0.1 + slow),
			PositiveSpans: []histogram.Span{{Offset: -26, Length: 1}, {Offset: 25, Length: 1}}, PositiveBuckets: []float64{n * quick, n * slow}}
		if _, err := app.AppendHistogram(0, of("ringfence_request_duration_seconds"), at.UnixMilli(), nil, h); err != nil {
			w.t.Fatal(err)
		}
		if _, err := app.Append(0, of("ringfence_requests_total"), at.UnixMilli(), n*(quick+slow)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.commit(app)
}

const rolling6h = `{"duration":"6h","isRolling":true}`

// status is how an objective is at a time.
func (w *world) status(e *Engine, id string, at time.Time) Status {
	w.t.Helper()
	w.step(e, at)
	x := e.watched[id]
	if x == nil {
		w.t.Fatalf("%s is not watched", id)
	}
	return x.status(at)
}

func near(t *testing.T, what string, got *float64, want, by float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > by {
		v := "none"
		if got != nil {
			v = fmt.Sprint(*got)
		}
		t.Errorf("%s: %s, expected %g", what, v, want)
	}
}

// TestKindsOfIndicators: what is left of a budget is what one works out by hand, for every kind of indicator and budgeting method.
func TestKindsOfIndicators(t *testing.T) {
	w := newWorld(t)
	now := epoch.Add(12 * time.Hour)
	bad := func(share float64, minutes int) func(time.Time) float64 { // in the first minutes of each hour
		return func(at time.Time) float64 {
			if at.Add(-time.Second).Minute() < minutes {
				return share
			}
			return 0
		}
	}
	w.feed("even", epoch, now, 15*time.Second, &counter{}, 100, func(time.Time) float64 { return 0.002 })
	w.feed("bursts", epoch, now, 15*time.Second, &counter{}, 100, bad(0.4, 6)) // a tenth of the time
	w.values("queue_length", epoch, now, 15*time.Second, func(at time.Time) float64 { return 1000 * bad(0.04, 6)(at) })
	w.values("success_share", epoch, now, 15*time.Second, func(time.Time) float64 { return 0.998 })
	w.took(epoch, now, 15*time.Second, 990, 10)

	w.document("ratio", "Occurrences", rolling6h, `{"target":0.99}`, errorsOf("even"))
	w.document("good", "Occurrences", rolling6h, `{"targetPercent":99}`,
		`{"ratioMetric":{"counter":true,"good":`+prom(`requests_total{case="even"} - errors_total{case="even"}`)+`,"total":`+prom(`requests_total{case="even"}`)+`}}`)
	w.document("threshold", "Occurrences", rolling6h, `{"target":0.5,"op":"lte","value":10}`, `{"thresholdMetric":`+prom("queue_length")+`}`)
	w.document("raw", "Occurrences", rolling6h, `{"target":0.99}`, `{"ratioMetric":{"rawType":"success","raw":`+prom("success_share")+`}}`)
	w.document("slices", "Timeslices", rolling6h, `{"target":0.5,"timeSliceTarget":0.95,"timeSliceWindow":"1m"}`, errorsOf("bursts"))
	w.document("parts", "RatioTimeslices", rolling6h, `{"target":0.95,"timeSliceWindow":"1m"}`, errorsOf("bursts"))
	w.document("both", "Occurrences", rolling6h, `{"displayName":"a","target":0.99,"compositeWeight":3,"indicator":{"metadata":{"name":"a"},"spec":`+errorsOf("even")+`}},
		{"displayName":"b","target":0.9,"indicator":{"metadata":{"name":"b"},"spec":`+errorsOf("bursts")+`}}`, "")
	w.document("any", "Timeslices", rolling6h, `{"target":0.5,"timeSliceTarget":0.999,"timeSliceWindow":"1m","indicator":{"metadata":{"name":"a"},"spec":`+errorsOf("even")+`}},
		{"target":0.4,"timeSliceTarget":0.95,"timeSliceWindow":"1m","indicator":{"metadata":{"name":"b"},"spec":`+errorsOf("bursts")+`}}`, "")
	w.declare("SLO", "latency", `{"service":"shop","signal":"latency","over":"300ms","target":98,"window":"6h"}`)
	quietly(w)

	e := w.start()
	for range 4 { // the past is read in pieces
		w.step(e, now)
	}
	for id, want := range map[string]float64{
		"ratio":     0.8,                  // 0.2 % of 1 %
		"good":      0.8,                  //
		"threshold": 0.8,                  // a tenth of the values of a half
		"raw":       0.8,                  //
		"slices":    0.8,                  // a tenth of the slices of a half
		"parts":     1 - 0.04/0.05,        // of 0.4 in a tenth of the slices
		"both":      1 - 3*0.2 - 0.04/0.1, // three times the one, once the other
		"any":       1 - 1/0.5,            // each slice is bad for the stricter one
		"latency":   0.5,                  // 1 % of 2 %
	} {
		s := w.status(e, id, now)
		near(t, id, s.Remaining, want, 0.012)
		if (s.State == Exhausted) != (want <= 0) && len(s.Alerts) == 0 {
			t.Errorf("%s is %s, with %g left", id, s.State, want)
		}
	}
}

// quietly takes the alerts of all SLOs away, whose targets here are too low for them.
func quietly(w *world) {
	for i, r := range w.set {
		var doc map[string]any
		if err := json.Unmarshal(r.Spec, &doc); err != nil {
			w.t.Fatal(err)
		}
		if m, ok := doc["metadata"].(map[string]any); ok {
			m["annotations"] = map[string]string{"ringfence.dev/alerts": "none"}
		}
		w.set[i].Spec, _ = json.Marshal(doc)
	}
}

// TestMonthsOfNewYork: a budget of a calendar's month begins anew at midnight there, an hour earlier by UTC once the clocks are put forward.
func TestMonthsOfNewYork(t *testing.T) {
	w := newWorld(t)
	begin := time.Date(2026, 4, 1, 4, 0, 0, 0, time.UTC)
	w.feed("shop", begin.Add(-48*time.Hour), begin.Add(24*time.Hour), time.Minute, &counter{}, 10, func(at time.Time) float64 {
		if at.After(begin.Add(-time.Hour)) && !at.After(begin) {
			return 1
		}
		return 0
	})
	w.document("shop", "Occurrences", `{"duration":"1M","calendar":{"startTime":"2026-01-01 00:00:00","timeZone":"America/New_York"}}`, `{"target":0.9}`, errorsOf("shop"))
	quietly(w)
	e := w.start()
	for range 10 {
		w.step(e, begin.Add(-time.Minute))
	}
	if s := w.status(e, "shop", begin.Add(-time.Minute)); s.Remaining == nil || *s.Remaining > 0.85 || !s.To.Equal(begin) {
		t.Errorf("a minute before the end of March: %v left, until %s", s.Remaining, s.To)
	}
	s := w.status(e, "shop", begin.Add(time.Hour))
	near(t, "an hour into April", s.Remaining, 1, 0.02)
	if !s.From.Equal(begin) || s.Total > 36_100+3_000 {
		t.Errorf("since %s, with %g requests", s.From, s.Total)
	}
}

// TestLateData: what came late is counted, as far back as slices are read again.
func TestLateData(t *testing.T) {
	w := newWorld(t)
	w.feed("shop", epoch, epoch.Add(4*time.Hour), 15*time.Second, &counter{}, 10, func(time.Time) float64 { return 0 })
	w.slo("shop", "shop", "0.9", "30d", `,"annotations":{"ringfence.dev/alerts":"none"}`)
	e := w.start()
	gap := epoch.Add(4 * time.Hour)
	for at := gap; !at.After(gap.Add(20 * time.Minute)); at = at.Add(time.Minute) {
		w.step(e, at)
	}
	before := e.watched["shop"].window()[0]
	c := &counter{total: 4 * 3600 * 10}
	w.feed("shop", gap, gap.Add(21*time.Minute), 15*time.Second, c, 10, func(time.Time) float64 { return 1 })
	w.step(e, gap.Add(25*time.Minute)) // when the next slice ends
	after := e.watched["shop"].window()[0]
	if d := after.Bad - before.Bad; d < 12_000 || d > 12_700 {
		t.Errorf("of 12600 bad requests that came late, %g are counted", d)
	}
	if d := after.Total - before.Total; d < 12_000 || d > 12_700 {
		t.Errorf("of 12600 requests that came late, %g are counted", d)
	}
	// it is stored: another process goes on with it
	again := w.start()
	w.step(again, gap.Add(26*time.Minute))
	if got := again.watched["shop"].window()[0]; math.Abs(got.Bad-after.Bad) > 650 {
		t.Errorf("after a restart %g bad requests are known, before it %g", got.Bad, after.Bad)
	}
}

// TestNothingWasEverDeclared: a control plane that starts for the first time has nothing to say, and nothing to complain of.
func TestNothingWasEverDeclared(t *testing.T) {
	w := newWorld(t)
	w.rev = 0
	all, err := w.start().Declared(t.Context())
	if err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
