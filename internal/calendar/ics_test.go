package calendar_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/calendar"
	"github.com/ringfence/ringfence/internal/errs"
)

// file puts events into a calendar, its lines ended as iCalendar wants them.
func file(lines string) string {
	return strings.ReplaceAll("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\n"+strings.Trim(lines, "\n")+"\nEND:VCALENDAR\n", "\n", "\r\n")
}

func event(lines string) string {
	return file("BEGIN:VEVENT\nUID:1\nSUMMARY:Freeze\n" + strings.Trim(lines, "\n") + "\nEND:VEVENT")
}

// moved is a series of which one time was moved and one cancelled.
var moved = file(`
BEGIN:VEVENT
UID:a
SUMMARY:Payday
DTSTART:20260731T060000Z
DTEND:20260731T180000Z
RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=5
END:VEVENT
BEGIN:VEVENT
UID:a
RECURRENCE-ID:20260831T060000Z
SUMMARY:Payday\, late
DTSTART:20260901T060000Z
DTEND:20260901T180000Z
END:VEVENT
BEGIN:VEVENT
UID:a
RECURRENCE-ID:20260930T060000Z
STATUS:CANCELLED
SUMMARY:Payday
DTSTART:20260930T060000Z
DTEND:20260930T180000Z
END:VEVENT`)

// ownZones has zones by names that others do not know.
var ownZones = file(`
BEGIN:VTIMEZONE
TZID:Our office
X-LIC-LOCATION:Europe/Paris
END:VTIMEZONE
BEGIN:VEVENT
DTSTART;TZID=Our office:20260703T150000
DURATION:P1D
SUMMARY:One
BEGIN:VALARM
TRIGGER:-PT15M
END:VALARM
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=W. Europe Standard Time:20260703T150000
DURATION:P1W
SUMMARY:Two
END:VEVENT
BEGIN:VEVENT
DTSTART;TZID=/calendar.example/20260101_1/Asia/Kolkata:20260703T150000
DURATION:P1DT1H
SUMMARY:Th
 ree
END:VEVENT`)

func TestImportICS(t *testing.T) {
	for _, c := range []struct {
		name, file, zone string
		want             []calendar.Named
	}{
		{"in UTC", event("DTSTART:20261220T080000Z\nDTEND:20261220T180000Z"), "Europe/Berlin",
			[]calendar.Named{{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-20T18:00", Zone: "UTC"}}}},
		{"in a zone, ended in another", event("DTSTART;TZID=Europe/Berlin:20260703T150000\nDTEND;TZID=\"America/New_York\":20260703T120000"), "",
			[]calendar.Named{{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Zone: "Europe/Berlin"}}}},
		{"in no zone", event("DTSTART:20260703T150000\nDURATION:PT1H30M"), "Asia/Kolkata",
			[]calendar.Named{{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T16:30", Zone: "Asia/Kolkata"}}}},
		{"in no zone, with that of the calendar", file("X-WR-TIMEZONE:Europe/Berlin\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227\nSUMMARY:Christmas\nEND:VEVENT"), "",
			[]calendar.Named{{Name: "christmas", Reason: "Christmas", Window: calendar.Window{Start: "2026-12-24T00:00", End: "2026-12-27T00:00", Zone: "Europe/Berlin"}}}},
		{"a day without an end", event("DTSTART;VALUE=DATE:20261224"), "",
			[]calendar.Named{{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-12-24T00:00", End: "2026-12-25T00:00", Zone: "UTC"}}}},
		{"seconds are rounded outward", event("DTSTART:20261220T080030Z\nDTEND:20261220T235959Z"), "",
			[]calendar.Named{{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-12-20T08:00", End: "2026-12-21T00:00", Zone: "UTC"}}}},
		{"a series with exceptions", event("DTSTART;TZID=Europe/Berlin:20260703T150000\nDTEND;TZID=Europe/Berlin:20260703T180000\nRRULE:FREQ=WEEKLY;UNTIL=20261231T220000Z\nEXDATE;TZID=Europe/Berlin:20260717T150000,20260710T150000\nEXDATE:20260724T130000Z\nEXDATE;VALUE=DATE:20260731"), "",
			[]calendar.Named{{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T18:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY;UNTIL=20261231T220000Z",
				Except: []string{"2026-07-10T15:00", "2026-07-17T15:00", "2026-07-24T15:00", "2026-07-31T15:00"}}}}},
		{"two of a series moved and cancelled", moved, "", []calendar.Named{
			{Name: "payday", Reason: "Payday", Window: calendar.Window{Start: "2026-07-31T06:00", End: "2026-07-31T18:00", Zone: "UTC", Rule: "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=5",
				Except: []string{"2026-08-31T06:00", "2026-09-30T06:00"}}},
			{Name: "payday-late", Reason: "Payday, late", Window: calendar.Window{Start: "2026-09-01T06:00", End: "2026-09-01T18:00", Zone: "UTC"}}}},
		{"all of a series cancelled", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=1\nEXDATE:20260703T150000Z"), "", nil},
		{"further dates", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nRDATE:20260705T150000Z"), "", []calendar.Named{
			{Name: "freeze", Reason: "Freeze", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T16:00", Zone: "UTC"}},
			{Name: "freeze-2", Reason: "Freeze", Window: calendar.Window{Start: "2026-07-05T15:00", End: "2026-07-05T16:00", Zone: "UTC"}}}},
		{"zones by names of their own", ownZones, "", []calendar.Named{
			{Name: "one", Reason: "One", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-04T15:00", Zone: "Europe/Paris"}},
			{Name: "two", Reason: "Two", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-10T15:00", Zone: "Europe/Berlin"}},
			{Name: "three", Reason: "Three", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-04T16:00", Zone: "Asia/Kolkata"}}}},
		{"nothing in it", file(""), "", nil},
		{"odd words", file("BEGIN:VEVENT\nsummary:\x1b[31m!\\nÜ\nX-A;B=\"c;:,\",d:e\ndtstart:20260703T150000Z\nDURATION:PT1H\nEND:VEVENT"), "",
			[]calendar.Named{{Name: "31m", Reason: "[31m! Ü", Window: calendar.Window{Start: "2026-07-03T15:00", End: "2026-07-03T16:00", Zone: "UTC"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := calendar.ImportICS(strings.NewReader(c.file), c.zone)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestImportICSRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"nothing", "", "no iCalendar file"},
		{"something else", "<html>", "expected NAME:value"},
		{"a card", "BEGIN:VCARD\nEND:VCARD\n", "expected VCALENDAR"},
		{"a file that was cut off", "BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "line 2: \"VEVENT\" has no END"},
		{"crossed ends", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", "line 3"},
		{"an end alone", "END:VCALENDAR\n", "line 1"},
		{"too deep", strings.Repeat("BEGIN:X\n", 100), "nest deeper"},
		{"no UTF-8", "BEGIN:VCALENDAR\nX:\xff\nEND:VCALENDAR\n", "UTF-8"},
		{"too much", "BEGIN:VCALENDAR\nX:" + strings.Repeat("x", 1<<20), "more than 1048576"},
		{"an open quotation", event("DTSTART;TZID=\"Europe/Berlin:20260703T150000"), "not closed"},
		{"a parameter without a value", event("DTSTART;TZID:20260703T150000"), "parameter without a value"},
		{"no colon", event("DTSTART;TZID=Europe/Berlin"), "no colon"},
		{"no start", event("DTEND:20260703T150000Z"), "has no DTSTART"},
		{"no end", event("DTSTART:20260703T150000Z"), "neither DTEND nor DURATION"},
		{"a zone that is none", event("DTSTART;TZID=Mars/Olympus:20260703T150000\nDURATION:PT1H"), "\"Mars/Olympus\""},
		{"a zone of this machine", event("DTSTART;TZID=Local:20260703T150000\nDURATION:PT1H"), "no time zone"},
		{"no time", event("DTSTART:tomorrow\nDURATION:PT1H"), "DTSTART: got"},
		{"a time long ago", event("DTSTART:00010101T000000Z\nDURATION:PT1H"), "the year 1"},
		{"a duration that is none", event("DTSTART:20260703T150000Z\nDURATION:1h"), "DURATION: got"},
		{"one back in time", event("DTSTART:20260703T150000Z\nDURATION:-PT1H"), "DURATION: got"},
		{"two rules", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"), "several rules"},
		{"a rule that is too fine", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nRRULE:FREQ=SECONDLY"), "line 4: event \"Freeze\": rule: FREQ=SECONDLY"},
		{"a rule of exceptions", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nEXRULE:FREQ=DAILY"), "EXRULE"},
		{"too long", event("DTSTART:20260703T150000Z\nDURATION:P61D"), "at most 60"},
		{"the rest of a series", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260703T150000Z"), "two series"},
		{"many exceptions", event("DTSTART:20260703T150000Z\nDURATION:PT1H\nEXDATE:" + strings.Repeat("20260703T150000Z,", 1001) + "20260703T150000Z"), "more than 1000"},
		{"many events", file(strings.Repeat("BEGIN:VEVENT\nDTSTART:20260703T150000Z\nDURATION:PT1H\nEND:VEVENT\n", 1001)), "1001 events"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := calendar.ImportICS(strings.NewReader(c.file), "")
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.want) || got != nil {
				t.Errorf("got %v, %v, expected %q", got, err, c.want)
			}
		})
	}
}

func TestExportICS(t *testing.T) {
	var out bytes.Buffer
	err := calendar.ExportICS(&out, calendar.Feed{Title: "Freezes; all", Domain: "ringfence.example", Now: utc("2026-06-01T10:00Z"), Windows: []calendar.Named{
		{Name: "friday", Reason: "No changes, on Friday\nafternoons: who stays to see what they do to the users of the shop?", Window: calendar.Window{
			Start: "2026-07-01T15:00", End: "2026-07-01T18:00", Zone: "Europe/Berlin", Rule: "FREQ=WEEKLY;BYDAY=FR;UNTIL=20261231", Except: []string{"2026-07-10T15:00"}}},
		{Name: "launch", Reason: "Launch", Window: calendar.Window{Start: "2026-08-01T00:00", End: "2026-08-03T00:00"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, want := range []string{
		"X-WR-CALNAME:Freezes\\; all\r\n",
		"BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:20250101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nEND:STANDARD\r\n" +
			"BEGIN:DAYLIGHT\r\nDTSTART:20250330T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nEND:DAYLIGHT\r\n" +
			"BEGIN:STANDARD\r\nDTSTART:20251026T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n",
		"UID:friday@ringfence.example\r\nDTSTAMP:20260601T100000Z\r\nDTSTART;TZID=Europe/Berlin:20260703T150000\r\nDTEND;TZID=Europe/Berlin:20260703T180000\r\n" +
			"RRULE:FREQ=WEEKLY;UNTIL=20261231T225959Z;BYDAY=FR\r\nEXDATE;TZID=Europe/Berlin:20260710T150000\r\n",
		"SUMMARY:No changes\\, on Friday\\nafternoons: who stays to see what they do t\r\n o the users of the shop?\r\n",
		"DTSTART:20260801T000000Z\r\nDTEND:20260803T000000Z\r\nSUMMARY:Launch\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
	if strings.Count(got, "BEGIN:VTIMEZONE") != 1 {
		t.Errorf("UTC needs no time zone:\n%s", got)
	}
	for l := range strings.SplitSeq(got, "\r\n") {
		if len(l) > 75 {
			t.Errorf("a line of %d bytes: %s", len(l), l)
		}
	}
	if err := calendar.ExportICS(&out, calendar.Feed{Windows: []calendar.Named{{Name: "wrong"}}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a window that cannot be read: %v", err)
	}
}

// Whoever subscribes sees the same times.
func TestExportedWindowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		if rapid.Bool().Draw(t, "ends") {
			d.window.Rule += ";UNTIL=" + d.first.AddDate(0, rapid.IntRange(6, 24).Draw(t, "months"), 0).Format("20060102T150405")
		}
		from, to := d.first.AddDate(0, 0, -2), d.first.AddDate(3, 0, 0)
		all := calendar.Between(d.window, from, to, 2000)
		if len(all) > 3 {
			zone, _ := time.LoadLocation(d.window.Zone)
			gone := rapid.IntRange(1, len(all)-1).Draw(t, "gone")
			d.window.Except = []string{all[gone].Start.In(zone).Format(localTime)}
			all = calendar.Between(d.window, from, to, 2000)
		}
		reason := rapid.StringMatching(`[a-zA-ZäöÜ漢,;:\\" ]{1,100}`).Draw(t, "reason")
		var out bytes.Buffer
		feed := calendar.Feed{Title: "x", Domain: "x", Now: from, Windows: []calendar.Named{{Name: "x", Reason: reason, Window: d.window}}}
		if err := calendar.ExportICS(&out, feed); err != nil {
			t.Fatal(err)
		}
		back, err := calendar.ImportICS(&out, "")
		if err != nil || len(back) != 1 {
			t.Fatalf("%v: %v", back, err)
		}
		if got := calendar.Between(back[0].Window, from, to, 2000); !slices.Equal(got, all) {
			t.Fatalf("%+v came back as %+v", d.window, back[0].Window)
		}
		if want := strings.Join(strings.Fields(reason), " "); want != "" && back[0].Reason != want {
			t.Fatalf("%q came back as %q", want, back[0].Reason)
		}
	})
}

var resourceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func FuzzImportICS(f *testing.F) {
	f.Add(event("DTSTART:20261220T080000Z\nDTEND:20261220T180000Z"))
	f.Add(event("DTSTART;TZID=Europe/Berlin:20260703T150000\nDTEND;TZID=\"America/New_York\":20260703T120000\nRRULE:FREQ=MONTHLY;BYDAY=-1FR\nEXDATE;VALUE=DATE:20260731"))
	f.Add(event("DTSTART;VALUE=DATE:20261224\nRDATE:20260705T150000Z\nRECURRENCE-ID:20260703T150000Z"))
	f.Add(file("X-WR-TIMEZONE:Asia/Kolkata\nBEGIN:VTIMEZONE\nTZID:a\nX-LIC-LOCATION:b\nEND:VTIMEZONE\nBEGIN:VEVENT\nSTATUS:CANCELLED\nDURATION:P1W\nDTSTART:20261224T000000\nSUMMARY:a\\,\n b\nEND:VEVENT"))
	f.Add(event("DTSTART;TZID=Europe/Berlin:21260703\nRRULE:FREQ=YEARLY"))
	f.Add("BEGIN:VCALENDAR\n A;B=\"")
	f.Add("\ufeffBEGIN:VCALENDAR\nEND:VCALENDAR")
	f.Fuzz(func(t *testing.T, text string) {
		windows, err := calendar.ImportICS(strings.NewReader(text), "")
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%v is not of the kind invalid", err)
			}
			return
		}
		names := map[string]bool{}
		for _, n := range windows {
			if !resourceName.MatchString(n.Name) || names[n.Name] || n.Reason == "" || strings.ContainsAny(n.Reason, "\r\n\x1b") {
				t.Errorf("a window is called %q, %q", n.Name, n.Reason)
			}
			names[n.Name] = true
			if err := calendar.Check(n.Window); err != nil {
				t.Errorf("%+v was imported: %v", n.Window, err)
			}
		}
		var out bytes.Buffer
		if err := calendar.ExportICS(&out, calendar.Feed{Now: utc("2026-01-01T00:00Z"), Windows: windows}); err != nil {
			t.Errorf("what was imported cannot be exported: %v", err)
		}
		if back, err := calendar.ImportICS(&out, ""); err != nil || len(back) != len(windows) {
			t.Errorf("what was exported cannot be imported: %v, %v", back, err)
		}
	})
}
