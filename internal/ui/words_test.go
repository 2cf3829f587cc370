package ui

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

func TestWords(t *testing.T) {
	half := 12.5
	for _, c := range []struct{ got, want string }{
		{span(0), "0 s"}, {span(321 * time.Millisecond), "321 ms"}, {span(1500 * time.Millisecond), "1.5 s"}, {span(7040 * time.Millisecond), "7 s"},
		{span(59 * time.Second), "59 s"}, {span(90 * time.Second), "1 min 30 s"}, {span(time.Hour), "1 h"}, {span(26 * time.Hour), "26 h"},
		{span(50 * time.Hour), "2 d 2 h"}, {span(-time.Second), "0 s"},
		{count(7), "7"}, {count(1234567), "1\u202f234\u202f567"}, {plural(1, "user", "users"), "1 user"}, {plural(0, "user", "users"), "0 users"},
		{percent(0), "0 %"}, {percent(0.00001), "< 0.01 %"}, {percent(0.0012), "0.12 %"}, {percent(0.05), "5 %"}, {percent(0.123), "12.3 %"}, {percent(1), "100 %"}, {percent(math.NaN()), "–"},
		{rate(0), "0/s"}, {rate(0.04), "< 0.1/s"}, {rate(3.44), "3.4/s"}, {rate(1234), "1\u202f234/s"},
		{evidence(0), "0"}, {evidence(1e-9), "< 0.001"}, {evidence(0.934), "0.93"}, {evidence(704.5), "705"}, {evidence(3e30), "10³⁰"},
		{size(7 << 20), "7.0 MiB"}, {size(12 << 10), "12 KiB"}, {size(3 << 30), "3.0 GiB"},
		{sentenceCase("it is paused"), "It is paused."}, {sentenceCase("v4 is ready!"), "v4 is ready!"}, {sentenceCase(""), ""},
		{person("user:ada"), "ada"}, {person("system:controller"), "Ringfence"}, {person("system:start"), "start"}, {person("x"), "x"},
		{clip("äöü", 3), "ä…"}, {clip("abc", 3), "abc"}, {brief("a.; b."), "a"}, {brief("a; b"), "a; b"},
		{audience(resource.Audience{}), "everyone"}, {audience(resource.Audience{Percent: &half}), "12.5 % of users"},
		{audience(resource.Audience{Any: []resource.Audience{{Users: []string{"a"}}, {Segment: "staff"}, {Rule: json.RawMessage("{}")}}}), "1 named user, or segment staff, or whoever a rule matches"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	now := time.Now()
	for d, want := range map[time.Duration]string{0: "now", -time.Hour: "now", 30 * time.Second: "30 s ago", 5 * time.Minute: "5 min ago", 3 * time.Hour: "3 h ago", 72 * time.Hour: "3 d ago"} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

// Every type of event has words of its own.
func TestEveryEventIsASentence(t *testing.T) {
	types := []string{rollout.EvStarted, rollout.EvReady, rollout.EvExposed, rollout.EvBaking, rollout.EvJudged, rollout.EvPassed, rollout.EvLost, rollout.EvFound,
		rollout.EvPaused, rollout.EvResumed, rollout.EvHurried, rollout.EvHalted, rollout.EvAborted, rollout.EvReverting, rollout.EvReverted, rollout.EvRolledBack,
		rollout.EvSucceeded, rollout.EvSuperseded}
	seen := map[string]string{}
	for _, typ := range types {
		e, err := audit.New(time.Now(), typ, "user:ada", "rollout/shop-2", rollout.Event{Ring: "canary", From: "v1", To: "v2", Users: 3, Reason: "hold"})
		if err != nil {
			t.Fatal(err)
		}
		got := entryOf(e)
		if got.Text == "" || strings.Contains(got.Text, "rollout/") || got.Link != "/rollouts/shop-2" {
			t.Errorf("%s: %q to %q", typ, got.Text, got.Link)
		}
		if other := seen[got.Text]; other != "" {
			t.Errorf("%s and %s are both %q", typ, other, got.Text)
		}
		seen[got.Text] = typ
	}
	for typ, want := range map[string]string{
		"release.created": "ada released v3 of shop", "resource.deleted": "ada deleted release shop/v3", "other.thing": "ada: other thing, release/shop/v3",
	} {
		if got := entryOf(audit.Event{Type: typ, Actor: "user:ada", Subject: "release/shop/v3"}); got.Text != want {
			t.Errorf("%s: got %q, want %q", typ, got.Text, want)
		}
	}
	if got := entryOf(audit.Event{Type: rollout.EvHalted, Subject: "rollout/x-1", Data: json.RawMessage(`"not an object"`)}); got.Text == "" {
		t.Error("an event whose data cannot be read is not told")
	}
}

func TestHowRingsLook(t *testing.T) {
	rings := []rollout.Ring{{Name: "a", Bake: fleet.Dur(time.Minute)}, {Name: "b", Bake: fleet.Dur(time.Minute)}, {Name: "c"}}
	for _, c := range []struct {
		phase rollout.Phase
		ring  int
		want  string
	}{
		{rollout.Starting, -1, "empty empty empty"}, {rollout.Exposing, 0, "now empty empty"}, {rollout.Baking, 1, "done now empty"},
		{rollout.Succeeded, 2, "done done done"}, {rollout.RollingBack, 1, "back failed empty"}, {rollout.RolledBack, 1, "back failed empty"},
		{rollout.RolledBack, -1, "empty empty empty"}, {rollout.Superseded, 1, "back back empty"},
	} {
		s := rollout.State{ID: "x-1", Phase: c.phase, Ring: c.ring, Rings: rings}
		var got []string
		for _, r := range ringsOf(s, health.Hold, time.Now()) {
			got = append(got, r.Look)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s in ring %d: %s, want %s", c.phase, c.ring, got, c.want)
		}
	}
}

func TestARingFillsAsItBakes(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		since, bake time.Duration
		fill        float64
		left        string
	}{{0, time.Minute, 0, "1 min"}, {15 * time.Second, time.Minute, 0.25, "45 s"}, {2 * time.Minute, time.Minute, 1, ""}, {time.Second, 0, 1, ""}, {-time.Second, time.Minute, 0, "1 min"}} {
		fill, _, left := bakeOf(rollout.Stage{Baking: now.Add(-c.since)}, c.bake, now)
		if math.Abs(fill-c.fill) > 1e-9 || left != c.left {
			t.Errorf("%s of %s: %g, %q left; want %g, %q", c.since, c.bake, fill, left, c.fill, c.left)
		}
	}
	if fill, baked, _ := bakeOf(rollout.Stage{}, time.Minute, now); fill != 0 || baked != "" {
		t.Error("a ring that is only being switched bakes")
	}
}

func TestPicturesStayInTheirFrame(t *testing.T) {
	for n := 1; n <= 20; n++ {
		a := draw("x", make([]ringView, n), "pass", "pass", "", true)
		inner := artHole
		for i := len(a.Bands) - 1; i >= 0; i-- {
			b := a.Bands[i]
			if b.Thick <= 0 || b.R-b.Thick/2 < inner-0.01 || b.R+b.Thick/2 > artRadius {
				t.Fatalf("%d rings: ring %d reaches from %g to %g", n, n-1-i, b.R-b.Thick/2, b.R+b.Thick/2)
			}
			inner = b.R + b.Thick/2
		}
		if a.Labels != (n <= artLabels) {
			t.Errorf("%d rings: labels %v", n, a.Labels)
		}
	}
}

func TestEvidenceOnItsScale(t *testing.T) {
	last := -1.0
	for _, e := range []float64{0, 1e-300, 1e-3, 0.5, 1, 99, 100, 101, 1e4, 1e300, math.Inf(1)} {
		s := scaleOf("k", "", e, 100)
		if s.X < last || s.X < 0 || s.X > barWidth || s.Reached != (e >= 100) || s.Reached != (s.X >= s.At) {
			t.Errorf("e %g: at %g of %g, reached %v", e, s.X, s.At, s.Reached)
		}
		last = s.X
	}
}

func TestSparks(t *testing.T) {
	nan := math.NaN()
	if s := sparkOf([]float64{nan, nan}, 0); s.Known || s.Line != "" {
		t.Errorf("nothing known is drawn: %+v", s)
	}
	s := sparkOf([]float64{0, 5, nan, 10, 10}, 0)
	if strings.Count(s.Line, "M") != 2 || strings.Contains(s.Line+s.Area, "NaN") || s.Last != 10 {
		t.Errorf("a gap is not a gap: %+v", s)
	}
	if s := sparkOf([]float64{0, 0}, 0.01); !s.Known || strings.Contains(s.Line, "NaN") {
		t.Errorf("zero: %+v", s)
	}
}

var colorRE = regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)

// WCAG 2 AA: text 4.5, what carries meaning 3, on every ground that it stands on, light and dark.
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("assets/app.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "}\n}")
	for name, text := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, m := range colorRE.FindAllStringSubmatch(text, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		if len(colors) < 19 {
			t.Fatalf("%s: only %d colours found", name, len(colors))
		}
		for _, p := range []struct {
			front, back string
			least       float64
		}{
			{"ink", "bg", 7}, {"ink", "panel", 7}, {"soft", "bg", 4.5}, {"soft", "panel", 4.5}, {"accent", "bg", 4.5}, {"accent", "panel", 4.5},
			{"accent", "tint", 4.5}, {"on-accent", "accent", 4.5}, {"pass", "pass-tint", 4.5}, {"hold", "hold-tint", 4.5}, {"fail", "fail-tint", 4.5},
			{"ink", "fail-tint", 4.5}, {"fail", "panel", 4.5}, {"bg", "fail", 4.5}, {"pass", "panel", 3}, {"hold", "panel", 3},
			{"solid", "panel", 3}, {"pass-solid", "panel", 3}, {"fail-solid", "panel", 3}, {"hold", "bg", 3}, {"on-solid", "solid", 4.5},
		} {
			a, b := colors[p.front], colors[p.back]
			if got := (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05); got < p.least {
				t.Errorf("%s: %s on %s has contrast %.2f, at least %.1f is needed", name, p.front, p.back, got, p.least)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(v uint64) float64 {
		c := float64(v&0xff) / 255
		if c <= 0.03928 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(n>>16) + 0.7152*channel(n>>8) + 0.0722*channel(n)
}
