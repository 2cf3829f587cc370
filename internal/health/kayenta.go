package health

import (
	"fmt"
	"math"
	"slices"
)

// What the Mann-Whitney method says of the canary.
const (
	High    = "High"
	Low     = "Low"
	Similar = "Pass"
	Nodata  = "Nodata"
)

// MannWhitneyEvidence is what the Mann-Whitney method rests on. Numbers are nil where they were not needed, or cannot be
// had: the ratio of two means of which one is 0.
type MannWhitneyEvidence struct {
	Classification string   `json:"classification"` // High, Low, Pass, Nodata
	Critical       bool     `json:"critical"`       // High or Low, and beyond the critical thresholds too
	Shift          *float64 `json:"shift"`          // how much higher the canary's values are: Hodges and Lehmann's estimate
	ShiftLow       *float64 `json:"shiftLow"`       // its confidence interval
	ShiftHigh      *float64 `json:"shiftHigh"`
	Bound          *float64 `json:"bound"`     // what the interval must be beyond: tolerance times the shift
	MeanRatio      *float64 `json:"meanRatio"` // canary's mean over stable's
	Effect         *float64 `json:"effect"`    // by the measure of the gate
}

// judgeMannWhitney judges as Kayenta's judge classifies a metric, for those who come from there, by a valid gate with its
// defaults. What differs: no data is the gate's noData in every case, and the noise that keeps two constant series from
// being all ties is the same every time.
func judgeMannWhitney(g DistributionGate, s Series) DistributionJudgement {
	canary, stable := prepare(g, s.Canary), prepare(g, s.Stable)
	if none(s.Canary) && none(s.Stable) {
		canary, stable = nil, nil // zeros in place of values would turn an outage of the monitoring into health
	}
	j := DistributionJudgement{Gate: g, Verdict: Pass, Evidence: DistributionEvidence{
		CanaryPoints: len(canary), StablePoints: len(stable), CanaryMean: meanPointer(canary), StableMean: meanPointer(stable)}}
	ev, sentence := classify(g, canary, stable)
	j.Evidence.MannWhitneyEvidence, j.Reasons = &ev, []string{sentence}
	switch ev.Classification {
	case High, Low:
		j.Verdict = Fail
	case Nodata:
		j.Verdict = Verdict(g.NoData)
	}
	if j.Verdict == Fail {
		j.StoppedAt = stop(max(len(s.Canary), len(s.Stable), 1) - 1)
	}
	return j
}

// prepare does to one side what the gate says of missing values and outliers.
func prepare(g DistributionGate, values []float64) []float64 {
	var kept []float64
	for _, v := range values {
		switch {
		case !math.IsNaN(v):
			kept = append(kept, v)
		case g.NaNStrategy == strategyReplace:
			kept = append(kept, 0)
		}
	}
	if g.Outliers.Strategy != strategyRemove || len(kept) == 0 {
		return kept
	}
	sorted := slices.Sorted(slices.Values(kept))
	q1, q3 := quantile(sorted, 0.25), quantile(sorted, 0.75)
	reach := g.Outliers.Factor * (q3 - q1)
	lo, hi := min(q1-reach, quantile(sorted, 0.01)), max(q3+reach, quantile(sorted, 0.99))
	return slices.DeleteFunc(kept, func(v float64) bool { return v < lo || v > hi })
}

// quantile interpolates between the order statistics around 1+(n-1)p, the seventh of Hyndman and Fan's definitions.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func classify(g DistributionGate, canary, stable []float64) (MannWhitneyEvidence, string) {
	ev := MannWhitneyEvidence{Classification: Similar}
	switch {
	case len(canary) == 0 || len(stable) == 0:
		ev.Classification = Nodata
		return ev, fmt.Sprintf("There is no data to compare: %s on the canary, %s on stable.", values(len(canary)), values(len(stable)))
	case slices.Equal(slices.Sorted(slices.Values(canary)), slices.Sorted(slices.Values(stable))):
		return ev, "Both sides have exactly the same values, which the Mann-Whitney method passes as Kayenta does, however few they are."
	case constant(canary) && constant(stable) && canary[0] == stable[0]:
		return ev, "Both sides have one value only, the same, which the Mann-Whitney method passes as Kayenta does, however few they are."
	}
	if constant(canary) && constant(stable) {
		canary, stable = noisy(canary), noisy(stable)
	}
	s, err := mannWhitney(canary, stable, g.Confidence)
	if err != nil {
		ev.Classification = Nodata
		return ev, fmt.Sprintf("There is too little data to compare: %s on the canary, %s on stable.", values(len(canary)), values(len(stable)))
	}
	limit := *g.Tolerance * math.Abs(s.Estimate)
	ev.Shift, ev.ShiftLow, ev.ShiftHigh, ev.Bound = &s.Estimate, &s.Low, &s.High, &limit
	ev.MeanRatio = meanRatio(canary, stable)
	ev.Effect = ev.MeanRatio
	e := g.EffectSize
	if e.Measure == effectCLES {
		ev.Effect = cles(canary, stable)
	}
	switch {
	case g.Direction != DirectionDecrease && s.Low > limit && atLeast(ev.Effect, *e.AllowedIncrease):
		ev.Classification, ev.Critical = High, atLeast(ev.Effect, *e.CriticalIncrease)
	case g.Direction != DirectionIncrease && s.High < -limit && atMost(ev.Effect, *e.AllowedDecrease):
		ev.Classification, ev.Critical = Low, atMost(ev.Effect, *e.CriticalDecrease)
	}
	return ev, ev.sentence(g, s)
}

func (ev MannWhitneyEvidence) sentence(g DistributionGate, s shift) string {
	numbers := fmt.Sprintf("the shift is %s, between %s and %s with confidence %s", number(s.Estimate), number(s.Low), number(s.High), percent(g.Confidence))
	if ev.Effect != nil {
		numbers += fmt.Sprintf(", the effect (%s) %s", g.EffectSize.Measure, number(*ev.Effect))
	}
	switch {
	case ev.Critical:
		numbers += ", which is critical"
	case ev.Classification == Similar:
		return fmt.Sprintf("The canary's values are not shown to differ from stable's as direction %s asks: %s.", g.Direction, numbers)
	}
	if ev.Classification == High {
		return fmt.Sprintf("The canary's values are higher than stable's: %s.", numbers)
	}
	return fmt.Sprintf("The canary's values are lower than stable's: %s.", numbers)
}

func values(n int) string {
	if n == 1 {
		return "1 value"
	}
	return fmt.Sprintf("%d values", n)
}

// atLeast and atMost hold for an effect that cannot be told: it is then not asked for.
func atLeast(effect *float64, bar float64) bool { return effect == nil || *effect >= bar }
func atMost(effect *float64, bar float64) bool  { return effect == nil || *effect <= bar }

func constant(values []float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return v != values[0] })
}

// noisy spreads equal values as a normal distribution with a standard deviation of a hundred-thousandth of the value.
func noisy(equal []float64) []float64 {
	spread := make([]float64, len(equal))
	for i, v := range equal {
		p := (float64(i) + 0.5) / float64(len(equal))
		spread[i] = v + v*1e-5*math.Sqrt2*math.Erfinv(2*p-1)
	}
	return spread
}

// meanOfValues corrects the rounding of a sum by a second pass.
func meanOfValues(values []float64) float64 {
	n, sum, rest := float64(len(values)), 0.0, 0.0
	for _, v := range values {
		sum += v
	}
	m := sum / n
	for _, v := range values {
		rest += v - m
	}
	return m + rest/n
}

func meanPointer(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	m := meanOfValues(values)
	return &m
}

func meanRatio(canary, stable []float64) *float64 {
	c, s := meanOfValues(canary), meanOfValues(stable)
	if c == 0 || s == 0 {
		return nil
	}
	ratio := c / s
	if math.IsInf(ratio, 0) {
		ratio = math.Copysign(math.MaxFloat64, ratio) // JSON has no infinity
	}
	return &ratio
}

// cles is the chance that a value of the canary is higher than one of stable, equal ones counting half.
func cles(canary, stable []float64) *float64 {
	sorted := slices.Sorted(slices.Values(stable))
	sum := 0.0
	for _, v := range canary {
		lo, _ := slices.BinarySearch(sorted, v)
		hi, _ := slices.BinarySearch(sorted, math.Nextafter(v, math.Inf(1)))
		sum += float64(lo+hi) / 2
	}
	share := sum / float64(len(canary)) / float64(len(stable))
	return &share
}
