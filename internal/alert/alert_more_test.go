package alert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func fires(name, service, severity string, ago time.Duration) Record {
	a := Alert{Labels: map[string]string{Name: name, Service: service, Severity: severity}, StartsAt: noon.Add(-ago)}
	return Record{Alert: a, ID: a.ID(), Begun: []time.Time{noon.Add(-ago)}}
}

func TestMatchers(t *testing.T) {
	labels := map[string]string{"a": "b", "x y": `q"`}
	for text, want := range map[string]bool{
		`a=b`: true, `a="b"`: true, `{a="b",a!="c"}`: true, `a=~"b|c"`: true, `a=~"bb"`: false, `a!~".+"`: false, `none=""`: true, `none!=""`: false, `a="b,c"`: false,
		`"x y"="q\""`: true, `a = b`: true, `{}`: true, `a="b",`: true,
	} {
		ms, err := ParseMatchers(text)
		if err != nil || ms.Matches(labels) != want {
			t.Errorf("%s: %v, %v, expected %v", text, ms.Matches(labels), err, want)
		}
		if again, err := ParseMatchers(ms.String()); err != nil || again.String() != ms.String() {
			t.Errorf("%s is written as %s, which reads as %s, %v", text, ms, again, err)
		}
	}
	for _, text := range []string{`a`, `=b`, `a="b`, `a=~"("`, `{a=b`, `a=b}`, `a="b"c"`} {
		if ms, err := ParseMatchers(text); err == nil {
			t.Errorf("%s reads as %s", text, ms)
		}
	}
}

func TestRoutes(t *testing.T) {
	must := func(text string) Matchers { ms, _ := ParseMatchers(text); return ms }
	root := &Route{ID: "r", To: []string{"all"}, GroupBy: []string{Service}, Wait: 1, Interval: 2, Repeat: 3, Routes: []*Route{
		{ID: "page", Matchers: must(`severity=page`), To: []string{"phone"}, Wait: -1, Interval: -1, Repeat: -1, Continue: true},
		{ID: "shop", Matchers: must(`service=shop`), Wait: -1, Interval: -1, Repeat: 9, Routes: []*Route{{ID: "deep", Matchers: must(`ring=canary`), Wait: -1, Interval: -1, Repeat: -1}}},
	}}
	root.Inherit()
	for text, want := range map[string]string{
		"service=cart": "r", "service=shop": "shop", "service=shop,ring=canary": "deep", "severity=page,service=shop": "page shop", "severity=page": "page",
	} {
		labels := map[string]string{}
		for pair := range strings.SplitSeq(text, ",") {
			k, v, _ := strings.Cut(pair, "=")
			labels[k] = v
		}
		var ids []string
		for _, r := range RoutesOf([]*Route{root}, labels) {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s goes to %s, expected %s", text, got, want)
		}
	}
	if deep := root.Routes[1].Routes[0]; deep.Repeat != 9 || deep.Wait != 1 || !slices.Equal(deep.To, []string{"all"}) || deep.Key() != `{}/{service="shop"}/{ring="canary"}` {
		t.Errorf("%+v %s", deep, deep.Key())
	}
}

func TestCauses(t *testing.T) {
	deps := Depends{"front": {"shop"}, "shop": {"db"}, "a": {"b"}, "b": {"a"}}
	for name, c := range map[string]struct {
		all  []Record
		want string
	}{
		"through others":                {[]Record{fires("F", "front", Paging, 3), fires("D", "db", Paging, 1)}, "F<D"},
		"the root explains all":         {[]Record{fires("F", "front", Paging, 3), fires("S", "shop", Paging, 2), fires("D", "db", Paging, 1)}, "F<D S<D"},
		"a lesser one explains nothing": {[]Record{fires("S", "shop", Paging, 2), fires("D", "db", Ticket, 1)}, ""},
		"nor does information":          {[]Record{fires("S", "shop", Info, 2), fires("D", "db", Info, 1)}, ""},
		"in a circle the first":         {[]Record{fires("B", "b", Paging, 1), fires("A", "a", Paging, 2)}, "B<A"},
		"its own service":               {[]Record{fires("S", "shop", Paging, 2), fires("T", "shop", Paging, 1)}, ""},
		"not the other way":             {[]Record{fires("F", "front", Paging, 3)}, ""},
	} {
		names := map[string]string{}
		for _, r := range c.all {
			names[r.ID] = r.Labels[Name]
		}
		var got []string
		for id, cause := range Causes(c.all, nil, deps) {
			got = append(got, names[id]+"<"+names[cause])
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %q, expected %q", name, s, c.want)
		}
	}
}

// Whatever depends on whatever, and whatever rules say: where something fires that is no information, somebody is told.
func TestSomebodyIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d"}
		one := rapid.SampledFrom(names)
		deps := Depends{}
		for _, s := range names {
			deps[s] = rapid.SliceOfN(one, 0, 3).Draw(t, s)
		}
		var all []Record
		for i := range rapid.IntRange(1, 6).Draw(t, "n") {
			all = append(all, fires(fmt.Sprint("x", i), one.Draw(t, "service"), rapid.SampledFrom([]string{Paging, Ticket}).Draw(t, "severity"), time.Duration(rapid.IntRange(0, 3).Draw(t, "ago"))*time.Minute))
		}
		groups, standings := Judge(Situation{Records: all, Depends: deps, Damping: DefaultDamping, Now: noon})
		told := 0
		for _, g := range groups {
			told += len(g.Firing)
		}
		if told == 0 {
			t.Fatal("nobody is told")
		}
		for _, r := range all {
			cause := standings[r.ID].Cause
			if cause != "" && standings[cause].Cause != "" {
				t.Fatalf("%s is explained by what is explained", r.ID)
			}
		}
	})
}

func TestDamping(t *testing.T) {
	r := fires("F", "shop", Paging, time.Minute)
	for i := range 3 {
		r.Begun = append(r.Begun, noon.Add(-time.Duration(i)*time.Minute))
	}
	r.EndsAt = noon.Add(-9 * time.Minute)
	if !DefaultDamping.Lasts(r, noon) {
		t.Error("one that flaps is told to be over too early")
	}
	if DefaultDamping.Lasts(r, noon.Add(2*time.Minute)) {
		t.Error("it has been quiet for long, and is still told to fire")
	}
	r.Begun = r.Begun[:2]
	if DefaultDamping.Lasts(r, noon) {
		t.Error("one that does not flap lasts")
	}
}

func TestNoises(t *testing.T) {
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	got := Noises([]Episode{
		{ID: "1", Name: "Flaps", Service: "a", Start: at(0), End: at(1), Told: true, Acted: true}, {ID: "1", Name: "Flaps", Service: "a", Start: at(20), End: at(21)},
		{ID: "1", Name: "Flaps", Service: "a", Start: at(40), End: at(41)},
		{ID: "2", Name: "Twin", Service: "b", Start: at(2), End: at(9)}, {ID: "3", Name: "First", Service: "b", Start: at(1), End: at(9), Told: true, Acted: true},
		{ID: "4", Name: "Ignored", Service: "c", Start: at(1), End: at(3), Told: true}, {ID: "5", Name: "Lasts", Service: "d", Start: at(1), Told: true},
	}, at(60))
	var lines []string
	for _, n := range got {
		lines = append(lines, fmt.Sprintf("%s %d fired %d ignored %d flapped %d duplicated", n.Alert, n.Fired, n.Ignored, n.Flapped, n.Duplicated))
	}
	want := "Flaps 3 fired 0 ignored 2 flapped 0 duplicated\nIgnored 1 fired 1 ignored 0 flapped 0 duplicated\nTwin 1 fired 0 ignored 0 flapped 1 duplicated\n" +
		"First 1 fired 0 ignored 0 flapped 0 duplicated\nLasts 1 fired 0 ignored 0 flapped 0 duplicated"
	if s := strings.Join(lines, "\n"); s != want {
		t.Errorf("%s\nexpected\n%s", s, want)
	}
}

func TestAgainst(t *testing.T) {
	standing := func(r Record) Standing { return Standing{Record: r} }
	of := func(version string) Standing {
		r := fires("V", "shop", Paging, time.Minute)
		r.Labels[Version] = version
		return standing(r)
	}
	silenced := standing(fires("A", "shop", Paging, time.Minute))
	silenced.SilencedBy = []string{"x"}
	for name, c := range map[string]struct {
		a    Standing
		want string
	}{
		"since": {standing(fires("A", "shop", Paging, time.Minute)), "fail"}, "before": {standing(fires("A", "shop", Paging, time.Hour)), "hold"},
		"another's": {standing(fires("A", "cart", Paging, time.Minute)), "pass"}, "information": {standing(fires("A", "shop", Info, time.Minute)), "pass"},
		"its version": {of("v2"), "fail"}, "another version": {of("v1"), "pass"}, "silenced": {silenced, "pass"},
	} {
		if got, why := Against([]Standing{c.a}, "shop", "v2", noon.Add(-10*time.Minute)); got != c.want {
			t.Errorf("%s: %s, %s, expected %s", name, got, why, c.want)
		}
	}
}
