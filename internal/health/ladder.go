package health

import "math"

// rungs is the number of alternatives that a ladder bets on.
const rungs = 7

// rates are the alternatives: how many times more bad events the canary has than it may.
var rates = [rungs]float64{1.25, 1.5, 2, 3, 5, 10, 20}

var logRates = func() (l [rungs]float64) {
	for i, r := range rates {
		l[i] = math.Log(r)
	}
	return l
}()

// Ladder is an e-process: evidence that hits come more often than they may. It starts at 1, and no more than a
// share alpha of harmless processes ever reaches 1/alpha.
//
// Each rung r multiplies, per sample, by r^hits / (1 - share + share·r)^total, where share is the largest allowed
// chance of a hit. The value is the mean of the rungs, so the true rate need not be known beforehand.
//
// Limit. hits are the bad ones among total requests and share is maxShare. A harmless request is bad with a chance
// p <= share, so a factor's mean is ((1-p+pr)/(1-share+share·r))^total <= 1.
//
// Comparison with stable, tolerating m times its rate. total are the bad events of both sides, hits the canary's, ρ
// the canary's share of the requests, and share = ρm/(1-ρ+ρm): the canary's part of the bad events when its rate is
// exactly m times stable's; the factor is then the likelihood ratio of m·r against m. Why its mean is at most 1 for
// every harmless pair of rates p_c <= m·p_s, whatever they are: write a = 1/(1-share+share·r), so that the factor
// is (ra)^x_c · a^x_s with ra >= 1. For independent requests, N of them, as 1+y <= e^y,
//
//	mean <= exp(N·(ρ·p_c·(ra-1) + (1-ρ)·p_s·(a-1))),
//
// which grows with p_c; at p_c = m·p_s the exponent is N·p_s·(a·(1-ρ+ρmr) - (1-ρ+ρm)) = 0. Nothing else is asked of
// the rates, so they may move from sample to sample, and ρ with them. The product over samples, and the mean of
// the rungs, are therefore supermartingales from 1, and Ville's inequality gives the bound at all looks at once.
type Ladder struct {
	Log [rungs]float64 `json:"log"` // logarithm of each rung
	Sup float64        `json:"sup"` // logarithm of the largest value so far, at least 0

	share float64 // what cost is for; the logarithms are nearly all of the work, and shares tend to stay
	cost  [rungs]float64
}

// add folds one sample and reports whether the value rose to a new height. A share of 0 or 1 says nothing: the factor
// is 1.
func (l *Ladder) add(share float64, hits, total int64) (rose bool) {
	if total == 0 || share <= 0 || share >= 1 {
		return false
	}
	if share != l.share {
		l.share = share
		for i, r := range rates {
			l.cost[i] = math.Log1p(share * (r - 1))
		}
	}
	h, n := float64(hits), float64(total)
	high := false
	for i := range l.Log {
		l.Log[i] += h*logRates[i] - n*l.cost[i]
		high = high || l.Log[i] > l.Sup
	}
	if !high { // the mean never exceeds the largest rung: mostly there is no need to take it
		return false
	}
	if v := l.value(); v > l.Sup {
		l.Sup = v
		return true
	}
	return false
}

// reached reports whether the value has ever been 1/alpha.
func (l *Ladder) reached(alpha float64) bool { return l.Sup >= -math.Log(alpha) }

// value is the logarithm of the mean of the rungs.
func (l *Ladder) value() float64 {
	top := l.Log[0]
	for _, v := range l.Log[1:] {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range l.Log {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/rungs)
}

// tilted is the canary's part of all bad events when it has share rho of the requests and m times stable's rate.
func tilted(rho, m float64) float64 {
	return rho * m / (1 - rho + rho*m)
}

// natural turns a logarithm into a number that JSON can carry.
func natural(log float64) float64 {
	return min(math.Exp(log), math.MaxFloat64)
}
