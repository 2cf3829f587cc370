package experiment

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

// seen is an experiment's data from proportions: users and those who did it, by metric and variant.
func seen(users []int64, metrics map[string][]float64) Data {
	d := Data{Users: users, Metrics: map[string][]Summary{}}
	for name, did := range metrics {
		for i, k := range did {
			d.Metrics[name] = append(d.Metrics[name], ProportionOf("", users[i], k))
		}
	}
	return d
}

func two() Spec {
	return Spec{Variants: []Variant{{Name: "control"}, {Name: "new"}}, Primary: Metric{Name: "bought", Kind: Proportion}}
}

func TestReadings(t *testing.T) {
	errors := Metric{Name: "errors", Kind: Proportion, Direction: Decrease}
	guarded := func(m Metric) func(*Spec) { return func(s *Spec) { s.Guardrails = []Metric{m} } }
	lenient := errors
	lenient.Margin = 0.2
	for _, c := range []struct {
		name    string
		change  func(*Spec)
		data    Data
		want    Decision
		because string
	}{
		{"better", nil, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}), Ship, "bought is better: +30 % (+"},
		{"worse", nil, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1300, 1000}}), Stop, "bought is worse: -23.1 % (-"},
		{"less is better", func(s *Spec) { s.Primary.Direction = Decrease }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1300, 1000}}), Ship, "bought is better: -23.1 %"},
		{"alike", nil, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1010}}), KeepRunning, "bought may differ either way: +1 % (-"},
		{"absolute", func(s *Spec) { s.Difference = Absolute }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}), Ship, "bought is better: +0.03 (+0.0"},
		{"few", nil, seen([]int64{99, 110}, map[string][]float64{"bought": {10, 90}}), KeepRunning, "too few users: 99 in the smaller variant, a reading needs 100"},
		{"nobody", nil, seen([]int64{0, 0}, nil), KeepRunning, "too few users: 0"},
		{"no data", nil, seen([]int64{1000, 1000}, nil), KeepRunning, "bought cannot be judged: there is no data"},
		{"nothing varies", nil, seen([]int64{1000, 1000}, map[string][]float64{"bought": {0, 0}}), KeepRunning, "bought cannot be judged: nothing varies in control"},
		{"nothing to be relative to", nil, seen([]int64{1000, 1000}, map[string][]float64{"bought": {0, 50}}), KeepRunning, "bought cannot be judged: the control is 0"},
		{"nothing left", nil, seen([]int64{1000, 1000}, map[string][]float64{"bought": {100, 0}}), Stop, "bought is worse: -100 % ("},
		{"a lopsided quotient", nil, seen([]int64{1000, 1000}, map[string][]float64{"bought": {6, 1}}), KeepRunning, "bought looks different, but too little was seen for it not to be chance: -83.3 % ("},
		{"shares", nil, seen([]int64{10000, 10500}, map[string][]float64{"bought": {1000, 1300}}), Broken, "users landed 10000 / 10500 where 50 % / 50 % were meant (p 0.000479, below 0.001)"},
		{"shares as meant", func(s *Spec) { s.Variants[1].Weight = 0.1 }, seen([]int64{10000, 1010}, map[string][]float64{"bought": {1000, 150}}), Ship, "bought is better"},
		{"several variants", nil, Data{Users: []int64{10000, 10000}, Multiple: 203, Metrics: seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}).Metrics}, Broken, "203 users, 1 %, were seen in more than one variant"},
		{"few in several variants", nil, Data{Users: []int64{10000, 10000}, Multiple: 100, Metrics: seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}).Metrics}, Ship, "bought"},

		{"harm", guarded(errors), seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}, "errors": {100, 200}}), Stop, "errors is harmed: +100 % (+"},
		{"harm before the sample", func(s *Spec) { guarded(errors)(s); s.Minimum = 50000 }, seen([]int64{1000, 1000}, map[string][]float64{"bought": {100, 130}, "errors": {100, 300}}), Stop, "errors is harmed"},
		{"harm in too few users", func(s *Spec) { guarded(errors)(s) }, seen([]int64{99, 99}, map[string][]float64{"bought": {50, 50}, "errors": {1, 90}}), KeepRunning, "too few users"},
		{"less of a good thing", guarded(Metric{Name: "kept", Kind: Proportion}), seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}, "kept": {5000, 4000}}), Stop, "kept is harmed: -20 %"},
		{"nothing left of a good thing", guarded(Metric{Name: "kept", Kind: Proportion}), seen([]int64{1000, 1000}, map[string][]float64{"bought": {100, 110}, "kept": {500, 0}}), Stop, "kept is harmed: -100 %"},
		{"no harm", guarded(errors), seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}, "errors": {100, 105}}), Ship, "bought is better"},
		{"within the margin", guarded(lenient), seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}, "errors": {2000, 2000}}), Ship, "bought is better"},
		{"not shown to be within", guarded(lenient), seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}, "errors": {100, 105}}), KeepRunning, "but the guardrail errors is not shown to be within its margin of 20 %: +5 % ("},
		{"worse, within the margin", guarded(lenient), seen([]int64{100000, 100000}, map[string][]float64{"bought": {10000, 13000}, "errors": {20000, 22000}}), Ship, "bought is better"},
		{"over the margin", guarded(lenient), seen([]int64{100000, 100000}, map[string][]float64{"bought": {10000, 13000}, "errors": {20000, 28000}}), Stop, "errors is harmed: +40 % (+36.4 % to +43.7 %), p below 0.0001, and up to 20 % would be tolerated"},
		{"a guardrail of another difference", func(s *Spec) {
			s.Difference, s.Guardrails = Absolute, []Metric{{Name: "errors", Kind: Proportion, Direction: Decrease, Difference: Relative, Margin: 0.2}}
		}, seen([]int64{100000, 100000}, map[string][]float64{"bought": {10000, 13000}, "errors": {20000, 28000}}), Stop, "errors is harmed: +40 % ("},
		{"a guardrail without data", guarded(errors), seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}), KeepRunning, "the guardrail errors cannot be judged: there is no data"},

		{"half of a fixed horizon", func(s *Spec) { s.Method, s.Planned = Welch, 40000 }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}), KeepRunning, "50 % of the planned users were seen, and a fixed-horizon test is read once"},
		{"the whole of it", func(s *Spec) { s.Method, s.Planned = Welch, 20000 }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}}), Ship, "bought"},
		{"nothing at the end", func(s *Spec) { s.Planned = 20000 }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1010}}), Stop, "all 20000 planned users were seen and bought shows no difference that could not be chance"},
		{"nothing yet", func(s *Spec) { s.Planned = 80000 }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1010}}), KeepRunning, "; 25 % of the planned users were seen"},
		{"a likely winner", func(s *Spec) { s.Method = Bayesian }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1080}}), Ship, "better with a chance of 96."},
		{"a likely loser", func(s *Spec) { s.Method = Bayesian }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1080, 1000}}), Stop, "bought is worse"},
		{"neither", func(s *Spec) { s.Method = Bayesian }, seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1010}}), KeepRunning, "better with a chance of 59"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := two()
			if c.change != nil {
				c.change(&spec)
			}
			r, err := Analyze(spec, c.data)
			if err != nil {
				t.Fatal(err)
			}
			if r.Reading.Decision != c.want || !strings.Contains(r.Reading.Why, c.because) {
				t.Errorf("got %s, expected %s: …%s…", r.Reading, c.want, c.because)
			}
			if raw, err := json.Marshal(r); err != nil || c.name != "harm in too few users" && strings.Contains(string(raw), "null") {
				t.Errorf("%s, %v", raw, err)
			}
		})
	}
}

func TestSeveralTreatments(t *testing.T) {
	spec := Spec{Variants: []Variant{{Name: "control"}, {Name: "red"}, {Name: "blue"}, {Name: "green"}}, Method: Welch, Primary: Metric{Name: "bought", Kind: Proportion},
		Guardrails: []Metric{{Name: "errors", Kind: Proportion, Direction: Decrease}}}
	users := []int64{10000, 10000, 10000, 10000}
	for _, c := range []struct {
		name   string
		bought []float64
		errors []float64
		want   string
		each   []Decision
	}{
		{"the best of two", []float64{1000, 1200, 1300, 1000}, []float64{100, 100, 100, 100}, "ship: blue: bought is better", []Decision{Ship, Ship, KeepRunning}},
		{"the harmless one", []float64{1000, 1200, 1300, 1000}, []float64{100, 100, 300, 100}, "ship: red: bought is better", []Decision{Ship, Stop, KeepRunning}},
		{"all worse", []float64{1300, 1000, 1000, 1000}, []float64{100, 100, 100, 100}, "stop: red: stop, bought is worse", []Decision{Stop, Stop, Stop}},
		{"one worse", []float64{1300, 1000, 1300, 1310}, []float64{100, 100, 100, 100}, "keep running: red: stop, bought is worse", []Decision{Stop, KeepRunning, KeepRunning}},
		// p is 0.02 for blue: enough for one treatment, not for the best of three.
		{"the luckiest of three", []float64{1000, 1000, 1100, 1000}, []float64{100, 100, 100, 100}, "keep running", []Decision{KeepRunning, KeepRunning, KeepRunning}},
	} {
		r, err := Analyze(spec, seen(users, map[string][]float64{"bought": c.bought, "errors": c.errors}))
		if err != nil {
			t.Fatal(err)
		}
		var each []Decision
		for _, one := range r.Treatments {
			each = append(each, one.Decision)
		}
		if !strings.HasPrefix(r.Reading.String(), c.want) || !slices.Equal(each, c.each) {
			t.Errorf("%s: got %s, %v", c.name, r.Reading, each)
		}
	}
	spec.Correction = Uncorrected
	if r, _ := Analyze(spec, seen(users, map[string][]float64{"bought": {1000, 1000, 1100, 1000}, "errors": {100, 100, 100, 100}})); r.Reading.Decision != Ship || r.Metrics[0].Treatments[1].Adjusted != nil {
		t.Errorf("without a correction: %s", r.Reading)
	}
}

// Secondary metrics explain; they decide nothing, and do not make the primary one harder to see.
func TestSecondary(t *testing.T) {
	spec := two()
	data := seen([]int64{10000, 10000}, map[string][]float64{"bought": {1000, 1300}})
	alone, _ := Analyze(spec, data)
	for _, name := range []string{"a", "b", "c"} {
		spec.Secondary = append(spec.Secondary, Metric{Name: name, Kind: Proportion})
		data.Metrics[name] = []Summary{ProportionOf("", 10000, 1300), ProportionOf("", 10000, 1000)}
	}
	r, err := Analyze(spec, data)
	if err != nil || r.Reading != alone.Reading {
		t.Errorf("%s, alone %s, %v", r.Reading, alone.Reading, err)
	}
	c := r.Metrics[1].Treatments[0]
	if c.State != Worse || c.Adjusted == nil || math.Abs(*c.Adjusted-3**c.PValue) > 1e-15 {
		t.Errorf("secondary: %+v", c)
	}
}

func TestProgress(t *testing.T) {
	spec := two()
	spec.Variants[1].Weight, spec.Planned = 0.25, 10000
	r, _ := Analyze(spec, seen([]int64{4000, 1050}, map[string][]float64{"bought": {400, 100}}))
	if r.Progress.Users != 5050 || r.Progress.Planned != 10000 || math.Abs(r.Progress.Share-0.5) > 1e-9 {
		t.Errorf("%+v", r.Progress)
	}
}

func TestValidate(t *testing.T) {
	for field, change := range map[string]func(*Spec){
		"method:": func(s *Spec) { s.Method = "guess" }, "primary.difference:": func(s *Spec) { s.Difference = "ratio" }, "alpha:": func(s *Spec) { s.Alpha = 0.6 }, "tuning:": func(s *Spec) { s.Tuning = -1 },
		"correction:": func(s *Spec) { s.Correction = "x" }, "prior.stddev:": func(s *Spec) { s.Prior = &Prior{} }, "minimumSample:": func(s *Spec) { s.Minimum = -1 }, "plannedSample:": func(s *Spec) { s.Planned = -1 },
		"variants:": func(s *Spec) { s.Variants = s.Variants[:1] }, "variants[1].name:": func(s *Spec) { s.Variants[1].Name = "control" }, "variants[0].weight:": func(s *Spec) { s.Variants[0].Weight = -1 },
		"primary.name:": func(s *Spec) { s.Primary.Name = "" }, "secondary[0].name:": func(s *Spec) { s.Secondary = []Metric{s.Primary} }, "guardrails[0].kind:": func(s *Spec) { s.Guardrails = []Metric{{Name: "x"}} },
		"primary.direction:": func(s *Spec) { s.Primary.Direction = "up" }, "primary.quantile:": func(s *Spec) { s.Primary.Kind = Quantile }, "primary: margin": func(s *Spec) { s.Primary.Margin = math.NaN() },
	} {
		spec := two()
		change(&spec)
		if _, err := Analyze(spec, Data{Users: []int64{1, 1}}); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s got %v", field, err)
		}
	}
	for field, data := range map[string]Data{
		"users:": {}, "users[1]:": {Users: []int64{1, -1}}, "multiple:": {Users: []int64{1, 1}, Multiple: -1}, "metrics.bought:": {Users: []int64{1, 1}, Metrics: map[string][]Summary{"bought": {{}}}},
	} {
		if _, err := Analyze(two(), data); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s got %v", field, err)
		}
	}
}
