package health

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// defaultsOf fills in what a valid gate leaves open, for its own method only.
func defaultsOf(g DistributionGate) DistributionGate {
	g.Compare = CompareDistribution
	open(&g.Method, MethodSequential)
	open(&g.Direction, DirectionEither)
	open(&g.NaNStrategy, strategyRemove)
	open(&g.NoData, string(Hold))
	if g.Method == MethodSequential {
		open(&g.Alpha, defaultAlpha)
		open(&g.MaxRatio, defaultMaxRatio)
		open(&g.Novel, string(Fail))
		openTo(&g.MinWindows, defaultMinWindows)
		return g
	}
	openTo(&g.Tolerance, defaultTolerance)
	open(&g.Confidence, defaultConfidence)
	outliers, effect := Outliers{}, EffectSize{}
	if g.Outliers != nil { // copied, so that the caller's are left as they are
		outliers = *g.Outliers
	}
	if g.EffectSize != nil {
		effect = *g.EffectSize
	}
	open(&outliers.Strategy, strategyKeep)
	open(&outliers.Factor, defaultFence)
	open(&effect.Measure, effectMeanRatio)
	same := 1.0
	if effect.Measure == effectCLES {
		same = 0.5
	}
	openTo(&effect.AllowedIncrease, same)
	openTo(&effect.AllowedDecrease, same)
	openTo(&effect.CriticalIncrease, same)
	openTo(&effect.CriticalDecrease, same)
	g.Outliers, g.EffectSize = &outliers, &effect
	return g
}

func open[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func openTo[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// ValidateDistribution says what is wrong with a gate, field by field. A setting of the other method is refused: it would
// be taken for one that does something.
func ValidateDistribution(g DistributionGate) error {
	if g.Compare != CompareDistribution {
		return errs.E(errs.Invalid, "gate.compare: got %q, expected distribution, since two series are to be judged", g.Compare)
	}
	foreign := g.foreign()
	g = defaultsOf(g)
	words := []choice{
		{"method", g.Method, []string{MethodSequential, MethodMannWhitney}},
		{"direction", g.Direction, []string{DirectionIncrease, DirectionDecrease, DirectionEither}},
		{"nanStrategy", g.NaNStrategy, []string{strategyRemove, strategyReplace}},
		{"noData", g.NoData, []string{string(Hold), string(Pass), string(Fail)}},
	}
	var numbers []limits
	if g.Method == MethodSequential {
		words = append(words, choice{"novel", g.Novel, []string{string(Fail), string(Hold), actIgnore}})
		numbers = []limits{{"alpha", g.Alpha, minAlpha, maxAlpha}, {"maxRatio", g.MaxRatio, 1, maxRatio}, {"minWindows", float64(*g.MinWindows), 1, MaxPoints}}
	} else {
		e := g.EffectSize
		words = append(words, choice{"outliers.strategy", g.Outliers.Strategy, []string{strategyKeep, strategyRemove}},
			choice{"effectSize.measure", e.Measure, []string{effectMeanRatio, effectCLES}})
		most := float64(maxRatio)
		if e.Measure == effectCLES {
			most = 1
		}
		numbers = []limits{{"tolerance", *g.Tolerance, 0, maxRatio}, {"confidence", g.Confidence, 0.5, 1 - minAlpha},
			{"outliers.outlierFactor", g.Outliers.Factor, minRatio, maxRatio},
			{"effectSize.allowedIncrease", *e.AllowedIncrease, 0, most}, {"effectSize.allowedDecrease", *e.AllowedDecrease, 0, most},
			{"effectSize.criticalIncrease", *e.CriticalIncrease, 0, most}, {"effectSize.criticalDecrease", *e.CriticalDecrease, 0, most}}
	}
	for _, w := range words {
		if !slices.Contains(w.of, w.got) {
			return errs.E(errs.Invalid, "gate.%s: got %s, expected %s", w.name, quoted(w.got), either(w.of))
		}
	}
	if foreign != "" {
		return errs.E(errs.Invalid, "gate.%s: the method %s has no such setting", foreign, g.Method)
	}
	for _, n := range numbers {
		if !(n.got >= n.lo && n.got <= n.hi) { // so written, it refuses NaN
			return errs.E(errs.Invalid, "gate.%s: got %v, expected a number from %v to %v", n.name, n.got, n.lo, n.hi)
		}
	}
	return nil
}

type choice struct {
	name, got string
	of        []string
}

type limits struct {
	name        string
	got, lo, hi float64
}

func either(words []string) string {
	last := len(words) - 1
	return fmt.Sprintf("%s or %s", strings.Join(words[:last], ", "), words[last])
}

// foreign names a setting that belongs to the other method.
func (g DistributionGate) foreign() string {
	settings := []struct {
		name   string
		given  bool
		method string
	}{
		{"alpha", g.Alpha != 0, MethodSequential},
		{"maxRatio", g.MaxRatio != 0, MethodSequential},
		{"minWindows", g.MinWindows != nil, MethodSequential},
		{"novel", g.Novel != "", MethodSequential},
		{"tolerance", g.Tolerance != nil, MethodMannWhitney},
		{"confidence", g.Confidence != 0, MethodMannWhitney},
		{"outliers", g.Outliers != nil, MethodMannWhitney},
		{"effectSize", g.EffectSize != nil, MethodMannWhitney},
	}
	open(&g.Method, MethodSequential)
	for _, s := range settings {
		if s.given && s.method != g.Method {
			return s.name
		}
	}
	return ""
}
