package health

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"

	"github.com/ringfence/ringfence/internal/errs"
)

// IsDistribution reports whether a case is about two series rather than counts. It only looks; what is wrong with the
// case is for the reader of that kind to say.
func IsDistribution(data []byte) bool {
	var c struct {
		Gate   struct{ Compare any }
		Series there
	}
	var broken *json.SyntaxError
	if err := json.Unmarshal(data, &c); errors.As(err, &broken) {
		return bytes.Contains(data, []byte(`"series"`)) // a guess, for the better message: either reader refuses it
	}
	return bool(c.Series) || c.Gate.Compare == CompareDistribution
}

// there notes that a field was given, without a copy of it.
type there bool

func (t *there) UnmarshalJSON([]byte) error {
	*t = true
	return nil
}

// ParseDistribution reads a case of two series: {"gate":{"compare":"distribution",…},"series":{"canary":[…],"stable":[…]}},
// with null for a missing value. It is as strict as ParseCase.
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
		"gate": func(path string) error { return readDistributionGate(r, path, &gate) },
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

func readDistributionGate(r *reader, path string, g *DistributionGate) error {
	return r.object(path, map[string]field{
		"compare":     word(r, &g.Compare),
		"method":      word(r, &g.Method),
		"direction":   word(r, &g.Direction),
		"nanStrategy": word(r, &g.NaNStrategy),
		"noData":      word(r, &g.NoData),
		"alpha":       func(path string) error { return readSetting(r, path, &g.Alpha) },
		"maxRatio":    func(path string) error { return readSetting(r, path, &g.MaxRatio) },
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
		"confidence": func(path string) error { return readSetting(r, path, &g.Confidence) },
		"outliers": func(path string) error {
			var o Outliers
			given, err := r.optional(path, map[string]field{
				"strategy":      word(r, &o.Strategy),
				"outlierFactor": func(path string) error { return readSetting(r, path, &o.Factor) },
			})
			if given {
				g.Outliers = &o
			}
			return err
		},
		"effectSize": func(path string) error { return readEffectSize(r, path, &g.EffectSize) },
	})
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
