package rollout_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

func at(t *testing.T, zone, local string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	got, err := time.ParseInLocation("2006-01-02T15:04:05", local, loc)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestHours(t *testing.T) {
	berlin := rollout.Hours{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "09:00", To: "17:00", Zone: "Europe/Berlin"}
	night := rollout.Hours{Days: []string{"fri"}, From: "22:00", To: "06:00", Zone: "America/New_York"}
	for _, c := range []struct {
		name  string
		hours rollout.Hours
		now   string // in the hours' zone
		opens string // empty: open
	}{
		{"the first moment", berlin, "2026-03-27T09:00:00", ""},
		{"the last", berlin, "2026-03-27T16:59:59", ""},
		{"over", berlin, "2026-03-27T17:00:00", "2026-03-30T09:00:00"}, // summer time begins on the 29th
		{"too early", berlin, "2026-03-27T08:59:59", "2026-03-27T09:00:00"},
		{"weekend into winter time", berlin, "2026-10-24T12:00:00", "2026-10-26T09:00:00"},
		{"leap day", rollout.Hours{Days: []string{"thu"}, Zone: "Asia/Kolkata"}, "2024-02-28T23:00:00", "2024-02-29T09:00:00"},
		{"by default on weekdays from 9 to 5", rollout.Hours{}, "2026-07-18T10:00:00", "2026-07-20T09:00:00"},
		{"whole days", rollout.Hours{Days: []string{"sat", "sun"}, From: "00:00", To: "24:00"}, "2026-07-19T23:59:59", ""},
		{"over night, before", night, "2026-07-17T21:59:00", "2026-07-17T22:00:00"},
		{"over night, in", night, "2026-07-18T05:59:00", ""},
		{"over night, after", night, "2026-07-18T06:00:00", "2026-07-24T22:00:00"},
		{"over night, the night that is not theirs", night, "2026-07-17T05:00:00", "2026-07-17T22:00:00"},
		{"half an hour of summer time", rollout.Hours{Zone: "Australia/Lord_Howe"}, "2026-04-03T18:00:00", "2026-04-06T09:00:00"},
		{"put forward over the beginning", rollout.Hours{Days: []string{"sun"}, From: "02:30", To: "04:00", Zone: "Europe/Berlin"},
			"2026-03-29T01:59:00", "2026-03-29T03:00:00"},
		{"put forward over all of it", rollout.Hours{Days: []string{"sun"}, From: "02:10", To: "02:50", Zone: "Europe/Berlin"},
			"2026-03-29T01:59:00", "2026-04-05T02:10:00"},
		{"the date that Samoa left out", rollout.Hours{Days: []string{"fri"}, Zone: "Pacific/Apia"}, "2011-12-29T12:00:00", "2012-01-06T09:00:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.hours.Check(); err != nil {
				t.Fatal(err)
			}
			zone := c.hours.Zone
			open, next := c.hours.Open(at(t, zone, c.now))
			if open != (c.opens == "") {
				t.Fatalf("open: %v, next %v", open, next)
			}
			if open && !next.IsZero() {
				t.Errorf("open, and opens at %v", next)
			}
			if !open && !next.Equal(at(t, zone, c.opens)) {
				t.Errorf("opens at %v, expected %s", next, c.opens)
			}
		})
	}
}

// Where the clock is put back, what it shows twice is open twice.
func TestHoursShownTwice(t *testing.T) {
	h := rollout.Hours{Days: []string{"sun"}, From: "01:00", To: "02:50", Zone: "Europe/Berlin"}
	now := time.Date(2026, 10, 25, 0, 55, 0, 0, time.UTC) // 02:55 in summer time
	open, next := h.Open(now)
	if back := time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC); open || !next.Equal(back) {
		t.Errorf("open %v, next %v, expected %v, when the clock shows 02:00 again", open, next, back)
	}
}

func TestHoursRefuseWhatIsWrong(t *testing.T) {
	for _, h := range []rollout.Hours{
		{Days: []string{"Mon"}}, {Days: []string{"mon", "mon"}}, {From: "9:00"}, {From: "09:60"}, {From: "24:00"}, {To: "24:01"}, {To: "+1:00"},
		{To: "17"}, {From: "17:00"}, {From: "09:00", To: "09:00"}, {Zone: "Mars/Olympus"}, {Zone: "Local"}, {Zone: "../../etc/passwd"},
	} {
		if err := h.Check(); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", h, err)
		}
		if open, next := h.Open(time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)); open || !next.IsZero() {
			t.Errorf("%+v is wrong, yet opens: %v %v", h, open, next)
		}
	}
}

// Next is open, and nothing before it is, also over changes of the clock.
func TestHoursOpenWhenTheySay(t *testing.T) {
	zones := []string{"", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"}
	changes := []time.Time{time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC),
		time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC)}
	clock := rapid.Custom(func(t *rapid.T) string {
		return time.Time{}.Add(time.Duration(rapid.IntRange(0, 95).Draw(t, "quarter")) * 15 * time.Minute).Format("15:04")
	})
	rapid.Check(t, func(t *rapid.T) {
		h := rollout.Hours{
			Days: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}), 1, 7, rapid.ID[string]).Draw(t, "days"),
			From: clock.Draw(t, "from"), To: clock.Draw(t, "to"), Zone: rapid.SampledFrom(zones).Draw(t, "zone"),
		}
		if h.From == h.To {
			t.Skip()
		}
		now := rapid.SampledFrom(changes).Draw(t, "change").Add(time.Duration(rapid.IntRange(-72*60, 60).Draw(t, "minutes")) * time.Minute)
		open, next := h.Open(now)
		if open {
			return
		}
		if opens, _ := h.Open(next); !opens || !next.After(now) {
			t.Fatalf("%+v: closed at %v, should open at %v", h, now, next)
		}
		for m := now; m.Before(next); m = m.Add(15 * time.Minute) {
			if open, _ := h.Open(m); open {
				t.Fatalf("%+v: should open at %v after %v, is open at %v", h, next, now, m)
			}
		}
	})
}

func BenchmarkHours(b *testing.B) {
	h := rollout.Hours{Zone: "Europe/Berlin"}
	now := time.Date(2026, 7, 18, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		h.Open(now)
	}
}
