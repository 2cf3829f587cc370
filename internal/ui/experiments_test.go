package ui_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/ui"
)

// bench is a lab that does as it is told.
type bench struct {
	runs map[string]lab.Report
	did  []string
	err  error
}

func (b *bench) List(context.Context) ([]lab.Run, error) {
	var all []lab.Run
	for _, r := range b.runs {
		run := r.Run
		run.Report = r.Report
		all = append(all, run)
	}
	return all, nil
}

func (b *bench) Read(_ context.Context, name string, step time.Duration, now time.Time) (lab.Report, error) {
	r, ok := b.runs[name]
	if !ok {
		return r, errs.E(errs.Missing, "there is no Experiment %q", name)
	}
	if step > 0 {
		for i := range 3 {
			half := 0.3 / float64(i+1)
			r.Series = append(r.Series, lab.Moment{At: r.Run.Started.Add(time.Duration(i+1) * step), Users: int64(100 * i), Effects: map[string]lab.Confidence{"on": {Effect: 0.1, Low: 0.1 - half, High: 0.1 + half}}})
		}
	}
	return r, nil
}

func (b *bench) Start(_ context.Context, actor, name string, baseline *lab.Baseline, _ time.Time) (lab.Run, error) {
	known := "nothing"
	if baseline != nil {
		raw, _ := json.Marshal(baseline)
		known = string(raw)
	}
	b.did = append(b.did, actor+" starts "+name+" with "+known)
	return lab.Run{}, b.err
}

func (b *bench) Stop(_ context.Context, actor, name, ship, reason string, _ time.Time) (lab.Run, error) {
	b.did = append(b.did, actor+" stops "+name+", ships "+ship+", for "+reason)
	return lab.Run{}, b.err
}

const experimentFlags = `apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: shop-flags}
spec:
  flags:
    checkout: {state: ENABLED, variants: {"on": true, "off": false}, defaultVariant: "off", exposure: {plan: quick, variant: "on"}}
    bare: {state: ENABLED, variants: {"on": true, "off": false}, defaultVariant: "off"}
---
apiVersion: ringfence.dev/v1
kind: Experiment
metadata: {name: checkout}
spec:
  flag: shop-flags/checkout
  hypothesis: shorter sells more
  variants: [{variant: "off"}, {variant: "on"}]
  primary: {event: purchase}
`

// report is an analysis of so many users of each variant, of whom a share bought and another sent back.
func report(t *testing.T, off, on int64, bought, back [2]float64, several int64) *experiment.Report {
	t.Helper()
	spec := experiment.Spec{Variants: []experiment.Variant{{Name: "off"}, {Name: "on"}}, Planned: 40000,
		Primary:    experiment.Metric{Name: "purchase", Kind: experiment.Proportion},
		Guardrails: []experiment.Metric{{Name: "refund", Kind: experiment.Proportion, Direction: experiment.Decrease, Margin: 0.5}}}
	of := func(share [2]float64) []experiment.Summary {
		return []experiment.Summary{experiment.ProportionOf("off", off, math.Round(share[0]*float64(off))), experiment.ProportionOf("on", on, math.Round(share[1]*float64(on)))}
	}
	r, err := experiment.Analyze(spec, experiment.Data{Users: []int64{off, on}, Multiple: several,
		Metrics: map[string][]experiment.Summary{"purchase": of(bought), "refund": of(back)}})
	must(t, err)
	return &r
}

func runOf(name string, phase lab.Phase, r *experiment.Report) lab.Report {
	run := lab.Run{Experiment: name, Phase: phase, Number: 1, Spec: resource.Experiment{Flag: "shop-flags/" + name, Hypothesis: "shorter sells more", Share: 50,
		Variants: []resource.ExperimentArm{{Variant: "off"}, {Variant: "on"}}, Primary: resource.ExperimentMetric{Event: "purchase"}}}
	if r != nil {
		run.Started, run.Since, run.Planned, run.Reading = time.Now().Add(-48*time.Hour), time.Now().Add(-48*time.Hour), 40000, r.Reading
	}
	return lab.Report{Run: run, Report: r}
}

// startLab starts a control plane whose pages have experiments.
func startLab(t *testing.T) (*world, *bench) {
	w := start(t)
	b := &bench{runs: map[string]lab.Report{}}
	w.opts.Lab = b
	w.url = w.serve()
	w.apply(experimentFlags)
	return w, b
}

func TestNoLabNoPages(t *testing.T) {
	w := start(t)
	b := w.as(policy.Viewer)
	if res, _ := b.get("/experiments"); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a lab: %s", res.Status)
	}
	if _, body := b.get("/"); strings.Contains(body, `href="/experiments"`) {
		t.Error("the pages lead to what is not there")
	}
}

func TestExperimentsAreListed(t *testing.T) {
	w, lab1 := startLab(t)
	viewer := w.as(policy.Viewer)
	viewer.holds("/experiments", "No experiment is declared yet.", "kind: Experiment", `href="/experiments" aria-current="page"`)
	lab1.runs = map[string]lab.Report{
		"checkout": runOf("checkout", lab.Running, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 0)),
		"skewed":   runOf("skewed", lab.Running, report(t, 9000, 8000, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 0)),
		"fresh":    runOf("fresh", lab.Draft, nil),
		"harmful":  runOf("harmful", lab.Ended, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.3}, 0)),
	}
	body := viewer.holds("/experiments", "4 experiments, 2 running", ">ship</span>", ">broken</span>", "not begun", ">stop</span>", "18\u202f050", "of 40\u202f000", "&#43;25 %", `class="forest pass"`)
	if at := strings.Index; at(body, "/experiments/checkout") > at(body, "/experiments/fresh") || at(body, "/experiments/fresh") > at(body, "/experiments/harmful") {
		t.Error("what runs does not stand first, or what has ended not last")
	}
}

func TestAnExperiment(t *testing.T) {
	w, b := startLab(t)
	viewer, admin := w.as(policy.Viewer), w.as(policy.Admin)
	if res, _ := viewer.get("/experiments/none"); res.StatusCode != http.StatusNotFound {
		t.Errorf("of none: %s", res.Status)
	}
	b.runs["checkout"] = runOf("checkout", lab.Draft, nil)
	viewer.holds("/experiments/checkout", "It has not begun", "How to begin", "ringfence experiment start checkout --baseline", `"flag": "checkout"`, "50 % of all users", "The role viewer may look at it.", "admin created experiment checkout")
	admin.holds("/experiments/checkout", `href="/experiments/checkout/start"`)

	good := runOf("checkout", lab.Running, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 0))
	good.Edited = true
	b.runs["checkout"] = good
	body := admin.holds("/experiments/checkout", "Ship on", "purchase", "Purchase is better", "45 % of the plan", "2 d of at most 28 d", "It was declared otherwise since it began", "<code>share</code>",
		"share of users, less is better, 50 % worse is put up with", ">safe</span>", `class="button yes" href="/experiments/checkout/ship"`, `data-charts="/experiments/checkout/series"`, "49.9 %")
	if strings.Contains(body, `role="alert"`) {
		t.Error("there is an alarm")
	}
	b.runs["checkout"] = runOf("checkout", lab.Running, report(t, 9000, 8000, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 900))
	viewer.holds("/experiments/checkout", "Broken", "Users did not land in the shares that were meant", "9000 / 8000 where 50 % / 50 % were meant", "Users were given several variants", "900 users were seen in several variants, 5 % of all", "No number below can be trusted")

	bad := runOf("checkout", lab.Ended, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.01, 0.3}, 0))
	bad.Run.Ended, bad.Run.EndedBy, bad.Run.Reason = time.Now(), lab.Actor, "guardrail refund is harmed by variant on: everyone has what the flag gives without the experiment"
	b.runs["checkout"] = bad
	body = admin.holds("/experiments/checkout", "Stop", "Ringfence ended it", "Guardrail refund is harmed", ">harmed</span>", "Begin again", `class="cut" d="M233`)
	if strings.Contains(body, "/experiments/checkout/ship") || strings.Contains(body, "/experiments/checkout/stop") {
		t.Error("what was harmful and has ended can be shipped or ended")
	}
}

// A flag without rings ships nothing, and its page does not offer it.
func TestNothingToShipBy(t *testing.T) {
	w, b := startLab(t)
	b.runs["bare"] = runOf("bare", lab.Running, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 0))
	if body := w.as(policy.Admin).holds("/experiments/bare", "Ship on", "/experiments/bare/stop"); strings.Contains(body, "/experiments/bare/ship") {
		t.Error("it offers to ship")
	}
}

func TestExperimentDeeds(t *testing.T) {
	w, b := startLab(t)
	b.runs["checkout"] = runOf("checkout", lab.Running, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 0))
	operator := w.as(policy.Operator)
	form := operator.formToken()
	operator.holds("/experiments/checkout/start", "Begin checkout?", "Share of users as it is without the change", "5 % more or less")
	operator.holds("/experiments/checkout/stop", "End checkout?", "It reads ship on: Purchase is better")
	operator.holds("/experiments/checkout/ship", "End checkout and ship a variant?", "<option selected>on</option>", "<option>off</option>")
	for _, c := range []struct {
		path   string
		fields url.Values
		did    string
	}{
		{"start", url.Values{}, "user:operator starts checkout with nothing"},
		{"start", url.Values{"baseline": {"0,12"}}, `user:operator starts checkout with {"mean":0.12}`},
		{"start", url.Values{"baseline": {"41.5"}, "stddev": {"60"}}, `user:operator starts checkout with {"mean":41.5,"stddev":60}`},
		{"stop", url.Values{"reason": {"enough"}}, "user:operator stops checkout, ships , for enough"},
		{"ship", url.Values{"choice": {"on"}, "reason": {"it sells"}}, "user:operator stops checkout, ships on, for it sells"},
	} {
		b.did = nil
		c.fields.Set("form", form)
		res, body := operator.post("/experiments/checkout/"+c.path, c.fields)
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/experiments/checkout" || len(b.did) != 1 || b.did[0] != c.did {
			t.Errorf("%s %v: %s, did %q, expected %q\n%s", c.path, c.fields, res.Status, b.did, c.did, body)
		}
	}
	b.did = nil
	for path, fields := range map[string]url.Values{"start": {"baseline": {"a lot"}}, "ship": {}} {
		fields.Set("form", form)
		if res, body := operator.post("/experiments/checkout/"+path, fields); res.StatusCode != http.StatusUnprocessableEntity || len(b.did) > 0 || path == "start" && !strings.Contains(body, `value="a lot"`) {
			t.Errorf("%s %v: %s\n%s", path, fields, res.Status, body)
		}
	}
	b.err = errs.E(errs.Conflict, "rollout r1 of the flag is in flight").Next("wait for its end")
	if res, body := operator.post("/experiments/checkout/start", url.Values{"form": {form}, "baseline": {"0.1"}}); res.StatusCode != http.StatusConflict || !strings.Contains(body, "Wait for its end.") || !strings.Contains(body, `value="0.1"`) {
		t.Errorf("%s\n%s", res.Status, body)
	}

	b.did, b.err = nil, nil
	viewer := w.as(policy.Viewer)
	for _, path := range []string{"start", "stop", "ship"} {
		if res, _ := viewer.post("/experiments/checkout/"+path, url.Values{"form": {viewer.formToken()}, "choice": {"on"}}); res.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer's %s: %s", path, res.Status)
		}
	}
	if len(b.did) > 0 {
		t.Errorf("a viewer did %v", b.did)
	}
}

func TestExperimentSeries(t *testing.T) {
	w, b := startLab(t)
	b.runs["checkout"] = runOf("checkout", lab.Running, report(t, 9000, 9050, [2]float64{0.2, 0.25}, [2]float64{0.1, 0.1}, 0))
	_, body := w.as(policy.Viewer).get("/experiments/checkout/series")
	var got ui.Charts
	must(t, json.Unmarshal([]byte(body), &got))
	if len(got.T) != 3 || len(got.Charts) != 1 || got.T[1]-got.T[0] < 600 {
		t.Fatalf("%s", body)
	}
	c := got.Charts[0]
	if c.Unit != "change" || len(c.Series) != 2 || *c.Series[0].BandHigh[0] != 0.4 || !c.Series[1].Quiet {
		t.Errorf("%s", body)
	}
	if math.Abs(*c.Low+0.2) > 1e-9 || math.Abs(*c.High-0.4) > 1e-9 { // one and a half of the last interval's width to each side
		t.Errorf("drawn from %g to %g", *c.Low, *c.High)
	}
	b.runs["fresh"] = runOf("fresh", lab.Draft, nil)
	if _, body := w.as(policy.Viewer).get("/experiments/fresh/series"); !strings.Contains(body, `"t":[]`) {
		t.Error(body)
	}
}

// The record tells of experiments in words.
func TestExperimentsInTheRecord(t *testing.T) {
	w, b := startLab(t)
	b.runs["checkout"] = runOf("checkout", lab.Draft, nil)
	for _, e := range []struct {
		typ, actor string
		data       any
	}{
		{"experiment.started", "user:ann", map[string]any{"run": 1, "planned": 12707}},
		{"experiment.read", lab.Actor, map[string]any{"reading": experiment.Reading{Decision: experiment.Ship, Variant: "on", Why: "purchase is better"}}},
		{"experiment.ended", lab.Actor, map[string]any{"reason": "guardrail refund is harmed"}},
		{"experiment.ended", "user:ann", map[string]any{"reason": "enough"}},
		{"experiment.shipped", "user:ann", map[string]any{"variant": "on"}},
	} {
		one, err := audit.New(time.Now(), e.typ, e.actor, "experiment/checkout", e.data)
		must(t, err)
		_, err = w.Store.Commit(t.Context(), store.Write{Events: []audit.Event{one}})
		must(t, err)
	}
	viewer := w.as(policy.Viewer)
	for _, path := range []string{"/experiments/checkout", "/events?subject=experiment/checkout"} {
		viewer.holds(path, "ann began checkout", "12\u202f707 users are planned.", "checkout reads: ship on", "Purchase is better.", "Ringfence ended checkout", "Guardrail refund is harmed.", "ann ended checkout", "“enough”", "ann ships variant on of checkout", `href="/experiments/checkout"`)
	}
}
