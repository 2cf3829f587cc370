package stat

import "math"

// NormalCDF is the chance that a standard normal is at most x.
func NormalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// NormalDensity is the density of the standard normal.
func NormalDensity(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// NormalQuantile is the x with NormalCDF(x) = p, for p from 0 to 1.
func NormalQuantile(p float64) float64 {
	if p > 0.5 {
		return -NormalQuantile(1 - p)
	}
	x := -math.Sqrt2 * math.Erfinv(1-2*p)
	if p < 1e-4 && p > 0 { // 1-2p has lost digits: Newton's method on the logarithm finds them again
		if math.IsInf(x, 0) {
			x = -math.Sqrt(-2 * math.Log(p))
		}
		for range 20 {
			tail := NormalCDF(x)
			step := (math.Log(tail) - math.Log(p)) * tail / NormalDensity(x)
			if x -= step; math.Abs(step) < 1e-14*math.Abs(x) {
				break
			}
		}
	}
	return x
}
