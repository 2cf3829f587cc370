package slo

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// calendarOf is a calendar's window, whose first begins at a time in a zone.
func calendarOf(t testing.TB, length, start, zone string) Window {
	t.Helper()
	l, ok := ParseLength(length)
	if !ok {
		t.Fatalf("%q is no length", length)
	}
	at, err := calendar{start, zone}.start()
	if err != nil {
		t.Fatal(err)
	}
	return Window{Length: l, Start: at}
}

// TestCalendarWindows: a window begins and ends by the clock on a wall in its zone, over the ends of months and when the clocks are changed.
func TestCalendarWindows(t *testing.T) {
	for _, tt := range []struct{ length, start, zone, now, from, to string }{
		{"1M", "2026-01-01", "UTC", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"1M", "2026-01-01", "UTC", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{"1M", "2026-01-01", "UTC", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"1M", "2026-01-31", "UTC", "2026-02-27T12:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"1M", "2026-01-31", "UTC", "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"1M", "2026-01-31", "UTC", "2026-04-30T01:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"},
		{"1M", "2026-05-01", "UTC", "2026-02-10T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"}, // before its first
		{"1Q", "2026-01-01", "UTC", "2026-06-30T23:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"},
		{"1Y", "2024-02-29", "UTC", "2025-03-01T00:00:00Z", "2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"1w", "2026-01-05 09:00:00", "UTC", "2026-01-12T08:59:59Z", "2026-01-05T09:00:00Z", "2026-01-12T09:00:00Z"},
		{"12h", "2026-01-05", "UTC", "2026-01-06T13:00:00Z", "2026-01-06T12:00:00Z", "2026-01-07T00:00:00Z"},
		// New York is five hours behind in winter and four in summer: this day has 23 hours, that one 25.
		{"1d", "2026-01-01", "America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"},
		{"1d", "2026-01-01", "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{"1M", "2026-01-01", "America/New_York", "2026-03-31T23:00:00Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"},
		{"1M", "2026-01-01", "America/New_York", "2026-04-01T03:59:59Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"},
		{"1w", "2026-01-05", "Europe/Berlin", "2026-03-29T22:30:00Z", "2026-03-29T22:00:00Z", "2026-04-05T22:00:00Z"},
		// half an hour, and a clock that is put back by half an hour
		{"1d", "2026-01-01", "Australia/Lord_Howe", "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"},
		{"1d", "2026-01-01", "Asia/Kathmandu", "2026-05-01T18:15:00Z", "2026-05-01T18:15:00Z", "2026-05-02T18:15:00Z"},
		// half past two is not on the wall in that night
		{"1d", "2026-01-01 02:30:00", "America/New_York", "2026-03-09T00:00:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"},
		{"24h", "2026-01-01", "America/New_York", "2026-03-09T04:30:00Z", "2026-03-08T05:00:00Z", "2026-03-09T05:00:00Z"}, // hours are hours
	} {
		w := calendarOf(t, tt.length, tt.start, tt.zone)
		now, _ := time.Parse(time.RFC3339, tt.now)
		from, to := w.Bounds(now)
		if got := from.UTC().Format(time.RFC3339) + " " + to.UTC().Format(time.RFC3339); got != tt.from+" "+tt.to {
			t.Errorf("%s from %s %s at %s: %s, expected %s %s", tt.length, tt.start, tt.zone, tt.now, got, tt.from, tt.to)
		}
	}
}

// TestCalendarWindowsFollowEachOther: every time is in one window, which the next one follows without a gap.
func TestCalendarWindowsFollowEachOther(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		w := Window{Length: Length{rapid.IntRange(1, 40).Draw(t, "n"), rapid.SampledFrom([]byte("mhdwMQY")).Draw(t, "unit")}}
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		w.Start = time.Unix(rapid.Int64Range(1_262_304_000, 1_900_000_000).Draw(t, "start"), 0).In(zone)
		now := time.Unix(rapid.Int64Range(1_262_304_000, 1_900_000_000).Draw(t, "now"), 0)
		from, to := w.Bounds(now)
		if from.After(now) || !to.After(now) {
			t.Fatalf("%s is not in %s to %s of %s", now.UTC(), from, to, w)
		}
		if f, _ := w.Bounds(to); !f.Equal(to) {
			t.Fatalf("after %s to %s of %s comes one from %s", from, to, w, f)
		}
		if f, u := w.Bounds(to.Add(-time.Second)); !f.Equal(from) || !u.Equal(to) {
			t.Fatalf("at the end of %s to %s of %s it is %s to %s", from, to, w, f, u)
		}
	})
}

// TestBudgetOfCalendar: time slices are counted against all that the window will have had, also in a month in which the clocks are changed.
func TestBudgetOfCalendar(t *testing.T) {
	o := Objective{Method: Timeslices, Window: calendarOf(t, "1M", "2026-01-01", "America/New_York"), Parts: []Part{{Budget: 0.01, Weight: 1, slice: time.Hour}}}
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	left, ok := o.Remaining([]Count{{Bad: 3.715, Total: 19}}, now) // March has 743 hours there: half of one in a hundred is bad
	if want := 0.5; !ok || left < want-1e-9 || left > want+1e-9 {
		t.Errorf("%v %v, expected %v", left, ok, want)
	}
}

// TestBookOverTheEndOfAMonth: what was counted before the window began is not in it, also in the middle of a slice.
func TestBookOverTheEndOfAMonth(t *testing.T) {
	w := calendarOf(t, "1M", "2026-01-01 00:02:30", "UTC")
	b := &Book{Slice: 5 * time.Minute}
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for at := begin.Add(-time.Hour); at.Before(begin.Add(time.Hour)); at = at.Add(b.Slice) {
		b.Set(b.At(at.Add(b.Slice)), Count{Bad: 1, Total: 100})
	}
	now := begin.Add(time.Hour)
	from, _ := w.Bounds(now)
	if got := b.Sum(from, now); got != (Count{11.5, 1150}) {
		t.Errorf("%+v since %s", got, from)
	}
	o := Objective{Method: Occurrences, Window: w, Parts: []Part{{Budget: 0.02, Weight: 1}}}
	points := o.BurnDown([]*Book{b}, now, 4)
	last := points[len(points)-1]
	if len(points) != 5 || !points[0].At.Equal(from) || !last.At.Equal(now) || last.Remaining < 0.499 || last.Remaining > 0.501 {
		t.Errorf("%+v", points)
	}
}
