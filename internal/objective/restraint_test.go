package objective

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// restraint is what is stored for the changes of a service.
func (w *world) restraint(service string) (r Restraint, is bool) {
	w.t.Helper()
	d, err := w.Get(w.t.Context(), KindRestraint, service)
	if errs.Is(err, errs.Missing) {
		return r, false
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &r)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r, true
}

// TestBudgetsRestrain: as a budget is spent changes become slow, need approval and are held, each with its reason, once in the record; and
// they are let go as it recovers.
func TestBudgetsRestrain(t *testing.T) {
	w := newWorld(t)
	burn := func(from, to int, share float64) func(time.Time) float64 {
		return func(at time.Time) float64 {
			if at.After(epoch.Add(time.Duration(from)*time.Minute)) && !at.After(epoch.Add(time.Duration(to)*time.Minute)) {
				return share
			}
			return 0
		}
	}
	end := epoch.Add(9 * time.Hour)
	w.feed("shop", epoch, end, 30*time.Second, &counter{}, 50, burn(120, 140, 0.4))
	w.slo("shop", "shop", "0.95", "2h", "")
	w.declare("Group", "leads", `{"members":["ann"]}`)
	w.declare("BudgetPolicy", "careful", `{"services":["shop"],"steps":[{"below":75,"act":"slow","factor":3},{"below":50,"act":"approve","from":["leads"]},{"below":0,"act":"hold"}]}`)
	// beside it one that is not measured here, and one of another service that cannot be read
	w.declare("DataSource", "cloud", `{"apiVersion":"openslo/v1","kind":"DataSource","metadata":{"name":"cloud"},"spec":{"type":"Datadog","connectionDetails":{"a":"b"}}}`)
	w.document("elsewhere", "Occurrences", rolling6h, `{"target":0.99}`,
		`{"ratioMetric":{"counter":true,"bad":{"metricSource":{"metricSourceRef":"cloud","spec":{"query":"a"}}},"total":{"metricSource":{"metricSourceRef":"cloud","spec":{"query":"b"}}}}}`)
	w.declare("SLO", "broken", `{"apiVersion":"openslo/v1","kind":"SLO","metadata":{"name":"broken"},"spec":{"service":"cart","budgetingMethod":"Occurrences","indicator":{"metadata":{"name":"x"},
		"spec":{"ratioMetric":{"counter":true,"bad":`+prom("sum(nonsense(a[{{.window}}]))")+`,"total":`+prom("sum(rate(a[{{.window}}]))")+`}}},
		"timeWindow":[{"duration":"1h","isRolling":true}],"objectives":[{"target":0.99}]}}`)
	e := w.start()
	var steps []string
	for at := epoch.Add(110 * time.Minute); !at.After(end); at = at.Add(time.Minute) {
		if at.Equal(epoch.Add(150 * time.Minute)) {
			e = w.start() // a restart changes nothing
		}
		if err := e.Step(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		r, _ := w.restraint("shop")
		word := "free"
		switch {
		case r.Hold != "":
			word = "hold"
		case r.Approval != nil:
			word = "approve"
		case r.Factor > 0:
			word = "slow"
		}
		if len(steps) == 0 || steps[len(steps)-1] != word {
			steps = append(steps, word)
		}
		if r.Hold != "" && (!strings.Contains(r.Hold, "the error budget of shop is spent") || !strings.Contains(r.Hold, "policy careful") || r.Factor != 3 || len(r.Groups["leads"]) != 1) {
			t.Fatalf("%+v", r)
		}
	}
	if got := strings.Join(steps, " "); got != "free slow approve hold approve slow free" && got != "free slow approve hold free" {
		t.Error(got)
	}
	if e.watched["broken"].failed == "" {
		t.Error("the broken SLO is read")
	}
	if got := w.types(); got["budget.restrains"] > 8 || got["budget.released"] != 1 {
		t.Errorf("%v", got)
	}
	if _, is := w.restraint("cart"); is {
		t.Error("a service is restrained of which nothing was read")
	}
}

// TestWhatCannotBeReadIsNotLetGo: what was asked of a service's changes holds while its objectives cannot be read.
func TestWhatCannotBeReadIsNotLetGo(t *testing.T) {
	w := newWorld(t)
	end := epoch.Add(2 * time.Hour)
	w.feed("shop", epoch, end, 30*time.Second, &counter{}, 50, func(at time.Time) float64 { return 0.3 })
	w.slo("shop", "shop", "0.95", "2h", "")
	w.declare("BudgetPolicy", "careful", `{"steps":[{"below":0,"act":"hold"}]}`)
	w.step(w.start(), end)
	if r, is := w.restraint("shop"); !is || r.Hold == "" {
		t.Fatal("nothing is held")
	}
	_ = w.db.Close() // whoever asks gets an error
	e := w.start()
	if err := e.Step(t.Context(), end.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if e.watched["shop"].failed == "" {
		t.Fatal("it can still be read")
	}
	if r, is := w.restraint("shop"); !is || r.Hold == "" {
		t.Error("it is let go though nothing is known")
	}
}
