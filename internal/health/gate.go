package health

import (
	"strconv"

	"github.com/ringfence/ringfence/internal/errs"
)

// What a gate can look at and compare with.
const (
	SignalErrors  = "errors"
	SignalLatency = "latency"

	CompareStable = "stable" // stable over the same samples
	CompareNone   = "none"   // nothing; the absolute limit alone judges
)

const (
	defaultAlpha       = 0.01
	defaultMaxRatio    = 1
	defaultMaxShare    = 0.05 // for errors
	defaultMinRequests = 500

	minAlpha, maxAlpha = 1e-12, 0.5
	minRatio, maxRatio = 1e-3, 1e3
	minShare, maxShare = 1e-9, 1
)

// Defaults fills in what a gate leaves open.
func Defaults(g Gate) Gate {
	if g.Signal == "" {
		g.Signal = SignalErrors
	}
	if g.Compare == "" {
		g.Compare = CompareStable
	}
	if g.Alpha == 0 {
		g.Alpha = defaultAlpha
	}
	if g.MaxRatio == 0 {
		g.MaxRatio = defaultMaxRatio
	}
	if g.MaxShare == 0 {
		g.MaxShare = maxShare
		if g.Signal == SignalErrors {
			g.MaxShare = defaultMaxShare
		}
	}
	if g.MinRequests == nil {
		n := int64(defaultMinRequests)
		g.MinRequests = &n
	}
	return g
}

// Validate says what is wrong with a gate, field by field. Open fields are fine.
func Validate(g Gate) error {
	g = Defaults(g)
	if g.Signal != SignalErrors && g.Signal != SignalLatency {
		return errs.E(errs.Invalid, "gate.signal: got %q, expected errors or latency", g.Signal)
	}
	if g.Compare != CompareStable && g.Compare != CompareNone {
		return errs.E(errs.Invalid, "gate.compare: got %q, expected stable or none", g.Compare)
	}
	if !validOver(g.Over) {
		return errs.E(errs.Invalid, "gate.over: got %q, expected seconds such as \"0.3\"", g.Over)
	}
	for _, f := range []struct {
		name        string
		got, lo, hi float64
	}{
		{"alpha", g.Alpha, minAlpha, maxAlpha},
		{"maxRatio", g.MaxRatio, minRatio, maxRatio},
		{"maxShare", g.MaxShare, minShare, maxShare},
	} {
		if !(f.got >= f.lo && f.got <= f.hi) { // so written, it refuses NaN
			return errs.E(errs.Invalid, "gate.%s: got %v, expected a number from %v to %v", f.name, f.got, f.lo, f.hi)
		}
	}
	if n := *g.MinRequests; n < 0 || n > MaxCount {
		return errs.E(errs.Invalid, "gate.minRequests: got %d, expected a whole number from 0 to %d", n, int64(MaxCount))
	}
	if s := g.ExpectedShare; s != 0 && !(s >= minShare && s <= 1-minShare) {
		return errs.E(errs.Invalid, "gate.expectedShare: got %v, expected a share between 0 and 1, or 0 for no check", s)
	}
	if !g.Judges() {
		return errs.E(errs.Invalid, "gate: with compare none and no maxShare below 1 there is nothing to judge by").
			Next("give maxShare, or compare with stable")
	}
	return nil
}

func validOver(s string) bool {
	if s == "" {
		return true
	}
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && v > 0 && v <= 86400
}

// Judges reports whether the gate has anything to judge by. One that compares with nothing and has no absolute
// limit could only ever hold.
func (g Gate) Judges() bool {
	g = Defaults(g)
	return g.Compare != CompareNone || g.MaxShare < 1
}
