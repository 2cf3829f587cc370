package incident

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fault is a trouble with its true cause, in a world full of other changes.
type fault struct {
	name string
	make func(s *story)
	want float64 // share of the trials in which the cause is first
}

// story is one simulated incident.
type story struct {
	*world
	dep    *world // the traffic of what it calls
	onset  time.Time
	q      Question
	answer string // the Ref of the cause
}

func (s *story) changed(c Change) {
	s.q.Changes = append(s.q.Changes, c)
}

// near is a time shortly before the onset.
func (s *story) near() time.Time {
	return s.onset.Add(-time.Duration(5+s.rng.IntN(60)) * time.Second)
}

func (s *story) noise() {
	for i := range 6 {
		at := s.onset.Add(-time.Duration(1+s.rng.IntN(240)) * time.Minute)
		kinds := []string{ChangeRelease, ChangeConfig, ChangeFlag, ChangeService, ChangePlan, ChangeFreeze}
		c := Change{Kind: kinds[i], Ref: fmt.Sprintf("noise/%d", i), Title: "noise", Service: []string{"shop", "cart", "search", "mail"}[s.rng.IntN(4)], Steps: []Step{{At: at}}}
		if c.Kind == ChangeFlag {
			c.Service = ""
		}
		if c.Kind == ChangeRelease || c.Kind == ChangeConfig {
			c.Service = []string{"cart", "search", "mail"}[s.rng.IntN(3)]
			c.Versions = []string{"other"}
		}
		s.changed(c)
	}
}

func release(ref, version string, steps ...Step) Change {
	c := Change{Kind: ChangeRelease, Ref: ref, Title: ref, Service: "shop", Versions: []string{version}, Steps: steps}
	for _, st := range steps {
		c.Rings = append(c.Rings, st.Ring)
	}
	return c
}

func told(kind, subject, version string) Signal {
	return Signal{Kind: kind, Service: "shop", Subject: subject, Version: version, Text: "alert " + kind}
}

var faults = []fault{
	{"errors of a release in its canary ring", func(s *story) {
		at := s.near()
		s.cell("v2", "canary", 0.05, at)
		s.hurt = func(c Cell, at time.Time) float64 { return is(c.Version == "v2" && at.After(s.onset), 0.2) }
		s.changed(release("rollout/shop-2", "v2", Step{at, "canary"}))
		s.answer = "rollout/shop-2"
	}, 0.98},
	{"a release that shows its harm 20 minutes later, while a flag was turned meanwhile", func(s *story) {
		at := s.onset.Add(-20 * time.Minute)
		s.cell("v2", "canary", 0.1, at)
		s.hurt = func(c Cell, at time.Time) float64 { return is(c.Version == "v2" && at.After(s.onset), 0.2) }
		s.changed(release("rollout/shop-2", "v2", Step{at, "canary"}))
		s.changed(Change{Kind: ChangeFlag, Ref: "flag/x", Title: "flag", Steps: []Step{{At: s.near()}}})
		s.answer = "rollout/shop-2"
	}, 0.98},
	{"a flag in one ring, beside a release that other rings have", func(s *story) {
		at := s.near()
		s.shares[0].Ring = "all"
		s.cell("v1", "early", 0.2, time.Time{})
		s.hurt = func(c Cell, at time.Time) float64 { return is(c.Ring == "early" && at.After(s.onset), 0.15) }
		s.cell("v2", "canary", 0.05, s.onset.Add(-30*time.Second))
		s.changed(release("rollout/shop-2", "v2", Step{s.onset.Add(-30 * time.Second), "canary"}))
		s.changed(Change{Kind: ChangeFlag, Ref: "flag/x", Title: "flag", Rings: []string{"early"}, Variants: []string{"shop/x=on"}, Steps: []Step{{At: at, Ring: "early"}}})
		s.answer = "flag/x"
	}, 0.98},
	{"a config for everyone", func(s *story) {
		at := s.near()
		s.shares[0].Version = "v1@c1"
		s.cell("v1@c2", "all", 0.999, at)
		s.hurt = func(c Cell, at time.Time) float64 { return is(c.Version == "v1@c2" && at.After(s.onset), 0.3) }
		c := release("rollout/shop-3", "v1@c2", Step{at, "all"})
		c.Kind = ChangeConfig
		s.changed(c)
		s.answer = "rollout/shop-3"
	}, 0.98},
	{"a release of what it calls", func(s *story) {
		at := s.near()
		s.dep.cell("c2", "early", 0.3, at)
		s.dep.hurt = func(c Cell, at time.Time) float64 { return is(c.Version == "c2" && at.After(s.onset), 0.4) }
		s.hurt = func(_ Cell, at time.Time) float64 { return is(at.After(s.onset), 0.1) }
		c := release("rollout/cart-2", "c2", Step{at, "early"})
		c.Service = "cart"
		s.changed(c)
		s.cell("v2", "canary", 0.1, s.onset.Add(-5*time.Minute))
		s.changed(release("rollout/shop-2", "v2", Step{s.onset.Add(-5 * time.Minute), "canary"}))
		s.answer = "rollout/cart-2"
	}, 0.95},
	{"what it calls is down, by itself", func(s *story) {
		s.dep.hurt = func(_ Cell, at time.Time) float64 { return is(at.After(s.onset), 0.9) }
		s.hurt = func(_ Cell, at time.Time) float64 { return is(at.After(s.onset), 0.3) }
		s.q.Down = []string{"cart"}
		s.answer = "dependency/cart"
	}, 0.9},
	{"poison in one ring of a release", func(s *story) {
		at := s.near()
		s.cell("v2", "canary", 0.05, at.Add(-30*time.Minute))
		s.cell("v2", "early", 0.2, at)
		s.hurt = func(c Cell, at time.Time) float64 { return is(c.Ring == "early" && at.After(s.onset), 0.3) }
		s.changed(release("rollout/shop-2", "v2", Step{at.Add(-30 * time.Minute), "canary"}, Step{at, "early"}))
		s.answer = "rollout/shop-2"
	}, 0.98},
	{"a release whose instances crash", func(s *story) {
		at := s.near()
		s.cell("v2", "canary", 0.05, at)
		s.hurt = func(c Cell, at time.Time) float64 { return is(c.Version == "v2" && at.After(s.onset), 0.8) }
		s.changed(release("rollout/shop-2", "v2", Step{at, "canary"}))
		s.q.Signals = append(s.q.Signals, told(Crash, "shop/v2/0", "v2"))
		s.answer = "rollout/shop-2"
	}, 0.98},
	{"one customer only", func(s *story) {
		s.hurt = func(_ Cell, at time.Time) float64 { return is(at.After(s.onset), 0.03) }
		sig := told(Customer, "acme", "")
		sig.Own, sig.All = Tally{900, 700}, Tally{30000, 750}
		s.q.Signals = append(s.q.Signals, sig)
		s.answer = "customer/acme"
	}, 0.95},
	{"an expired certificate", func(s *story) {
		s.hurt = func(_ Cell, at time.Time) float64 { return is(at.After(s.onset), 0.9) }
		s.q.Signals = append(s.q.Signals, told(Certificate, "shop.example", ""))
		s.answer = "certificate/shop.example"
	}, 0.9},
	{"a full disk", func(s *story) {
		s.hurt = func(_ Cell, at time.Time) float64 { return is(at.After(s.onset), 0.3) }
		s.q.Signals = append(s.q.Signals, told(Disk, "/data", ""))
		s.answer = "disk//data"
	}, 0.9},
	{"requests stay away", func(s *story) {
		s.less = func(at time.Time) float64 { return 1 - is(at.After(s.onset), 0.9) }
		s.answer = "traffic"
	}, 0.85},
}

func is(yes bool, x float64) float64 {
	if yes {
		return x
	}
	return 0
}

func tell(f fault, seed uint64) (*story, []Candidate) {
	s := &story{world: newWorld(seed, 60, 0.003), dep: newWorld(seed+5000, 40, 0.003)}
	s.diurnal, s.drift = true, 0.3
	s.onset = s.start.Add(45*time.Minute + time.Duration(s.rng.IntN(600))*time.Second)
	s.cell("v1", "all", 0, time.Time{})
	s.dep.cell("c1", "all", 0, time.Time{})
	s.q = Question{Service: "shop", Onset: s.onset, DependsOn: map[string][]string{"shop": {"cart"}, "search": {"shop"}}}
	s.noise()
	f.make(s)
	until := s.onset.Add(3 * time.Minute)
	s.q.Counts = map[string][]Count{"shop": s.run(until), "cart": s.dep.run(until)}
	if found, ok := Onset(s.q.Counts["shop"], until); ok { // as it is found, not as it is
		s.q.Onset = found.Start
	}
	return s, Rank(s.q)
}

// TestCausesAreRanked tells for each sort of fault how often its cause is first among six other changes of the last four
// hours.
func TestCausesAreRanked(t *testing.T) {
	const trials = 12
	firsts, all := 0, 0
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			first, share := 0, 0.0
			for i := range trials {
				s, ranked := tell(f, uint64(i))
				if ranked[0].Ref == s.answer {
					first++
					share += ranked[0].Share
				} else if i < 3 {
					t.Logf("%d: %+v", i, ranked[:2])
				}
			}
			firsts, all = firsts+first, all+trials
			got := float64(first) / trials
			t.Logf("first in %.0f %%, then with %.0f %% of the odds", 100*got, 100*share/float64(max(1, first)))
			if got < f.want {
				t.Errorf("first in %.2f of the trials, expected %.2f", got, f.want)
			}
		})
	}
	t.Logf("all together: first in %d of %d", firsts, all)
}

// TestVerdictsCountForTheirOwnService: that a gate stopped a release says nothing of another service that hurts at the same time.
func TestVerdictsCountForTheirOwnService(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	harm := func(service, ref, kind string) Change {
		return Change{Kind: kind, Ref: ref, Title: ref, Service: service, Judged: "gate errors failed", Steps: []Step{{At: start.Add(-time.Minute)}}}
	}
	q := Question{Service: "shop", Onset: start, Counts: map[string][]Count{}, Changes: []Change{harm("mail", "rollout/mail-2", ChangeRelease), harm("", "rollout/flag:mail:x-1", ChangeFlag)},
		Signals: []Signal{told(Certificate, "shop.example", "")}}
	if got := Rank(q)[0]; got.Ref != "certificate/shop.example" {
		t.Errorf("first is %+v", got)
	}
	q.Own = []string{"rollout/flag:mail:x-1"}
	if got := Rank(q)[0]; got.Ref != "rollout/flag:mail:x-1" {
		t.Errorf("of the trouble that it was taken back for, first is %+v", got)
	}
}

// TestRankIsARanking holds for whatever is asked: shares add up to one, ranks follow scores, nothing is said of what came
// after, and everything has a reason.
func TestRankIsARanking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
		service := rapid.SampledFrom([]string{"shop", "cart", "mail", ""})
		version := rapid.SampledFrom([]string{"v1", "v2", ""})
		ring := rapid.SampledFrom([]string{"canary", "all", ""})
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return start.Add(time.Duration(rapid.IntRange(-3600, 7200).Draw(t, "s")) * time.Second)
		})
		q := Question{Service: "shop", Onset: start.Add(time.Hour), DependsOn: map[string][]string{"shop": {"cart"}, "cart": {"shop"}}, Counts: map[string][]Count{}}
		for range rapid.IntRange(0, 30).Draw(t, "counts") {
			n := rapid.Float64Range(0, 1e6).Draw(t, "n")
			c := Count{At: moment.Draw(t, "at"), Cell: Cell{Version: version.Draw(t, "v"), Ring: ring.Draw(t, "r")}, Requests: n, Bad: n * rapid.Float64Range(0, 1).Draw(t, "share")}
			name := service.Draw(t, "of")
			q.Counts[name] = append(q.Counts[name], c)
		}
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			c := Change{Kind: rapid.SampledFrom([]string{ChangeRelease, ChangeFlag, ChangeFreeze}).Draw(t, "kind"), Ref: "x", Title: "x", Service: service.Draw(t, "service"),
				Steps: []Step{{At: moment.Draw(t, "step"), Ring: ring.Draw(t, "ring")}}}
			if v := version.Draw(t, "version"); v != "" {
				c.Versions = []string{v}
			}
			if rapid.Bool().Draw(t, "ended") {
				c.Ended = moment.Draw(t, "end")
			}
			q.Changes = append(q.Changes, c)
		}
		if rapid.Bool().Draw(t, "signal") {
			q.Signals = []Signal{{Kind: rapid.SampledFrom([]string{Customer, Disk, Dependency}).Draw(t, "s"), Subject: service.Draw(t, "subject"), Own: Tally{5, 2}, All: Tally{10, 2}}}
		}
		var sum float64
		ranked := Rank(q)
		for i, c := range ranked {
			sum += c.Share
			if math.IsNaN(c.Score) || math.IsInf(c.Score, 0) || c.Share < 0 || c.Rank != i+1 || i > 0 && c.Score > ranked[i-1].Score {
				t.Fatalf("%d: %+v", i, c)
			}
			if c.At.After(q.Onset.Add(slack)) {
				t.Fatalf("came after: %+v", c)
			}
			if !strings.HasSuffix(c.Why, ".") || c.Title == "" || strings.Contains(c.Why, "NaN") {
				t.Fatalf("says nothing: %+v", c)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the shares add up to %v", sum)
		}
	})
}

// TestMoreOfItInWhatWasExposed: the more of the bad requests are in what a change exposed, the likelier it is.
func TestMoreOfItInWhatWasExposed(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	last := math.Inf(-1)
	for bad := 0.0; bad <= 50; bad += 5 {
		q := Question{Service: "shop", Onset: start.Add(time.Hour), Counts: map[string][]Count{"shop": {
			{At: start, Cell: Cell{Version: "v1"}, Requests: 10000, Bad: 10},
			{At: start.Add(61 * time.Minute), Cell: Cell{Version: "v1"}, Requests: 900, Bad: 50 - bad},
			{At: start.Add(61 * time.Minute), Cell: Cell{Version: "v2"}, Requests: 100, Bad: bad},
		}}, Changes: []Change{release("rollout/shop-2", "v2", Step{At: start.Add(59 * time.Minute), Ring: ""})}}
		q.Changes[0].Rings = nil
		for _, c := range Rank(q) {
			if c.Kind != ChangeRelease {
				continue
			}
			if c.Split < last {
				t.Errorf("%v of 50 bad ones: %.2f, less than %.2f before", bad, c.Split, last)
			}
			last = c.Split
		}
	}
	if last < 10 {
		t.Errorf("all bad ones in what was exposed: %.2f", last)
	}
}
