package health

import (
	"math"
	"slices"

	"github.com/ringfence/ringfence/internal/errs"
)

// CompareDistribution compares the values of a metric on the canary with those on stable.
const CompareDistribution = "distribution"

// Ways to compare two series.
const (
	MethodSequential  = "sequential"  // may be looked at after every window
	MethodMannWhitney = "mannWhitney" // once, as Kayenta does
)

// What counts as harm.
const (
	DirectionIncrease = "increase"
	DirectionDecrease = "decrease"
	DirectionEither   = "either"
)

const (
	strategyRemove  = "remove"
	strategyReplace = "replace"
	strategyKeep    = "keep"
	actIgnore       = "ignore"
	effectMeanRatio = "meanRatio"
	effectCLES      = "cles"
)

const (
	// MaxPoints is the most values that a side may have: ten weeks of one a minute.
	MaxPoints = 100_000
	// MaxValue is the largest value, of either sign; sums and differences of such values are numbers too.
	MaxValue = 1e100

	defaultMinWindows = 10
	defaultTolerance  = 0.25
	defaultConfidence = 0.98
	defaultFence      = 3
)

// DistributionGate judges two series of values. Zero values mean the defaults.
type DistributionGate struct {
	Compare     string `json:"compare"`
	Method      string `json:"method,omitempty"`      // sequential (default), mannWhitney
	Direction   string `json:"direction,omitempty"`   // increase, decrease, either (default)
	NaNStrategy string `json:"nanStrategy,omitempty"` // remove (default): a missing value says nothing; replace: it is 0
	NoData      string `json:"noData,omitempty"`      // hold (default), pass, fail: the verdict when there is nothing to compare

	// Of the sequential method.
	Alpha      float64 `json:"alpha,omitempty"`      // 0.01
	MaxRatio   float64 `json:"maxRatio,omitempty"`   // 1: how many times stable's the canary's values may be, or the other way round
	MinWindows *int    `json:"minWindows,omitempty"` // 10: windows with both sides that a pass needs
	Novel      string  `json:"novel,omitempty"`      // fail (default), hold, ignore: when the canary leaves a level that stable never leaves

	// Of the Mann-Whitney method.
	Tolerance  *float64    `json:"tolerance,omitempty"`  // 0.25 of the estimated shift
	Confidence float64     `json:"confidence,omitempty"` // 0.98
	Outliers   *Outliers   `json:"outliers,omitempty"`
	EffectSize *EffectSize `json:"effectSize,omitempty"`
}

// Outliers says what becomes of values far from the rest of their own side.
type Outliers struct {
	Strategy string  `json:"strategy,omitempty"`      // keep (default), remove
	Factor   float64 `json:"outlierFactor,omitempty"` // 3 interquartile ranges
}

// EffectSize says how large a difference must be to count. Defaults are "no difference": 1 for the ratio of means,
// 0.5 for the common language effect size.
type EffectSize struct {
	Measure          string   `json:"measure,omitempty"` // meanRatio (default), cles
	AllowedIncrease  *float64 `json:"allowedIncrease,omitempty"`
	AllowedDecrease  *float64 `json:"allowedDecrease,omitempty"`
	CriticalIncrease *float64 `json:"criticalIncrease,omitempty"`
	CriticalDecrease *float64 `json:"criticalDecrease,omitempty"`
}

// Series are the values of a metric by time window, those with the same index at the same time. NaN is a missing value;
// the shorter side misses the windows that the other has more.
type Series struct {
	Canary []float64
	Stable []float64
}

// DistributionEvidence is what a verdict on two series rests on: the counts, and the numbers of the method used.
type DistributionEvidence struct {
	CanaryPoints int      `json:"canaryPoints"` // values judged
	StablePoints int      `json:"stablePoints"`
	CanaryMean   *float64 `json:"canaryMean"` // nil: there are none
	StableMean   *float64 `json:"stableMean"`
	*SequentialEvidence
	*MannWhitneyEvidence
}

// DistributionJudgement is a verdict on two series with everything needed to explain it.
type DistributionJudgement struct {
	Gate      DistributionGate     `json:"gate"`
	Verdict   Verdict              `json:"verdict"`
	StoppedAt *int                 `json:"stoppedAt"` // index of the window at which it failed; the last one for mannWhitney
	Evidence  DistributionEvidence `json:"evidence"`
	Reasons   []string             `json:"reasons"`
}

// JudgeDistribution judges two series. A gate that is wrong holds and says why, as do values that cannot be.
func JudgeDistribution(gate DistributionGate, series Series) DistributionJudgement {
	err := ValidateDistribution(gate)
	if err == nil {
		err = validateSeries(gate, series)
	}
	if err != nil {
		return DistributionJudgement{Gate: defaultsOf(DistributionGate{}), Verdict: Hold, Reasons: []string{"Nothing can be judged: " + err.Error() + "."}}
	}
	gate = defaultsOf(gate)
	if gate.Method == MethodMannWhitney {
		return judgeMannWhitney(gate, series)
	}
	if none(series.Canary) && none(series.Stable) {
		series = Series{} // zeros in place of values would turn an outage of the monitoring into health
	}
	q := newSequence(gate)
	for i := range max(len(series.Canary), len(series.Stable)) {
		q.Add(at(series.Canary, i), at(series.Stable, i))
	}
	return q.Judgement()
}

func at(values []float64, i int) float64 {
	if i < len(values) {
		return values[i]
	}
	return math.NaN()
}

func none(values []float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return !math.IsNaN(v) })
}

func validateSeries(g DistributionGate, s Series) error {
	for _, side := range []struct {
		name   string
		values []float64
	}{{"canary", s.Canary}, {"stable", s.Stable}} {
		if n := len(side.values); n > MaxPoints {
			return errs.E(errs.Invalid, "series.%s: got %d values, expected at most %d", side.name, n, MaxPoints)
		}
		for i, v := range side.values {
			if math.Abs(v) > MaxValue { // no missing value is
				return errs.E(errs.Invalid, "series.%s[%d]: got %v, expected a number from %v to %v", side.name, i, v, -MaxValue, MaxValue)
			}
			if v < 0 && g.MaxRatio > 1 {
				return errs.E(errs.Invalid, "series.%s[%d]: got %v, expected 0 or more, since gate.maxRatio has no meaning below", side.name, i, v)
			}
		}
	}
	return nil
}
