package objective

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
)

// types are how many events of each type are in the record.
func (w *world) types() map[string]int {
	all := map[string]int{}
	for _, ev := range w.events {
		all[ev.Type]++
	}
	return all
}

// told are the alerts that were sent, by name and severity: how many had begun, by when they say that they did, and how many ended.
func (w *world) told(name, severity string) (began map[time.Time]int, ended int) {
	began = map[time.Time]int{}
	for _, a := range w.sent {
		switch {
		case a.Labels["alertname"] != name || a.Labels["severity"] != severity:
		case a.EndsAt.IsZero():
			began[a.StartsAt]++
		default:
			ended++
		}
	}
	return began, ended
}

// TestRestartsDuringABurn: an alert that fires is one alert, however often the process is killed while it does, and wherever it was.
func TestRestartsDuringABurn(t *testing.T) {
	for _, every := range []int{1, 3, 7} { // steps between two kills
		w := newWorld(t)
		burns := func(at time.Time) bool {
			return at.After(epoch.Add(60*time.Minute)) && !at.After(epoch.Add(80*time.Minute))
		}
		end := epoch.Add(110 * time.Minute)
		w.feed("shop", epoch, end, 5*time.Second, &counter{}, 50, func(at time.Time) float64 {
			if burns(at) {
				return 0.5
			}
			return 0
		})
		w.slo("shop", "shop", "0.99", "6h", "")
		e, n := w.start(), 0
		for at := epoch.Add(55 * time.Minute); !at.After(end); at = at.Add(15 * time.Second) {
			if n++; n%every == 0 {
				e = w.start()
				e.Now = func() time.Time { return at }
			}
			w.step(e, at)
		}
		if got := w.types(); got["slo.burning"] != 2 || got["slo.recovered"] != 2 || got["slo.silent"] != 0 {
			t.Errorf("killed after each %d steps: %v, expected that a page and a ticket began and ended once", every, got)
		}
		for _, severity := range []string{"page", "ticket"} {
			began, ended := w.told("ErrorBudgetBurn", severity)
			if len(began) != 1 || ended == 0 {
				t.Errorf("killed after each %d steps: the %s says that it began at %d times, and %d times that it is over", every, severity, len(began), ended)
			}
		}
	}
}

// TestTheEndIsToldThoughKilled: who is killed between the record of an alert's end and telling it, tells it as it comes back.
func TestTheEndIsToldThoughKilled(t *testing.T) {
	w := newWorld(t)
	w.feed("shop", epoch, epoch.Add(2*time.Hour), 5*time.Second, &counter{}, 50, func(at time.Time) float64 {
		if at.After(epoch.Add(60*time.Minute)) && !at.After(epoch.Add(70*time.Minute)) {
			return 0.5
		}
		return 0
	})
	w.slo("shop", "shop", "0.99", "6h", "")
	e := w.start()
	at := epoch.Add(69 * time.Minute)
	w.step(e, at)
	w.down = true
	for ; w.types()["slo.recovered"] < 2 && at.Before(epoch.Add(2*time.Hour)); at = at.Add(15 * time.Second) {
		w.step(e, at)
	}
	w.down = false
	w.step(w.start(), at)
	for _, severity := range []string{"page", "ticket"} {
		if _, ended := w.told("ErrorBudgetBurn", severity); ended == 0 {
			t.Errorf("nobody is told that the %s is over", severity)
		}
	}
}

// TestARestartIsNoSilence: a control plane that was away knows nothing of that time, and does not take it for a service that is not measured.
func TestARestartIsNoSilence(t *testing.T) {
	w := newWorld(t)
	c := &counter{}
	w.feed("shop", epoch, epoch.Add(48*time.Hour), time.Minute, c, 10, func(time.Time) float64 { return 0 })
	w.slo("shop", "shop", "0.999", "30d", "")
	e := w.start()
	for at := epoch.Add(time.Hour); !at.After(epoch.Add(48 * time.Hour)); at = at.Add(time.Hour) {
		w.step(e, at)
	}
	for _, away := range []time.Duration{20 * time.Minute, 9 * time.Hour} { // shorter and longer than what is told
		back := epoch.Add(48*time.Hour + away)
		again := w.start()
		w.step(again, back)
		if got := w.types(); got["slo.silent"] != 0 {
			t.Fatalf("back after %s: %v", away, got)
		}
		if away < time.Hour {
			continue
		}
		if s := again.watched["shop"].status(back); s.State != NoData {
			t.Errorf("after %s without data it is %s", away, s.State)
		}
		w.step(again, back.Add(10*time.Minute)) // and still nothing comes
		if got := w.types(); got["slo.silent"] != 1 {
			t.Errorf("back after %s, and nothing is measured: %v", away, got)
		}
	}
}

// TestNothingCountedIsNoData: before the first slice is over, and when nothing came for long, an objective is not healthy, whether that is told or not.
func TestNothingCountedIsNoData(t *testing.T) {
	w := newWorld(t)
	begin := epoch.Add(24*time.Hour + time.Minute)
	w.feed("shop", begin, begin.Add(8*time.Hour), 15*time.Second, &counter{}, 10, func(time.Time) float64 { return 0 })
	w.slo("shop", "shop", "0.999", "30d", `,"annotations":{"ringfence.dev/no-data":"ignore"}`)
	e := w.start()
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{0, NoData}, {time.Minute, NoData}, {3 * time.Minute, NoData}, {10 * time.Minute, Healthy}, {7 * time.Hour, Healthy}, {13 * time.Hour, Healthy}, {15 * time.Hour, NoData}} {
		s := w.status(e, "shop", begin.Add(tt.after))
		if s.State != tt.want || (tt.after < 5*time.Minute) != (s.Remaining == nil) {
			t.Errorf("%s after the first request: %s (%s), %v left, expected %s", tt.after, s.State, s.Reason, s.Remaining, tt.want)
		}
		r, err := e.Read(t.Context(), "shop", 10, begin.Add(tt.after))
		if err != nil || (s.Remaining != nil) != (len(r.Points) > 0) {
			t.Errorf("%s after the first request: %v, %d points and %v left", tt.after, err, len(r.Points), s.Remaining)
		}
	}
}

// TestAWaitBeginsAnew: of a condition that must hold for a time, what held before another one did is not counted.
func TestAWaitBeginsAnew(t *testing.T) {
	w := newWorld(t)
	spans := []struct{ from, to int }{{60, 63}, {70, 90}}
	w.feed("shop", epoch, epoch.Add(2*time.Hour), 5*time.Second, &counter{}, 50, func(at time.Time) float64 {
		for _, s := range spans {
			if at.After(epoch.Add(time.Duration(s.from)*time.Minute)) && !at.After(epoch.Add(time.Duration(s.to)*time.Minute)) {
				return 0.5
			}
		}
		return 0
	})
	w.document("shop", "Occurrences", `{"duration":"30d","isRolling":true}`, `{"target":0.99}],"alertPolicies":[{"kind":"AlertPolicy","metadata":{"name":"calm"},"spec":{"alertWhenBreaching":true,
		"conditions":[{"kind":"AlertCondition","metadata":{"name":"fast"},"spec":{"severity":"page","condition":{"kind":"burnrate","op":"gt","threshold":10,"lookbackWindow":"1m","alertAfter":"5m"}}}]}}`,
		errorsOf("shop"))
	began := time.Time{}
	for at := epoch.Add(55 * time.Minute); !at.After(epoch.Add(95 * time.Minute)); at = at.Add(15 * time.Second) {
		e := w.start() // killed after each step
		w.step(e, at)
		if live := e.live(); began.IsZero() && len(live) > 0 {
			began = at
		}
	}
	if d := began.Sub(epoch.Add(70 * time.Minute)); d < 5*time.Minute || d > 6*time.Minute {
		t.Errorf("it fires %s after the second burn began, expected a little more than 5m", d)
	}
	if i := slices.IndexFunc(w.events, func(ev audit.Event) bool { return strings.HasPrefix(ev.Type, "slo.recovered") }); i < 0 {
		t.Error("it never ends")
	}
}
