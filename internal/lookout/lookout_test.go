package lookout

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/metric"
)

// world answers with a steady number of requests in each slice, until a time.
type world struct {
	perSlice map[string]float64
	fell     time.Time // from then on nothing comes
	deaf     time.Time // from then on no gateway is heard
	gone     string
	wrote    []metric.Sample
	asked    []time.Time
	down     bool
}

func (w *world) Lines(_ context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error) {
	if w.down {
		return nil, errors.New("no metrics")
	}
	if strings.Contains(expr, "offset") {
		return nil, nil
	}
	if strings.Contains(expr, "up{") {
		l := Line{}
		for t := from; !t.After(to); t = t.Add(step) {
			up := 1.0
			if !w.deaf.IsZero() && !t.Before(w.deaf) {
				up = 0
			}
			l.Points = append(l.Points, [2]float64{float64(t.Unix()), up})
		}
		return []Line{l}, nil
	}
	w.asked = append(w.asked, from)
	var all []Line
	for service, n := range w.perSlice {
		l := Line{Labels: map[string]string{"service": service}}
		for t := from; !t.After(to); t = t.Add(step) {
			if !w.fell.IsZero() && !t.Before(w.fell) {
				n = 0
			}
			l.Points = append(l.Points, [2]float64{float64(t.Unix()), n})
		}
		if service != w.gone {
			all = append(all, l)
		}
	}
	return all, nil
}

func (w *world) Write(_ context.Context, s []metric.Sample) ([]metric.Refusal, error) {
	w.wrote = s
	return nil, nil
}

func (w *world) lull(service string) (float64, bool) {
	for _, s := range w.wrote {
		if s.Labels[metric.Name] == "ringfence_traffic_lull" && s.Labels["service"] == service {
			return s.Value, true
		}
	}
	return 0, false
}

func TestLullIsTold(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	w := &world{perSlice: map[string]float64{"shop": 200, "quiet": 0}, fell: start.Add(time.Minute)}
	l := New(Options{Metrics: w, Scrape: time.Second, Logger: slog.New(slog.DiscardHandler)})
	look := func(after time.Duration) {
		t.Helper()
		if err := l.Look(t.Context(), start.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	look(30 * time.Second) // the past is read again
	if v, ok := w.lull("shop"); !ok || v != 0 {
		t.Fatalf("%v %v", v, ok)
	}
	if first := w.asked[0]; start.Sub(first) < 2*time.Hour {
		t.Errorf("read from %s", first)
	}
	for s := 40; s <= 90; s += 10 {
		look(time.Duration(s) * time.Second)
	}
	if v, _ := w.lull("shop"); v != 1 {
		t.Error("the lull is not told")
	}
	if v, _ := w.lull("quiet"); v != 0 {
		t.Error("a lull of what nobody uses")
	}
	w.gone = "shop"
	look(3 * time.Minute)
	if _, ok := w.lull("shop"); ok {
		t.Error("a service that is gone is told of")
	}
}

func TestNothingHeardIsNoLull(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	w := &world{perSlice: map[string]float64{"shop": 200}, fell: start.Add(time.Minute), deaf: start.Add(time.Minute)}
	l := New(Options{Metrics: w, Scrape: time.Second, Logger: slog.New(slog.DiscardHandler)})
	for s := 0; s <= 300; s += 10 {
		w.down = s == 100 // and what cannot be read is read later
		if err := l.Look(t.Context(), start.Add(time.Duration(s)*time.Second)); (err != nil) != w.down {
			t.Fatal(err)
		}
		if v, _ := w.lull("shop"); v != 0 {
			t.Fatalf("a lull after %d s, of gateways that are not heard", s)
		}
	}
}
