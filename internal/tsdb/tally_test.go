package tsdb

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/health"
)

// A world is what some gateways exposed at their scrapes, and what really happened.
type world struct {
	gateways []gateway
	end      int64
	truth    map[role]int64 // increments after a gateway's first scrape and up to its last
}

type gateway struct {
	times  []int64
	values []map[int]float64 // per scrape, by index into roles; not exposed: no entry
}

var roles = []role{canaryRequests, canaryRequests | canaryBad, stableRequests, stableRequests | stableBad}

func drawWorld(t *rapid.T, mayRestart bool) *world {
	w := &world{truth: map[role]int64{}}
	for range rapid.IntRange(1, 3).Draw(t, "gateways") {
		var g gateway
		now := int64(1_000_000)
		counters := map[int]float64{}
		unseen := map[role]int64{}
		serve := func(i, n int) {
			counters[i] += float64(n)
			if len(g.times) > 0 {
				unseen[roles[i]] += int64(n)
			}
		}
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"scrape", "scrape", "serve", "serve", "restart", "wait"}).Draw(t, "step") {
			case "serve":
				serve(rapid.IntRange(0, len(roles)-1).Draw(t, "series"), rapid.IntRange(1, 50).Draw(t, "n"))
			case "restart":
				if mayRestart {
					clear(counters)
					for i := range roles { // some are in use again before the next scrape
						if rapid.Bool().Draw(t, "again") {
							serve(i, rapid.IntRange(0, 5).Draw(t, "n"))
						}
					}
				}
			case "wait":
				if mayRestart {
					now += rapid.SampledFrom([]int64{60_000, nearLook.Milliseconds() + 1, maxGap - 5000, maxGap, 2 * maxGap}).Draw(t, "gap")
				}
			case "scrape":
				now += 5000 * rapid.Int64Range(1, 3).Draw(t, "intervals")
				g.times = append(g.times, now)
				seen := map[int]float64{}
				for i, v := range counters {
					seen[i] = v
				}
				g.values = append(g.values, seen)
				for r, n := range unseen {
					w.truth[r] += n
				}
				clear(unseen)
			}
		}
		w.end = max(w.end, now)
		w.gateways = append(w.gateways, g)
	}
	return w
}

// tally does what DB.tally does, with the world for storage.
func (w *world) tally(from, to int64) ([]int64, []health.Sample) {
	for _, look := range []int64{nearLook.Milliseconds(), maxGap} {
		var targets []*target
		enough := true
		for _, g := range w.gateways {
			k := &target{}
			for _, at := range g.times {
				if at >= from-look && at <= to {
					k.times = append(k.times, at)
				}
			}
			enough = enough && based(k.times, from, to)
			k.keep(from, to)
			targets = append(targets, k)
		}
		if !enough && look < maxGap {
			continue
		}
		t := newTally(targets)
		for i, g := range w.gateways {
			for s, r := range roles {
				c := newCounter(&targets[i].steps, r)
				for j, at := range g.times {
					if v, ok := g.values[j][s]; ok && at >= from-look && at <= to {
						t.add(&c, at, v)
					}
				}
			}
		}
		return t.times, t.finish()
	}
	panic("unreachable")
}

// naive says the same in the words of the contract, scrape by scrape, over all of time.
func (w *world) naive(from, to int64) ([]int64, []health.Sample) {
	at := map[int64]*health.Sample{}
	for _, g := range w.gateways {
		for i, t := range g.times {
			if t <= from || t > to || i == 0 || t-g.times[i-1] > maxGap {
				continue
			}
			if at[t] == nil {
				at[t] = &health.Sample{}
			}
			for s, r := range roles {
				v, ok := g.values[i][s]
				if !ok {
					continue
				}
				if before, was := g.values[i-1][s]; was && v >= before {
					v -= before
				}
				c := &at[t].Canary
				if r&(stableRequests|stableBad) != 0 {
					c = &at[t].Stable
				}
				if *c == nil {
					*c = &health.Counts{}
				}
				(*c).Requests += int64(v)
				if r&(canaryBad|stableBad) != 0 {
					(*c).Bad += int64(v)
				}
			}
		}
	}
	var times []int64
	for t := range at {
		times = append(times, t)
	}
	slices.Sort(times)
	var samples []health.Sample
	for _, t := range times {
		samples = append(samples, *at[t])
	}
	return times, samples
}

func sum(samples []health.Sample) (total health.Sample) {
	total = health.Sample{Canary: &health.Counts{}, Stable: &health.Counts{}}
	for _, s := range samples {
		if s.Canary != nil {
			total.Canary.Requests += s.Canary.Requests
			total.Canary.Bad += s.Canary.Bad
		}
		if s.Stable != nil {
			total.Stable.Requests += s.Stable.Requests
			total.Stable.Bad += s.Stable.Bad
		}
	}
	return total
}

func TestTallySaysWhatTheContractSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, true)
		from := rapid.Int64Range(0, w.end).Draw(t, "from")
		to := rapid.Int64Range(from, w.end+1).Draw(t, "to")
		times, got := w.tally(from, to)
		wantTimes, want := w.naive(from, to)
		if !slices.Equal(times, wantTimes) || len(got)+len(want) > 0 && !cmp.Equal(got, want) {
			t.Fatalf("times %v, expected %v\n%s", times, wantTimes, cmp.Diff(want, got))
		}
	})
}

func TestCuttingAWindowChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, true)
		times, whole := w.tally(0, w.end)
		cuts := rapid.SliceOfN(rapid.Int64Range(0, w.end), 0, 8).Draw(t, "cuts")
		for i, at := range times { // cuts at scrapes are what a caller that continues makes
			if rapid.Bool().Draw(t, "cut at scrape") {
				cuts = append(cuts, times[i], at-1)
			}
		}
		slices.Sort(cuts)
		var gotTimes []int64
		var got []health.Sample
		from := int64(0)
		for _, to := range append(cuts, w.end) {
			ts, ss := w.tally(from, to)
			gotTimes, got = append(gotTimes, ts...), append(got, ss...)
			from = to
		}
		if !slices.Equal(gotTimes, times) || len(got)+len(whole) > 0 && !cmp.Equal(got, whole) {
			t.Fatalf("cut at %v: times %v, expected %v\n%s", cuts, gotTimes, times, cmp.Diff(whole, got))
		}
	})
}

func TestTallyIsTheTruth(t *testing.T) {
	for _, mayRestart := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			w := drawWorld(t, mayRestart)
			_, samples := w.tally(0, w.end)
			got := sum(samples)
			canary := w.truth[canaryRequests] + w.truth[canaryRequests|canaryBad]
			stable := w.truth[stableRequests] + w.truth[stableRequests|stableBad]
			if got.Canary.Requests > canary || got.Stable.Requests > stable ||
				got.Canary.Bad > w.truth[canaryRequests|canaryBad] || got.Stable.Bad > w.truth[stableRequests|stableBad] {
				t.Fatalf("counted %+v and %+v, more than %v", *got.Canary, *got.Stable, w.truth)
			}
			if !mayRestart && (got.Canary.Requests != canary || got.Stable.Requests != stable ||
				got.Canary.Bad != w.truth[canaryRequests|canaryBad] || got.Stable.Bad != w.truth[stableRequests|stableBad]) {
				t.Fatalf("counted %+v and %+v, expected %v", *got.Canary, *got.Stable, w.truth)
			}
		})
	}
}

func TestTallyOfStrangeValues(t *testing.T) {
	nan := staleMarker
	g := &target{}
	g.times = []int64{10, 20, 30, 40, 50, 60}
	g.keep(0, 60)
	tl := newTally([]*target{g})
	c := newCounter(&g.steps, canaryRequests)
	for i, v := range []float64{5, nan, 7, -1, 1e300, 9} {
		tl.add(&c, g.times[i], v)
	}
	tl.add(&c, 61, 100) // at no scrape
	bad := newCounter(&g.steps, canaryBad)
	tl.add(&bad, 30, 12)
	got := tl.finish()
	want := []health.Sample{{}, {Canary: &health.Counts{Requests: 7, Bad: 7}}, {}, {}, {Canary: &health.Counts{Requests: 9}}}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}
