package experiment

import (
	"math"
	"testing"
)

// The numbers in this file are those of GrowthBook's own tests (github.com/growthbook/growthbook, packages/stats/tests, MIT
// licence): frequentist/test_tests.py, bayesian/test_tests.py, test_shared_models.py and test_gbstats.py. They
// are checked to as many decimals as are published, five at least.

func sums(n int64, sum, squares float64) Sums {
	s := Sums{N: n}
	s.Sum[Value], s.Product[Value][Value] = sum, squares
	return s
}

func mean(n int64, sum, squares float64) Summary {
	return sums(n, sum, squares).Summary("", Mean, false)
}

func proportion(n int64, sum float64) Summary { return ProportionOf("", n, sum) }

// pair sets sums of quantity i, and their products with earlier ones.
func (s Sums) with(i int, sum, squares float64, products map[int]float64) Sums {
	s.Sum[i], s.Product[i][i] = sum, squares
	for j, p := range products {
		s.Product[i][j], s.Product[j][i] = p, p
	}
	return s
}

func ratioOf(n int64, m, mm, d, dd, md float64) Summary {
	return sums(n, m, mm).with(Denominator, d, dd, map[int]float64{Value: md}).Summary("", Ratio, false)
}

func cuped(n int64, y, yy, x, xx, xy float64) Summary {
	return sums(n, y, yy).with(Covariate, x, xx, map[int]float64{Value: xy}).Summary("", Mean, true)
}

// The sample of the ratio with a covariate that several tests share.
var (
	ratioCupedA = sums(100, 485.112236689623, 2715.484666118136).
			with(Denominator, 679.9093275844917, 4939.424001640236, map[int]float64{Value: 3602.146836776702}).
			with(Covariate, 192.59138069991536, 460.076026390857, map[int]float64{Value: 1113.6215759318352, Denominator: 1460.3181079276983}).
			with(CovariateDenominator, 290.1398399750233, 920.9461385038898, map[int]float64{Value: 1559.2878434944676, Denominator: 2130.9404074446747, Covariate: 634.239482353647}).
			Summary("", Ratio, true)
	ratioCupedB = sums(100, 514.7757826608777, 2994.897482705013).
			with(Denominator, 705.4090874383759, 5291.36604146392, map[int]float64{Value: 3918.1561431600717}).
			with(Covariate, 206.94157227402536, 514.2903702246757, map[int]float64{Value: 1237.0953021125997, Denominator: 1604.0759503266522}).
			with(CovariateDenominator, 302.54389139107326, 994.4506208125663, map[int]float64{Value: 1701.0287270040265, Denominator: 2292.081739775257, Covariate: 698.4173425817908}).
			Summary("", Ratio, true)
)

const (
	none = -99 // not published
	inf  = math.MaxFloat64
)

func TestPublishedVectors(t *testing.T) {
	a3407, a3000, b := mean(3407, 1396.87, 52377.9767), mean(3000, 1396.87, 52377.9767), mean(3461, 2422.7, 134698.29)
	dimA, dimB := mean(100, 270, 848.79), mean(120, 300, 869)
	ratioA, ratioB := ratioOf(100, 270, 848.79, 510, 810, -900), ratioOf(120, 300, 869, 500, 800, -905)
	raA, raB := cuped(3001, 300, 600, 210, 415, -20), cuped(3000, 222, 555, 120, 405, -10)
	binA := sums(3001, 300, 300).with(Covariate, 210, 210, map[int]float64{Value: -20}).Summary("", Proportion, true)
	binB := sums(3000, 222, 222).with(Covariate, 120, 120, map[int]float64{Value: -10}).Summary("", Proportion, true)
	seqRaA, seqRaB := cuped(3000, 1396.87, 52377.9767, 16.87, 527.9767, 1), cuped(3461, 2422.7, 134698.29, 22.7, 1348.29, 1)
	tenA, tenB := mean(10, 100, 1002.25), mean(10, 105, 1111.5)
	q90A := QuantileOf("", 11054, 0.9, 7.157987489967789, 7.098780136176828, 7.217194843758751)
	q90B := QuantileOf("", 10861, 0.9, 7.694499927525767, 7.64180598628119, 7.747193868770344)
	for _, c := range []struct {
		name                        string
		kind                        Kind
		a, b                        Summary
		difference                  Difference
		test                        Test
		effect, se, low, high, p, w float64
	}{
		{"test_two_sided_ttest", Mean, a3407, b, Relative, Test{Method: Welch}, 0.70732, 0.37879, -0.03526, 1.44989, 0.06191, none},
		{"test_two_sided_ttest_absolute", Mean, a3407, b, Absolute, Test{Method: Welch}, 0.29, 0.12478, 0.04538, 0.53462, 0.02016, none},
		{"test_two_sided_ttest_binom", Proportion, proportion(28, 14), proportion(30, 16), Relative, Test{Method: Welch}, 0.06667, 0.2717, -0.47767, 0.61101, 0.80707, none},
		{"test_two_sided_ttest_test_runs_ratio_ra", Ratio, ratioCupedA, ratioCupedB, Relative, Test{Method: Welch}, -0.000701483, 0.00391, -0.00841, 0.00700, 0.857710405, none},
		{"one sided greater", Mean, a3000, b, Relative, Test{Method: Welch, Tail: Above}, 0.5033610858562358, 0.3334122146400735, -0.045136675850396046, inf, 0.06558262868467746, none},
		{"one sided greater, absolute", Mean, a3000, b, Absolute, Test{Method: Welch, Tail: Above}, 0.23437666666666668, 0.12983081254184736, 0.020791480063255735, inf, 0.03554272489873023, none},
		{"one sided lesser", Mean, a3000, b, Relative, Test{Method: Welch, Tail: Below}, 0.5033610858562358, 0.3334122146400735, -inf, 1.0518588475628676, 0.9344173713153225, none},
		{"one sided lesser, absolute", Mean, a3000, b, Absolute, Test{Method: Welch, Tail: Below}, 0.23437666666666668, 0.12983081254184736, -inf, 0.44796185327007765, 0.9644572751012698, none},
		{"test_get_metric_dfs_frequentist", Mean, dimA, dimB, Relative, Test{Method: Welch}, -0.074074074, none, none, none, 0.145219005, none},
		{"test_get_metric_dfs_frequentist_ratio", Ratio, ratioA, ratioB, Relative, Test{Method: Welch}, 0.133333333, none, none, none, 0.610663339, none},
		{"test_analyze_metric_df_ra", Mean, raA, raB, Relative, Test{Method: Welch}, -0.281707154, none, none, none, 0.003732549, none},
		{"test_analyze_metric_df_ra_proportion", Proportion, binA, binB, Relative, Test{Method: Welch}, -0.31620216, none, none, none, 0.000000353, none},

		{"test_sequential_test_runs", Mean, a3000, b, Relative, Test{Method: Sequential, Tuning: 1000}, 0.50336, 0.33341, -0.55844, 1.56516, 1, none},
		{"test_sequential_test_runs_prop", Proportion, proportion(3000, 1396), proportion(3461, 2422), Relative, Test{Method: Sequential}, 0.50386, 0.03386, 0.40098, 0.60675, 0, none},
		{"test_sequential_test_runs_ra", Mean, seqRaA, seqRaB, Relative, Test{Method: Sequential}, 0.50338, 0.33341, -0.50969, 1.51646, 1, none},
		{"test_sequential_test_runs_ratio_ra", Ratio, ratioCupedA, ratioCupedB, Relative, Test{Method: Sequential}, -0.0007, 0.00391, -0.02063, 0.01923, 1, none},
		{"test_analyze_metric_df_sequential", Mean, dimA, dimB, Relative, Test{Method: Sequential, Tuning: 600}, -0.074074074, none, -0.233322085, none, 0.892332229, none},
		// Two things differ in p-values that are searched for. Where the search stops at 0.4999 ours is 1: the equation has no larger
		// alpha. And 0.46316491943359384 is one half step (0.4999 / 4096) of the search beyond the alpha at which the interval
		// ends at 0 to within its tolerance; ours is that alpha, which TestOneTailedPValue solves for again.
		{"sequential, one sided greater", Mean, a3000, b, Relative, Test{Method: Sequential, Tail: Above}, 0.5033610858562358, 0.3334122146400735, -0.42356454602790883, inf, 1, none},
		{"sequential, one sided greater, absolute", Mean, a3000, b, Absolute, Test{Method: Sequential, Tail: Above}, 0.23437666666666668, 0.12983081254184736, -0.12656844172804982, inf, 0.46316491943359384 - 0.4999/4096, none},
		{"sequential, one sided lesser", Mean, a3000, b, Relative, Test{Method: Sequential, Tail: Below}, 0.5033610858562358, 0.3334122146400735, -inf, 1.4302867177403806, 1, none},
		{"sequential, one sided lesser, absolute", Mean, a3000, b, Absolute, Test{Method: Sequential, Tail: Below}, 0.23437666666666668, 0.12983081254184736, -inf, 0.5953217750613832, 1, none},

		{"test_bayesian_binomial_ab_test", Proportion, proportion(100, 49), proportion(100, 51), Relative, Test{Method: Bayesian}, 0.04082, 0.14725, -0.24779, 0.32943, none, 0.60918},
		{"test_bayesian_gaussian_ab_test", Mean, tenA, tenB, Relative, Test{Method: Bayesian}, 0.05, 0.03572, -0.02, 0.12, none, 0.91923},
		{"test_bayesian_gaussian_ab_test_informative", Mean, tenA, tenB, Relative, Test{Method: Bayesian, Prior: &Prior{0.1, math.Sqrt(0.1)}}, 0.05063, none, -0.01893, 0.12019, none, 0.92315},
		{"test_get_metric_dfs_new", Mean, dimA, dimB, Relative, Test{Method: Bayesian}, -0.074074074, none, none, none, none, 0.071834168},
		{"test_get_metric_dfs_bayesian_ratio", Ratio, ratioA, ratioB, Relative, Test{Method: Bayesian}, 0.133333333, none, none, none, none, 0.694926359},
		{"test_bayesian_effect_ab_test, no prior", Quantile, q90A, q90B, Absolute, Test{Method: Bayesian}, 0.5365124375579775, none, 0.4572559589115422, 0.6157689162044128, none, none},
		{"test_bayesian_effect_ab_test, flat prior", Quantile, q90A, q90B, Absolute, Test{Method: Bayesian, Prior: &Prior{0, 1000}, Scale: 7.157987489967789}, 0.536512437540855, none, 0.4572559588956844, 0.6157689161860256, none, none},
		{"test_bayesian_effect_ab_test, relative, flat prior", Quantile, q90A, q90B, Relative, Test{Method: Bayesian, Prior: &Prior{0, 1000}}, 0.07495297222736319, none, 0.06341005842481906, 0.08649588602990732, none, none},
		{"test_bayesian_effect_ab_test, informative", Quantile, q90A, q90B, Absolute, Test{Method: Bayesian, Prior: &Prior{0, 1}, Scale: 7.157987489967789}, 0.536495315442269, none, 0.4572401014910488, 0.6157505293934892, none, none},
		{"test_bayesian_effect_ab_test, relative, informative", Quantile, q90A, q90B, Relative, Test{Method: Bayesian, Prior: &Prior{0, 1}}, 0.07495037261804469, none, 0.06340765898986044, 0.08649308624622894, none, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, why := Compare(c.kind, c.difference, c.a, c.b)
			if why != "" {
				t.Fatal(why)
			}
			c.test.Alpha = 0.05
			if c.test.Tuning == 0 {
				c.test.Tuning = DefaultTuning
			}
			o := c.test.Judge(e)
			same(t, "effect", o.Effect, c.effect)
			same(t, "standard error", e.SE, c.se)
			same(t, "low", o.CI[0], c.low)
			same(t, "high", o.CI[1], c.high)
			same(t, "p-value", o.PValue, c.p)
			same(t, "chance to win", o.Chance, c.w)
		})
	}
}

// same allows half a unit of the fifth decimal, for numbers that are published with five.
func same(t *testing.T, what string, got, want float64) {
	t.Helper()
	switch {
	case want == none:
	case math.Abs(want) == inf:
		if !math.IsInf(got, 0) || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("%s: got %v, expected %v", what, got, want)
		}
	case !(math.Abs(got-want) <= 5.0001e-6):
		t.Errorf("%s: got %.9f, expected %.9f", what, got, want)
	}
}

// More decimals where more are published, and what the table has no column for.
func TestPublishedVectorsFurther(t *testing.T) {
	judge := func(kind Kind, d Difference, a, b Summary, test Test) Outcome {
		t.Helper()
		e, why := Compare(kind, d, a, b)
		if why != "" {
			t.Fatal(why)
		}
		test.Alpha, test.Tuning = 0.05, or(test.Tuning, DefaultTuning)
		return test.Judge(e)
	}
	dimA, dimB := mean(100, 270, 848.79), mean(120, 300, 869)
	if p := judge(Mean, Relative, dimA, dimB, Test{Method: Welch}).PValue; math.Abs(p-0.145219005) > 5e-10 {
		t.Errorf("p %.9f", p)
	}
	binA := sums(3001, 300, 300).with(Covariate, 210, 210, map[int]float64{Value: -20}).Summary("", Proportion, true)
	binB := sums(3000, 222, 222).with(Covariate, 120, 120, map[int]float64{Value: -10}).Summary("", Proportion, true)
	if p := judge(Proportion, Relative, binA, binB, Test{Method: Welch}).PValue; math.Abs(p-0.000000353) > 5e-10 {
		t.Errorf("p %.9f", p)
	}
	risk := judge(Proportion, Relative, proportion(100, 49), proportion(100, 51), Test{Method: Bayesian})
	same(t, "risk of the control", risk.Regret, 0.0814)
	same(t, "risk of the treatment", risk.Loss, 0.04058)
	risk = judge(Mean, Relative, mean(10, 100, 1002.25), mean(10, 105, 1111.5), Test{Method: Bayesian, Prior: &Prior{0.1, math.Sqrt(0.1)}})
	same(t, "risk of the control", risk.Regret, 0.05186)
	same(t, "risk of the treatment", risk.Loss, 0.00123)
	risk = judge(Mean, Relative, dimA, dimB, Test{Method: Bayesian})
	same(t, "risk of the treatment", risk.Loss, 0.075691131)
	same(t, "risk of the treatment, less is better", risk.Regret, 0.001617057)
	exact := Test{Method: Bayesian, Alpha: 0.05}.Judge(Estimate{Effect: 0.1, SE: 0.05})
	if math.Abs(exact.Regret-0.1004245351308) > 1e-10 || math.Abs(exact.Loss-0.0004245351308) > 1e-10 {
		t.Errorf("risks %v and %v", exact.Regret, exact.Loss)
	}
	exact = Test{Method: Bayesian, Alpha: 0.05}.Judge(Estimate{Effect: 0.01, SE: 4.5e-9})
	if math.Abs(exact.Regret-0.01) > 1e-12 || exact.Loss != 0 {
		t.Errorf("risks far out %v and %v", exact.Regret, exact.Loss)
	}
	inverse := judge(Mean, Relative, dimB, dimB, Test{Method: Bayesian})
	if inverse.Chance != 0.5 {
		t.Errorf("alike: chance %v", inverse.Chance)
	}
}

// test_sequential_test_tuning_as_expected: tightest where it is tuned to.
func TestTuning(t *testing.T) {
	e, _ := Compare(Mean, Relative, mean(3000, 1396.87, 52377.9767), mean(3461, 2422.7, 134698.29))
	width := func(tuning float64) float64 {
		ci := Test{Method: Sequential, Alpha: 0.05, Tuning: tuning}.Judge(e).CI
		return ci[1] - ci[0]
	}
	if below, near, above := width(10), width(6461), width(10000); !(near < above && above < below) {
		t.Errorf("widths: tuned too low %v, right %v, too high %v", below, near, above)
	}
}

func TestOneTailedPValue(t *testing.T) {
	e, _ := Compare(Mean, Absolute, mean(3000, 1396.87, 52377.9767), mean(3461, 2422.7, 134698.29))
	test := Test{Method: Sequential, Alpha: 0.05, Tuning: DefaultTuning, Tail: Above}
	p, r := test.Judge(e).PValue, float64(e.N)*test.rho2()
	low, high := 1e-5, 0.4999
	for range 100 {
		mid := (low + high) / 2
		if e.Effect-e.SE*math.Sqrt(2*(r+1)/r*math.Log1p(math.Sqrt(r+1)/(2*mid))) > 0 {
			high = mid
		} else {
			low = mid
		}
	}
	if math.Abs(p-low) > 1e-12 {
		t.Errorf("p %v, but the interval ends at 0 when alpha is %v", p, low)
	}
}

// TestComputeTheta, and the standard deviations of TestThreeArmedCuped.
func TestPublishedSlopes(t *testing.T) {
	post, pre := []float64{2, 1, 5, 3}, []float64{0.3, 0.5, 0.9, 22}
	var s Sums
	for i := range post {
		s.Add([quantities]float64{Value: post[i], Covariate: pre[i]})
	}
	one := s.Summary("", Mean, true)
	same(t, "theta", slope(Mean, one, one), 0.01864)
	flat := one
	flat.Cov[Covariate][Covariate], flat.Mean[Covariate] = 0, 0
	same(t, "theta of a covariate that does not vary", slope(Mean, flat, flat), 0)

	zero, first, second := cuped(3001, 300, 600, 210, 415, -20), cuped(3000, 222, 555, 120, 405, -10), cuped(4000, 450, 900, 300, 600, -30)
	sd := func(s Summary, theta float64) float64 {
		g := gradient{Value: 1, Covariate: -theta}
		return math.Sqrt(s.form(g, g))
	}
	same(t, "stddev of the first", sd(first, slope(Mean, zero, first)), 0.423529598)
	same(t, "stddev of the second", sd(second, slope(Mean, zero, second)), 0.458953951)
	same(t, "stddev of the control beside the second", sd(zero, slope(Mean, zero, second)), 0.434288923)
}

// TestEffectMomentsNegativeBaseline and TestEffectMomentsCupedRatioNegativeBaseline.
func TestNegativeBaselines(t *testing.T) {
	of := func(m float64) Summary { return mean(1000, m*1000, (m*m+4)*1000) }
	for _, c := range []struct{ a, b, relative float64 }{{-10, -5, 0.5}, {-10, -15, -0.5}, {-2, 3, 2.5}, {10, 15, 0.5}, {10, 5, -0.5}} {
		r, why := Compare(Mean, Relative, of(c.a), of(c.b))
		if a, _ := Compare(Mean, Absolute, of(c.a), of(c.b)); why != "" || math.Signbit(a.Effect) != math.Signbit(r.Effect) || !(r.SE > 0) {
			t.Errorf("from %v to %v: absolute %v, relative %v %s", c.a, c.b, a.Effect, r.Effect, why)
		}
		same(t, "relative", r.Effect, c.relative)
	}
	dPostA, dPreA := []float64{1, 2, 1.5, 2.5, 2, 1, 1.5, 2.5}, []float64{1.5, 1, 2, 2, 2.5, 1, 1, 2}
	mPostA, mPreA := []float64{12, 19, 16, 24, 21, 9, 14, 26}, []float64{16, 11, 21, 19, 26, 11, 9, 21}
	dPostB, dPreB := []float64{1.5, 1, 2, 2.5, 1, 2, 2.5, 1.5}, []float64{1, 1.5, 2, 2.5, 1, 2.5, 2, 1.5}
	mPreB := []float64{11, 17, 22, 27, 10, 27, 21, 16}
	for _, c := range []struct {
		m        []float64
		lift, se float64
	}{
		{[]float64{17, 12, 23, 28, 12, 22, 29, 16}, 0.1039280, 0.0286196},
		{[]float64{14, 9, 17, 23, 9, 18, 22, 13}, -0.1372068, 0.0223934},
	} {
		for _, sign := range []float64{1, -1} {
			var a, b Sums
			for i := range 8 {
				a.Add([quantities]float64{sign * mPostA[i], dPostA[i], sign * mPreA[i], dPreA[i]})
				b.Add([quantities]float64{sign * c.m[i], dPostB[i], sign * mPreB[i], dPreB[i]})
			}
			e, why := compare(Ratio, Relative, a.Summary("", Ratio, true), b.Summary("", Ratio, true), 0.5, 0)
			if why != "" || math.Abs(e.Effect-sign*c.lift) > 5.1e-8 || math.Abs(e.SE-c.se) > 5.1e-8 {
				t.Errorf("sign %v: lift %.7f, standard error %.7f %s", sign, e.Effect, e.SE, why)
			}
		}
	}
}
