package incident

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t testing.TB, s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHandoverIsByTheClockOnTheWall(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	l := Layer{Name: "first", People: []string{"ann", "bob", "cy"}, Start: time.Date(2026, 3, 23, 9, 0, 0, 0, time.UTC), Days: 7, Zone: berlin}
	for _, c := range []struct{ at, want string }{
		{"2026-03-23T07:59:59Z", ""}, // before the first turn
		{"2026-03-23T08:00:00Z", "ann"},
		{"2026-03-30T06:59:59Z", "ann"}, // summer time began on the 29th: nine o'clock is an hour earlier
		{"2026-03-30T07:00:00Z", "bob"},
		{"2026-04-06T07:00:00Z", "cy"},
		{"2026-04-13T07:00:00Z", "ann"},
		{"2026-10-26T07:59:59Z", "ann"}, // and ended on October 25th
		{"2026-10-26T08:00:00Z", "bob"},
	} {
		if got := l.Who(at(t, c.at)); got != c.want {
			t.Errorf("%s: %q, expected %q", c.at, got, c.want)
		}
	}
}

func TestHandoverAtAnHourThatDoesNotExistOrIsTwice(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	l := Layer{Name: "first", People: []string{"ann", "bob"}, Start: time.Date(2026, 3, 28, 2, 30, 0, 0, time.UTC), Days: 1, Zone: berlin}
	shifts := l.Shifts(at(t, "2026-03-28T01:30:00Z"), at(t, "2026-03-30T00:30:00Z"), nil)
	if len(shifts) != 2 || !shifts[1].From.Equal(at(t, "2026-03-29T01:30:00Z")) {
		t.Errorf("%+v", shifts)
	}
	l.Start = time.Date(2026, 10, 24, 2, 30, 0, 0, time.UTC)
	shifts = l.Shifts(at(t, "2026-10-24T00:30:00Z"), at(t, "2026-10-26T01:30:00Z"), nil)
	if len(shifts) != 2 || !shifts[1].From.Equal(at(t, "2026-10-25T00:30:00Z")) {
		t.Errorf("%+v", shifts)
	}
}

func TestHoursAcrossAClockThatIsPutForwardOrBack(t *testing.T) {
	l := Layer{Name: "night", People: []string{"eve"}, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Days: 7, Zone: zone(t, "America/New_York"),
		Hours: &Hours{Days: [7]bool{true, true, true, true, true, true, true}, From: 22 * 60, To: 2*60 + 1}}
	for s, want := range map[string]string{"2026-03-08T07:00:30Z": "eve", "2026-03-08T07:01:00Z": "", // there is no 02:01
		"2026-11-01T05:59:00Z": "eve", "2026-11-01T06:30:00Z": "eve", "2026-11-01T07:01:00Z": ""} { // 01:30 is twice
		if got := l.Who(at(t, s)); got != want {
			t.Errorf("%s: %q, expected %q", s, got, want)
		}
	}
	l.Hours.To = 90
	if got := l.Who(at(t, "2026-11-01T06:10:00Z")); got != "" { // 01:10 again, after 01:30 was once
		t.Errorf("they open twice: %q", got)
	}
}

func TestLayersFollowTheSun(t *testing.T) {
	hours := func(from, to int) *Hours {
		return &Hours{Days: [7]bool{true, true, true, true, true, true, true}, From: from * 60, To: to * 60}
	}
	start := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	berlin := Layer{Name: "eu", People: []string{"ann"}, Start: start, Days: 7, Zone: zone(t, "Europe/Berlin"), Hours: hours(8, 20)}
	sydney := Layer{Name: "au", People: []string{"sue"}, Start: start, Days: 7, Zone: zone(t, "Australia/Sydney"), Hours: hours(7, 18)}
	from, to := at(t, "2026-11-10T00:00:00Z"), at(t, "2026-11-11T00:00:00Z")
	gaps := Gaps([][]Shift{berlin.Shifts(from, to, nil), sydney.Shifts(from, to, nil)}, from, to)
	// Berlin has 07:00–19:00 UTC, Sydney 20:00–07:00 UTC.
	if len(gaps) != 1 || !gaps[0].From.Equal(at(t, "2026-11-10T19:00:00Z")) || !gaps[0].To.Equal(at(t, "2026-11-10T20:00:00Z")) {
		t.Errorf("%+v", gaps)
	}
	night := Layer{Name: "night", People: []string{"eve"}, Start: start, Days: 7, Zone: time.UTC, Hours: &Hours{Days: [7]bool{time.Tuesday: true}, From: 22 * 60, To: 6 * 60}}
	for s, want := range map[string]string{"2026-11-10T21:59:00Z": "", "2026-11-10T22:00:00Z": "eve", "2026-11-11T05:59:00Z": "eve", "2026-11-11T06:00:00Z": "", "2026-11-11T23:00:00Z": ""} {
		if got := night.Who(at(t, s)); got != want {
			t.Errorf("%s: %q, expected %q", s, got, want)
		}
	}
}

func TestTheLastOverrideCounts(t *testing.T) {
	l := Layer{Name: "first", People: []string{"ann"}, Start: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Days: 7, Zone: time.UTC}
	day := func(n, h int) time.Time { return time.Date(2026, 11, n, h, 0, 0, 0, time.UTC) }
	got := l.Shifts(day(3, 0), day(4, 0), []Override{
		{ID: "1", Layer: "first", Person: "bob", From: day(3, 6), To: day(3, 12), Made: day(1, 0)},
		{ID: "2", Layer: "first", Person: "cy", From: day(3, 10), To: day(3, 11), Made: day(2, 0)},
		{ID: "3", Layer: "second", Person: "dee", From: day(3, 0), To: day(4, 0), Made: day(2, 0)},
	})
	want := []Shift{{"first", "ann", day(3, 0), day(3, 6), ""}, {"first", "bob", day(3, 6), day(3, 10), "1"}, {"first", "cy", day(3, 10), day(3, 11), "2"}, {"first", "bob", day(3, 11), day(3, 12), "1"}, {"first", "ann", day(3, 12), day(4, 0), ""}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%+v, expected %+v", got[i], want[i])
		}
	}
}

// TestShiftsCoverTheTime: whatever the layer, its shifts follow each other without holes, and at every moment say what
// Who and the newest override say.
func TestShiftsCoverTheTime(t *testing.T) {
	zones := []*time.Location{time.UTC, zone(t, "Europe/Berlin"), zone(t, "America/New_York"), zone(t, "Australia/Lord_Howe")}
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		minutes := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Minute
		}
		l := Layer{Name: "l", People: []string{"ann", "bob", "cy"}[:rapid.IntRange(1, 3).Draw(t, "people")], Start: start.Add(minutes("start", 100*1440)), Days: rapid.IntRange(1, 10).Draw(t, "days"), Zone: rapid.SampledFrom(zones).Draw(t, "zone")}
		if rapid.Bool().Draw(t, "hours") {
			l.Hours = &Hours{From: rapid.IntRange(0, 1439).Draw(t, "from"), To: rapid.IntRange(0, 1440).Draw(t, "to")}
			for i := range l.Hours.Days {
				l.Hours.Days[i] = rapid.Bool().Draw(t, "day")
			}
		}
		from := start.Add(minutes("begin", 330*1440))
		to := from.Add(time.Minute + minutes("length", 30*1440))
		var overrides []Override
		for i := range rapid.IntRange(0, 3).Draw(t, "overrides") {
			f := from.Add(minutes("f", 30*1440) - 2*24*time.Hour)
			overrides = append(overrides, Override{ID: "o", Layer: "l", Person: "zoe", From: f, To: f.Add(time.Minute + minutes("o", 3000)), Made: start.Add(time.Duration(i))})
		}
		shifts := l.Shifts(from, to, overrides)
		if !shifts[0].From.Equal(from) || !shifts[len(shifts)-1].To.Equal(to) {
			t.Fatalf("%v to %v: %+v", from, to, shifts)
		}
		for i, s := range shifts {
			if !s.To.After(s.From) || i > 0 && !s.From.Equal(shifts[i-1].To) {
				t.Fatalf("hole: %+v", shifts)
			}
			for _, m := range []time.Time{s.From, s.From.Add(s.To.Sub(s.From) / 2), s.To.Add(-time.Second)} {
				want := l.Who(m)
				for _, o := range overrides {
					if !o.From.After(m) && o.To.After(m) {
						want = o.Person
					}
				}
				if s.Person != want {
					t.Fatalf("%v: %q, expected %q in %+v", m, s.Person, want, s)
				}
			}
		}
	})
}
