package health

import "math"

// fractions of its wealth that a wager stakes, each from the start to the end.
var fractions = [...]float64{0.1, 0.3, 0.6, 0.95}

// wager is wealth that starts at 1 and is staked on payoffs from -1 to 1: an e-process if no payoff has a mean above 0,
// given what came before. It is the mean over the fractions, so that the size of the payoffs need not be known
// beforehand.
type wager struct {
	log [len(fractions)]float64 // logarithms of the wealth by fraction
}

func (w *wager) add(payoff float64) {
	if payoff == 0 {
		return
	}
	for i, f := range fractions {
		w.log[i] += math.Log1p(f * payoff)
	}
}

// value is the logarithm of the wealth.
func (w *wager) value() float64 { return meanOf(w.log[:]) }

// meanOf is the logarithm of the mean of what the logarithms stand for.
func meanOf(logs []float64) float64 {
	top := logs[0]
	for _, v := range logs[1:] {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range logs {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/float64(len(logs)))
}

// higher bets that one side's values are the higher ones, in three ways. Each payoff is a difference of what the two
// values of a window score on a scale that was settled before them and never falls, so its mean is at most 0 when the
// first value is stochastically no larger than the second; that of sign also when the first is at most as often the
// larger of the two as the smaller. All three depend on the order of values alone.
type higher struct {
	seen reference
	sign wager // which of the two is larger: sees a small difference that is always there, whatever moves both
	rank wager // where they stand among all seen: sees a shift
	tail wager // how far they are in the highest quarter: sees a few very large values
}

func (h *higher) add(canary, stable float64) {
	switch {
	case canary > stable:
		h.sign.add(1)
	case canary < stable:
		h.sign.add(-1)
	}
	c, s := h.seen.rank(canary), h.seen.rank(stable)
	h.rank.add(c - s)
	h.tail.add(upper(c) - upper(s))
	h.seen.add(canary, stable)
}

func upper(rank float64) float64 { return max(0, 4*rank-3) }

func (h *higher) value() float64 {
	return meanOf([]float64{h.sign.value(), h.rank.value(), h.tail.value()})
}

// alike bets that one can tell the two sides by their values: the payoff of a window is how much more the canary's value
// resembles earlier ones of the canary than stable's does. When both sides have the same distribution, that is as often
// for as against.
type alike struct {
	seen reference
	wager
}

func (a *alike) add(canary, stable float64) {
	a.wager.add(a.seen.likeness(canary) - a.seen.likeness(stable))
	a.seen.add(canary, stable)
}
