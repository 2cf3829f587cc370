package simulate

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/bench/verdict-table/sim"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

func simulated(t testing.TB, c Case) Report {
	t.Helper()
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// seen is the share of runs that are stopped, with the regression or without.
func seen(t testing.TB, c Case, sick bool) float64 {
	t.Helper()
	c, err := c.complete()
	if err != nil {
		t.Fatal(err)
	}
	shares, _, err := c.measure()
	if err != nil {
		t.Fatal(err)
	}
	w := c.world(shares)
	w.coarse = true
	bad := w.healthy
	if sick {
		bad = w.sick
	}
	runs, err := many(context.Background(), c.Runs, c.Seed, 0, func(rng *rand.Rand) outcome { return w.run(rng, bad) })
	if err != nil {
		t.Fatal(err)
	}
	return w.healthyReport(runs).StoppedShare
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s: %v, expected %v within %v", what, got, want, tolerance)
	}
}

// hour is a ring of an hour that compares errors and nothing else, at alpha 0.01.
func hour(perMinute, sharePercent, canaryBad float64) Case {
	return Case{Name: "hour", Traffic: perMinute / 60, Seed: 7, Runs: 1000, Baseline: map[string]float64{"errors": 0.005},
		Regression: map[string]Change{"errors": {Share: canaryBad}},
		Plan: resource.RingPlan{
			Rings: []resource.Ring{{Name: "first", Audience: share(sharePercent), Bake: fleet.Dur(time.Hour)}, {Name: "all", Bake: fleet.Dur(time.Hour)}},
			Gates: []resource.Gate{{Signal: "errors", Alpha: 0.02, MaxShare: 1, MinRequests: 1}}, // two rings halve it
		}}
}

// The same comparison was simulated independently of this package: by minute, without plans.
func TestAgreesWithTheVerdictTable(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics")
	}
	for _, c := range []struct {
		name                         string
		perMinute, sharePercent, bad float64
		stopped, mean, slack         float64
	}{
		{"100/100 1 %", 200, 50, 0.01, 0.476, 0, 0.05},
		{"100/1900 0.75 %", 2000, 5, 0.0075, 0.245, 0, 0.04},
		{"100/1900 1 %", 2000, 5, 0.01, 0.88, 29, 0.04},
		{"1000/1000 1 %", 2000, 50, 0.01, 1, 8, 0.01},
		{"100/100 2 %", 200, 50, 0.02, 1, 12, 0.01},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := simulated(t, hour(c.perMinute, c.sharePercent, c.bad))
			first := r.Regression.ByRing[0]
			near(t, "stopped in the first ring", first.Share, c.stopped, c.slack)
			if m := *first.MedianMinutes; c.mean > 0 && (m > c.mean || m < 0.75*c.mean) { // such times are skewed
				t.Errorf("median %v, expected somewhat less than the mean of %v", m, c.mean)
			}
			near(t, "seen at all", r.Regression.DetectedShare, first.Share, 1e-9) // nothing is left to compare with in the last
			if r.Healthy.StoppedShare > 0.015 {
				t.Errorf("healthy stopped: %v", r.Healthy.StoppedShare)
			}
		})
	}
}

// With minutes for steps it is the very simulation of the table, so that the two agree more closely.
func TestAgreesWithASimulationOfTheGateAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics")
	}
	sc := sim.Scenario{Steps: []sim.Step{{Minutes: 60, Canary: 100, Stable: 900}}, CanaryBad: 0.01, StableBad: 0.005}
	want := sim.Run(sc, sim.ComparisonOnly(0.01), 2000, 3).Share()
	got := simulated(t, hour(1000, 10, 0.01)).Regression.ByRing[0].Share
	near(t, "stopped", got, want, 0.04)
}

func TestAChangeThatIsNeverSeenHasTheWholePlan(t *testing.T) {
	c := standard()
	c.Runs, c.Users, c.Traffic = 20, 10_000, 1
	c.Regression = map[string]Change{"errors": {Times: 1}}
	c.Plan.Gates = []resource.Gate{{Signal: "errors", Alpha: 1e-6}}
	r := simulated(t, c)
	near(t, "days", *r.Healthy.MedianMinutes, 4*24*60, 1e-6)
	near(t, "user-minutes", r.Regression.ExposedUserMinutes, 10_000*24*60*(0.01+0.05+0.5+1), 1)
	near(t, "users", r.Regression.ExposedUsers, 10_000, 1e-6)
	near(t, "seen", r.Regression.DetectedShare, 0, 0)
	if !strings.Contains(strings.Join(r.Advice, "\n"), "tolerate this regression") {
		t.Errorf("advice: %q", r.Advice)
	}
}

func TestAChangeThatAlwaysFailsIsSeenAtOnce(t *testing.T) {
	c := standard()
	c.Runs, c.Users = 200, 10_000
	c.Regression = map[string]Change{"errors": {Share: 1}}
	r := simulated(t, c)
	near(t, "seen in the first ring", r.Regression.ByRing[0].Share, 1, 0)
	near(t, "minutes", *r.Regression.ByRing[0].MedianMinutes, 5./60, 0.01)
	near(t, "users", r.Regression.ExposedUsers, 100, 0)
	if len(r.Needs) != 1 || r.Needs[0].Power != 1 || r.Needs[0].Share != nil || r.Needs[0].Traffic != nil {
		t.Errorf("needs: %+v", r.Needs)
	}
}

// Only the limit judges the last ring, and the shop's default limit of 5 % sees what is far over it.
func TestTheLastRingHasOnlyItsLimit(t *testing.T) {
	c := standard()
	c.Runs, c.Plan.Rings, c.Plan.Gates = 100, []resource.Ring{{Name: "all"}}, nil
	for bad, want := range map[float64]float64{0.02: 0, 0.2: 1} {
		c.Regression = map[string]Change{"errors": {Share: bad}}
		near(t, "seen", simulated(t, c).Regression.DetectedShare, want, 0)
	}
}

func TestARingWithoutTrafficWaits(t *testing.T) {
	c := standard()
	c.Runs, c.Traffic = 20, 1./3600
	r := simulated(t, c)
	near(t, "held", r.Healthy.HeldShare, 1, 0)
	if r.Healthy.MedianMinutes != nil || !strings.Contains(r.Advice[0], "waits there for ever") {
		t.Errorf("healthy %+v, advice %q", r.Healthy, r.Advice)
	}
	c.Traffic = 0.1 // 86 requests a day to one in a hundred users: 500 in six days
	r = simulated(t, c)
	near(t, "held", r.Healthy.HeldShare, 0, 0)
	near(t, "days", *r.Healthy.MedianMinutes/1440, 500/86.4+500/432.+2, 0.2)
	if !strings.Contains(r.Advice[0], "later than its bake of 24h ends") {
		t.Errorf("advice %q", r.Advice)
	}
}

// What Next says between the moments at which it is asked would change nothing.
func TestAskingMoreOftenChangesNothing(t *testing.T) {
	for _, traffic := range []float64{0.05, 3, 200} {
		for _, curve := range []float64{1, 6} {
			c := standard()
			c.Traffic, c.DayCurve = traffic, curve
			c, err := c.complete()
			if err != nil {
				t.Fatal(err)
			}
			shares, _, err := c.measure()
			if err != nil {
				t.Fatal(err)
			}
			w := c.world(shares)
			often := *w
			often.every = true
			for seed := range uint64(3) {
				a, b := w.run(rand.New(rand.NewPCG(seed, 0)), w.sick), often.run(rand.New(rand.NewPCG(seed, 0)), w.sick)
				if a != b {
					t.Errorf("traffic %v, curve %v, seed %d: %+v, asked more often %+v", traffic, curve, seed, a, b)
				}
			}
		}
	}
}

func TestEqualSeedsGiveEqualReports(t *testing.T) {
	c := standard()
	c.Runs, c.Traffic = 60, 20
	one := simulated(t, c)
	was := runtime.GOMAXPROCS(1)
	again := simulated(t, c)
	runtime.GOMAXPROCS(was)
	if !reflect.DeepEqual(one, again) {
		t.Errorf("%+v\n%+v", one, again)
	}
	c.Seed = 2
	if reflect.DeepEqual(one.Regression, simulated(t, c).Regression) {
		t.Error("another seed gave the same")
	}
}

func TestHealthyReleasesAreStoppedWithinTheBound(t *testing.T) {
	for i, alpha := range []float64{0.05, 0.05, 0.2, 0.2, 0.2, 0.2} {
		c := standard()
		c.Runs, c.Seed, c.Traffic, c.DayCurve = 500, uint64(i), []float64{2, 20, 500}[i%3], []float64{1, 10}[i%2]
		c.Baseline = map[string]float64{"errors": []float64{0.0005, 0.005, 0.04}[i%3]}
		c.Plan.Gates = []resource.Gate{{Signal: "errors", Alpha: alpha}}
		for i := range c.Plan.Rings {
			c.Plan.Rings[i].Bake = fleet.Dur(time.Hour)
		}
		got := seen(t, c, false)
		if slack := 4 * math.Sqrt(alpha/500); got > alpha+slack {
			t.Errorf("case %d: stopped %v, alpha %v", i, got, alpha)
		}
		if alpha == 0.2 && c.Traffic > 2 && got == 0 {
			t.Errorf("case %d: none of 500 is stopped at alpha 0.2: nothing is judged", i)
		}
	}
}

func TestMoreTrafficSeesMore(t *testing.T) {
	for _, times := range []float64{1.3, 2} {
		before := 0.0
		for _, traffic := range []float64{0.5, 2, 8, 32} {
			c := standard()
			c.Runs, c.Traffic, c.Regression = 150, traffic, map[string]Change{"errors": {Times: times}}
			got := seen(t, c, true)
			if got < before-0.1 {
				t.Errorf("%vx at %v/s: seen in %v, with less traffic in %v", times, traffic, got, before)
			}
			before = got
		}
		if before < 0.9 {
			t.Errorf("%vx: seen in %v of the runs at the most traffic", times, before)
		}
	}
}

func TestStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, standard()); err == nil {
		t.Error("no error")
	}
}

func TestWrongCases(t *testing.T) {
	for name, change := range map[string]func(*Case){
		"no rings":            func(c *Case) { c.Plan.Rings = nil },
		"traffic":             func(c *Case) { c.Traffic = math.NaN() },
		"users":               func(c *Case) { c.Users = -1 },
		"runs":                func(c *Case) { c.Runs = 1_000_000_000 },
		"day curve":           func(c *Case) { c.DayCurve = 0.5 },
		"unknown signal":      func(c *Case) { c.Regression = map[string]Change{"sadness": {Times: 2}} },
		"at most 100%":        func(c *Case) { c.Regression = map[string]Change{"errors": {Times: 1000}} },
		"is no regression":    func(c *Case) { c.Baseline = map[string]float64{"errors": 0} },
		"from 0 to below 100": func(c *Case) { c.Baseline = map[string]float64{"errors": 1} },
		"no such segment":     func(c *Case) { c.Shares = map[string]float64{"staff": 0.5} },
		"in a circle": func(c *Case) {
			c.Segments = map[string]resource.Segment{"a": {Audience: resource.Audience{Segment: "a"}}}
			c.Plan.Rings[0].Audience = resource.Audience{Segment: "a"}
		},
	} {
		c := standard()
		change(&c)
		if _, err := Run(t.Context(), c); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
