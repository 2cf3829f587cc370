package ui_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// seen is what probers saw, and users.
type seen struct{ items []probing.Status }

func (s seen) List() []probing.Status { return s.items }

func (s seen) Show(name string) (probing.Status, error) {
	for _, p := range s.items {
		if p.Name == name {
			return p, nil
		}
	}
	return probing.Status{}, errs.E(errs.Missing, "there is no Probe %q", name)
}

func (seen) Compare(string, string, string, resource.ProbeGate) (synthetic.Comparison, error) {
	return synthetic.Comparison{New: synthetic.Side{Version: "v2"}, Stable: synthetic.Side{Version: "v1"}, Paired: 12, Verdict: health.Fail, Reasons: []string{"v2 fails in 9 of 12 rounds."}}, nil
}

func (seen) Probers() []probing.Prober {
	return []probing.Prober{{Name: "paris", Heard: time.Now(), Rounds: 12345, Dropped: 7, Probes: 1}}
}

func (seen) RUM(context.Context, string, time.Duration, time.Time) (wire.RUM, error) {
	return wire.RUM{Service: "shop", Pages: []wire.PageVitals{{Page: "/cart/{id}", Version: "v2", Ring: "canary", Views: 41, Errors: 3, P75: map[string]float64{"lcp": 4.5, "cls": 0.02}}},
		Usage:    []wire.Usage{{Version: "v2", Ring: "canary", Requests: 99, Users: 17, Events: map[string]float64{"purchase": 5}}},
		Variants: []wire.VariantUse{{Flag: "express", Variant: "on", Views: 12}},
		Errors:   []wire.ScriptError{{Version: "v2", Page: "/cart/{id}", Message: "<b>x</b> is not a function", Count: 3}}}, nil
}

func (seen) Outcome(context.Context, rollout.State, time.Time) (*outcome.Report, error) {
	low, high, value := 0.01, 0.05, 0.12
	return &outcome.Report{Hypothesis: "a warmer welcome", Ring: "canary", Verdict: outcome.Confirmed, Says: "it sells more", Low: &low, High: &high, New: outcome.Side{Version: "v2", Users: 40, Value: &value}}, nil
}

func TestPagesOfProbesAndUsers(t *testing.T) {
	w := start(t)
	s := seen{[]probing.Status{{Name: "home", Service: "shop", Way: "http", Target: resource.AtVersions, State: synthetic.Down, Quiet: "maintenance", Pairs: [2]string{"v2", "v1"},
		Spec: resource.Probe{Service: "shop", Every: fleet.Dur(time.Second), HTTP: &resource.ProbeRequest{}}.Defaults(),
		Versions: []probing.VersionStatus{{Version: "v2", State: synthetic.Down, Looked: true, Vote: synthetic.Vote{State: synthetic.Down, Fresh: 1, Failing: 1, Need: 1, Reason: "answered <b>500</b>"},
			Rounds: 10, Availability: 0.9, Hours: []synthetic.Hour{{Start: time.Now().UTC().Truncate(time.Hour), Good: 9, Bad: 1}},
			Probers: []probing.ProberStatus{{Name: "paris", Last: synthetic.Round{At: time.Now(), Reason: "answered <b>500</b>", Step: "buy", Seconds: 0.25}}}}}}}}
	w.opts.Probes, w.opts.Usage = s, s
	w.url = w.serve()
	b := w.as(policy.Viewer)
	for path, want := range map[string][]string{
		"/probes":              {"home", "maintenance", "answered &lt;b&gt;500&lt;/b&gt;", "9 of 10 rounds good", "paris", "90 %"},
		"/probes/home":         {"v2 beside v1", "v2 fails in 9 of 12 rounds.", "buy: answered", "250 ms", "/ui/probes/home"},
		"/services/shop/users": {"/cart/{id}", "4.50 s", "vital fail", "purchase 5", "express", "&lt;b&gt;x&lt;/b&gt; is not a function"},
		"/rollouts/shop-1":     {"a warmer welcome", "confirmed", "It sells more", "12 %"},
		"/ui/probes/home":      {`"unit":"seconds"`},
	} {
		res, body := b.get(path)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s\n%s", path, res.Status, body)
		}
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s: no %q in\n%s", path, text, body)
			}
		}
	}
	if res, _ := b.get("/probes/none"); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
}
