package lull

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const step = 10 * time.Second

// traffic is made requests: a day with a peak, noise that is more than chance, and now and then a burst.
type traffic struct {
	rng       *rand.Rand
	perSecond float64 // at the peak
	night     float64 // share of it that is left at the lowest
	noise     float64 // relative, of each slice
	drift     float64 // of a slow wandering
	burst     bool
	wander    float64
}

func (t *traffic) at(i int) float64 {
	hour := float64(i) * step.Hours()
	day := t.night + (1-t.night)*math.Pow((1-math.Cos(2*math.Pi*hour/24))/2, 1.5)
	t.wander = 0.995*t.wander + t.drift*t.rng.NormFloat64()
	mean := t.perSecond * step.Seconds() * day * math.Exp(t.noise*t.rng.NormFloat64()+t.wander)
	if t.burst && i%90 < 4 {
		mean *= 3
	}
	return poisson(t.rng, mean)
}

func poisson(rng *rand.Rand, mean float64) float64 {
	if mean > 50 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()))
	}
	n, p := 0.0, rng.Float64()
	for l := math.Exp(-mean); p > l; n++ {
		p *= rng.Float64()
	}
	return n
}

func unknown() float64 { return math.NaN() }

// TestHealthyDays: six days of each sort of traffic, and no lull in any.
func TestHealthyDays(t *testing.T) {
	const days = 6
	for name, tr := range map[string]traffic{
		"busy":     {perSecond: 200, night: 0.1, noise: 0.05, drift: 0.003},
		"noisy":    {perSecond: 20, night: 0.05, noise: 0.4, drift: 0.01},
		"small":    {perSecond: 0.5, night: 0.02, noise: 0.2, drift: 0.005},
		"tiny":     {perSecond: 0.02, night: 0.2, noise: 0.2},
		"bursts":   {perSecond: 5, night: 0.2, noise: 0.1, burst: true},
		"restless": {perSecond: 50, night: 0.1, noise: 0.1, drift: 0.03},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for day := range days {
				tr := tr
				tr.rng = rand.New(rand.NewPCG(uint64(day), 7))
				w := New(step)
				for i := range int(24 * time.Hour / step) {
					if s := w.Add(Slice{tr.at(i), unknown()}); s.Lull {
						t.Fatalf("day %d, slice %d: a lull of healthy traffic, %+v", day, i, s)
					}
				}
			}
		})
	}
}

// TestHowSoon: what is busy is seen at once, what is slow later, and what hardly anybody uses not at all.
func TestHowSoon(t *testing.T) {
	for _, tt := range []struct {
		perSecond, left float64
		within          time.Duration // 0: not at all
	}{
		{200, 0, 20 * time.Second}, {20, 0, 20 * time.Second}, {20, 0.1, 30 * time.Second}, {20, 0.25, 2 * time.Minute}, {1, 0, 4 * time.Minute}, {0.2, 0, 12 * time.Minute},
		{20, 0.8, 0}, {20, 0.6, 0}, {1.0 / 120, 0, 0},
	} {
		w := New(step)
		tr := traffic{rng: rand.New(rand.NewPCG(1, 1)), perSecond: tt.perSecond, night: 1, noise: 0.1}
		for i := range 360 {
			w.Add(Slice{tr.at(i), unknown()})
		}
		tr.perSecond *= tt.left
		seen := time.Duration(0)
		for i := 1; i <= 180 && seen == 0; i++ {
			if w.Add(Slice{tr.at(i), unknown()}).Lull {
				seen = time.Duration(i) * step
			}
		}
		if (seen > 0) != (tt.within > 0) || seen > tt.within {
			t.Errorf("%g requests a second fall to %g of them: seen after %s, expected within %s", tt.perSecond, tt.left, seen, tt.within)
		}
	}
}

func TestItEnds(t *testing.T) {
	w := New(step)
	feed := func(count float64, n int) State {
		var s State
		for range n {
			s = w.Add(Slice{count, unknown()})
		}
		return s
	}
	feed(100, 60)
	if s := feed(0, 3); !s.Lull || s.Usual != 100 {
		t.Fatalf("%+v", s)
	}
	if s := feed(40, 30); !s.Lull {
		t.Errorf("over at 40 of 100: %+v", s)
	}
	if s := feed(95, 12); s.Lull {
		t.Errorf("not over at 95 of 100: %+v", s)
	}
	if s := feed(0, 3); !s.Lull {
		t.Errorf("the second one is not seen: %+v", s)
	}
	if s := feed(unknown(), 30); !s.Lull {
		t.Errorf("it ended though nothing was known: %+v", s)
	}
	if s := feed(10, 360); s.Lull {
		t.Errorf("it never becomes the new normal: %+v", s)
	}
}

// TestTheDayBefore: a shop that closes every evening is no lull on its second day.
func TestTheDayBefore(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := New(step)
		lull := false
		for i := range 400 {
			count := 100.0
			if i >= 360 {
				count = 5
			}
			s := Slice{count, unknown()}
			if known {
				s.DayBefore = count
			}
			lull = w.Add(s).Lull || lull
		}
		if lull == known {
			t.Errorf("the day before known: %v, lull: %v", known, lull)
		}
	}
}

// TestAJobThatEnds: what has rested before it came rests after it as well; what came from the beginning on does not.
func TestAJobThatEnds(t *testing.T) {
	for _, rest := range []int{0, 6, 180} {
		w := New(step)
		lull := false
		for range rest {
			w.Add(Slice{0, unknown()})
		}
		for i := range 260 {
			count := 100.0
			if i >= 216 { // 36 minutes
				count = 0
			}
			lull = w.Add(Slice{count, unknown()}).Lull || lull
		}
		if lull == (rest == 180) {
			t.Errorf("after a rest of %d slices, lull: %v", rest, lull)
		}
	}
}

// TestAboveHalfIsNormal: whatever comes, as long as no slice has less than half of the largest before, there is no lull; and what is
// not known changes nothing.
func TestAboveHalfIsNormal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.Float64Range(0, 1e5).Draw(t, "level")
		w, same := New(step), New(step)
		for range rapid.IntRange(0, 400).Draw(t, "slices") {
			c := math.Round(level * rapid.Float64Range(0.51, 1).Draw(t, "share"))
			s := w.Add(Slice{c, unknown()})
			if s.Lull || math.IsNaN(s.Evidence) {
				t.Fatalf("%+v", s)
			}
			same.Add(Slice{c, unknown()})
			if rapid.Bool().Draw(t, "gap") {
				same.Add(Slice{unknown(), unknown()})
			}
		}
		if w.State != same.State {
			t.Fatalf("%+v with gaps, %+v without", same.State, w.State)
		}
	})
}
