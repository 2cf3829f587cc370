package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringfence/ringfence/internal/health"
)

// The columns beside ours come out as in the published table, on 300 runs.
func TestOtherMethodsComeOutAsPublished(t *testing.T) {
	const runs = 300
	published := map[string][]float64{ // thr-0, thr-3, thr-5, ACA once, ACA each 5 min
		"20/20 healthy":     {99.8, 83.2, 67.8, 0, 0},
		"20/20 5 %":         {100, 100, 100, 39.8, 70.7},
		"100/100 healthy":   {100, 100, 99.9, 0.2, 0.6},
		"100/100 1 %":       {100, 100, 100, 4, 11.7},
		"100/100 2 %":       {100, 100, 100, 99.4, 99.6},
		"100/1900 1 %":      {100, 100, 100, 50.5, 61.8},
		"1000/1000 healthy": {73.3, 4.8, 0.9, 0.1, 0.7},
		"1000/1000 1 %":     {100, 100, 100, 100, 100},
	}
	methods, checked := Methods(0.01), 0
	for i, sc := range Table() {
		want, ok := published[sc.Name]
		if !ok {
			continue
		}
		checked++
		for k, r := range Compare(sc, methods, runs, uint64(i+1))[1:] {
			share := want[k] / 100
			slack := 0.015 + sigmas*math.Sqrt(share*(1-share)/runs)
			if k >= 3 {
				slack += 0.06 // the judge's settings are not published with the table
			}
			if got := r.Share(); math.Abs(got-share) > slack {
				t.Errorf("%s, %s: %.1f %% stopped, published %.1f %%", sc.Name, methods[k+1].Name, 100*got, want[k])
			}
		}
	}
	if checked != len(published) {
		t.Errorf("%d of %d rows were found", checked, len(published))
	}
}

// Ours judges each minute as Run does.
func TestCompareAgreesWithRun(t *testing.T) {
	for _, i := range []int{4, 8} {
		sc := Table()[i]
		const runs = 1000
		one, other := Run(sc, ComparisonOnly(0.01), runs, 1), Compare(sc, Methods(0.01)[:1], runs, 1)[0]
		if d := math.Abs(one.Share() - other.Share()); d > sigmas*math.Sqrt(2*0.25/runs) {
			t.Errorf("%s: %v and %v stopped", sc.Name, one.Share(), other.Share())
		}
	}
}

// The gate, which does not know the effect, needs at most 1.3 times the requests of the test that does, and does not
// stop more healthy releases.
func TestRequestsBesideWald(t *testing.T) {
	const runs, alpha = 200, 0.01
	var races []Race
	for i, e := range Effects() {
		r := e.Run(alpha, runs, uint64(i))
		races = append(races, r)
		if r.Ratio() < 0.95 || r.Ratio() > 1.6 {
			t.Errorf("%+v: ratio %v", e, r.Ratio())
		}
		if r.Omniscient > 1.1*r.Wald {
			t.Errorf("%+v: to know more costs %v requests instead of %v", e, r.Omniscient, r.Wald)
		}
	}
	if ratio := Mean(races, Race.Ratio); ratio > 1.3 {
		t.Errorf("ours needs %.3f times the requests, expected at most 1.3", ratio)
	}
	ours, wald := Mean(races, func(r Race) float64 { return r.OursFalse }), Mean(races, func(r Race) float64 { return r.WaldFalse })
	if ours > alpha || wald > 1.5*alpha {
		t.Errorf("healthy ones stopped: ours %v, Wald's %v, alpha %v", ours, wald, alpha)
	}
}

// Where overshoot hardly counts, Wald's test needs as many requests as his approximation says.
func TestWaldNeedsWhatHeSaid(t *testing.T) {
	e := Effect{Share: 0.5, Times: 1.5}
	hit := 0.6 // of the bad requests, the canary's part
	per := hit*math.Log(1.5) - math.Log1p(0.5*0.5)
	bad := baseline * (1 + 1.5) // for each request of the canary
	want := -math.Log(0.01) / (per * bad)
	if got := e.Run(0.01, 1000, 5).Wald; got < want || got > 1.1*want {
		t.Errorf("%v requests, expected a little more than %v", got, want)
	}
}

func TestReportedCanariesAreFailed(t *testing.T) {
	cases := Cases()
	if len(cases) != 4 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		if ours, kayenta := c.Verdicts(); ours.Verdict != health.Fail || kayenta.Verdict != health.Pass {
			t.Errorf("%s: ours %s, Kayenta %s", c.Name, ours.Verdict, kayenta.Verdict)
		}
	}
}

func TestThresholds(t *testing.T) {
	minutes := func(bad ...int64) (all []health.Sample) {
		for _, b := range bad {
			all = append(all, health.Sample{Canary: &health.Counts{Requests: 100, Bad: b}, Stable: &health.Counts{Requests: 100}})
		}
		return all
	}
	got := []int{threshold(minutes(1, 0, 1), 0), threshold(minutes(0, 2, 0), 0), threshold(minutes(2, 0, 2, 2, 2), 3), threshold(minutes(2, 2, 2), 3)}
	if !slices.Equal(got, []int{0, 2, 5, 0}) {
		t.Errorf("stops at %v", got)
	}
}

func TestPoisson(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, mean := range []int64{0, 3, 100, 199, 200, 1900} {
		const draws = 5000
		var sum, squares float64
		for range draws {
			k := float64(Poisson(rng, mean))
			sum, squares = sum+k, squares+k*k
		}
		m := sum / draws
		if math.Abs(m-float64(mean)) > sigmas*math.Sqrt(float64(mean)/draws)+1e-9 {
			t.Errorf("mean %v, expected %d", m, mean)
		}
		if v := squares/draws - m*m; math.Abs(v-float64(mean)) > 0.1*float64(mean)+1e-9 {
			t.Errorf("variance %v, expected %d", v, mean)
		}
	}
}
