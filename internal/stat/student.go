package stat

import "math"

// normalFrom is where Student's t is computed from the normal: the error of Wallace's transformation is below 1e-10 from there on.
const normalFrom = 1e5

// StudentTail is the chance that Student's t with df degrees of freedom is above t.
func StudentTail(t, df float64) float64 {
	if df >= normalFrom { // Wallace (Annals of Mathematical Statistics 30, 1959)
		return NormalCDF(-math.Copysign((8*df+1)/(8*df+3)*math.Sqrt(df*math.Log1p(t*t/df)), t))
	}
	if t < 0 {
		return 1 - StudentTail(-t, df)
	}
	if t == 0 {
		return 0.5
	}
	whole := LogBeta(df/2, 0.5)
	if t < 1 { // near the median, where the share between has more digits
		return (1 - math.Exp(LogBetaShare(t*t/(df+t*t), 0.5, df/2, whole))) / 2
	}
	return math.Exp(LogBetaShare(df/(df+t*t), df/2, 0.5, whole)) / 2
}

// StudentQuantile is the t above which Student's t with df degrees of freedom is with the chance tail, for tails above 0 and below 1.
func StudentQuantile(tail, df float64) float64 {
	if tail > 0.5 {
		return -StudentQuantile(1-tail, df)
	}
	z := -NormalQuantile(tail)
	if df >= normalFrom {
		w := z * (8*df + 3) / (8*df + 1)
		return math.Sqrt(df * math.Expm1(w*w/df))
	}
	// Newton's method from a first correction of the normal, kept between what is known to be below and above.
	t, low, high := z+(z*z*z+z)/(4*df), 0.0, math.Inf(1)
	scale := LogGamma((df+1)/2) - LogGamma(df/2) - math.Log(df*math.Pi)/2
	for range 200 {
		over := StudentTail(t, df) - tail
		if over > 0 {
			low = t
		} else {
			high = t
		}
		next := t + over/math.Exp(scale-(df+1)/2*math.Log1p(t*t/df))
		switch {
		case next > low && next < high:
		case math.IsInf(high, 1):
			next = 2*t + 1
		default:
			next = (low + high) / 2
		}
		if math.Abs(next-t) <= 1e-13*(1+t) {
			return next
		}
		t = next
	}
	return t
}
