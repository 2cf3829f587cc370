package health

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"

	"github.com/ringfence/ringfence/internal/errs"
)

// Form is what the samples of a case are, and with that how it is read.
type Form string

const (
	FormCounts     Form = "counts"
	FormHistograms Form = "histograms"
	FormReadings   Form = "readings"
	FormSeries     Form = "series"
)

// FormOf says which form a case has. It only looks; what is wrong with the case is for the reader of that form to say.
func FormOf(data []byte) Form {
	var c struct {
		Gate             struct{ Compare, Signal any }
		Series, Readings there
	}
	var wrongType *json.UnmarshalTypeError
	err := json.NewDecoder(bytes.NewReader(data)).Decode(&c) // only the first value: what follows is for the reader to refuse
	if err != nil && !errors.As(err, &wrongType) {           // a guess, for the better message: any reader refuses it
		has := func(word string) bool { return bytes.Contains(data, []byte(`"`+word+`"`)) }
		c.Series, c.Readings = there(has("series")), there(has("readings"))
		if has(SignalQuantile) {
			c.Gate.Signal = SignalQuantile
		}
	}
	signal, _ := c.Gate.Signal.(string)
	switch kind := kindOf(signal); {
	case bool(c.Series) || c.Gate.Compare == CompareDistribution || kind == bySeries:
		return FormSeries
	case kind == byQuantile:
		return FormHistograms
	case kind == byReadings, bool(c.Readings):
		return FormReadings
	}
	return FormCounts
}

// there notes that a field was given, without a copy of it.
type there bool

func (t *there) UnmarshalJSON([]byte) error {
	*t = true
	return nil
}

// ParseDistribution reads a case of two series: {"gate":{"compare":"distribution",…},"series":{"canary":[…],"stable":[…]}},
// with null for a missing value. In place of compare the gate may have "signal":"series", and its settings may stand in
// "distribution", as a judgement of that signal writes them. It is as strict as ParseCase.
func ParseDistribution(data []byte) (DistributionGate, Series, error) {
	var gate DistributionGate
	series := Series{}
	r := newReader(data)
	given := map[string]bool{}
	side := func(name string, to *[]float64) field {
		return func(path string) error {
			given[name] = true
			return readValues(r, path, to)
		}
	}
	err := r.object("", map[string]field{
		"gate": func(path string) error { return readSeriesGate(r, path, &gate) },
		"series": func(path string) error {
			return r.object(path, map[string]field{"canary": side("canary", &series.Canary), "stable": side("stable", &series.Stable)})
		},
	})
	if err == nil {
		err = r.end()
	}
	for _, name := range []string{"canary", "stable"} {
		if err == nil && !given[name] {
			err = errs.E(errs.Invalid, "series.%s: missing, expected a list of numbers, with null for a missing value", name)
		}
	}
	if err == nil {
		err = ValidateDistribution(gate)
	}
	if err == nil {
		err = validateSeries(gate, series)
	}
	if err != nil {
		return DistributionGate{}, Series{}, err
	}
	return gate, series, nil
}

func readValues(r *reader, path string, to *[]float64) error {
	*to = []float64{}
	return r.array(path, MaxPoints, func(path string) error {
		v := math.NaN()
		err := ignored(r.number(path, &v))
		*to = append(*to, v)
		return err
	})
}

// readSeriesGate reads the gate of two series in either spelling.
func readSeriesGate(r *reader, path string, to *DistributionGate) error {
	var beside DistributionGate
	var inside *DistributionGate
	var signal, name string
	fields := distributionFields(r, &beside)
	fields["signal"], fields["name"] = word(r, &signal), word(r, &name)
	fields["distribution"] = func(path string) error {
		var d DistributionGate
		given, err := r.optional(path, distributionFields(r, &d))
		if given {
			inside = &d
		}
		return err
	}
	if err := r.object(path, fields); err != nil {
		return err
	}
	switch {
	case signal != "" && signal != SignalSeries:
		return errs.E(errs.Invalid, "%s.signal: got %s, expected series, since two series are to be judged", path, quoted(signal))
	case signal == "" && inside != nil:
		return errs.E(errs.Invalid, "%s.distribution: only for the signal series", path)
	case inside == nil && signal != "" && beside.Compare == "":
		beside.Compare = CompareDistribution
	}
	*to = beside
	if inside != nil {
		return inDistribution(path, beside, *inside, to)
	}
	return nil
}

// inDistribution takes the settings that stand in distribution. Beside them may only stand what the gate of a ring has there.
func inDistribution(path string, beside, inside DistributionGate, to *DistributionGate) error {
	rest := beside
	rest.Compare, rest.Alpha = "", 0
	switch {
	case rest != DistributionGate{}:
		return errs.E(errs.Invalid, "%s: some settings stand in distribution and some beside it, expected all in it", path)
	case beside.Compare != "" && beside.Compare != CompareStable:
		return errs.E(errs.Invalid, "%s.compare: got %s, expected stable beside distribution", path, quoted(beside.Compare))
	case inside.Compare != "" && inside.Compare != CompareDistribution:
		return errs.E(errs.Invalid, "%s.distribution.compare: got %s, expected distribution", path, quoted(inside.Compare))
	}
	g := Gate{Signal: SignalSeries, Alpha: beside.Alpha, Distribution: &inside}
	*to = *Defaults(g).Distribution
	return nil
}

// distributionFields are the settings of how two series are judged.
func distributionFields(r *reader, g *DistributionGate) map[string]field {
	return map[string]field{
		"compare":     word(r, &g.Compare),
		"method":      word(r, &g.Method),
		"direction":   word(r, &g.Direction),
		"nanStrategy": word(r, &g.NaNStrategy),
		"noData":      word(r, &g.NoData),
		"alpha":       setting(r, &g.Alpha),
		"maxRatio":    setting(r, &g.MaxRatio),
		"novel":       word(r, &g.Novel),
		"minWindows": func(path string) error {
			var n int64
			given, err := r.whole(path, &n)
			if given {
				windows := int(max(-1, min(n, MaxPoints+1))) // what is beyond is refused either way
				g.MinWindows = &windows
			}
			return err
		},
		"tolerance":  bound(r, &g.Tolerance),
		"confidence": setting(r, &g.Confidence),
		"outliers": func(path string) error {
			var o Outliers
			given, err := r.optional(path, map[string]field{
				"strategy":      word(r, &o.Strategy),
				"outlierFactor": setting(r, &o.Factor),
			})
			if given {
				g.Outliers = &o
			}
			return err
		},
		"effectSize": func(path string) error { return readEffectSize(r, path, &g.EffectSize) },
	}
}

func readEffectSize(r *reader, path string, to **EffectSize) error {
	var e EffectSize
	given, err := r.optional(path, map[string]field{
		"measure":          word(r, &e.Measure),
		"allowedIncrease":  bound(r, &e.AllowedIncrease),
		"allowedDecrease":  bound(r, &e.AllowedDecrease),
		"criticalIncrease": bound(r, &e.CriticalIncrease),
		"criticalDecrease": bound(r, &e.CriticalDecrease),
	})
	if given {
		*to = &e
	}
	return err
}

// word reads a name of something, which is never empty.
func word(r *reader, to *string) field {
	return func(path string) error {
		given, err := r.text(path, to)
		if given && *to == "" {
			return r.fault(path, `""`, "a word")
		}
		return err
	}
}

// bound reads a number of which 0 is one like any other.
func bound(r *reader, to **float64) field {
	return func(path string) error {
		var v float64
		given, err := r.number(path, &v)
		if given {
			*to = &v
		}
		return err
	}
}
