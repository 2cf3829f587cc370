package health

import (
	"strconv"

	"github.com/ringfence/ringfence/internal/errs"
)

// What a gate can look at and compare with.
const (
	SignalErrors  = "errors"
	SignalLatency = "latency"

	SignalQuantile = "quantile" // a quantile of the latencies
	SignalQuery    = "query"    // a PromQL expression with limits
	SignalSeries   = "series"   // two PromQL expressions, by distribution
	SignalWebhook  = "webhook"
	SignalCommand  = "command"
	SignalProbe    = "probe"
	SignalAlerts   = "alerts" // alerts that fire

	CompareStable = "stable" // stable over the same samples
	CompareNone   = "none"   // nothing; the absolute limit alone judges
)

const (
	defaultAlpha       = 0.01
	defaultMaxRatio    = 1
	defaultMaxShare    = 0.05 // for errors
	defaultMinRequests = 500
	defaultQuantile    = 0.99

	minAlpha, maxAlpha       = 1e-12, 0.5
	minRatio, maxRatio       = 1e-3, 1e3
	minShare, maxShare       = 1e-9, 1
	minQuantile, maxQuantile = 0.01, 0.9999
	maxFailures              = 1000
)

// kind is how a signal is judged: by counts, by the one quantile, by readings or by two series.
type kind uint8

const (
	unknown kind = iota
	byCounts
	byQuantile
	byReadings
	bySeries
)

func (k kind) String() string {
	return [...]string{"nothing", "counts of requests", "histograms of latency", "readings", "two series"}[k]
}

func kindOf(signal string) kind {
	switch signal {
	case SignalErrors, SignalLatency:
		return byCounts
	case SignalQuantile:
		return byQuantile
	case SignalQuery, SignalWebhook, SignalCommand, SignalProbe, SignalAlerts:
		return byReadings
	case SignalSeries:
		return bySeries
	}
	return unknown
}

// Defaults fills in what a gate leaves open.
func Defaults(g Gate) Gate {
	open(&g.Signal, SignalErrors)
	if d := g.Distribution; g.Alpha == 0 && d != nil {
		g.Alpha = d.Alpha
	}
	open(&g.Alpha, defaultAlpha)
	switch kindOf(g.Signal) {
	case byCounts:
		open(&g.Compare, CompareStable)
		open(&g.MaxRatio, defaultMaxRatio)
		openTo(&g.MinRequests, defaultMinRequests)
		most := float64(maxShare)
		if g.Signal == SignalErrors {
			most = defaultMaxShare
		}
		open(&g.MaxShare, most)
	case byQuantile:
		open(&g.Compare, CompareStable)
		open(&g.MaxRatio, defaultMaxRatio)
		openTo(&g.MinRequests, defaultMinRequests)
		open(&g.Quantile, defaultQuantile)
	case byReadings:
		patience := 1
		if g.Signal == SignalQuery || g.Signal == SignalProbe {
			patience = 3
		}
		open(&g.Failures, patience)
	case bySeries:
		open(&g.Compare, CompareStable)
		d := g.distribution()
		g.Distribution = &d
	}
	return g
}

// distribution is how two series are judged. The gate's alpha goes before that of its distribution, so that a rollout
// can spend a part of it in each ring; the other method has none.
func (g Gate) distribution() DistributionGate {
	var d DistributionGate
	if g.Distribution != nil {
		d = *g.Distribution
	}
	d.Compare = CompareDistribution
	if d.Method == "" || d.Method == MethodSequential {
		d.Alpha = g.Alpha
	}
	return d
}

// Validate says what is wrong with a gate, field by field. Open fields are fine.
func Validate(g Gate) error {
	if err := g.foreignSetting(); err != nil {
		return err
	}
	g = Defaults(g)
	if g.Compare != "" && g.Compare != CompareStable && g.Compare != CompareNone {
		return errs.E(errs.Invalid, "gate.compare: got %q, expected stable or none", g.Compare)
	}
	if !validOver(g.Over) {
		return errs.E(errs.Invalid, "gate.over: got %q, expected seconds such as \"0.3\"", g.Over)
	}
	for _, f := range g.numbers() {
		if !(f.got >= f.lo && f.got <= f.hi) { // so written, it refuses NaN
			return errs.E(errs.Invalid, "gate.%s: got %v, expected a number from %v to %v", f.name, f.got, f.lo, f.hi)
		}
	}
	if n := g.MinRequests; n != nil && (*n < 0 || *n > MaxCount) {
		return errs.E(errs.Invalid, "gate.minRequests: got %d, expected a whole number from 0 to %d", *n, int64(MaxCount))
	}
	if s := g.ExpectedShare; s != 0 && !(s >= minShare && s <= 1-minShare) {
		return errs.E(errs.Invalid, "gate.expectedShare: got %v, expected a share between 0 and 1, or 0 for no check", s)
	}
	if kindOf(g.Signal) == bySeries {
		return ValidateDistribution(*g.Distribution)
	}
	return g.canJudge()
}

// validateAs is Validate for what judges one kind only.
func validateAs(k kind, g Gate) error {
	err := Validate(g)
	if got := Defaults(g).Signal; err == nil && kindOf(got) != k {
		err = errs.E(errs.Invalid, "gate.signal: %s is judged by %s, not by %s", got, kindOf(got), k)
	}
	return err
}

// numbers are the settings that the gate's signal has, with their limits.
func (g Gate) numbers() []limits {
	all := []limits{{"alpha", g.Alpha, minAlpha, maxAlpha}}
	switch kindOf(g.Signal) {
	case byCounts:
		all = append(all, limits{"maxRatio", g.MaxRatio, minRatio, maxRatio}, limits{"maxShare", g.MaxShare, minShare, maxShare})
	case byQuantile:
		all = append(all, limits{"maxRatio", g.MaxRatio, minRatio, maxRatio}, limits{"quantile", g.Quantile, minQuantile, maxQuantile})
		if g.Max != nil {
			all = append(all, limits{"max", *g.Max, minShare, MaxValue})
		}
	case byReadings:
		all = append(all, limits{"failures", float64(g.Failures), 1, maxFailures})
		if g.Max != nil {
			all = append(all, limits{"max", *g.Max, -MaxValue, MaxValue})
		}
		if g.Min != nil {
			all = append(all, limits{"min", *g.Min, -MaxValue, MaxValue})
		}
	}
	return all
}

// canJudge refuses a gate that could never say anything.
func (g Gate) canJudge() error {
	switch {
	case g.Signal == SignalQuery && g.Max == nil && g.Min == nil:
		return errs.E(errs.Invalid, "gate: a query without max and min has nothing to judge by").Next("give max, min or both")
	case g.Min != nil && g.Max != nil && *g.Min > *g.Max:
		return errs.E(errs.Invalid, "gate.min: got %v, expected at most max, %v", *g.Min, *g.Max)
	case g.Judges():
		return nil
	case g.Signal == SignalQuantile:
		return errs.E(errs.Invalid, "gate: with compare none and no max there is nothing to judge by").Next("give max, or compare with stable")
	}
	return errs.E(errs.Invalid, "gate: with compare none and no maxShare below 1 there is nothing to judge by").
		Next("give maxShare, or compare with stable")
}

// foreignSetting refuses a setting that the gate's signal does not have: it would be taken for one that does something.
// Not so what a ring gives to all of its gates: alpha, compare and expectedShare.
func (g Gate) foreignSetting() error {
	open(&g.Signal, SignalErrors)
	k := kindOf(g.Signal)
	if k == unknown {
		return errs.E(errs.Invalid, "gate.signal: got %s, expected errors, latency, quantile, query, series, webhook, command or probe", quoted(g.Signal))
	}
	for _, f := range []struct {
		name       string
		given, may bool
	}{
		{"over", g.Over != "", k == byCounts},
		{"maxRatio", g.MaxRatio != 0, k == byCounts || k == byQuantile},
		{"maxShare", g.MaxShare != 0, k == byCounts},
		{"minRequests", g.MinRequests != nil, k == byCounts || k == byQuantile},
		{"quantile", g.Quantile != 0, k == byQuantile},
		{"max", g.Max != nil, k == byQuantile || k == byReadings},
		{"min", g.Min != nil, k == byReadings},
		{"failures", g.Failures != 0, k == byReadings},
		{"distribution", g.Distribution != nil, k == bySeries},
	} {
		if f.given && !f.may {
			return errs.E(errs.Invalid, "gate.%s: the signal %s has no such setting", f.name, g.Signal)
		}
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
	switch kindOf(g.Signal) {
	case byCounts:
		return g.Compare != CompareNone || g.MaxShare < 1
	case byQuantile:
		return g.Compare != CompareNone || g.Max != nil
	}
	return true
}
