package simulate

import (
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Case is a plan, the traffic it meets and what is wrong with the release.
type Case struct {
	Name     string
	Plan     resource.RingPlan
	Segments map[string]resource.Segment // those that are known
	Shares   map[string]float64          // of the users, by segment or by ring whose audience is no percentage

	Users    int64
	Traffic  float64 // requests a second, on average
	DayCurve float64 // the day's busiest moment against its quietest; 1 for no difference

	Baseline   map[string]float64 // by signal, share of stable's requests that are bad
	Regression map[string]Change  // by signal

	Runs int
	Seed uint64
}

// Change is what a regression does to a signal: it multiplies the bad share, or else sets it.
type Change struct {
	Times float64
	Share float64
}

func (c Change) of(share float64) float64 {
	if c.Times > 0 {
		return c.Times * share
	}
	return c.Share
}

// What is taken when a case leaves it open.
const (
	DefaultUsers  = 100_000
	DefaultRuns   = 1000
	DefaultErrors = 0.005
	DefaultSlow   = 0.01
	defaultShare  = 0.01 // of the users in a rule
)

const (
	maxRuns    = 100_000
	maxUsers   = 10_000_000_000
	maxTraffic = 1_000_000
	maxCurve   = 1000
)

var signals = []string{health.SignalErrors, health.SignalLatency}

// complete fills in what is open, and says what is wrong.
func (c Case) complete() (Case, error) {
	c.Plan = c.Plan.Defaults()
	if c.Users == 0 {
		c.Users = DefaultUsers
	}
	if c.Runs == 0 {
		c.Runs = DefaultRuns
	}
	if c.DayCurve == 0 {
		c.DayCurve = 1
	}
	base := map[string]float64{health.SignalErrors: DefaultErrors, health.SignalLatency: DefaultSlow}
	maps.Copy(base, c.Baseline)
	c.Baseline = base
	switch {
	case len(c.Plan.Rings) == 0:
		return c, errs.E(errs.Invalid, "the plan has no rings")
	case c.Users < 1 || c.Users > maxUsers:
		return c, errs.E(errs.Invalid, "users: got %d, expected 1 to %d", c.Users, int64(maxUsers))
	case !(c.Traffic > 0 && c.Traffic <= maxTraffic):
		return c, errs.E(errs.Invalid, "traffic: got %v a second, expected more than 0 and at most %d", c.Traffic, maxTraffic)
	case !(c.DayCurve >= 1 && c.DayCurve <= maxCurve):
		return c, errs.E(errs.Invalid, "day curve: got %v, expected 1 to %d, how many times the quietest moment's traffic the busiest has", c.DayCurve, maxCurve)
	case c.Runs < 1 || c.Runs > maxRuns:
		return c, errs.E(errs.Invalid, "runs: got %d, expected 1 to %d", c.Runs, maxRuns)
	}
	return c, c.checkSignals()
}

func (c Case) checkSignals() error {
	for _, name := range slices.Sorted(maps.Keys(c.Baseline)) {
		if !slices.Contains(signals, name) {
			return errs.E(errs.Invalid, "baseline: unknown signal %q, expected %s", name, strings.Join(signals, " or "))
		}
		if s := c.Baseline[name]; !(s >= 0 && s < 1) {
			return errs.E(errs.Invalid, "baseline of %s: got %v, expected a share from 0 to below 100%%", name, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Regression)) {
		if !slices.Contains(signals, name) {
			return errs.E(errs.Invalid, "regression: unknown signal %q, expected %s", name, strings.Join(signals, " or "))
		}
		change, base := c.Regression[name], c.Baseline[name]
		if change.Times > 0 && base == 0 {
			return errs.E(errs.Invalid, "regression of %s: %v times a baseline of 0 is no regression, expected a share such as 1%%", name, change.Times)
		}
		if s := change.of(base); !(s >= 0 && s <= 1) {
			return errs.E(errs.Invalid, "regression of %s: the bad share would be %s, expected at most 100%%", name, percent(s))
		}
	}
	return nil
}
