// Package sim simulates users of experiments: what they do in variants that are alike or differ by a known effect, looked at
// once or often, judged by the code that judges real ones.
package sim

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/ringfence/ringfence/internal/experiment"
)

// User is one user's quantities, in the order of a summary.
type User = [4]float64

// Population is what users do. Draw is of a user whose metric is lift times as large as that of the control on average.
type Population struct {
	Name string
	Kind experiment.Kind
	Draw func(rng *rand.Rand, lift float64) User
}

// Populations are those of the tables.
func Populations() []Population {
	return []Population{
		{"proportion, 10 %", experiment.Proportion, share(0.1)},
		{"proportion, 1 %", experiment.Proportion, share(0.01)},
		{"mean, normal", experiment.Mean, func(rng *rand.Rand, lift float64) User { return User{lift*10 + 20*rng.NormFloat64()} }},
		{"mean, one in ten pays (lognormal)", experiment.Mean, func(rng *rand.Rand, lift float64) User {
			if rng.Float64() >= 0.1 {
				return User{}
			}
			return User{lift * math.Exp(3+rng.NormFloat64())}
		}},
		{"ratio, clicks for each view", experiment.Ratio, clicks},
	}
}

func share(p float64) func(*rand.Rand, float64) User {
	return func(rng *rand.Rand, lift float64) User {
		if rng.Float64() < p*lift {
			return User{1}
		}
		return User{}
	}
}

// clicks are of users who differ in how much they see and in how much of it they like, and see more the more they like.
func clicks(rng *rand.Rand, lift float64) User {
	liked := 0.1 * rng.Float64()
	views := 1 + math.Floor(rng.ExpFloat64()*(2+20*liked))
	hits := 0.0
	for range int(views) {
		if rng.Float64() < liked*lift {
			hits++
		}
	}
	return User{hits, views}
}

// Paired is a mean with a covariate that explains the given share of its variance.
func Paired(explained float64) Population {
	r := math.Sqrt(explained)
	return Population{"mean with a covariate", experiment.Mean, func(rng *rand.Rand, lift float64) User {
		before := rng.NormFloat64()
		return User{lift*10 + 20*(r*before+math.Sqrt(1-explained)*rng.NormFloat64()), 0, 10 + 20*before}
	}}
}

// Trial is how an experiment is run.
type Trial struct {
	Population Population
	Lift       float64 // of the treatment, 1 is none
	Looks      int
	Each       int // users of each variant from look to look
	Covariate  bool
	Alpha      float64
	Methods    []experiment.Method
}

// Outcome is what a method said in a trial.
type Outcome struct {
	Called  bool // ever: better or worse
	Last    bool // at the last look
	At      int  // look of the first call
	Covered bool // the true effect was inside at the last look
	Always  bool // at every look
	Reduced float64
}

// Run is one trial: an outcome for each method.
func (t Trial) Run(rng *rand.Rand) []Outcome {
	out := make([]Outcome, len(t.Methods))
	for i := range out {
		out[i].Always, out[i].At = true, t.Looks
	}
	var a, b experiment.Sums
	specs := t.specs()
	for look := range t.Looks {
		for range t.Each {
			a.Add(t.Population.Draw(rng, 1))
			b.Add(t.Population.Draw(rng, t.Lift))
		}
		kind := t.Population.Kind
		sa, sb := a.Summary("a", kind, t.Covariate), b.Summary("b", kind, t.Covariate)
		for i, spec := range specs {
			r, err := experiment.Analyze(spec, experiment.Data{Users: []int64{a.N, b.N}, Metrics: map[string][]experiment.Summary{"m": {sa, sb}}})
			if err != nil {
				panic(err) // the spec is ours
			}
			c := r.Metrics[0].Treatments[0]
			if c.Effect == nil {
				continue
			}
			o := &out[i]
			o.Last, o.Covered = c.State != experiment.Open, c.CI[0] <= t.Lift-1 && t.Lift-1 <= c.CI[1]
			if o.Last && !o.Called {
				o.Called, o.At = true, look+1
			}
			if o.Always = o.Always && o.Covered; c.Reduced != nil {
				o.Reduced = *c.Reduced
			}
		}
	}
	return out
}

func (t Trial) specs() []experiment.Spec {
	specs := make([]experiment.Spec, len(t.Methods))
	for i, m := range t.Methods {
		specs[i] = experiment.Spec{Method: m, Alpha: t.Alpha, Variants: []experiment.Variant{{Name: "a"}, {Name: "b"}}, Primary: experiment.Metric{Name: "m", Kind: t.Population.Kind}}
	}
	return specs
}

// Rates are means over trials.
type Rates struct{ Called, Last, Covered, Always, Reduced, Looks float64 }

// Many runs a trial so often, on all cores. The same seed gives the same answer on any number of them.
func (t Trial) Many(runs int, seed uint64) []Rates {
	outcomes := make([][]Outcome, runs)
	Each(runs, func(i int) { outcomes[i] = t.Run(rand.New(rand.NewPCG(seed, uint64(i)))) })
	rates := make([]Rates, len(t.Methods))
	for _, one := range outcomes {
		for i, o := range one {
			r := &rates[i]
			r.Called += count(o.Called)
			r.Last += count(o.Last)
			r.Covered += count(o.Covered)
			r.Always += count(o.Always)
			r.Reduced += o.Reduced
			r.Looks += float64(o.At)
		}
	}
	for i := range rates {
		for _, v := range []*float64{&rates[i].Called, &rates[i].Last, &rates[i].Covered, &rates[i].Always, &rates[i].Reduced, &rates[i].Looks} {
			*v /= float64(runs)
		}
	}
	return rates
}

// Each calls do for every number below n, on all cores.
func Each(n int, do func(i int)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}

func count(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Split is how often the check of shares breaks an experiment whose users land on the treatment with the given chance.
func Split(chance float64, looks, each, runs int, seed uint64) (ever, last float64) {
	evers, lasts := make([]float64, runs), make([]float64, runs)
	Each(runs, func(i int) {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		users := []int64{0, 0}
		for range looks {
			for range each {
				k := 0
				if rng.Float64() < chance {
					k = 1
				}
				users[k]++
			}
			lasts[i] = count(experiment.CheckShares(users, []float64{1, 1}).Broken)
			evers[i] = max(evers[i], lasts[i])
		}
	})
	for i := range runs {
		ever += evers[i] / float64(runs)
		last += lasts[i] / float64(runs)
	}
	return ever, last
}

// Guarded is how often a guardrail stops a treatment that is lift times the control, in looks.
func Guarded(p Population, lift, margin float64, looks, each, runs int, seed uint64) float64 {
	stopped := make([]float64, runs)
	spec := experiment.Spec{Variants: []experiment.Variant{{Name: "a"}, {Name: "b"}}, Primary: experiment.Metric{Name: "none", Kind: experiment.Mean},
		Guardrails: []experiment.Metric{{Name: "guarded", Kind: p.Kind, Direction: experiment.Decrease, Margin: margin}}}
	Each(runs, func(i int) {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		var a, b experiment.Sums
		for range looks {
			for range each {
				a.Add(p.Draw(rng, 1))
				b.Add(p.Draw(rng, lift))
			}
			r, err := experiment.Analyze(spec, experiment.Data{Users: []int64{a.N, b.N},
				Metrics: map[string][]experiment.Summary{"guarded": {a.Summary("a", p.Kind, false), b.Summary("b", p.Kind, false)}}})
			if err != nil {
				panic(err) // the spec is ours
			}
			if r.Reading.Decision == experiment.Stop {
				stopped[i] = 1
				return
			}
		}
	})
	sum := 0.0
	for _, s := range stopped {
		sum += s
	}
	return sum / float64(runs)
}
