package scale

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// run feeds one load a second and returns the states.
func run(s State, l Limits, from time.Time, seconds int, load func(second int) Load) (State, []int) {
	var targets []int
	for i := range seconds {
		s = s.Next(l, load(i), from.Add(time.Duration(i)*time.Second))
		targets = append(targets, s.Target)
	}
	return s, targets
}

func steady(inFlight float64) func(int) Load {
	return func(int) Load { return Load{InFlight: inFlight} }
}

func TestNext(t *testing.T) {
	l := Limits{Min: 2, Max: 40, InFlight: 10, Down: time.Minute}
	for _, c := range []struct {
		name    string
		have    int
		limits  Limits
		load    func(int) Load
		seconds int
		want    int
	}{
		{"idle stays at the least", 2, l, steady(0), 300, 2},
		{"as much as is needed at once", 2, l, steady(50), 1, 5},
		{"a step at most doubles, or adds four", 2, l, steady(400), 1, 6},
		{"the next step waits", 2, l, steady(400), 15, 6},
		{"and comes", 2, l, steady(400), 16, 12},
		{"up to the most", 2, l, steady(4000), 100, 40},
		{"within a tenth nothing changes", 10, l, steady(109), 300, 10},
		{"beyond it one more", 10, l, steady(111), 1, 12},
		{"what comes step by step is followed step by step", 2, l, func(i int) Load { return Load{InFlight: float64(20 + 10*i)} }, 5, 6},
		{"less is not done at once", 10, l, steady(15), 59, 10},
		{"less is done after a while", 10, l, steady(15), 61, 2},
		{"a peak in between keeps what there is", 10, l, func(i int) Load {
			if i%30 == 0 {
				return Load{InFlight: 95}
			}
			return Load{InFlight: 15}
		}, 600, 10},
		{"by requests a second", 1, Limits{Min: 1, Max: 9, Rate: 100}, func(int) Load { return Load{Rate: 350, InFlight: 1000} }, 1, 4},
		{"by what needs more", 1, Limits{Min: 1, Max: 9, Rate: 100, InFlight: 10}, func(int) Load { return Load{Rate: 150, InFlight: 45} }, 1, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, targets := run(Begin(c.limits, c.have, begin), c.limits, begin, c.seconds, c.load)
			if s.Target != c.want {
				t.Errorf("%d instances, expected %d: %v", s.Target, c.want, targets)
			}
			if s.Target != c.have && s.Reason == "" {
				t.Error("changed without a reason")
			}
		})
	}
}

func TestLimitsThatChange(t *testing.T) {
	s := Begin(Limits{Min: 1, Max: 10, InFlight: 10}, 8, begin)
	if s = s.Next(Limits{Min: 1, Max: 4, InFlight: 10}, Load{InFlight: 80}, begin); s.Target != 4 {
		t.Errorf("%d instances after the most became 4", s.Target)
	}
	if s = s.Next(Limits{Min: 6, Max: 9, InFlight: 10}, Load{}, begin.Add(time.Second)); s.Target != 6 {
		t.Errorf("%d instances after the least became 6", s.Target)
	}
}

// TestNeverTooFew: whatever comes, the target is within the limits; it never falls to less than was needed within Down; and
// a load that stays gets what it needs.
func TestNeverTooFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Min: rapid.IntRange(1, 5).Draw(t, "min"), InFlight: rapid.Float64Range(0.5, 50).Draw(t, "each"), Down: time.Duration(rapid.IntRange(10, 90).Draw(t, "down")) * time.Second}
		l.Max = l.Min + rapid.IntRange(0, 60).Draw(t, "span")
		s, now := Begin(l, rapid.IntRange(0, 80).Draw(t, "have"), begin), begin
		type asked struct {
			at time.Time
			n  int
		}
		var history []asked
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			load := Load{InFlight: rapid.Float64Range(0, 2000).Draw(t, "load")}
			before := s
			s = s.Next(l, load, now)
			n, _ := l.need(before.Target, load)
			history = append(history, asked{now, n})
			if s.Target < l.Min || s.Target > l.Max {
				t.Fatalf("%d instances, outside of %d to %d", s.Target, l.Min, l.Max)
			}
			if s.Target < before.Target {
				for _, h := range history {
					if now.Sub(h.at) < l.Down && h.n > s.Target {
						t.Fatalf("down to %d, though %d were needed %s ago", s.Target, h.n, now.Sub(h.at))
					}
				}
			}
			now = now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "pause")) * time.Second)
		}
		last := Load{InFlight: rapid.Float64Range(0, 2000).Draw(t, "last")}
		for range 400 {
			s, now = s.Next(l, last, now), now.Add(time.Second)
		}
		if n, _ := l.need(s.Target, last); s.Target < n {
			t.Fatalf("%d instances for a steady load that needs %d", s.Target, n)
		}
	})
}
