package health

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// minute draws one minute's requests of both sides.
type minute func(r *rand.Rand, at int) (canary, stable side)

// side are n requests whose latencies are lognormal, with the given 99th percentile and spread.
type side struct {
	n           int
	p99, spread float64
}

func latencies(n int, p99 float64) side { return side{n, p99, 0.6} }

func both99(canary, stable side) minute {
	return func(*rand.Rand, int) (side, side) { return canary, stable }
}

// classes are buckets as the gateway's, eight to each doubling from half a millisecond up, or others.
type classes []float64

var eighths = func() (b classes) {
	for k := range 121 {
		b = append(b, 0.0005*math.Pow(2, float64(k)/8))
	}
	return b
}()

// shades is how finely a distribution is drawn.
const shades = 1 << 16

// world draws histograms over the same bounds. Which bucket each shade of a side falls into is worked out once.
type world struct {
	bounds classes
	of     map[side][]uint8
}

func (w *world) draw(r *rand.Rand, s side) *Histogram {
	n := s.n
	s.n = 0
	buckets := w.of[s]
	if buckets == nil {
		buckets = make([]uint8, shades)
		mid := math.Log(s.p99) - 2.3263478740*s.spread
		for i := range buckets {
			v := math.Exp(mid + s.spread*math.Sqrt2*math.Erfinv(2*(float64(i)+0.5)/shades-1))
			at, _ := slices.BinarySearch(w.bounds, v)
			buckets[i] = uint8(at)
		}
		w.of[s] = buckets
	}
	h := &Histogram{Counts: make([]int64, len(w.bounds)+1)}
	for range n {
		h.Counts[buckets[r.Uint32()%shades]]++
	}
	return h
}

// watched is the share of runs that are failed when looked at each minute, and the mean minute of that.
func watched(g Gate, b classes, m minute, minutes, runs int) (share, mean float64) {
	g.Signal = SignalQuantile
	w := world{b, map[side][]uint8{}}
	for i := range runs {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		q := NewQuantile(g)
		for at := 0; at < minutes && q.stopped == nil; at++ {
			canary, stable := m(r, at)
			if err := q.Add(HistogramSample{Bounds: b, Canary: w.draw(r, canary), Stable: w.draw(r, stable)}); err != nil {
				panic(err)
			}
		}
		if q.stopped != nil {
			share++
			mean += float64(*q.stopped + 1)
		}
	}
	return share / float64(runs), mean / max(share, 1)
}

// A canary that is no worse is failed with a chance of at most alpha, looked at each minute for a day.
func TestQuantileFalseStops(t *testing.T) {
	day := func(at int) float64 { return 1.1 + math.Sin(2*math.Pi*float64(at/30)/48) } // 0.1 to 2.1
	for _, tc := range []struct {
		name string
		gate Gate
		b    classes
		m    minute
	}{
		{"alike", Gate{}, eighths, both99(latencies(50, 0.3), latencies(50, 0.3))},
		{"alike, a small canary", Gate{}, eighths, both99(latencies(10, 0.3), latencies(90, 0.3))},
		{"alike, hardly any traffic", Gate{}, eighths, both99(latencies(1, 0.3), latencies(2, 0.3))},
		{"the median alike", Gate{Quantile: 0.5}, eighths, both99(latencies(50, 0.3), latencies(50, 0.3))},
		{"p99.9 alike", Gate{Quantile: 0.999}, eighths, both99(latencies(50, 0.3), latencies(50, 0.3))},
		{"worse by just as much as allowed", Gate{MaxRatio: 1.25}, eighths, both99(latencies(50, 0.375), latencies(50, 0.3))},
		{"allowed twice as much, bucket on bucket", Gate{MaxRatio: 2}, eighths, both99(latencies(50, 0.6), latencies(50, 0.3))},
		{"alike, coarse buckets", Gate{}, classes{.01, .05, .1, .3, 1, 3, 10}, both99(latencies(50, 0.3), latencies(50, 0.3))},
		{"at the limit", Gate{Compare: CompareNone, Max: ptr(0.3)}, classes{.01, .05, .1, .3, 1, 3, 10}, both99(latencies(50, 0.3), side{})},
		{"twice the spread, the same p99", Gate{}, eighths, both99(side{50, 0.3, 1.2}, side{50, 0.3, 0.6})},
		{"half the spread, the same p99", Gate{}, eighths, both99(side{50, 0.3, 0.3}, side{50, 0.3, 0.6})},
		{"both slow by day", Gate{}, eighths, func(_ *rand.Rand, at int) (side, side) {
			return latencies(50, 0.3*day(at)), latencies(50, 0.3*day(at))
		}},
		{"both slow by day, which has the canary's traffic", Gate{}, eighths, func(_ *rand.Rand, at int) (side, side) {
			return latencies(int(40*day(at)), 0.3*day(at)), latencies(50, 0.3*day(at))
		}},
	} {
		runs := 25
		if testing.Short() {
			runs = 10
		}
		const alpha = 0.05
		tc.gate.Alpha = alpha
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			share, _ := watched(tc.gate, tc.b, tc.m, 1440, runs)
			t.Logf("%.1f %% at alpha %v", 100*share, alpha)
			if most := alpha + 3*math.Sqrt(alpha/float64(runs)); share > most {
				t.Errorf("%v are stopped, at most %v should be", share, most)
			}
		})
	}
}

// Harm is seen, and how soon.
func TestQuantilePower(t *testing.T) {
	for _, tc := range []struct {
		name    string
		gate    Gate
		m       minute
		minutes int
		least   float64
		soonest float64 // mean minute, at most
	}{
		{"twice, 100 beside 100 a minute", Gate{}, both99(latencies(100, 0.6), latencies(100, 0.3)), 60, 1, 10},
		{"twice, 100 beside 1900", Gate{}, both99(latencies(100, 0.6), latencies(1900, 0.3)), 60, 1, 10},
		{"twice, 10 beside 190", Gate{}, both99(latencies(10, 0.6), latencies(190, 0.3)), 120, 1, 60},
		{"half as much again, 100 beside 1900", Gate{}, both99(latencies(100, 0.45), latencies(1900, 0.3)), 120, 0.95, 60},
		{"a quarter more, 100 beside 1900", Gate{}, both99(latencies(100, 0.375), latencies(1900, 0.3)), 240, 0, 240},
		{"twice, where 1.25 is allowed", Gate{MaxRatio: 1.25}, both99(latencies(100, 0.6), latencies(1900, 0.3)), 60, 1, 20},
		{"twice the limit", Gate{Compare: CompareNone, Max: ptr(0.3)}, both99(latencies(100, 0.6), side{}), 60, 1, 20},
	} {
		share, mean := watched(tc.gate, eighths, tc.m, tc.minutes, 60)
		t.Logf("%s: %.0f %% at minute %.1f", tc.name, 100*share, mean)
		if share < tc.least || mean > tc.soonest {
			t.Errorf("%s: %v are stopped, at minute %v", tc.name, share, mean)
		}
	}
}

// Neither witness wins anything on average while both sides are alike, be it in the first sample, which says itself what to
// look at, or in a later one.
func TestQuantileWitnessesAreFair(t *testing.T) {
	const runs = 6000
	for name, b := range map[string]classes{"fine": eighths, "coarse": {.01, .05, .1, .3, 1, 3, 10}} {
		w := world{b, map[side][]uint8{}}
		r := rand.New(rand.NewPCG(5, 5))
		var bands, pairs [2]float64
		for range runs {
			q := NewQuantile(Gate{Signal: SignalQuantile, Quantile: 0.9})
			for i := range 2 {
				if err := q.Add(HistogramSample{Bounds: b, Canary: w.draw(r, latencies(60, 0.3)), Stable: w.draw(r, latencies(200, 0.3))}); err != nil {
					t.Fatal(err)
				}
				bands[i] += math.Exp(q.bandsEvidence(math.Inf(-1))) / runs
				pairs[i] += math.Exp(q.pairs.value()) / runs
			}
		}
		t.Logf("%s: bands %.3f, pairs %.3f", name, bands, pairs)
		for i := range 2 {
			if bands[i] > 1.05 || pairs[i] > 1.1 { // their spread over so many runs is about 0.03
				t.Errorf("%s, sample %d: on average the bands have %v and the pairs %v, expected at most 1", name, i, bands[i], pairs[i])
			}
		}
	}
}
