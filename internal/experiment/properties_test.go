package experiment

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

var wild = rapid.OneOf(rapid.Float64(), rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{0, 1e-300, -1e300, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.NaN()}))

// drawn is a summary of any numbers, or of such as could be.
func drawn(t *rapid.T, n int64, odd, adjusted bool) Summary {
	s := Summary{N: n, Adjusted: adjusted}
	for i := range quantities {
		if s.Mean[i] = rapid.Float64Range(-1, 5).Draw(t, "mean"); odd {
			s.Mean[i] = wild.Draw(t, "mean")
		}
		for j := range i + 1 {
			c := rapid.Float64Range(0, 1).Draw(t, "cov")
			if i == j {
				c += 1
			}
			if odd {
				c = wild.Draw(t, "cov")
			}
			s.Cov[i][j], s.Cov[j][i] = c, c
		}
	}
	return s
}

// Whatever the numbers are, there is a reading, it can be written as JSON, and what there is of an estimate is in order.
func TestAnyNumbersHaveAReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{Proportion, Mean, Ratio, Quantile}).Draw(t, "kind")
		metric := func(name string) Metric {
			m := Metric{Name: name, Kind: kind, Direction: rapid.SampledFrom([]Direction{Increase, Decrease}).Draw(t, "direction"),
				Difference: rapid.SampledFrom([]Difference{Relative, Absolute}).Draw(t, "difference"), Margin: rapid.Float64Range(0, 2).Draw(t, "margin")}
			if kind == Quantile {
				m.Quantile = 0.9
			}
			return m
		}
		spec := Spec{Method: rapid.SampledFrom([]Method{Welch, Sequential, Bayesian}).Draw(t, "method"), Primary: metric("p"), Secondary: []Metric{metric("s")}, Guardrails: []Metric{metric("g")},
			Alpha: rapid.Float64Range(1e-6, 0.49).Draw(t, "alpha"), Planned: rapid.Int64Range(0, 1e6).Draw(t, "planned"), Tuning: rapid.Float64Range(1, 1e12).Draw(t, "tuning")}
		if rapid.Bool().Draw(t, "believed") {
			spec.Prior = &Prior{wild.Draw(t, "prior"), wild.Draw(t, "spread")}
		}
		odd, adjusted := rapid.Bool().Draw(t, "odd"), rapid.Bool().Draw(t, "adjusted")
		data := Data{Metrics: map[string][]Summary{}, Multiple: rapid.Int64Range(0, 1000).Draw(t, "multiple")}
		for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "variants")] {
			spec.Variants = append(spec.Variants, Variant{Name: name, Weight: rapid.Float64Range(0.001, 1000).Draw(t, "weight")})
			n := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 1e5), rapid.Just(int64(mostUsers))).Draw(t, "n")
			data.Users = append(data.Users, n)
			for _, m := range []string{"p", "s", "g"} {
				data.Metrics[m] = append(data.Metrics[m], drawn(t, n, odd, adjusted))
			}
		}
		r, err := Analyze(spec, data)
		if spec.Validate() != nil {
			if err == nil {
				t.Fatal("a spec that is refused was analysed")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		for _, m := range r.Metrics {
			for _, c := range m.Treatments {
				if (c.Effect == nil) != (c.Problem != "") || (c.Effect == nil) != (c.State == Unknown) {
					t.Fatalf("%+v", c)
				}
				if c.PValue != nil && !(*c.PValue >= 0 && *c.PValue <= 1) || c.Chance != nil && !(*c.Chance >= 0 && *c.Chance <= 1) || c.CI != nil && !(c.CI[0] <= c.CI[1]) {
					t.Fatalf("%+v: %v %v %v", c, c.PValue, c.Chance, c.CI)
				}
			}
		}
		switch r.Reading.Decision {
		case Ship, Stop, KeepRunning, Broken:
		default:
			t.Fatalf("%+v", r.Reading)
		}
	})
}

// To rename what is good, or to swap the sides of everything, changes no decision.
func TestReadingsAreSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := MeanOf("", 1000, rapid.Float64Range(1, 9).Draw(t, "a"), 3)
		b := MeanOf("", 1000, rapid.Float64Range(1, 9).Draw(t, "b"), 3)
		spec := two()
		spec.Method = rapid.SampledFrom([]Method{Welch, Sequential, Bayesian}).Draw(t, "method")
		spec.Primary.Kind = Mean
		data := Data{Users: []int64{1000, 1000}, Metrics: map[string][]Summary{"bought": {a, b}}}
		up, _ := Analyze(spec, data)
		a.Mean[Value], b.Mean[Value] = -a.Mean[Value], -b.Mean[Value]
		spec.Primary.Direction = Decrease
		data.Metrics["bought"] = []Summary{a, b}
		down, _ := Analyze(spec, data)
		if up.Reading.Decision != down.Reading.Decision {
			t.Fatalf("%s; of the negative: %s", up.Reading, down.Reading)
		}
	})
}
