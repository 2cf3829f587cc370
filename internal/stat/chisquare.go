package stat

import "math"

// gammaSteps bounds the work for one value; it converges in some multiple of the root of the degrees of freedom.
const gammaSteps = 100_000

// ChiSquareTail is the chance that a chi-square with df degrees of freedom is above x.
func ChiSquareTail(x, df float64) float64 {
	if x <= 0 {
		return 1
	}
	a, x := df/2, x/2
	front := math.Exp(a*math.Log(x) - x - LogGamma(a))
	if x < a+1 { // the series of the share below
		term := 1 / a
		sum := term
		for i := a + 1; i < a+gammaSteps && term > sum*1e-16; i++ {
			term *= x / i
			sum += term
		}
		return max(0, 1-front*sum)
	}
	// The continued fraction of the share above, by Lentz's method.
	b := x + 1 - a
	num, den := 1/1e-300, 1/nonzero(b)
	value := den
	for i := 1.0; i <= gammaSteps; i++ {
		c := -i * (i - a)
		b += 2
		den = 1 / nonzero(c*den+b)
		num = nonzero(b + c/num)
		value *= den * num
		if math.Abs(den*num-1) <= 1e-15 {
			break
		}
	}
	return front * value
}
