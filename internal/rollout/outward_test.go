package rollout

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// baked is a rollout whose first ring has baked and may be left.
func baked(change func(*State)) (State, time.Time) {
	s := example("v1")
	change(&s)
	now := start
	for s.Phase != Baking {
		events := Next(s, well(), now)
		if len(events) == 0 {
			return s, now
		}
		s = FoldAll(s, events)
	}
	return s, now.Add(time.Duration(s.Rings[0].Bake))
}

func types(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, strings.TrimSpace(e.Type+" "+e.Ring))
	}
	return strings.Join(all, "|")
}

// settle takes every step that follows now.
func settle(s State, ev Evidence, now time.Time) (State, []Event) {
	var all []Event
	for events := Next(s, ev, now); len(events) > 0; events = Next(s, ev, now) {
		all = append(all, events...)
		s = FoldAll(s, events)
	}
	return s, all
}

func TestAGreenButtonWaitsForApproval(t *testing.T) {
	groups := map[string][]string{"sre": {"ann", "bob"}, "leads": {"cyd"}}
	for need, want := range map[string]struct {
		given   []string
		missing string
	}{
		"any":  {[]string{"bob"}, "the approval of one of sre or one of leads"},
		"each": {[]string{"bob", "cyd"}, "the approval of one of sre and one of leads"},
		"all":  {[]string{"bob", "cyd", "dan"}, "the approval of bob and dan and cyd"},
	} {
		if need == "all" {
			groups = map[string][]string{"sre": {"bob", "dan"}, "leads": {"cyd"}}
		}
		s, now := baked(func(s *State) { s.Rings[1].Approval = &resource.Approval{From: []string{"sre", "leads"}, Need: need} })
		ev := well()
		ev.Groups = groups
		s, events := settle(s, ev, now)
		if got := types(events); got != "approval.requested early|stage.judged canary" || !strings.Contains(s.Waiting(ev, now), want.missing) {
			t.Fatalf("%s: %s, waiting: %s", need, got, s.Waiting(ev, now))
		}
		for i, who := range want.given {
			if s.Ring != 0 {
				t.Fatalf("%s: %v were enough", need, want.given[:i])
			}
			given, err := Approve(s, "early", "user:"+who, "", false, groups, now)
			if err != nil {
				t.Fatalf("%s: %v", who, err)
			}
			s = FoldAll(s, given)
			if again, err := Approve(s, "early", "user:"+who, "", false, groups, now); err == nil && len(again) > 0 {
				t.Errorf("%s approved twice", who)
			}
			s, _ = settle(s, ev, now)
		}
		if s.Ring != 1 {
			t.Errorf("%s: still waiting: %s", need, s.Waiting(ev, now))
		}
	}
}

// All of a group are all but who released it, as that one must not; alone it is not enough.
func TestAllButWhoReleasedIt(t *testing.T) {
	s, now := baked(func(s *State) { s.Rings[1].Approval = &resource.Approval{From: []string{"sre"}, Need: "all"} })
	ev := well()
	for _, members := range [][]string{{"ann"}, {"ann", "bob"}} {
		ev.Groups = map[string][]string{"sre": members}
		if s, _ = settle(s, ev, now); s.Ring != 0 {
			t.Fatalf("nobody approved, and it is in ring %d", s.Ring)
		}
	}
	given, err := Approve(s, "early", "user:bob", "", false, ev.Groups, now)
	if s, _ = settle(FoldAll(s, given), ev, now); err != nil || s.Ring != 1 {
		t.Errorf("%v, waiting: %s", err, s.Waiting(ev, now))
	}
}

func TestWhoMayNotApprove(t *testing.T) {
	groups := map[string][]string{"sre": {"ann", "bob"}}
	s, now := baked(func(s *State) { s.Rings[1].Approval = &resource.Approval{From: []string{"sre"}, Need: "any"} })
	for who, kind := range map[string]errs.Kind{"user:ann": errs.Denied, "user:eve": errs.Denied} { // ann released it
		if _, err := Approve(s, "", who, "", false, groups, now); !errs.Is(err, kind) {
			t.Errorf("%s: %v", who, err)
		}
	}
	if _, err := Approve(s, "all", "user:bob", "", false, groups, now); !errs.Is(err, errs.Conflict) {
		t.Errorf("a later ring: %v", err)
	}
	s.Rings[1].Approval.Own = true
	if _, err := Approve(s, "", "user:ann", "", false, groups, now); err != nil {
		t.Errorf("own approval: %v", err)
	}
	refused, err := Approve(s, "", "user:bob", "not on a Friday", true, groups, now)
	if s = FoldAll(s, refused); err != nil || !s.Halted || !strings.Contains(s.Waiting(well(), now), "not on a Friday") {
		t.Errorf("refused: %v, %s", err, s.Waiting(well(), now))
	}
}

func TestWhatKeepsAChangeFromTheNextRing(t *testing.T) {
	until := start.Add(48 * time.Hour)
	closed := &resource.Hours{Days: []string{"wed"}}
	for name, c := range map[string]struct {
		change func(*State)
		ev     func(*Evidence)
		why    string
	}{
		"a freeze":            {ev: func(e *Evidence) { e.Holds = []Hold{{HoldFreeze, "xmas", "nobody is here", until}} }, why: "frozen by xmas: nobody is here, until"},
		"a stopped line":      {ev: func(e *Evidence) { e.Holds = []Hold{{Kind: HoldLine, Reason: "all hands"}} }, why: "the line is stopped: all hands"},
		"a freeze, through":   {change: func(s *State) { s.Through = true }, ev: func(e *Evidence) { e.Holds = []Hold{{Kind: HoldFreeze}} }},
		"a line, for a sev 1": {change: func(s *State) { s.Lane = Sev1 }, ev: func(e *Evidence) { e.Holds = []Hold{{Kind: HoldLine, Reason: "all"}} }, why: "the line is stopped"},
		"a line, for a sev 0": {change: func(s *State) { s.Lane = Sev0 }, ev: func(e *Evidence) { e.Holds = []Hold{{Kind: HoldLine}} }},
		"hours":               {change: func(s *State) { s.Rings[1].Hours = closed }, why: "may be entered in its hours, from Wed 4 Mar 09:00 UTC"},
		"hours, for a hotfix": {change: func(s *State) { s.Rings[1].Hours, s.Lane = closed, Hotfix }},
		"too few requests":    {change: func(s *State) { s.Rings[0].MinRequests = 1000 }, ev: func(e *Evidence) { e.Requests = 999 }, why: "999 of 1000 requests in ring canary"},
		"enough requests":     {change: func(s *State) { s.Rings[0].MinRequests = 1000 }, ev: func(e *Evidence) { e.Requests = 1000 }},
		"too few users":       {change: func(s *State) { s.Rings[0].MinUsers = 10 }, why: "0 of 10 users in ring canary"},
		"a peak to come":      {change: func(s *State) { s.Rings[0].CoverPeak = true }, ev: func(e *Evidence) { e.Peak.Waiting = "it is at noon" }, why: "has not covered the peak: it is at noon"},
		"a peak covered":      {change: func(s *State) { s.Rings[0].CoverPeak = true }, ev: func(e *Evidence) { e.Peak.Covered = true }},
		"a unit not in force": {ev: func(e *Evidence) { e.InForce = false }, why: "take up what it shall run"},
		"a gate before, unasked": {change: func(s *State) {
			s.Gates = append(s.Gates, Gate{Gate: health.Gate{Name: "smoke", Signal: "webhook"}, When: "before"})
		},
			why: "before ring early, smoke: no evidence yet"},
	} {
		if c.change == nil {
			c.change = func(*State) {}
		}
		s, now := baked(c.change)
		if s.Ring < 0 { // what keeps it from the second ring keeps it from the first one too
			s.Ring, s.Phase, s.Stages = 0, Baking, []Stage{{Ring: "canary", Exposed: start, Baking: start}}
			now = start.Add(time.Hour)
		}
		ev := well()
		if c.ev != nil {
			c.ev(&ev)
		}
		s, _ = settle(s, ev, now)
		if why := s.Waiting(ev, now); c.why == "" && s.Ring != 1 || c.why != "" && (s.Ring != 0 || !strings.Contains(why, c.why)) {
			t.Errorf("%s: ring %d, waiting: %q, want %q", name, s.Ring, why, c.why)
		}
		ev.Gates[0].Verdict, ev.Gates[0].Reasons = health.Fail, []string{"too many"}
		if s, _ = settle(s, ev, now); s.Phase != RolledBack && s.Phase != RollingBack && c.why != "take up what it shall run" {
			t.Errorf("%s: harm is not taken back: %s", name, s.Phase)
		}
	}
}

func TestWhatAGateWeighs(t *testing.T) {
	said := func(v health.Verdict, noData bool) health.Judgement {
		return health.Judgement{Gate: health.Gate{Name: "extra"}, Verdict: v, NoData: noData, Reasons: []string{"so it says"}}
	}
	for name, c := range map[string]struct {
		gate  Gate
		said  health.Judgement
		phase Phase
		ring  int
		event string
	}{
		"fails":                      {Gate{}, said(health.Fail, false), RolledBack, 0, EvReverting},
		"fails and halts":            {Gate{OnFail: "halt"}, said(health.Fail, false), Baking, 0, EvHalted},
		"fails and holds":            {Gate{OnFail: "hold"}, said(health.Fail, false), Baking, 0, EvWarned},
		"fails and tells":            {Gate{OnFail: "notify"}, said(health.Fail, false), Exposing, 1, EvWarned},
		"fails, only informing":      {Gate{Informing: true}, said(health.Fail, false), Exposing, 1, EvWarned},
		"holds, only informing":      {Gate{Informing: true}, said(health.Hold, false), Exposing, 1, ""},
		"has no data":                {Gate{}, said(health.Hold, true), Baking, 0, ""},
		"has no data, which passes":  {Gate{NoData: "pass"}, said(health.Hold, true), Exposing, 1, ""},
		"has no data, which fails":   {Gate{NoData: "fail"}, said(health.Hold, true), RolledBack, 0, EvReverting},
		"fails in another ring":      {Gate{Rings: []string{"all"}}, said(health.Fail, false), Exposing, 1, ""},
		"fails before another ring":  {Gate{When: "before", Rings: []string{"all"}}, said(health.Fail, false), Exposing, 1, ""},
		"fails before the next ring": {Gate{When: "before", Rings: []string{"early"}}, said(health.Fail, false), RolledBack, 0, EvReverting},
	} {
		c.gate.Gate = health.Gate{Name: "extra", Signal: "query"}
		s, now := baked(func(s *State) { s.Gates = append(s.Gates, c.gate) })
		ev := well()
		ev.Gates, ev.Before = append(ev.Gates, c.said), []health.Judgement{c.said}
		ev.InForce = true
		var events []Event
		for range 3 { // without acknowledging the next ring
			step := Next(s, ev, now)
			events, s = append(events, step...), FoldAll(s, step)
			if s.Phase == Exposing {
				break
			}
		}
		if s.Phase != c.phase || s.Ring != c.ring || c.event != "" && !strings.Contains(types(events), c.event) {
			t.Errorf("%s: %s in ring %d: %s", name, s.Phase, s.Ring, types(events))
		}
	}
}

// A person who lets a halted rollout go on has seen what halted it.
func TestResumeGoesPastWhatHalted(t *testing.T) {
	s, now := baked(func(s *State) { s.Gates[0].OnFail = "halt" })
	ev := well()
	ev.Gates[0].Verdict, ev.Gates[0].Reasons = health.Fail, []string{"too many"}
	s, _ = settle(s, ev, now)
	if !s.Halted || s.Phase != Baking || !strings.Contains(s.Waiting(ev, now), "halted: ring canary: too many") {
		t.Fatalf("%s: %s", s.Phase, s.Waiting(ev, now))
	}
	resumed, err := Command(s, Resume, "user:bob", "known and harmless", now)
	if s, _ = settle(FoldAll(s, resumed), ev, now); err != nil || s.Ring != 2 && s.Ring != 1 {
		t.Errorf("%v, ring %d: %s", err, s.Ring, s.Waiting(ev, now))
	}
}

func TestTheVersionBeforeStandsBy(t *testing.T) {
	s := example("v1")
	s.Standby, s.Rings, s.Members = fleet.Dur(time.Hour), s.Rings[2:], nil
	s, _, now := run(s, well(), start, 100, time.Minute)
	if s.Phase != Succeeded || !slices.Contains(s.Wanted("local").Keep, "v1") && now.Sub(s.Ended) < time.Hour {
		t.Fatalf("%s, keeping %v", s.Phase, s.Wanted("local").Keep)
	}
	back, err := Command(s, Rollback, "user:bob", "", s.Ended.Add(time.Minute))
	if b := FoldAll(s, back); err != nil || b.Wanted("local").Exposure[0] != "v2" || !slices.Contains(b.Wanted("local").Keep, "v1") {
		t.Errorf("%v: %+v", err, b.Wanted("local"))
	}
	s, _ = settle(s, well(), s.Ended.Add(time.Hour))
	if !s.Retired || slices.Contains(s.Wanted("local").Keep, "v1") {
		t.Errorf("after an hour: %+v", s.Wanted("local"))
	}
}

func spread(units ...string) (State, resource.Resolved) {
	spec := resource.Resolved{Name: "shop", Plan: "p", Service: resource.Service{Units: units},
		Rings: []resource.Ring{{Name: "first", Units: units[:1], Bake: fleet.Dur(24 * time.Hour), HotfixBake: fleet.Dur(2 * time.Hour)},
			{Name: "all", Bake: fleet.Dur(24 * time.Hour), HotfixBake: fleet.Dur(2 * time.Hour)}},
		Exposure: []fleet.Ring{{Name: "first", Units: units[:1], Audience: json.RawMessage("true")}, {Name: "all"}},
		Gates:    []resource.Gate{{Signal: "errors"}}}
	s := Planned(spec)
	s.ID, s.Service, s.From, s.To, s.By = "shop-2", "shop", "v1", "v2", "user:ann"
	return s, spec
}

func TestLanes(t *testing.T) {
	for name, c := range map[string]struct {
		lane  Lane
		hit   []string
		want  string // rings with their units and bakes
		after string // what each unit has when it has succeeded
	}{
		"straight to the unit that is hit": {Sev0, []string{"b"}, "hit[b]2h rest[]2h", "v1 v2 v1"},
		"straight to all":                  {Sev0, nil, "everyone[]2h", "v2 v2 v2"},
		"through the first ring":           {Sev1, []string{"b", "c"}, "first[a]2h hit[b c]2h! rest[]2h", "v2 v2 v2"},
		"all rings, sooner":                {Hotfix, nil, "first[a]2h all[]2h", "v2 v2 v2"},
		"what was good":                    {Redeploy, nil, "all[]2h", "v2 v2 v2"},
		"the plan's own":                   {"", nil, "first[a]24h all[]24h", "v2 v2 v2"},
	} {
		s, spec := spread("a", "b", "c")
		s, err := s.Via(c.lane, c.hit, spec)
		if err != nil {
			t.Fatal(err)
		}
		s.Rings = slices.Clone(s.Rings)
		var rings, after []string
		for _, r := range s.Rings {
			mark := map[bool]string{true: "!"}[r.Approval != nil]
			rings = append(rings, r.Name+"["+strings.Join(r.Units, " ")+"]"+r.Bake.String()+mark)
		}
		s, _ = Start(s, start)
		ev := well()
		for range 100 {
			if next, missing := s.Pending(nil); missing != "" {
				given, err := Approve(s, next, "user:bob", "", false, nil, start)
				if err != nil {
					t.Fatal(err)
				}
				s = FoldAll(s, given)
			}
			s, _, _ = run(s, ev, start.Add(time.Duration(len(s.Stages))*30*time.Hour), 1, time.Hour)
		}
		if s.Phase != Succeeded || len(rings) != len(s.Members) {
			t.Fatalf("%s: %s %s", name, s.Phase, s.Waiting(ev, start))
		}
		for _, u := range []string{"a", "b", "c"} {
			after = append(after, s.AfterIn(u))
		}
		if got := strings.Join(rings, " "); got != c.want || strings.Join(after, " ") != c.after {
			t.Errorf("%s: %s leaves %v, want %s leaving %s", name, got, after, c.want, c.after)
		}
	}
	s, spec := spread("a", "b")
	if _, err := s.Via(Sev0, []string{"z"}, spec); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown unit: %v", err)
	}
}

// A unit runs the new version once the next ring needs it there, and gets it when that ring does.
func TestUnitsFollowTheirRings(t *testing.T) {
	s, _ := spread("a", "b")
	s, _ = Start(s, start)
	if w := s.Wanted("b"); !slices.Equal(w.Keep, []string{"v1"}) {
		t.Errorf("b runs %v before anyone needs it there", w.Keep)
	}
	s = FoldAll(s, Next(s, well(), start))
	if a, b := s.Wanted("a"), s.Wanted("b"); a.Exposure[0] != "v2" || !slices.Contains(b.Keep, "v2") || b.Exposure[1] != "v1" {
		t.Errorf("a %+v, b %+v", a, b)
	}
	s.Before = map[string]string{"b": "v0"}
	if b := s.Wanted("b"); !slices.Equal(b.Keep, []string{"v0", "v2"}) || b.Exposure[1] != "v0" {
		t.Errorf("b had another version: %+v", b)
	}
	s = FoldAll(s, revert(s, well(), "hurts", start))
	s, _ = settle(s, well(), start)
	if s.Phase != RolledBack || s.AfterIn("a") != "v1" || s.AfterIn("b") != "v0" {
		t.Errorf("%s: %s and %s", s.Phase, s.AfterIn("a"), s.AfterIn("b"))
	}
}

func TestAPreemptedRolloutSaysWhatBecomesOfIt(t *testing.T) {
	s, now := baked(func(*State) {})
	events, err := Preempt(s, "user:bob", "shop-3", Sev0, "cards are refused", now)
	if err != nil || types(events) != "rollout.preempted canary|rollout.superseded" {
		t.Fatalf("%v: %s", err, types(events))
	}
	if why := events[0].Reason; !strings.Contains(why, "cards are refused") || !strings.Contains(why, "return to v1") {
		t.Error(why)
	}
}
