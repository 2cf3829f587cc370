package simulate

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// hurting is the standard plan with errors all over, which its first ring sees at once.
func hurting(gates ...resource.Gate) Case {
	c := standard()
	c.Runs, c.Users, c.Traffic = 40, 100_000, 50
	c.Regression = map[string]Change{"errors": {Share: 0.2}}
	c.Plan.Gates = gates
	return c
}

func TestGatesThatAreNotCountsAreLeftOut(t *testing.T) {
	limit := 1.0
	c := hurting(resource.Gate{Signal: "query", Query: "up", Max: &limit}, resource.Gate{Signal: "errors"},
		resource.Gate{Signal: "webhook", When: "before", Webhook: &resource.WebhookGate{URL: "http://example.test"}},
		resource.Gate{Signal: "quantile"})
	r := simulated(t, c)
	near(t, "seen in the first ring", r.Regression.ByRing[0].Share, 1, 0)
	near(t, "healthy ones held", r.Healthy.HeldShare, 0, 0)
	advice := strings.Join(r.Advice, "\n")
	for _, name := range []string{"query (query)", "webhook (webhook)", "p99 (quantile)"} {
		if !strings.Contains(advice, name) {
			t.Errorf("advice does not say that %s is left out: %q", name, r.Advice)
		}
	}
	if len(r.Signals) != 1 || r.Signals[0].Signal != "errors" {
		t.Errorf("signals: %+v", r.Signals)
	}
}

// With only gates from outside nothing is seen and nothing waits.
func TestWithoutCountsNothingIsSeen(t *testing.T) {
	limit := 1.0
	r := simulated(t, hurting(resource.Gate{Signal: "query", Query: "up", Max: &limit}))
	near(t, "seen", r.Regression.DetectedShare, 0, 0)
	near(t, "held", r.Regression.HeldShare, 0, 0)
	near(t, "days", *r.Healthy.MedianMinutes, 4*24*60, 1e-6)
	if got, err := json.Marshal(r.Signals); err != nil || string(got) != "[]" {
		t.Errorf("signals: %s, %v", got, err)
	}
}

// A gate of some rings counts there only, whatever its place in the plan.
func TestGatesOfSomeRings(t *testing.T) {
	c := hurting(resource.Gate{Name: "slow", Signal: "latency", Over: fleet.Dur(time.Second), Rings: []string{"canary"}},
		resource.Gate{Name: "bad", Signal: "errors", Rings: []string{"early", "broad", "all"}})
	for i := range c.Plan.Rings {
		c.Plan.Rings[i].Name = []string{"canary", "early", "broad", "all"}[i]
	}
	r := simulated(t, c)
	near(t, "errors seen in canary", r.Regression.ByRing[0].Share, 0, 0.02)
	near(t, "errors seen in early", r.Regression.ByRing[1].Share, 1, 0.02)
	c.Regression = map[string]Change{"latency": {Share: 0.5}}
	near(t, "slow requests seen in canary", simulated(t, c).Regression.ByRing[0].Share, 1, 0)
}

func TestWhatAFailureDoes(t *testing.T) {
	for _, gate := range []struct {
		resource.Gate
		seen float64
	}{
		{resource.Gate{OnFail: "halt"}, 1}, {resource.Gate{OnFail: "hold"}, 1}, {resource.Gate{OnFail: "rollback"}, 1},
		{resource.Gate{OnFail: "notify"}, 0},
	} {
		gate.Signal = "errors"
		r := simulated(t, hurting(gate.Gate))
		near(t, gate.OnFail+": seen", r.Regression.DetectedShare, gate.seen, 0)
		near(t, gate.OnFail+": held", r.Regression.HeldShare, 0, 0)
		if said := strings.Contains(strings.Join(r.Advice, "\n"), "until a person acts"); said != (gate.OnFail == "halt" || gate.OnFail == "hold") {
			t.Errorf("%s: advice %q", gate.OnFail, r.Advice)
		}
	}
	r := simulated(t, hurting(resource.Gate{Signal: "errors", Informing: true}, resource.Gate{Signal: "latency", Over: fleet.Dur(time.Second)}))
	near(t, "informing: seen", r.Regression.DetectedShare, 0, 0.05)
}

func TestNobodyIsWaitedFor(t *testing.T) {
	c := standard()
	c.Runs, c.Traffic = 20, 50
	c.Regression = map[string]Change{"errors": {Times: 1}}
	c.Plan.Hours = &resource.Hours{Days: []string{"sun"}}
	c.Plan.Rings[1].Button = "green"
	c.Plan.Rings[2].Approval = &resource.Approval{From: []string{"admins"}, Need: "all"}
	r := simulated(t, c)
	near(t, "days", *r.Healthy.MedianMinutes, 4*24*60, 1e-6)
	advice := strings.Join(r.Advice, "\n")
	names := c.Plan.Rings
	for _, want := range []string{"Approvals count as given at once: ring " + names[1].Name + ", " + names[2].Name, "Hours count as open"} {
		if !strings.Contains(advice, want) {
			t.Errorf("advice lacks %q: %q", want, r.Advice)
		}
	}
}

// Without a curve any hour may be the peak; with one the bake ends with the busiest hour.
func TestTheBakeCoversThePeak(t *testing.T) {
	c := standard()
	c.Runs, c.Traffic = 400, 50
	c.Regression = map[string]Change{"errors": {Times: 1}}
	c.Plan.Gates = []resource.Gate{{Signal: "errors", Alpha: 1e-6}}
	for i := range c.Plan.Rings {
		c.Plan.Rings[i].Bake, c.Plan.Rings[i].CoverPeak = fleet.Dur(time.Hour), i == 0
	}
	r := simulated(t, c)
	near(t, "hours without a curve", *r.Healthy.MedianMinutes/60, 24+3, 1e-6)
	near(t, "bake of the first ring", r.Rings[0].BakeMinutes/60, 24, 1e-6)
	c.DayCurve = 4
	r = simulated(t, c)
	near(t, "hours with one", *r.Healthy.MedianMinutes/60, 13+3, 2) // from 1 to 25 hours, evenly
	near(t, "mean bake of the first ring", r.Rings[0].BakeMinutes/60, 13, 0.2)
}

func TestUntilPeak(t *testing.T) {
	for hour, want := range map[float64]float64{0: 24.5, 23.5: 1, 23.4: 1.1, 23.6: 24.9, 12: 12.5, 47.5: 1} {
		near(t, "hours", untilPeak(time.Duration(hour*float64(time.Hour))).Hours(), want, 1e-6)
	}
}

// A ring waits for as many users as it asks for, and for ever when it has fewer.
func TestRingsWaitForUsersAndRequests(t *testing.T) {
	c := standard()
	c.Runs, c.Users, c.Traffic = 20, 10_000, 1
	c.Regression = map[string]Change{"errors": {Times: 1}}
	c.Plan.Gates = []resource.Gate{{Signal: "errors", Alpha: 1e-6, MinRequests: 1}}
	c.Plan.Rings[0].MinRequests = 2 * 864 // a hundredth of 86,400 requests a day
	near(t, "days for requests", *simulated(t, c).Healthy.MedianMinutes/1440, 5, 0.05)
	c.Plan.Rings[0].MinRequests, c.Plan.Rings[0].MinUsers = 0, 95 // 95 of 100 have come when each has sent -ln(0.05) = 3 on average
	near(t, "days for users", *simulated(t, c).Healthy.MedianMinutes/1440, 4, 1e-6)
	c.Traffic = 0.1 // three from each of 100 take 3.4 days
	near(t, "days for users that come slowly", *simulated(t, c).Healthy.MedianMinutes/1440, 3+math.Log(100/5.5)*100/86.4, 0.1)
	c.Plan.Rings[0].MinUsers = 101
	r := simulated(t, c)
	near(t, "held", r.Healthy.HeldShare, 1, 0)
	if !strings.Contains(r.Advice[0], "has no more than 100") {
		t.Errorf("advice %q", r.Advice)
	}
}

func TestSharesOfUnits(t *testing.T) {
	c := Case{Users: 100, Shares: map[string]float64{"asia": 0.1}}
	c.Plan.Rings = []resource.Ring{{Name: "a", Units: []string{"asia"}, Audience: share(10)}, {Name: "b", Units: []string{"asia"}},
		{Name: "c", Audience: share(20)}, {Name: "d", Units: []string{"europe"}}, {Name: "all"}}
	got, assumed, err := c.measure()
	if err != nil || len(assumed) != 1 || !strings.Contains(assumed[0], "unit europe holds 33.3 %") {
		t.Fatalf("%v, assumed %q", err, assumed)
	}
	for i, want := range []float64{0.01, 0.1, 0.1 + 0.2*0.9, 0.1 + 1./3 + 0.2*(0.9-1./3), 1} {
		near(t, c.Plan.Rings[i].Name, got[i], want, 1e-9)
	}
}
