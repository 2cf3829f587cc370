package calendar_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/errs"
)

func utc(text string) time.Time {
	t, err := time.Parse("2006-01-02T15:04Z07:00", text)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// times are those of w in a span, in the zone's own time with its offset.
func times(t *testing.T, w calendar.Window, from, to string) []string {
	t.Helper()
	if err := calendar.Check(w); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range calendar.Between(w, utc(from), utc(to), 100) {
		out = append(out, s.Start.In(zone).Format("2006-01-02T15:04Z07:00")+" "+s.End.In(zone).Format("2006-01-02T15:04Z07:00"))
	}
	return out
}

func TestBetween(t *testing.T) {
	for _, c := range []struct {
		name     string
		window   calendar.Window
		from, to string
		want     string
	}{
		{"once", calendar.Window{Start: "2026-12-20T08:00", End: "2027-01-04T08:00", Zone: "Europe/Berlin"}, "2026-01-01T00:00Z", "2028-01-01T00:00Z",
			"2026-12-20T08:00+01:00 2027-01-04T08:00+01:00"},
		{"a day into summer time", calendar.Window{Start: "2026-03-27T09:00", End: "2026-03-27T17:00", Zone: "Europe/Berlin", Rule: "FREQ=DAILY"},
			"2026-03-28T00:00Z", "2026-03-31T00:00Z",
			"2026-03-28T09:00+01:00 2026-03-28T17:00+01:00\n2026-03-29T09:00+02:00 2026-03-29T17:00+02:00\n2026-03-30T09:00+02:00 2026-03-30T17:00+02:00"},
		{"over night into winter time", calendar.Window{Start: "2026-10-30T22:00", End: "2026-10-31T06:00", Zone: "America/New_York", Rule: "FREQ=DAILY;COUNT=3"},
			"2026-10-01T00:00Z", "2026-12-01T00:00Z",
			"2026-10-30T22:00-04:00 2026-10-31T06:00-04:00\n2026-10-31T22:00-04:00 2026-11-01T06:00-05:00\n2026-11-01T22:00-05:00 2026-11-02T06:00-05:00"},
		{"no summer time", calendar.Window{Start: "2026-03-28T09:00", End: "2026-03-28T09:30", Zone: "Asia/Kolkata", Rule: "FREQ=WEEKLY;BYDAY=MO,TH"},
			"2026-03-28T00:00Z", "2026-04-03T00:00Z", "2026-03-30T09:00+05:30 2026-03-30T09:30+05:30\n2026-04-02T09:00+05:30 2026-04-02T09:30+05:30"},
		{"half an hour of summer time", calendar.Window{Start: "2026-04-03T09:00", End: "2026-04-03T10:00", Zone: "Australia/Lord_Howe", Rule: "FREQ=DAILY"},
			"2026-04-03T22:00Z", "2026-04-05T00:00Z", "2026-04-04T09:00+11:00 2026-04-04T10:00+11:00\n2026-04-05T09:00+10:30 2026-04-05T10:00+10:30"},
		{"beginning left out by the clock", calendar.Window{Start: "2026-03-01T02:30", End: "2026-03-01T05:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY"},
			"2026-03-28T00:00Z", "2026-03-30T00:00Z", "2026-03-29T03:00+02:00 2026-03-29T05:00+02:00"},
		{"end left out by the clock", calendar.Window{Start: "2026-03-01T01:00", End: "2026-03-01T02:30", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY"},
			"2026-03-28T00:00Z", "2026-03-30T00:00Z", "2026-03-29T01:00+01:00 2026-03-29T03:00+02:00"},
		{"all left out by the clock", calendar.Window{Start: "2026-03-22T02:10", End: "2026-03-22T02:50", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY"},
			"2026-03-20T00:00Z", "2026-04-06T00:00Z", "2026-03-22T02:10+01:00 2026-03-22T02:50+01:00\n2026-04-05T02:10+02:00 2026-04-05T02:50+02:00"},
		{"shown twice by the clock", calendar.Window{Start: "2026-10-25T02:30", End: "2026-10-25T02:45", Zone: "Europe/Berlin"},
			"2026-10-20T00:00Z", "2026-10-30T00:00Z", "2026-10-25T02:30+02:00 2026-10-25T02:45+01:00"},
		{"midnight left out by the clock", calendar.Window{Start: "2026-04-20T00:00", End: "2026-04-21T00:00", Zone: "Africa/Cairo", Rule: "FREQ=DAILY"},
			"2026-04-23T12:00Z", "2026-04-24T12:00Z", "2026-04-23T00:00+02:00 2026-04-24T01:00+03:00\n2026-04-24T01:00+03:00 2026-04-25T00:00+03:00"},
		{"a date left out", calendar.Window{Start: "2011-12-28T10:00", End: "2011-12-28T11:00", Zone: "Pacific/Apia", Rule: "FREQ=DAILY"},
			"2011-12-29T12:00Z", "2011-12-31T12:00Z", "2011-12-29T10:00-10:00 2011-12-29T11:00-10:00\n2011-12-31T10:00+14:00 2011-12-31T11:00+14:00"},
		{"leap days", calendar.Window{Start: "2024-02-29T00:00", End: "2024-03-01T00:00", Rule: "FREQ=YEARLY"}, "2024-01-01T00:00Z", "2033-01-01T00:00Z",
			"2024-02-29T00:00Z 2024-03-01T00:00Z\n2028-02-29T00:00Z 2028-03-01T00:00Z\n2032-02-29T00:00Z 2032-03-01T00:00Z"},
		{"exceptions", calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY;BYDAY=FR",
			Except: []string{"2026-07-10T15:00", "2026-07-17T14:00"}}, "2026-07-01T00:00Z", "2026-07-18T00:00Z",
			"2026-07-03T15:00+02:00 2026-07-03T18:00+02:00\n2026-07-17T15:00+02:00 2026-07-17T18:00+02:00"},
		{"until, in UTC", calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Zone: "Europe/Berlin", Rule: "FREQ=DAILY;UNTIL=20260704T130000Z"},
			"2026-07-01T00:00Z", "2026-08-01T00:00Z", "2026-07-03T15:00+02:00 2026-07-03T18:00+02:00\n2026-07-04T15:00+02:00 2026-07-04T18:00+02:00"},
		{"until, a second earlier", calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Zone: "Europe/Berlin", Rule: "FREQ=DAILY;UNTIL=20260704T125959Z"},
			"2026-07-01T00:00Z", "2026-08-01T00:00Z", "2026-07-03T15:00+02:00 2026-07-03T18:00+02:00"},
		{"until a day, which is the last", calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Rule: "freq=daily;until=20260704"},
			"2026-07-01T00:00Z", "2026-08-01T00:00Z", "2026-07-03T15:00Z 2026-07-03T18:00Z\n2026-07-04T15:00Z 2026-07-04T18:00Z"},
		{"a count is from the start, not from the question", calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Rule: "RRULE:FREQ=DAILY;COUNT=4"},
			"2026-07-05T00:00Z", "2026-08-01T00:00Z", "2026-07-05T15:00Z 2026-07-05T18:00Z\n2026-07-06T15:00Z 2026-07-06T18:00Z"},
		{"the last Friday of a month", calendar.Window{Start: "2026-01-01T16:00", End: "2026-01-01T20:00", Zone: "America/New_York", Rule: "FREQ=MONTHLY;BYDAY=-1FR"},
			"2027-02-01T00:00Z", "2027-04-01T00:00Z", "2027-02-26T16:00-05:00 2027-02-26T20:00-05:00\n2027-03-26T16:00-04:00 2027-03-26T20:00-04:00"},
		{"the 31st, where there is one", calendar.Window{Start: "2026-01-31T08:00", End: "2026-01-31T09:00", Rule: "FREQ=MONTHLY"},
			"2027-01-15T00:00Z", "2027-06-01T00:00Z", "2027-01-31T08:00Z 2027-01-31T09:00Z\n2027-03-31T08:00Z 2027-03-31T09:00Z\n2027-05-31T08:00Z 2027-05-31T09:00Z"},
		{"the last working day of a month", calendar.Window{Start: "2026-01-01T12:00", End: "2026-01-01T13:00", Rule: "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"},
			"2026-05-01T00:00Z", "2026-06-15T00:00Z", "2026-05-29T12:00Z 2026-05-29T13:00Z"},
		{"every second week keeps its step", calendar.Window{Start: "2025-01-06T12:00", End: "2025-01-06T13:00", Rule: "FREQ=WEEKLY;INTERVAL=2"},
			"2026-12-01T00:00Z", "2026-12-31T00:00Z", "2026-12-07T12:00Z 2026-12-07T13:00Z\n2026-12-21T12:00Z 2026-12-21T13:00Z"},
		{"black Friday", calendar.Window{Start: "2026-11-01T00:00", End: "2026-11-05T00:00", Zone: "America/New_York", Rule: "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"},
			"2028-01-01T00:00Z", "2029-01-01T00:00Z", "2028-11-23T00:00-05:00 2028-11-27T00:00-05:00"},
		{"already open when asked", calendar.Window{Start: "2026-07-01T00:00", End: "2026-07-31T00:00", Rule: "FREQ=YEARLY"},
			"2027-07-15T00:00Z", "2027-07-16T00:00Z", "2027-07-01T00:00Z 2027-07-31T00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(strings.Split(c.want, "\n"), times(t, c.window, c.from, c.to)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestBetweenHasLimits(t *testing.T) {
	w := calendar.Window{Start: "2020-01-01T00:00", End: "2020-01-01T00:10", Rule: "FREQ=HOURLY"}
	from, to := utc("2026-07-01T00:00Z"), utc("2027-07-01T00:00Z")
	if got := calendar.Between(w, from, to, 5); len(got) != 5 || !got[4].Start.Equal(from.Add(4*time.Hour)) {
		t.Errorf("got %v", got)
	}
	if got := calendar.Between(w, from, from, 5); got != nil {
		t.Errorf("in no time at all: %v", got)
	}
}

func TestActive(t *testing.T) {
	friday := calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY;BYDAY=FR"}
	saturday := calendar.Window{Start: "2026-07-04T00:00", End: "2026-07-06T00:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY"}
	for _, c := range []struct {
		name    string
		windows []calendar.Window
		now     string
		until   string // empty: not active; never: no known end
	}{
		{"before", []calendar.Window{friday}, "2026-07-10T12:59Z", ""},
		{"the first moment", []calendar.Window{friday}, "2026-07-10T13:00Z", "2026-07-10T16:00Z"},
		{"the last minute", []calendar.Window{friday}, "2026-07-10T15:59Z", "2026-07-10T16:00Z"},
		{"over", []calendar.Window{friday}, "2026-07-10T16:00Z", ""},
		{"days that touch", []calendar.Window{{Start: "2026-12-24T00:00", End: "2026-12-25T00:00", Rule: "FREQ=DAILY;COUNT=4"}}, "2026-12-25T12:00Z", "2026-12-28T00:00Z"},
		{"times that overlap", []calendar.Window{{Start: "2026-12-24T00:00", End: "2026-12-26T00:00", Rule: "FREQ=DAILY;COUNT=4"}}, "2026-12-24T12:00Z", "2026-12-29T00:00Z"},
		{"a gap ends it", []calendar.Window{{Start: "2026-12-24T00:00", End: "2026-12-25T00:00", Rule: "FREQ=DAILY;COUNT=4", Except: []string{"2026-12-26T00:00"}}},
			"2026-12-24T12:00Z", "2026-12-26T00:00Z"},
		{"without an end", []calendar.Window{{Start: "2026-01-01T00:00", End: "2026-01-02T00:00", Rule: "FREQ=DAILY"}}, "2026-12-24T12:00Z", "never"},
		{"two windows, apart", []calendar.Window{friday, saturday}, "2026-07-10T13:00Z", "2026-07-10T16:00Z"},
		{"two windows that touch", []calendar.Window{saturday, {Start: "2026-07-10T18:00", End: "2026-07-11T00:00", Zone: "Europe/Berlin"}, friday},
			"2026-07-10T13:00Z", "2026-07-12T22:00Z"},
		{"one inside the other", []calendar.Window{{Start: "2026-07-11T00:00", End: "2026-07-11T01:00", Zone: "Europe/Berlin"}, saturday}, "2026-07-10T22:30Z", "2026-07-12T22:00Z"},
		{"two that take turns without an end", []calendar.Window{{Start: "2026-01-01T00:00", End: "2026-01-01T12:00", Rule: "FREQ=DAILY"},
			{Start: "2026-01-01T12:00", End: "2026-01-02T00:00", Rule: "FREQ=DAILY"}}, "2026-12-24T12:00Z", "never"},
		{"one that cannot be read", []calendar.Window{friday, {Start: "2026-01-01T00:00", End: "2026-01-01T12:00", Rule: "FREQ=NEVER"}}, "2026-07-07T00:00Z", "never"},
		{"none", nil, "2026-12-24T12:00Z", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			until, ok := calendar.ActiveAny(c.windows, utc(c.now))
			if len(c.windows) == 1 {
				if u, o := calendar.Active(c.windows[0], utc(c.now)); o != ok || !u.Equal(until) {
					t.Errorf("alone it is %v until %v, as one of many %v until %v", o, u, ok, until)
				}
			}
			if ok != (c.until != "") {
				t.Fatalf("active: %v until %v", ok, until)
			}
			if c.until == "never" {
				if !until.IsZero() {
					t.Errorf("until %v, expected no known end", until)
				}
			} else if ok && !until.Equal(utc(c.until)) {
				t.Errorf("until %v, expected %s", until, c.until)
			}
		})
	}
}

func TestNextAndCovered(t *testing.T) {
	peak := calendar.Window{Start: "2026-01-01T11:00", End: "2026-01-01T14:00", Zone: "America/New_York", Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"}
	start, end, ok := calendar.Next(peak, utc("2026-03-06T16:01Z")) // Friday, a minute late; summer time begins on Sunday
	if !ok || !start.Equal(utc("2026-03-09T15:00Z")) || !end.Equal(utc("2026-03-09T18:00Z")) {
		t.Errorf("next is %v to %v, %v", start, end, ok)
	}
	if start, _, ok := calendar.Next(peak, utc("2026-03-06T16:00Z")); !ok || !start.Equal(utc("2026-03-06T16:00Z")) {
		t.Errorf("the one that begins now is %v, %v", start, ok)
	}
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"2026-03-06T16:00Z", "2026-03-06T19:00Z", true},
		{"2026-03-06T16:00Z", "2026-03-06T18:59Z", false},
		{"2026-03-06T16:01Z", "2026-03-09T17:59Z", false}, // parts of two are no whole one
		{"2026-03-06T16:01Z", "2026-03-09T18:00Z", true},
		{"2026-03-07T00:00Z", "2026-03-09T00:00Z", false},
		{"2026-03-09T18:00Z", "2026-03-06T16:00Z", false},
	} {
		if got := calendar.Covered(peak, utc(c.from), utc(c.to)); got != c.want {
			t.Errorf("from %s to %s: covered %v", c.from, c.to, got)
		}
	}
	once := calendar.Window{Start: "2026-01-01T11:00", End: "2026-01-01T14:00"}
	if _, _, ok := calendar.Next(once, utc("2026-01-01T11:01Z")); ok {
		t.Error("a window that came once comes again")
	}
	if wrong := (calendar.Window{}); calendar.Covered(wrong, utc("2026-01-01T00:00Z"), utc("2027-01-01T00:00Z")) {
		t.Error("a window that cannot be read is covered")
	}
}

func TestCheck(t *testing.T) {
	rule := func(r string) calendar.Window {
		return calendar.Window{Start: "2026-12-21T08:00", End: "2026-12-21T18:00", Rule: r}
	}
	for _, c := range []struct {
		window calendar.Window
		want   string
	}{
		{calendar.Window{}, "start:"},
		{calendar.Window{Start: "2026-12-20", End: "2026-12-21"}, "start:"},
		{calendar.Window{Start: "2026-12-20T08:00Z", End: "2026-12-21T08:00"}, "start:"},
		{calendar.Window{Start: "2026-02-29T08:00", End: "2026-03-01T08:00"}, "start:"},
		{calendar.Window{Start: "9026-02-20T08:00", End: "9026-03-01T08:00"}, "start: the year"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-20T08:00"}, "end: 2026-12-20T08:00 is not after start"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2027-12-20T08:00"}, "at most 60"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-21T08:00", Zone: "Local"}, "zone:"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-21T08:00", Zone: "../zoneinfo/UTC"}, "zone:"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-21T08:00", Except: []string{"2026-12-20"}}, "except:"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-21T08:00", Except: []string{"2026-12-20T08:00"}}, "never comes"},
		{calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-21T08:00", Except: slices.Repeat([]string{"2026-12-20T08:00"}, 1001)}, "except: has 1001"},
		{rule("WEEKLY"), "no part"},
		{rule("INTERVAL=2"), "FREQ is required"},
		{rule("FREQ=FORTNIGHTLY"), "FREQ=WEEKLY;BYDAY=FR"},
		{rule("FREQ=SECONDLY"), "too often"},
		{rule("FREQ=MINUTELY;INTERVAL=60"), "too often"},
		{rule("FREQ=DAILY;BYSECOND=30"), "BYSECOND"},
		{rule("FREQ=DAILY;BYEASTER=0"), "no part"},
		{rule("FREQ=DAILY;DTSTART=20260101"), "no part"},
		{rule("FREQ=DAILY;COUNT=2;COUNT=3"), "twice"},
		{rule("FREQ=DAILY;COUNT=2;UNTIL=20270101"), "both"},
		{rule("FREQ=DAILY;COUNT=0"), "COUNT is 0"},
		{rule("FREQ=DAILY;COUNT=100000"), "COUNT is 100000"},
		{rule("FREQ=DAILY;INTERVAL=0"), "INTERVAL is 0"},
		{rule("FREQ=YEARLY;INTERVAL=99999999999"), "INTERVAL is"},
		{rule("FREQ=HOURLY;INTERVAL=24;BYHOUR=5"), "FREQ=HOURLY"},
		{rule("FREQ=DAILY;BYHOUR=0,1,2,3,4;BYMINUTE=0,10,20,30,40"), "25 times a day"},
		{rule("FREQ=MONTHLY;BYDAY=53MO"), "no month"},
		{rule("FREQ=YEARLY;BYMONTH=12;BYDAY=-53MO"), "no month"},
		{rule("FREQ=YEARLY;BYDAY=54MO"), "53"},
		{rule("FREQ=WEEKLY;BYDAY=2MO"), "with a number"},
		{rule("FREQ=YEARLY;BYWEEKNO=2;BYDAY=2MO"), "without one"},
		{rule("FREQ=YEARLY;BYWEEKNO=2"), "BYDAY next to it"},
		{rule("FREQ=WEEKLY;BYMONTHDAY=2"), "BYMONTHDAY"},
		{rule("FREQ=MONTHLY;BYYEARDAY=2"), "BYYEARDAY"},
		{rule("FREQ=DAILY;BYSETPOS=2"), "BYSETPOS"},
		{rule("FREQ=DAILY;BYMONTH=13"), "bymonth"},
		{rule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "never comes"},
		{rule("FREQ=WEEKLY;UNTIL=20261220T000000Z"), "never comes"},
		{rule("FREQ=DAILY;COUNT=2\nEXDATE:20261220T080000"), "one line"},
		{rule("FREQ=DAILY;BYMONTH=" + strings.Repeat("1,", 300) + "1"), "at most 500"},
	} {
		err := calendar.Check(c.window)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, expected %q", c.window, err, c.want)
		}
		if until, ok := calendar.Active(c.window, utc("2026-06-01T00:00Z")); !ok || !until.IsZero() {
			t.Errorf("%+v is wrong, yet does not hold", c.window)
		}
	}
}

// What would keep a server busy is refused quickly.
func TestRulesWithoutAMatchAreCheap(t *testing.T) {
	start := time.Now()
	for _, r := range []string{"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=300", "FREQ=DAILY;INTERVAL=7;BYDAY=SU"} {
		if err := calendar.Check(calendar.Window{Start: "2026-12-21T08:00", End: "2026-12-21T18:00", Rule: r}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", r, err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func BenchmarkActive(b *testing.B) {
	w := calendar.Window{Start: "2020-01-03T15:00", End: "2020-01-03T18:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY;BYDAY=FR"}
	now := utc("2026-07-10T14:00Z")
	b.ReportAllocs()
	for b.Loop() {
		calendar.Active(w, now)
	}
}

func BenchmarkNextOfAYearlyRule(b *testing.B) {
	w := calendar.Window{Start: "2020-11-01T00:00", End: "2020-11-05T00:00", Zone: "America/New_York", Rule: "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"}
	now := utc("2026-07-10T14:00Z")
	b.ReportAllocs()
	for b.Loop() {
		calendar.Next(w, now)
	}
}
