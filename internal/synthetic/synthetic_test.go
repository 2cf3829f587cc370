package synthetic

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func spec(from ...string) resource.Probe {
	return resource.Probe{Service: "shop", Every: fleet.Dur(10 * time.Second), From: from, HTTP: &resource.ProbeRequest{}}.Defaults()
}

// seen makes a view of rounds, one each 10 s, the last just before now: + is a good one.
func seen(rounds string) *View {
	v := &View{}
	for i, c := range rounds {
		v.Add(Round{At: start.Add(time.Duration(i) * 10 * time.Second), OK: c == '+', Seconds: 0.1, Reason: "why"})
	}
	return v
}

func TestVotes(t *testing.T) {
	three := spec("a", "b", "c") // two make it down, after two failures in a row
	for _, tt := range []struct {
		a, b, c string
		late    time.Duration
		want    State
	}{
		{"++", "++", "++", 0, Up},
		{"--", "++", "++", 0, Up},
		{"--", "--", "++", 0, Down},
		{"+-", "+-", "+-", 0, Up}, // one failure is none yet
		{"--", "--", "", 0, Down}, // whatever the third would say
		{"--", "++", "", 0, Unknown},
		{"++", "++", "", 0, Up},
		{"", "++", "", 0, Unknown},
		{"--", "--", "--", 10 * time.Minute, Unknown}, // silence is no news
		{"++", "++", "++", 10 * time.Minute, Unknown},
	} {
		views := map[string]*View{"d": seen("--")} // who has no vote
		for name, rounds := range map[string]string{"a": tt.a, "b": tt.b, "c": tt.c} {
			if rounds != "" {
				views[name] = seen(rounds)
			}
		}
		if got := Cast(three, views, start.Add(15*time.Second+tt.late)); got.State != tt.want {
			t.Errorf("%+v: got %+v", tt, got)
		}
	}
}

func TestViews(t *testing.T) {
	v := seen("+-+")
	if v.Row != 0 || len(v.Points) != 3 || v.Hours[0] != (Hour{Start: start, Good: 2, Bad: 1}) {
		t.Errorf("%+v", v)
	}
	if v.Add(Round{At: start, OK: true}) || len(v.Points) != 3 {
		t.Error("a round that is told again counts again")
	}
	for i := range 2000 {
		v.Add(Round{At: start.Add(time.Duration(i+10) * time.Hour), OK: true})
	}
	if len(v.Points) != KeptPoints || len(v.Hours) != KeptHours {
		t.Errorf("%d points and %d hours are kept", len(v.Points), len(v.Hours))
	}
	if share, n := v.Availability(start.Add(2009 * time.Hour)); share != 1 || n != 2 {
		t.Errorf("%v of %d", share, n)
	}
}

func TestComparison(t *testing.T) {
	side := func(n int, failEvery int, seconds float64) map[string]*View {
		v := &View{}
		for i := range n {
			jitter := 1 + 0.2*float64(i%5)
			v.Add(Round{At: start.Add(time.Duration(i) * 10 * time.Second), OK: failEvery == 0 || i%failEvery != 0, Seconds: seconds * jitter})
		}
		return map[string]*View{"control": v}
	}
	for name, tt := range map[string]struct {
		now, stable map[string]*View
		want        health.Verdict
	}{
		"alike":              {side(60, 0, 0.1), side(60, 0, 0.1), health.Pass},
		"too few":            {side(5, 0, 0.1), side(60, 0, 0.1), health.Hold},
		"never seen":         {nil, side(60, 0, 0.1), health.Hold},
		"fails every second": {side(60, 2, 0.1), side(60, 0, 0.1), health.Fail},
		"both fail alike":    {side(60, 2, 0.1), side(60, 2, 0.1), health.Pass},
		"three times slower": {side(60, 0, 0.3), side(60, 0, 0.1), health.Fail},
		"a little slower":    {side(60, 0, 0.11), side(60, 0, 0.1), health.Pass},
		"faster":             {side(60, 0, 0.05), side(60, 0, 0.1), health.Pass},
	} {
		c := Compare(spec(resource.ControlProber), resource.ProbeGate{}, tt.now, tt.stable, [2]string{"v2", "v1"})
		if c.Verdict != tt.want {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestTogether(t *testing.T) {
	soon := start.Add(time.Hour)
	r := Together([]Round{{Version: "v1", OK: true, Seconds: 1, Expires: soon.Add(time.Hour)}, {Version: "v1", Seconds: 9, Reason: "b"}, {Version: "v1", OK: true, Seconds: 3, Expires: soon}})
	if r.OK || r.Reason != "b" || r.Failed != 1 || r.Targets != 3 || r.Seconds != 2 || !r.Expires.Equal(soon) {
		t.Errorf("%+v", r)
	}
}
