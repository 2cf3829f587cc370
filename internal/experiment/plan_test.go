package experiment

import (
	"math"
	"testing"

	"github.com/ringfence/ringfence/internal/stat"
)

// The published numbers are those of GrowthBook's packages/shared/test/power.test.ts, experiments.test.ts and
// packages/stats/tests/test_midexperimentpower.py.

func TestPublishedPower(t *testing.T) {
	revenue := Sizing{Kind: Mean, Mean: 10, StdDev: math.Sqrt(3909.9997749994377), Effect: 0.05, Shares: [2]float64{1. / 3, 1. / 3}}
	for _, c := range []struct {
		method     Method
		power, mde float64
	}{{Welch, 0.52144, 0.07027}, {Sequential, 0.20596, 0.12821}} {
		z := published(revenue, c.method, 400_000)
		same(t, "power", z.PowerAt(400_000), c.power)
		mde, err := z.Detectable(400_000)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "detectable", mde, c.mde)
	}
	variance := Sizing{Mean: 7, StdDev: 1, Shares: [2]float64{0.5, 0.5}, Difference: Absolute}.se(2, 0)
	same(t, "variance", variance*variance, 2)
}

// published is the plan as the published numbers have it. Those for the sequential method take the estimate to vary by as much more as its
// interval is wider; ours, and theirs in the middle of an experiment (TestPublishedMore), let only the interval be wider.
func published(z Sizing, method Method, users float64) Sizing {
	z.Method = method
	if method == Sequential {
		z = z.defaults()
		wider := z.test().halfWidth(1, users*2/3) / -stat.NormalQuantile(0.025)
		z.Method, z.StdDev = Welch, z.StdDev*wider
		if z.Kind == Proportion { // whose standard deviation is not asked for
			z.Kind = Mean
		}
	}
	return z
}

// Nine weeks of 4,500 users in three variants.
func TestPublishedWeeks(t *testing.T) {
	click := Sizing{Kind: Proportion, Mean: 0.1, Effect: 0.05, Shares: [2]float64{1. / 3, 1. / 3}}
	revenue := Sizing{Kind: Mean, Mean: 0.1, StdDev: math.Sqrt(0.5), Effect: 0.3, Shares: [2]float64{1. / 3, 1. / 3}}
	belief := &Prior{Mean: 0.2, StdDev: math.Sqrt(0.3)}
	for _, c := range []struct {
		method     Method
		prior      *Prior
		power, mde []float64
	}{
		{Welch, nil,
			[]float64{0.073, 0.17053, 0.0965, 0.29389, 0.1204, 0.41122, 0.14458, 0.51749, 0.16895, 0.61037, 0.19342, 0.68938, 0.21791, 0.75513, 0.24235, 0.80886, 0.26666, 0.85213},
			[]float64{0.36767, 1.26769, 0.24505, 0.71941, 0.19525, 0.54299, 0.16673, 0.4506, 0.14774, 0.39208, 0.13394, 0.35099, 0.12336, 0.32018, 0.11491, 0.29603, 0.10796, 0.27647}},
		{Sequential, nil,
			[]float64{0.05936, 0.09832, 0.06912, 0.14992, 0.07849, 0.19972, 0.08761, 0.24784, 0.09657, 0.29426, 0.10541, 0.33888, 0.11415, 0.38165, 0.12282, 0.42249, 0.13142, 0.46136},
			[]float64{0.65545, 4.33868, 0.4112, 1.51846, 0.32394, 1.04943, 0.27607, 0.84084, 0.24484, 0.71862, 0.22241, 0.63663, 0.20532, 0.577, 0.19172, 0.53123, 0.18058, 0.49473}},
		{Bayesian, belief,
			[]float64{0.0752, 0.15127, 0.10103, 0.29358, 0.12581, 0.41893, 0.15048, 0.52858, 0.17516, 0.62241, 0.19984, 0.70103, 0.22446, 0.7657, 0.24899, 0.81807, 0.27334, 0.8599},
			nil}, // theirs are ends of a search by steps of 0.00001
	} {
		for week := range 9 {
			for k, z := range []Sizing{click, revenue} {
				z.Prior = c.prior
				users := float64(week+1) * 4500
				z = published(z, c.method, users)
				same(t, "power", z.PowerAt(users), c.power[2*week+k])
				if c.mde == nil {
					continue
				}
				mde, err := z.Detectable(users)
				if err != nil {
					t.Fatal(err)
				}
				if want := c.mde[2*week+k]; math.Abs(mde-want) > 1.5e-5*max(1, want) { // theirs leaves the other tail out
					t.Errorf("%s, week %d: detectable %.6f, expected %v", c.method, week+1, mde, want)
				}
			}
		}
	}
}

func TestPublishedMore(t *testing.T) {
	e, why := Compare(Mean, Relative, mean(500, 499.99999999999994, 1499.999999999999), mean(500, 525.0000000000008, 1551.2499999999998))
	if why != "" {
		t.Fatal(why)
	}
	for _, c := range []struct {
		test Test
		want float64
	}{
		{Test{Method: Welch}, 25.45703125}, {Test{Method: Sequential, Tuning: 5000}, 55.66796875},
		{Test{Method: Bayesian, Prior: &Prior{0.05, math.Sqrt(0.001)}}, 13.9404296875},
	} {
		c.test.Alpha = 0.05
		// Theirs is where a search stops within 0.00001 of the power.
		if more := c.test.More(e, 0.05, 0.8); math.Abs(more-c.want) > 2e-3 {
			t.Errorf("%s: %v times as many, expected %v", c.test.Method, more, c.want)
		}
		at := c.test.power(0.05, e.SE/math.Sqrt(1+c.want), float64(e.N)*(1+c.want))
		if math.Abs(at-0.8) > 1e-5 {
			t.Errorf("%s: power %v with the published number", c.test.Method, at)
		}
	}
}

func TestUsers(t *testing.T) {
	for _, z := range []Sizing{
		{Kind: Proportion, Mean: 0.1, Effect: 0.05, Method: Welch}, {Kind: Proportion, Mean: 0.1, Effect: 0.05}, {Kind: Proportion, Mean: 0.1, Effect: 0.005, Difference: Absolute, Method: Welch},
		{Kind: Mean, Mean: 20, StdDev: 30, Effect: 0.02, Power: 0.9}, {Kind: Mean, Mean: -20, StdDev: 30, Effect: 0.02, Method: Welch, Explained: 0.5},
		{Kind: Mean, Mean: 20, StdDev: 30, Effect: 5, Difference: Absolute, Method: Welch, Shares: [2]float64{0.9, 0.1}}, {Kind: Ratio, Mean: 2, StdDev: 1, Effect: 3, Method: Bayesian},
	} {
		users, err := z.Users()
		if err != nil {
			t.Fatal(err)
		}
		want := or(z.Power, 0.8)
		if z.PowerAt(float64(users)) < want || z.PowerAt(float64(users-1)) >= want {
			t.Errorf("%+v: %d users are not the fewest", z, users)
		}
		if effect, err := z.Detectable(float64(users)); err != nil || math.Abs(effect-z.Effect) > 0.02*z.Effect && users > 100 {
			t.Errorf("%+v: %d users show %v, %v", z, users, effect, err)
		}
	}
	// A textbook number: 10 % against 10.5 %, z 1.96 and 0.84, both sides as the control: 2 · 0.09 · 7.849 / 0.005².
	z := Sizing{Kind: Proportion, Mean: 0.1, Effect: 0.005, Difference: Absolute, Method: Welch}
	if users, _ := z.Users(); math.Abs(float64(users)-113_020) > 20 {
		t.Errorf("%d users", users)
	}
	half := z
	half.Explained = 0.5
	full, _ := z.Users()
	if users, _ := half.Users(); math.Abs(float64(2*users)/float64(full)-1) > 1e-3 {
		t.Errorf("a covariate that explains half takes %d of %d", users, full)
	}
}

func TestSizingRefuses(t *testing.T) {
	good := Sizing{Kind: Mean, Mean: 1, StdDev: 1, Effect: 0.1}
	for name, change := range map[string]func(*Sizing){
		"a proportion of 1": func(z *Sizing) { z.Kind = Proportion }, "a quantile": func(z *Sizing) { z.Kind = Quantile }, "no spread": func(z *Sizing) { z.StdDev = 0 },
		"relative to 0": func(z *Sizing) { z.Mean = 0 }, "alpha": func(z *Sizing) { z.Alpha = 0.7 }, "power": func(z *Sizing) { z.Power = 1 }, "shares": func(z *Sizing) { z.Shares = [2]float64{1, 1} },
		"explained": func(z *Sizing) { z.Explained = 1 }, "no effect": func(z *Sizing) { z.Effect = 0 }, "no end": func(z *Sizing) { z.Effect = 1e-9 }, "not a number": func(z *Sizing) { z.Mean = math.NaN() },
	} {
		z := good
		change(&z)
		if users, err := z.Users(); err == nil {
			t.Errorf("%s: %d users", name, users)
		}
	}
	if effect, err := (Sizing{Kind: Mean, Mean: 1, StdDev: 10, Effect: 0.1}).Detectable(50); err == nil {
		t.Errorf("50 users show %v", effect)
	}
}

func TestSize(t *testing.T) {
	spec := Spec{Variants: []Variant{{Name: "a"}, {Name: "b"}, {Name: "c", Weight: 0.5}}, Method: Welch, Primary: Metric{Name: "m", Kind: Proportion, MDE: 0.1}}
	three, err := spec.Size(0.1, 0, 0.8)
	if err != nil {
		t.Fatal(err)
	}
	spec.Variants = spec.Variants[:2]
	two, err := spec.Size(0.1, 0, 0.8)
	if want, _ := (Sizing{Kind: Proportion, Mean: 0.1, Effect: 0.1, Method: Welch}).Users(); err != nil || two != want || three <= two {
		t.Errorf("two variants %d (expected %d), three %d, %v", two, want, three, err)
	}
	spec.Primary.MDE = 0
	if _, err := spec.Size(0.1, 0, 0.8); err == nil {
		t.Error("an experiment without an effect to see has a size")
	}
}
