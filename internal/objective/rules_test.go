package objective

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"

	"github.com/ringfence/ringfence/internal/slo"
)

// TestRulesFireAtTheSameTimes runs the printed rules in Prometheus' own rules engine beside this one, on the same counters, through
// bursts, a slow burn, a counter that begins again, a gap without scrapes, and a service that is silent while it burns.
func TestRulesFireAtTheSameTimes(t *testing.T) {
	const scrape, step = 5 * time.Second, 15 * time.Second
	w := newWorld(t)
	at := func(m float64) time.Time { return epoch.Add(time.Duration(m * float64(time.Minute))) }
	between := func(now time.Time, from, to float64) bool { return now.After(at(from)) && !now.After(at(to)) }
	end := at(85)
	w.feed("shop", epoch, at(70), scrape, &counter{}, 50, func(now time.Time) float64 {
		switch {
		case between(now, 42, 44):
			return 0.5
		case between(now, 48, 62):
			return 0.04
		case between(now, 67, 70): // and then nothing is scraped
			return 1
		}
		return 0
	})
	w.feed("shop", at(78), end, scrape, &counter{}, 50, func(time.Time) float64 { return 0 }) // it begins again at 0
	w.feed("late", epoch, at(80), scrape, &counter{}, 20, func(now time.Time) float64 {
		if now.After(at(77)) {
			return 0.3
		}
		return 0.0005
	})
	w.slo("shop", "shop", "0.99", "6h", "")
	w.slo("late", "late", "0.995", "6h", `,"annotations":{"ringfence.dev/no-data":"page"}`)
	w.declare("SLO", "slices", `{"apiVersion":"openslo/v1","kind":"SLO","metadata":{"name":"slices"},"spec":{"service":"shop","budgetingMethod":"Timeslices",
		"indicator":{"metadata":{"name":"x"},"spec":{"ratioMetric":{"counter":true,"bad":{"metricSource":{"type":"Prometheus","spec":{"query":"errors_total{case=\"shop\"}"}}},
		"total":{"metricSource":{"type":"Prometheus","spec":{"query":"requests_total{case=\"shop\"}"}}}}}},
		"timeWindow":[{"duration":"6h","isRolling":true}],"objectives":[{"target":0.97,"timeSliceTarget":0.95,"timeSliceWindow":"1m"}]}}`)

	mine, theirs := firings(t, w, at(41), end, step)
	intervals := 0
	for _, key := range keys(mine, theirs) {
		a, b := spans(mine[key], step), spans(theirs[key], step)
		t.Logf("%s: %s; Prometheus: %s", key, text(a), text(b))
		if len(a) != len(b) {
			t.Errorf("%s: %s, and by Prometheus %s", key, text(a), text(b))
			continue
		}
		for i := range a {
			intervals++
			if d := max(a[i][0]-b[i][0], b[i][0]-a[i][0], a[i][1]-b[i][1], b[i][1]-a[i][1]); d > int64(2*step/time.Second) {
				t.Errorf("%s differs by %ds: %s, and by Prometheus %s", key, d, text(a), text(b))
			}
		}
	}
	for _, want := range []string{"shop/ErrorBudgetBurn/page", "shop/ErrorBudgetBurn/ticket", "late/ErrorBudgetBurn/page", "late/SLONoData/page", "slices/ErrorBudgetBurn/page"} {
		if len(mine[want]) == 0 {
			t.Errorf("%s never fired", want)
		}
	}
	if intervals < 6 {
		t.Errorf("only %d intervals were compared", intervals)
	}
}

// firings are the evaluations at which alerts fired, here and by the printed rules.
func firings(t *testing.T, w *world, from, end time.Time, step time.Duration) (mine, theirs map[string]map[int64]bool) {
	mine, theirs = map[string]map[int64]bool{}, map[string]map[int64]bool{}
	e, groups := w.start(), loadRules(t, w, slo.Rules(compiled(w), step))
	for now := from; !now.After(end); now = now.Add(step) {
		w.step(e, now)
		for _, a := range e.live() {
			note(mine, a.Labels["objective"]+"/"+a.Labels["alertname"]+"/"+a.Labels["severity"], now)
		}
		for _, g := range groups {
			g.Eval(t.Context(), now)
			for _, r := range g.Rules() {
				if r.LastError() != nil {
					t.Fatal(r.LastError())
				}
			}
			for _, r := range g.AlertingRules() {
				r.SetRestored(true) // without a manager that looks for what fired before
				for _, a := range r.ActiveAlerts() {
					if a.State == rules.StateFiring {
						note(theirs, a.Labels.Get("objective")+"/"+a.Labels.Get("alertname")+"/"+a.Labels.Get("severity"), now)
					}
				}
			}
		}
	}
	return mine, theirs
}

func compiled(w *world) []slo.Objective {
	var all []slo.Objective
	for _, c := range slo.Compile(w.set) {
		for _, p := range c.Problems {
			w.t.Fatal(p)
		}
		all = append(all, c.Objectives...)
	}
	return all
}

func loadRules(t *testing.T, w *world, text string) map[string]*rules.Group {
	t.Helper()
	file := filepath.Join(t.TempDir(), "slo.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := rules.NewManager(&rules.ManagerOptions{QueryFunc: rules.EngineQueryFunc(w.engine, w.db), Appendable: w.db, Queryable: w.db, Context: t.Context(),
		ExternalURL: &url.URL{}, NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: slog.New(slog.DiscardHandler), Parser: parser.NewParser(parser.Options{})})
	groups, errs := m.LoadGroups(15*time.Second, labels.EmptyLabels(), "", nil, false, file)
	for _, err := range errs {
		t.Fatalf("%v\n%s", err, text)
	}
	return groups
}

func note(all map[string]map[int64]bool, key string, at time.Time) {
	if all[key] == nil {
		all[key] = map[int64]bool{}
	}
	all[key][at.Unix()] = true
}

func keys(a, b map[string]map[int64]bool) []string {
	seen := map[string]bool{}
	var all []string
	for _, m := range []map[string]map[int64]bool{a, b} {
		for k := range m {
			if !seen[k] {
				seen[k] = true
				all = append(all, k)
			}
		}
	}
	return all
}

// spans are the times from the first to the last of neighbouring evaluations.
func spans(at map[int64]bool, step time.Duration) [][2]int64 {
	var out [][2]int64
	s := int64(step / time.Second)
	for now := epoch.Unix(); now < epoch.Add(24*time.Hour).Unix(); now += s {
		switch {
		case !at[now]:
		case len(out) > 0 && out[len(out)-1][1] == now-s:
			out[len(out)-1][1] = now
		default:
			out = append(out, [2]int64{now, now})
		}
	}
	return out
}

func text(spans [][2]int64) string {
	s := ""
	for _, x := range spans {
		s += time.Unix(x[0], 0).UTC().Format("15:04:05") + "–" + time.Unix(x[1], 0).UTC().Format("15:04:05") + " "
	}
	return s
}
