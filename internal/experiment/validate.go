package experiment

import (
	"fmt"
	"math"
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// Validate refuses what Analyze and the plans could make nothing of. The message begins with the field.
func (s Spec) Validate() error {
	s = s.Defaults()
	check := func(ok bool, field, format string, args ...any) error {
		if ok {
			return nil
		}
		return errs.E(errs.Invalid, "%s: %s", field, fmt.Sprintf(format, args...))
	}
	for _, err := range []error{
		check(slices.Contains([]Method{Sequential, Welch, Bayesian}, s.Method), "method", "got %q, expected sequential, welch or bayesian", s.Method),
		check(s.Alpha >= 1e-6 && s.Alpha <= 0.49, "alpha", "got %v, expected 0.000001 to 0.49", s.Alpha),
		check(s.Tuning >= 1 && finite(s.Tuning), "tuning", "got %v, expected at least 1", s.Tuning),
		check(slices.Contains([]Correction{Holm, BenjaminiHochberg, Uncorrected}, s.Correction), "correction", "got %q, expected holm, benjamini-hochberg or none", s.Correction),
		check(s.Prior == nil || math.Abs(s.Prior.Mean) <= 1e6, "prior.mean", "expected -1000000 to 1000000"),
		check(s.Prior == nil || s.Prior.StdDev >= 1e-6 && s.Prior.StdDev <= 1e6, "prior.stddev", "expected 0.000001 to 1000000"),
		check(s.Minimum >= 1, "minimumSample", "got %d, expected at least 1", s.Minimum),
		check(s.Planned >= 0, "plannedSample", "got %d, expected at least 1", s.Planned),
		check(len(s.Variants) >= 2, "variants", "got %d, expected at least two, the control first", len(s.Variants)),
	} {
		if err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for i, v := range s.Variants {
		field := fmt.Sprintf("variants[%d]", i)
		if v.Name == "" || seen[v.Name] {
			return errs.E(errs.Invalid, "%s.name: got %q, expected a name that no other variant has", field, v.Name)
		}
		if seen[v.Name] = true; v.Weight <= 0 || !finite(v.Weight) {
			return errs.E(errs.Invalid, "%s.weight: got %v, expected above 0", field, v.Weight)
		}
	}
	return s.validateMetrics()
}

func (s Spec) validateMetrics() error {
	seen := map[string]bool{}
	for _, m := range s.metrics() {
		if m.Name == "" || seen[m.Name] {
			return errs.E(errs.Invalid, "%s.name: got %q, expected a name that no other metric has", m.field, m.Name)
		}
		seen[m.Name] = true
		if !slices.Contains([]Kind{Proportion, Mean, Ratio, Quantile}, m.Kind) {
			return errs.E(errs.Invalid, "%s.kind: got %q, expected proportion, mean, ratio or quantile", m.field, m.Kind)
		}
		if m.Direction != Increase && m.Direction != Decrease {
			return errs.E(errs.Invalid, "%s.direction: got %q, expected increase or decrease", m.field, m.Direction)
		}
		if m.Difference != Relative && m.Difference != Absolute {
			return errs.E(errs.Invalid, "%s.difference: got %q, expected relative or absolute", m.field, m.Difference)
		}
		if q := m.Quantile; m.Kind == Quantile && !(q >= 0.01 && q <= 0.9999) || m.Kind != Quantile && q != 0 {
			return errs.E(errs.Invalid, "%s.quantile: got %v, expected 0.01 to 0.9999 for a quantile and none for others", m.field, q)
		}
		if !(m.Margin >= 0) || !(m.MDE >= 0) || !finite(m.Margin, m.MDE) {
			return errs.E(errs.Invalid, "%s: margin and mde: got %v and %v, expected at least 0", m.field, m.Margin, m.MDE)
		}
	}
	return nil
}

// placed is a metric with its role.
type placed struct {
	Metric
	role  Role
	field string
}

func (s Spec) metrics() []placed {
	all := []placed{{s.Primary, Primary, "primary"}}
	for i, m := range s.Secondary {
		all = append(all, placed{m, Secondary, fmt.Sprintf("secondary[%d]", i)})
	}
	for i, m := range s.Guardrails {
		all = append(all, placed{m, Guardrail, fmt.Sprintf("guardrails[%d]", i)})
	}
	return all
}
