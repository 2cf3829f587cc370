package workload

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPlan(t *testing.T) {
	cur := func(n int) seen { return seen{n: n, current: true, ready: true, settled: true} }
	old := func(n int) seen { return seen{n: n, ready: true, settled: true} }
	down := func(s seen) seen { s.ready = false; return s }
	unknown := func(s seen) seen { s.ready, s.settled = false, false; return s }
	leaving := func(s seen) seen { s.ready, s.stopping = false, true; return s }
	for name, c := range map[string]struct {
		want        int
		have        []seen
		start, stop []int
	}{
		"from nothing":                        {want: 2, start: []int{1, 2}},
		"as wanted":                           {want: 2, have: []seen{cur(1), cur(2)}},
		"not ready yet is as wanted":          {want: 1, have: []seen{down(cur(1))}},
		"up, in the gap":                      {want: 3, have: []seen{cur(1), cur(3)}, start: []int{2}},
		"down, the highest first":             {want: 1, have: []seen{cur(1), cur(2), cur(3)}, stop: []int{3, 2}},
		"down, what is broken first":          {want: 2, have: []seen{down(cur(1)), cur(2), cur(3)}, stop: []int{1}},
		"a number is free when it is gone":    {want: 1, have: []seen{leaving(cur(1))}, start: []int{2}},
		"to nothing":                          {want: 0, have: []seen{cur(1), old(2), leaving(old(3))}, stop: []int{1, 2}},
		"roll: one more first":                {want: 2, have: []seen{old(1), old(2)}, start: []int{3}},
		"roll: wait for it":                   {want: 2, have: []seen{old(1), old(2), down(cur(3))}},
		"roll: then stop one, start the next": {want: 2, have: []seen{old(1), old(2), cur(3)}, stop: []int{2}, start: []int{4}},
		"roll: one at a time":                 {want: 2, have: []seen{old(1), leaving(old(2)), cur(3), cur(4)}},
		"roll: the last old":                  {want: 2, have: []seen{old(1), cur(3), cur(4)}, stop: []int{1}},
		"roll: a broken one goes at once":     {want: 1, have: []seen{down(old(1))}, stop: []int{1}, start: []int{2}},
		"roll: one not looked at stays":       {want: 1, have: []seen{unknown(old(1))}, start: []int{2}},
		"roll: no second before the first":    {want: 3, have: []seen{old(1), down(cur(2))}},
		"roll and fewer":                      {want: 1, have: []seen{old(1), old(2), old(3)}, stop: []int{3}},
	} {
		start, stop := plan(c.want, c.have)
		if diff := cmp.Diff([][]int{c.start, c.stop}, [][]int{start, stop}); diff != "" {
			t.Errorf("%s: start and stop, -want +got:\n%s", name, diff)
		}
	}
}

// Whatever there is, repeating the plan ends with what is wanted, and on the way no more is taken from the
// ready ones than is over what was wanted, and numbers are never used twice.
func TestPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.IntRange(0, 5).Draw(t, "want")
		var have []seen
		for n := range rapid.IntRange(0, 6).Draw(t, "have") {
			s := seen{n: n + 1, current: rapid.Bool().Draw(t, "current"), settled: rapid.Bool().Draw(t, "settled")}
			s.ready = s.settled && rapid.Bool().Draw(t, "ready")
			have = append(have, s)
		}
		ready := func() (k int) {
			for _, s := range have {
				if s.ready && !s.stopping {
					k++
				}
			}
			return k
		}
		for range 100 {
			before := ready()
			start, stop := plan(want, have)
			if len(start) == 0 && len(stop) == 0 && !slices.ContainsFunc(have, func(s seen) bool { return s.stopping || !s.ready }) {
				if len(have) != want || slices.ContainsFunc(have, func(s seen) bool { return !s.current }) {
					t.Fatalf("came to rest at %+v with %d wanted", have, want)
				}
				return
			}
			for _, n := range stop {
				i := slices.IndexFunc(have, func(s seen) bool { return s.n == n })
				have[i].stopping = true
			}
			for _, n := range start {
				if slices.ContainsFunc(have, func(s seen) bool { return s.n == n }) {
					t.Fatalf("number %d is taken: %+v", n, have)
				}
				have = append(have, seen{n: n, current: true})
			}
			if after := ready(); after < min(before, want) {
				t.Fatalf("%d ready, then %d, with %d wanted: %+v", before, after, want, have)
			}
			have = advance(t, have)
		}
		t.Fatalf("no rest after 100 steps: %+v with %d wanted", have, want)
	})
}

// advance lets some stopping instances go and some starting ones become ready, at least one if there is one.
func advance(t *rapid.T, have []seen) []seen {
	moved := false
	var out []seen
	for _, s := range have {
		if (s.stopping || !s.ready) && (!moved || rapid.Bool().Draw(t, "move")) {
			moved = true
			if s.stopping {
				continue
			}
			s.ready, s.settled = true, true
		}
		out = append(out, s)
	}
	return out
}

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{
		0: 200 * time.Millisecond, 1: 200 * time.Millisecond, 2: 400 * time.Millisecond, 3: 800 * time.Millisecond,
		8: 25600 * time.Millisecond, 9: 30 * time.Second, 1000: 30 * time.Second,
	} {
		if got := backoff(attempt, 0.5); got != want {
			t.Errorf("attempt %d: %s, want %s", attempt, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		attempt, random := rapid.IntRange(1, 100).Draw(t, "attempt"), rapid.Float64Range(0, 0.999).Draw(t, "random")
		d := backoff(attempt, random)
		if d < 160*time.Millisecond || d > 30*time.Second {
			t.Fatalf("%s is out of bounds", d)
		}
		if next := backoff(attempt+1, random); next < d {
			t.Fatalf("shrinks from %s to %s", d, next)
		}
	})
}

func TestNextAttempt(t *testing.T) {
	for _, c := range []struct {
		attempt int
		healthy time.Duration
		want    int
	}{{0, 0, 1}, {1, 0, 2}, {5, 59 * time.Second, 6}, {5, time.Minute, 1}} {
		if got := nextAttempt(c.attempt, c.healthy); got != c.want {
			t.Errorf("nextAttempt(%d, %s) = %d, want %d", c.attempt, c.healthy, got, c.want)
		}
	}
}

func TestReadiness(t *testing.T) {
	for checks, want := range map[string]string{
		"":         "",
		"ffff":     "----",
		"fp":       "-r",
		"pffp":     "rrrr",
		"pffpffp":  "rrrrrrr",
		"pfff":     "rrr-",
		"pffffpff": "rrr--rrr",
	} {
		var r readiness
		got := ""
		for _, c := range checks {
			if r = r.observe(c == 'p', 0); r.ready {
				got += "r"
			} else {
				got += "-"
			}
		}
		if got != want {
			t.Errorf("checks %q: %q, want %q", checks, got, want)
		}
	}
}

func TestReadinessByItsOwnThreshold(t *testing.T) {
	for _, n := range []int{1, 5} {
		r := readiness{}.observe(true, n)
		for i := 1; i <= n; i++ {
			if r = r.observe(false, n); r.ready != (i < n) {
				t.Errorf("of %d: ready %v after %d failures", n, r.ready, i)
			}
		}
	}
}

func TestCheckPause(t *testing.T) {
	for _, c := range []struct {
		ever           bool
		interval, want time.Duration
	}{{false, time.Second, firstCheckEvery}, {true, time.Second, time.Second}, {false, 10 * time.Millisecond, 10 * time.Millisecond}} {
		if got := checkPause(c.ever, c.interval); got != c.want {
			t.Errorf("checkPause(%v, %s) = %s, want %s", c.ever, c.interval, got, c.want)
		}
	}
}
