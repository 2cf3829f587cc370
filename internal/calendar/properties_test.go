package calendar_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/calendar"
)

const localTime = "2006-01-02T15:04"

var (
	zones = []string{"", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}
	days  = []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}
)

// drawn is a window with a rule that a loop over days can decide too.
type drawn struct {
	window  calendar.Window
	first   time.Time // local
	length  time.Duration
	matches func(day time.Time) bool
}

func draw(t *rapid.T) drawn {
	first := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 800).Draw(t, "day")).
		Add(time.Duration(rapid.IntRange(0, 95).Draw(t, "quarter")) * 15 * time.Minute)
	d := drawn{first: first, length: time.Duration(rapid.IntRange(1, 200).Draw(t, "length")) * 15 * time.Minute}
	interval := rapid.IntRange(1, 5).Draw(t, "interval")
	midnight := first.Truncate(24 * time.Hour)
	rule := ""
	switch rapid.IntRange(0, 3).Draw(t, "freq") {
	case 0:
		rule = "FREQ=DAILY"
		d.matches = func(day time.Time) bool { return int(day.Sub(midnight)/(24*time.Hour))%interval == 0 }
	case 1:
		on := rapid.SliceOfNDistinct(rapid.SampledFrom(days), 1, 4, rapid.ID[string]).Draw(t, "on")
		rule = "FREQ=WEEKLY;BYDAY=" + strings.Join(on, ",")
		monday := midnight.AddDate(0, 0, -int(midnight.Weekday()+6)%7)
		d.matches = func(day time.Time) bool {
			return int(day.Sub(monday)/(7*24*time.Hour))%interval == 0 && slices.Contains(on, days[(day.Weekday()+6)%7])
		}
	case 2:
		rule = "FREQ=MONTHLY"
		d.matches = func(day time.Time) bool { return day.Day() == first.Day() && months(first, day)%interval == 0 }
	case 3:
		rule = "FREQ=MONTHLY;BYDAY=-1FR"
		d.matches = func(day time.Time) bool {
			return day.Weekday() == time.Friday && day.AddDate(0, 0, 7).Month() != day.Month() && months(first, day)%interval == 0
		}
	}
	d.window = calendar.Window{Start: first.Format(localTime), End: first.Add(d.length).Format(localTime),
		Zone: rapid.SampledFrom(zones).Draw(t, "zone"), Rule: fmt.Sprintf("%s;INTERVAL=%d", rule, interval)}
	return d
}

func months(from, to time.Time) int {
	return (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
}

// open decides by the clock on the wall and a loop over days.
func (d drawn) open(now time.Time) bool {
	zone, _ := time.LoadLocation(d.window.Zone)
	y, mo, day := now.In(zone).Date()
	h, mi, s := now.In(zone).Clock()
	wall := time.Date(y, mo, day, h, mi, s, 0, time.UTC)
	for back := 0; back <= 4; back++ {
		at := time.Date(y, mo, day-back, 0, 0, 0, 0, time.UTC)
		start := at.Add(d.first.Sub(d.first.Truncate(24 * time.Hour)))
		if !start.Before(d.first) && d.matches(at) && !wall.Before(start) && wall.Before(start.Add(d.length)) {
			return true
		}
	}
	return false
}

// A window is open when the clock on the wall says so: it may say otherwise only where it is being put back.
func TestActiveIsWhatTheClockShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		if err := calendar.Check(d.window); err != nil {
			t.Fatalf("%+v: %v", d.window, err)
		}
		zone, _ := time.LoadLocation(d.window.Zone)
		now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 1200*96).Draw(t, "now")) * 15 * time.Minute)
		until, ok := calendar.Active(d.window, now)
		_, offset := now.In(zone).Zone()
		_, soon := now.Add(2 * time.Hour).In(zone).Zone()
		_, lately := now.Add(-2 * time.Hour).In(zone).Zone()
		if want := d.open(now); ok != want && (want || soon == offset && lately == offset) {
			t.Fatalf("%+v at %v: active %v until %v, the clock says %v", d.window, now.In(zone), ok, until, want)
		}
		if !ok || until.IsZero() {
			return
		}
		if _, still := calendar.Active(d.window, until); still {
			t.Fatalf("%+v at %v: until %v, where it is still active", d.window, now, until)
		}
		if _, still := calendar.Active(d.window, until.Add(-time.Second)); !still {
			t.Fatalf("%+v at %v: until %v, before which it is not active", d.window, now, until)
		}
	})
}

// Whatever one asks about a window, the answers are about the same times.
func TestAnswersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		if rapid.Bool().Draw(t, "counted") {
			d.window.Rule += fmt.Sprintf(";COUNT=%d", rapid.IntRange(1, 100).Draw(t, "count"))
		}
		all := calendar.Between(d.window, time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC), 5000)
		for i := 1; i < len(all); i++ {
			if !all[i].Start.After(all[i-1].Start) || all[i].End.Before(all[i-1].End) {
				t.Fatalf("%+v: %v is followed by %v", d.window, all[i-1], all[i])
			}
		}
		from := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 1000*24).Draw(t, "from")) * time.Hour)
		to := from.Add(time.Duration(rapid.IntRange(1, 60*24).Draw(t, "hours")) * time.Hour)
		var part []calendar.Span
		covered := false
		var next calendar.Span
		for _, s := range all {
			if s.Start.Before(to) && s.End.After(from) {
				part = append(part, s)
			}
			if next.Start.IsZero() && !s.Start.Before(from) {
				next = s
			}
			covered = covered || !s.Start.Before(from) && !s.End.After(to)
		}
		if got := calendar.Between(d.window, from, to, 5000); !slices.Equal(got, part) {
			t.Fatalf("%+v from %v to %v: got %v, of all these are %v", d.window, from, to, got, part)
		}
		if start, end, ok := calendar.Next(d.window, from); ok == next.Start.IsZero() || ok && (calendar.Span{Start: start, End: end}) != next {
			t.Fatalf("%+v from %v: next is %v, of all it is %v", d.window, from, start, next)
		}
		if got := calendar.Covered(d.window, from, to); got != covered {
			t.Fatalf("%+v from %v to %v: covered %v", d.window, from, to, got)
		}
	})
}

// No rule, however strange, breaks or keeps busy whoever reads it.
func FuzzRule(f *testing.F) {
	for _, s := range []string{"FREQ=DAILY", "FREQ=MONTHLY;BYDAY=-5MO,5SU;BYMONTH=12", "FREQ=YEARLY;BYDAY=-53MO,53SU", "FREQ=YEARLY;BYWEEKNO=-53,53,1;BYDAY=MO;WKST=SU",
		"FREQ=HOURLY;INTERVAL=999;BYMONTHDAY=-31", "FREQ=YEARLY;BYYEARDAY=-366,366", "FREQ=WEEKLY;WKST=TH;INTERVAL=7;BYSETPOS=-3;BYDAY=MO,TU;BYHOUR=1,23",
		"RRULE:FREQ=MONTHLY;UNTIL=20270101T000000Z", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", "FREQ=;=;;", "FREQ=DAILY;BYDAY=0MO", "FREQ=DAILY;WKST=9MO"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		w := calendar.Window{Start: "2026-12-28T23:30", End: "2026-12-31T08:00", Zone: "Europe/Berlin", Rule: rule}
		began := time.Now()
		if calendar.Check(w) != nil {
			return
		}
		first, end, ok := calendar.Next(w, utc("1990-01-01T00:00Z"))
		if !ok || first.Before(utc("2026-12-28T22:30Z")) || !end.After(first) {
			t.Errorf("%q passes, and comes first at %v to %v, %v", rule, first, end, ok)
		}
		if until, ok := calendar.Active(w, first); !ok || !until.IsZero() && until.Before(end) {
			t.Errorf("%q is open at %v until %v, %v", rule, first, until, ok)
		}
		calendar.Between(w, utc("2090-01-01T00:00Z"), utc("2091-01-01T00:00Z"), 1000)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%q took %v", rule, took)
		}
	})
}
