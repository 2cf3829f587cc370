package stat

import "math"

// LogGamma is the logarithm of the gamma function of a number above 0.
func LogGamma(x float64) float64 {
	v, _ := math.Lgamma(x) // of positive numbers only: the sign is known
	return v
}

// LogBeta is the logarithm of the beta function.
func LogBeta(a, b float64) float64 { return LogGamma(a) + LogGamma(b) - LogGamma(a+b) }

// LogBetaShare is the logarithm of the share of the beta function with parameters a and b that lies below x; whole is the logarithm of all
// of it. Where the share cannot be told from 0 it is taken to be 0, which makes evidence smaller.
func LogBetaShare(x, a, b, whole float64) float64 {
	front := a*math.Log(x) + b*math.Log1p(-x) - whole
	if x < (a+1)/(a+b+2) {
		return front + math.Log(betaFraction(x, a, b)/a)
	}
	above := math.Exp(front) * betaFraction(1-x, b, a) / b
	if above == 0 && front > -700 { // it did not converge
		return math.Inf(-1)
	}
	return math.Log(max(0, 1-above))
}

// betaSteps bounds the work for one value. More would be needed only for billions of requests whose hits are as many as
// they should be, where there is no evidence anyway.
const betaSteps = 20_000

// betaFraction is the continued fraction of the incomplete beta function, by Lentz's method; 0 when it does not converge.
func betaFraction(x, a, b float64) float64 {
	num, den := 1.0, 1/nonzero(1-(a+b)*x/(a+1))
	value := den
	for i := 1.0; i <= betaSteps; i++ {
		last := value
		for _, c := range [2]float64{
			i * (b - i) * x / ((a + 2*i - 1) * (a + 2*i)),
			-(a + i) * (a + b + i) * x / ((a + 2*i) * (a + 2*i + 1)),
		} {
			den = 1 / nonzero(1+c*den)
			num = nonzero(1 + c/num)
			value *= den * num
		}
		if math.Abs(value-last) <= 1e-13*math.Abs(value) {
			return value
		}
	}
	return 0
}

// nonzero keeps a divisor away from 0.
func nonzero(v float64) float64 {
	if math.Abs(v) < 1e-300 {
		return 1e-300
	}
	return v
}
