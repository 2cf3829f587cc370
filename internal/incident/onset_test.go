package incident

import (
	"slices"
	"testing"
	"time"
)

// TestOnsetIsFound looks for troubles of every sort in simulated traffic; an onset counts as found when it is within
// 15 seconds, or within the time in which ten bad requests come.
func TestOnsetIsFound(t *testing.T) {
	for _, c := range []struct {
		name                string
		perStep, rate, rise float64
		drift               float64
		diurnal, burst      bool
		share               float64 // of the traffic that is hurt
		want                float64 // share of the trials
	}{
		{"busy, all of it", 500, 0.002, 0.05, 0, false, false, 1, 0.98},
		{"busy, a canary", 500, 0.002, 0.2, 0, false, false, 0.02, 0.95},
		{"busy, day and night", 500, 0.002, 0.05, 0, true, false, 1, 0.98},
		{"busy, drifting up by half in an hour", 500, 0.002, 0.05, 0.5, true, false, 1, 0.98},
		{"busy, in bursts", 500, 0.004, 0.05, 0, true, true, 1, 0.95},
		{"quiet", 4, 0.002, 0.3, 0, false, false, 1, 0.95},
		{"quiet, a canary", 10, 0.002, 0.6, 0, false, false, 0.1, 0.9},
		{"everything fails", 100, 0.001, 0.99, 0, true, false, 1, 0.98},
		{"a little", 500, 0.002, 0.008, 0, false, false, 1, 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			const trials = 24
			found := 0
			var errors []time.Duration
			for i := range trials {
				w := newWorld(uint64(i), c.perStep, c.rate)
				w.drift, w.diurnal, w.burst = c.drift, c.diurnal, c.burst
				onset := w.start.Add(50*time.Minute + time.Duration(w.rng.IntN(300))*time.Second)
				w.cell("v1", "all", 0, time.Time{})
				if c.share < 1 {
					w.cell("v2", "canary", c.share, onset.Add(-20*time.Second))
				}
				w.hurt = func(cell Cell, at time.Time) float64 {
					if at.After(onset) && (c.share == 1 || cell.Version == "v2") {
						return c.rise
					}
					return 0
				}
				page := onset.Add(4 * time.Minute)
				s, ok := Onset(w.run(page), page)
				off := s.Start.Sub(onset).Abs()
				few := time.Duration(10 / (c.perStep * c.share * c.rise) * float64(w.step))
				if ok && off <= max(15*time.Second, few) {
					found++
				}
				if ok {
					errors = append(errors, off)
				}
			}
			slices.Sort(errors)
			share := float64(found) / trials
			t.Logf("found %.0f %%, median error %v, 9 of 10 within %v", 100*share, errors[len(errors)/2], errors[len(errors)*9/10])
			if share < c.want {
				t.Errorf("found %.2f, expected %.2f", share, c.want)
			}
		})
	}
}

// TestHealthyTrafficHasNoSpell counts hours without trouble in which one is seen.
func TestHealthyTrafficHasNoSpell(t *testing.T) {
	for _, c := range []struct {
		name           string
		perStep, rate  float64
		drift          float64
		diurnal, burst bool
		most           int
	}{
		{"steady", 300, 0.002, 0, false, false, 0},
		{"day and night", 300, 0.002, 0, true, false, 0},
		{"drifting up by half in an hour", 300, 0.002, 0.5, true, false, 0},
		{"in bursts", 300, 0.004, 0, true, true, 1},
		{"quiet", 3, 0.005, 0, false, false, 1},
		{"almost nothing", 0.1, 0.01, 0, false, false, 1},
		{"without any error", 300, 0, 0, false, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := 0
			for i := range 16 {
				w := newWorld(uint64(1000+i), c.perStep, c.rate)
				w.drift, w.diurnal, w.burst = c.drift, c.diurnal, c.burst
				w.cell("v1", "all", 0, time.Time{})
				w.cell("v2", "canary", 0.02, w.start.Add(20*time.Minute))
				w.cell("v2", "early", 0.1, w.start.Add(40*time.Minute))
				if s := Spells(w.run(w.start.Add(time.Hour))); len(s) > 0 {
					seen++
					t.Logf("%d: %s %v to %v, %.1f: %.4f → %.4f", i, s[0].Where, s[0].Start, s[0].End, s[0].Evidence, s[0].Before, s[0].During)
				}
			}
			if seen > c.most {
				t.Errorf("in %d of 16 hours something was seen, expected at most %d", seen, c.most)
			}
		})
	}
}

func TestTheEndIsFound(t *testing.T) {
	for i := range 16 {
		w := newWorld(uint64(i), 200, 0.002)
		w.cell("v1", "all", 0, time.Time{})
		from, until := w.start.Add(20*time.Minute), w.start.Add(26*time.Minute)
		w.hurt = func(_ Cell, at time.Time) float64 {
			if at.After(from) && !at.After(until) {
				return 0.1
			}
			return 0
		}
		s, ok := Onset(w.run(w.start.Add(30*time.Minute)), w.start.Add(30*time.Minute))
		if !ok || !s.Over || s.Start.Sub(from).Abs() > 10*time.Second || s.End.Sub(until).Abs() > 15*time.Second {
			t.Errorf("%d: %+v, expected %v to %v", i, s, from, until)
		}
	}
}

func TestIncreases(t *testing.T) {
	at := time.Unix(1000, 0)
	got := Increases([]Line{
		{Cell: Cell{Version: "v1"}, Points: [][2]float64{{1000, 100}, {1005, 110}, {1010, 4}}},          // there from the start, then anew
		{Cell: Cell{Version: "v1"}, Bad: true, Points: [][2]float64{{1005, 3}, {1010, 5}}},              // there later
		{Cell: Cell{Version: "v1"}, Bad: true, Only: true, Points: [][2]float64{{1000, 1}, {1010, 50}}}, // slow ones, more than there were
	}, at)
	want := []Count{{At: time.Unix(1005, 0).UTC(), Cell: Cell{Version: "v1"}, Requests: 13, Bad: 3}, {At: time.Unix(1010, 0).UTC(), Cell: Cell{Version: "v1"}, Requests: 6, Bad: 6}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, expected %+v", got, want)
	}
}
