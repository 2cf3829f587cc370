package calendar

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/errs"
)

// Feed is a calendar that others may subscribe to.
type Feed struct {
	Title   string // as the subscriber sees it
	Domain  string // makes the events' identities unlike those of other servers
	Now     time.Time
	Windows []Named
}

// stamp is how iCalendar writes local times; those in UTC end in Z.
const stamp = "20060102T150405"

// ExportICS writes a feed as an iCalendar file (RFC 5545) with the time zones that it uses. The same feed at the same
// time gives the same bytes.
func ExportICS(w io.Writer, feed Feed) error {
	tables := make([]*timetable, len(feed.Windows))
	for i, n := range feed.Windows {
		t, err := known(n.Window)
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "window %q", n.Name)
		}
		tables[i] = t
	}
	out := folder{w: bufio.NewWriter(w)}
	out.line("BEGIN:VCALENDAR")
	out.line("VERSION:2.0")
	out.line("PRODID:-//Ringfence//Ringfence//EN")
	out.line("CALSCALE:GREGORIAN")
	out.line("METHOD:PUBLISH")
	out.line("X-WR-CALNAME:" + escaped(feed.Title))
	out.line("REFRESH-INTERVAL;VALUE=DURATION:PT15M")
	out.line("X-PUBLISHED-TTL:PT15M")
	for _, zone := range usedZones(tables) {
		out.zone(zone, tables, feed.Now)
	}
	for i, n := range feed.Windows {
		out.event(n, tables[i], feed)
	}
	out.line("END:VCALENDAR")
	return out.w.Flush()
}

func (f *folder) event(n Named, t *timetable, feed Feed) {
	f.line("BEGIN:VEVENT")
	f.line("UID:" + escaped(n.Name+"@"+feed.Domain))
	f.line("DTSTAMP:" + feed.Now.UTC().Format(stamp) + "Z")
	first := t.first
	for at := range t.matches(t.first) {
		first = at // where the rule begins, which may be after the window's start
		break
	}
	f.line("DTSTART" + t.write(first))
	f.line("DTEND" + t.write(first.Add(t.length)))
	if t.rule != nil {
		f.line("RRULE:" + t.ruleText())
	}
	excepted := make([]time.Time, 0, len(t.except))
	for at := range t.except {
		excepted = append(excepted, at)
	}
	slices.SortFunc(excepted, time.Time.Compare)
	for _, at := range excepted {
		f.line("EXDATE" + t.write(at))
	}
	f.line("SUMMARY:" + escaped(n.Reason))
	f.line("TRANSP:TRANSPARENT")
	f.line("END:VEVENT")
}

// write is a local time with its zone, from the semicolon or colon on.
func (t *timetable) write(local time.Time) string {
	if t.zone == time.UTC {
		return ":" + local.Format(stamp) + "Z"
	}
	return ";TZID=" + t.zone.String() + ":" + local.Format(stamp)
}

// ruleText is the rule back in our years, with its end in UTC, as RFC 5545 wants it.
func (t *timetable) ruleText() string {
	o := *t.rule
	if o.Interval == 1 {
		o.Interval = 0 // the default, which is then not written
	}
	if !o.Until.IsZero() {
		_, last := shown(o.Until.AddDate(-ahead, 0, 0), t.zone)
		o.Until = last
	}
	return o.RRuleString()
}

func usedZones(tables []*timetable) []*time.Location {
	var out []*time.Location
	for _, t := range tables {
		if t.zone != time.UTC && !slices.ContainsFunc(out, func(z *time.Location) bool { return z.String() == t.zone.String() }) {
			out = append(out, t.zone)
		}
	}
	slices.SortFunc(out, func(a, b *time.Location) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// zoneYears is for how long after now, or after the last window that begins then, changes of the clock are written.
const zoneYears = 5

// zone writes a VTIMEZONE: readers that know the name need none of it, others find every change of the clock that
// these windows may meet.
func (f *folder) zone(zone *time.Location, tables []*timetable, now time.Time) {
	from, to := now, now
	for _, t := range tables {
		if t.zone.String() != zone.String() {
			continue
		}
		if t.first.Before(from) {
			from = t.first
		}
		to = later(to, t.first)
	}
	f.line("BEGIN:VTIMEZONE")
	f.line("TZID:" + zone.String())
	at := time.Date(from.Year()-1, 1, 1, 0, 0, 0, 0, zone)
	_, before := at.Zone()
	f.change(at, wall(at, zone), before)
	for end := to.AddDate(zoneYears, 0, 0); ; {
		_, bound := at.ZoneBounds()
		if bound.IsZero() || bound.After(end) {
			break
		}
		at = later(at.Add(time.Hour), bound).In(zone) // from 2040 on, package time ends a zone's leap years a day early
		if _, offset := at.Zone(); offset != before {
			f.change(at, at.UTC().Add(time.Duration(before)*time.Second), before)
			before = offset
		}
	}
	f.line("END:VTIMEZONE")
}

// change writes that the clock is changed at a moment, which it would have shown as local by then.
func (f *folder) change(at, local time.Time, before int) {
	kind := "STANDARD"
	if at.IsDST() {
		kind = "DAYLIGHT"
	}
	name, offset := at.Zone()
	f.line("BEGIN:" + kind)
	f.line("DTSTART:" + local.Format(stamp))
	f.line("TZOFFSETFROM:" + offsetText(before))
	f.line("TZOFFSETTO:" + offsetText(offset))
	f.line("TZNAME:" + escaped(name))
	f.line("END:" + kind)
}

func offsetText(seconds int) string {
	return time.Time{}.In(time.FixedZone("", seconds)).Format("-0700")
}

var escape = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`)

// escaped is a TEXT value.
func escaped(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, escape.Replace(strings.ToValidUTF8(s, "\ufffd")))
}

// folder writes content lines of at most 75 bytes.
type folder struct{ w *bufio.Writer }

func (f *folder) line(s string) {
	for most := 75; len(s) > most; most = 74 {
		cut := most
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		_, _ = f.w.WriteString(s[:cut] + "\r\n ")
		s = s[cut:]
	}
	_, _ = f.w.WriteString(s + "\r\n") // Flush says what went wrong
}
