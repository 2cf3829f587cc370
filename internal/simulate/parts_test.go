package simulate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// The counts of many draws are those of the distribution, by Pearson's test at five standard deviations.
func TestBinomial(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics")
	}
	for _, c := range []struct {
		n int64
		p float64
	}{{1, 0.3}, {20, 0.05}, {300, 0.01}, {300, 0.04}, {30_000, 0.005}, {1_000_000, 0.01}, {5_000_000_000, 1e-8}, {50, 0.5}, {40, 0.9}, {2000, 0.999}} {
		rng := rand.New(rand.NewPCG(uint64(c.n), 1))
		var d binomial
		counts := map[int64]int{}
		const draws = 300_000
		for range draws {
			counts[d.draw(rng, c.n, c.p)]++
		}
		var chi, cells, rest, restWant float64
		rest, restWant = draws, draws
		mean := float64(c.n) * c.p
		for k := int64(max(0, mean-10*math.Sqrt(mean+1))); k <= min(c.n, int64(mean+10*math.Sqrt(mean+1))); k++ {
			want := draws * math.Exp(logChance(c.n, k, c.p))
			if want < 20 {
				continue
			}
			chi += (float64(counts[k]) - want) * (float64(counts[k]) - want) / want
			rest, restWant, cells = rest-float64(counts[k]), restWant-want, cells+1
		}
		if restWant > 5 {
			chi, cells = chi+(rest-restWant)*(rest-restWant)/restWant, cells+1
		}
		if free := cells - 1; chi > free+5*math.Sqrt(2*max(free, 1))+10 {
			t.Errorf("n %d, p %v: chi-squared %v with %v degrees of freedom", c.n, c.p, chi, free)
		}
	}
}

func logChance(n, k int64, p float64) float64 {
	a, _ := math.Lgamma(float64(n) + 1)
	b, _ := math.Lgamma(float64(k) + 1)
	c, _ := math.Lgamma(float64(n-k) + 1)
	return a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
}

func TestSharesOfRings(t *testing.T) {
	staff := resource.Audience{Segment: "staff"}
	rule := resource.Audience{Rule: json.RawMessage(`{"==": [1, 1]}`)}
	list := resource.Audience{Users: []string{"ann", "bob"}}
	for name, c := range map[string]struct {
		rings   []resource.Audience
		given   map[string]float64
		want    []float64
		assumed int
	}{
		"percentages nest":             {[]resource.Audience{share(1), share(10)}, nil, []float64{0.01, 0.1}, 0},
		"a segment is independent":     {[]resource.Audience{staff, share(10)}, map[string]float64{"staff": 0.05}, []float64{0.05, 1 - 0.95*0.9}, 0},
		"its share is assumed":         {[]resource.Audience{staff, share(10)}, nil, []float64{0.01, 1 - 0.99*0.9}, 1},
		"it counts once":               {[]resource.Audience{staff, {Any: []resource.Audience{staff, share(10)}}}, nil, []float64{0.01, 1 - 0.99*0.9}, 1},
		"a list is counted":            {[]resource.Audience{list}, nil, []float64{0.02}, 0},
		"a ring's rule is assumed":     {[]resource.Audience{rule}, nil, []float64{0.01}, 1},
		"or given by the ring's name":  {[]resource.Audience{rule}, map[string]float64{"r0": 0.2}, []float64{0.2}, 0},
		"a known segment is looked up": {[]resource.Audience{{Segment: "testers"}}, nil, []float64{0.02}, 0},
	} {
		c2 := Case{Users: 100, Shares: c.given, Segments: map[string]resource.Segment{"testers": {Audience: list}}}
		for i, a := range append(c.rings, resource.Audience{}) {
			c2.Plan.Rings = append(c2.Plan.Rings, resource.Ring{Name: "r" + string(rune('0'+i)), Audience: a})
		}
		got, assumed, err := c2.measure()
		if err != nil || len(assumed) != c.assumed {
			t.Errorf("%s: assumed %q, %v", name, assumed, err)
		}
		for i, want := range append(c.want, 1) {
			if math.Abs(got[i]-want) > 1e-12 {
				t.Errorf("%s: ring %d has %v, expected %v", name, i, got[i], want)
			}
		}
	}
}

func TestADaysTrafficIsItsMean(t *testing.T) {
	for _, curve := range []float64{1, 2, 50} {
		c, _ := standard().complete()
		c.DayCurve = curve
		w := c.world([]float64{0.01, 0.05, 0.5, 1})
		state := w.plan
		state.Ring = 0
		st := w.enter(state, 0.25, w.healthy, 5*time.Hour, rand.New(rand.NewPCG(1, 1)))
		var canary, stable, least, most int64
		least = math.MaxInt64
		for range 24 * 60 {
			a, b := st.requests(time.Minute)
			st.at += time.Minute
			canary, stable, least, most = canary+a, stable+b, min(least, a+b), max(most, a+b)
		}
		if math.Abs(float64(canary)-500*86400/4.) > 50 || math.Abs(float64(stable)-500*86400*3/4.) > 150 {
			t.Errorf("curve %v: %d and %d requests in a day", curve, canary, stable)
		}
		if got := float64(most) / float64(least); math.Abs(got-curve) > 0.01*curve {
			t.Errorf("curve %v: the busiest minute has %v times the quietest", curve, got)
		}
	}
}

// A plan that does what the advice says has the power that it promises.
func TestTheAdviceHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics")
	}
	c := hour(2000, 5, 0.0075)
	c.Runs = 1000
	n := simulated(t, c).Needs[0]
	if n.Power > 0.4 || n.BakeMinutes == nil || n.Share == nil || n.Traffic == nil {
		t.Fatalf("needs: %+v", n)
	}
	for way, change := range map[string]func(*Case){
		"bake": func(c *Case) {
			for i := range c.Plan.Rings {
				c.Plan.Rings[i].Bake = fleet.Dur(*n.BakeMinutes * float64(time.Minute))
			}
		},
		"share":   func(c *Case) { c.Plan.Rings[0].Audience = share(100 * *n.Share) },
		"traffic": func(c *Case) { c.Traffic = *n.Traffic },
	} {
		c := c
		c.Plan.Rings = slices.Clone(c.Plan.Rings)
		change(&c)
		got := simulated(t, c).Regression.ByRing[0].Share
		if got < Power-0.03 || got > Power+0.035 {
			t.Errorf("%s: %v", way, got)
		}
	}
}

func TestParsing(t *testing.T) {
	for s, want := range map[string]float64{"500/s": 500, "120/min": 2, "120/m": 2, "3600/h": 1, "864/d": 0.01, "0.5/s": 0.5} {
		if got, err := ParseTraffic(s); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "500", "500/", "/s", "-1/s", "0/s", "NaN/s", "Inf/s", "1e9/s", "5/w", "5/s/s"} {
		if got, err := ParseTraffic(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
	for s, want := range map[string]Change{"2x": {Times: 2}, "1.5x": {Times: 1.5}, "3%": {Share: 0.03}, "0.2": {Share: 0.2}} {
		if got, err := ParseChange(s); err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", "0x", "-2x", "NaNx", "2", "300%", "-1%", "+100ms"} {
		if got, err := ParseChange(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func TestRoundingOfAdvice(t *testing.T) {
	for d, want := range map[time.Duration]string{40 * time.Second: "40s", 33*time.Minute + time.Second: "34m", 5*time.Hour + 3*time.Minute: "5h15m", 50*time.Hour + 1: "51h"} {
		if got := span(d); got != want {
			t.Errorf("%s: %s, expected %s", d, got, want)
		}
	}
	for x, want := range map[float64]string{4200: "4200", 1234567: "1234567", 3.14159: "3.14", 0.0071: "0.0071"} {
		if got := figure(x); got != want {
			t.Errorf("%v: %s, expected %s", x, got, want)
		}
	}
	for x, want := range map[float64]string{8000: "8000/s", 1.5: "1.5/s", 0.5: "30/min", 0.001: "3.6/h"} {
		if got := rate(x); got != want {
			t.Errorf("%v: %s, expected %s", x, got, want)
		}
	}
	for x, want := range map[float64]float64{1234: 1300, 0.0341: 0.035, 20: 20, 0: 0} {
		if got := up(x); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, expected %v", x, got, want)
		}
	}
}
