package experiment

import (
	"math"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/stat"
)

// Sizing is a plan: an effect to be seen between a control and one treatment. Zero values mean the defaults: a sequential
// relative difference, alpha 0.05, power 0.8, tuning 5000, two equal variants.
type Sizing struct {
	Kind       Kind
	Mean       float64 // of the control: the proportion, the mean or the ratio
	StdDev     float64 // of users; that of a proportion follows from it
	Effect     float64 // the smallest worth seeing
	Difference Difference
	Method     Method
	Alpha      float64
	Power      float64
	Tuning     float64
	Prior      *Prior
	Shares     [2]float64 // of all users: the control's and the treatment's
	Explained  float64    // share of the variance that a covariate explains: its squared correlation with the metric
}

func (z Sizing) defaults() Sizing {
	z.Difference, z.Method = or(z.Difference, Relative), or(z.Method, Sequential)
	z.Alpha, z.Power, z.Tuning = or(z.Alpha, DefaultAlpha), or(z.Power, DefaultPower), or(z.Tuning, DefaultTuning)
	z.Shares = or(z.Shares, [2]float64{0.5, 0.5})
	if z.Kind == Proportion {
		z.StdDev = math.Sqrt(z.Mean * (1 - z.Mean))
	}
	return z
}

// Validate refuses what nothing can be planned for. The message begins with the field.
func (z Sizing) Validate() error {
	z = z.defaults()
	switch {
	case !finite(z.Mean, z.StdDev, z.Effect, z.Explained, z.Shares[0], z.Shares[1]):
		return errs.E(errs.Invalid, "mean, stddev, effect: expected finite numbers")
	case z.Kind == Proportion && !(z.Mean > 0 && z.Mean < 1):
		return errs.E(errs.Invalid, "mean: got %v, expected a proportion above 0 and below 1", z.Mean)
	case z.Kind == Quantile:
		return errs.E(errs.Invalid, "kind: the sample for a quantile cannot be planned from a mean and a standard deviation")
	case !(z.StdDev > 0):
		return errs.E(errs.Invalid, "stddev: got %v, expected above 0", z.StdDev)
	case z.Difference == Relative && z.Mean == 0:
		return errs.E(errs.Invalid, "mean: got 0, nothing is relative to it")
	case !(z.Alpha >= 1e-6 && z.Alpha <= 0.49) || !(z.Power > z.Alpha && z.Power < 1):
		return errs.E(errs.Invalid, "alpha, power: got %v and %v, expected alpha from 0.000001 to 0.49 and power between alpha and 1", z.Alpha, z.Power)
	case !(z.Shares[0] > 0 && z.Shares[1] > 0 && z.Shares[0]+z.Shares[1] <= 1+1e-9):
		return errs.E(errs.Invalid, "shares: got %v, expected two above 0, together at most 1", z.Shares)
	case !(z.Explained >= 0 && z.Explained < 1):
		return errs.E(errs.Invalid, "explained: got %v, expected at least 0 and below 1", z.Explained)
	}
	return nil
}

// se is the standard error of the effect when so many users are in all variants. Both sides are taken to vary alike.
func (z Sizing) se(users, effect float64) float64 {
	variance := z.StdDev * z.StdDev * (1 - z.Explained)
	a, b := variance/(users*z.Shares[0]), variance/(users*z.Shares[1])
	if z.Difference == Absolute {
		return math.Sqrt(a + b)
	}
	return math.Sqrt(b+a*(1+effect)*(1+effect)) / math.Abs(z.Mean)
}

func (z Sizing) test() Test {
	t := Test{Method: z.Method, Alpha: z.Alpha, Tuning: z.Tuning, Prior: z.Prior, Scale: 1}
	if z.Difference == Absolute {
		t.Scale = math.Abs(z.Mean)
	}
	return t
}

// PowerAt is the chance that the effect is told from none when so many users are in all variants: for the sequential method at that
// look alone, which is less than the chance at that or an earlier one.
func (z Sizing) PowerAt(users float64) float64 {
	z = z.defaults()
	return z.test().power(z.Effect, z.se(users, z.Effect), users*(z.Shares[0]+z.Shares[1]))
}

// power is the chance that an effect with the standard error se, after n users of both, is told from none.
func (t Test) power(effect, se, n float64) float64 {
	effect = math.Abs(effect)
	half, centre := -stat.NormalQuantile(t.Alpha/2)*se, 0.0
	switch {
	case t.Method == Sequential:
		half = t.halfWidth(se, n)
	case t.Method == Bayesian && t.Prior != nil: // the posterior's interval, in terms of the estimate
		sd := t.Prior.StdDev * t.scale()
		half *= math.Sqrt(1 + se*se/(sd*sd))
		centre = se * se * t.Prior.Mean * t.scale() / (sd * sd)
	}
	return stat.NormalCDF((effect+centre-half)/se) + stat.NormalCDF((-effect-centre-half)/se)
}

// most is the largest number of users that is planned for.
const most = 1e12

// Users is how many users of all variants it takes to see the effect with the planned power.
func (z Sizing) Users() (int64, error) {
	if err := z.Validate(); err != nil {
		return 0, err
	}
	if z = z.defaults(); z.Effect == 0 {
		return 0, errs.E(errs.Invalid, "effect: got 0, which no number of users shows")
	}
	low, high := 0.0, 4.0
	for ; z.PowerAt(high) < z.Power; high *= 2 {
		if low = high; high > most {
			return 0, errs.E(errs.Invalid, "effect: %v would take more than %g users", z.Effect, most)
		}
	}
	for high-low > 1 {
		if mid := math.Floor((low + high) / 2); z.PowerAt(mid) < z.Power {
			low = mid
		} else {
			high = mid
		}
	}
	return int64(high), nil
}

// Detectable is the smallest effect that so many users of all variants show with the planned power.
func (z Sizing) Detectable(users float64) (float64, error) {
	if err := z.Validate(); err != nil {
		return 0, err
	}
	z = z.defaults()
	power := func(effect float64) float64 {
		z.Effect = effect
		return z.PowerAt(users)
	}
	unit := z.se(users, 0)
	low, high := 0.0, unit
	for ; power(high) < z.Power; high *= 2 {
		if low = high; high > 1e6*unit {
			return 0, errs.E(errs.Invalid, "users: %g are too few to see any relative effect", users)
		}
	}
	for high-low > 1e-12*high {
		if mid := (low + high) / 2; power(mid) < z.Power {
			low = mid
		} else {
			high = mid
		}
	}
	return high, nil
}

// More is how many times the users seen so far are still needed to see an effect with the given power, if they go on as those of
// the estimate; 0 when they suffice, infinite when no number would.
func (t Test) More(e Estimate, effect, power float64) float64 {
	at := func(factor float64) float64 {
		return t.power(effect, e.SE/math.Sqrt(1+factor), float64(e.N)*(1+factor))
	}
	if at(0) >= power {
		return 0
	}
	low, high := 0.0, 1.0
	for ; at(high) < power; high *= 2 {
		if low = high; high > most {
			return math.Inf(1)
		}
	}
	for high-low > 1e-9*high {
		if mid := (low + high) / 2; at(mid) < power {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// Size plans for a primary metric whose control has the given mean and standard deviation: the users of all variants together for
// its MDE. With several treatments alpha is shared out among them, as Holm's correction does at worst, and the
// treatment with the smallest share counts.
func (s Spec) Size(mean, stddev, power float64) (int64, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	s = s.Defaults()
	if s.Primary.MDE == 0 {
		return 0, errs.E(errs.Invalid, "primary.mde: expected the smallest effect worth seeing")
	}
	shares := s.weights()
	least := shares[1]
	for _, share := range shares[2:] {
		least = min(least, share)
	}
	alpha := s.Alpha
	if s.Correction != Uncorrected && s.Method != Bayesian {
		alpha /= float64(len(shares) - 1)
	}
	return Sizing{Kind: s.Primary.Kind, Mean: mean, StdDev: stddev, Effect: s.Primary.MDE, Difference: s.Primary.Difference, Method: s.Method,
		Alpha: alpha, Power: power, Tuning: s.Tuning, Prior: s.Prior, Shares: [2]float64{shares[0], least}}.Users()
}
