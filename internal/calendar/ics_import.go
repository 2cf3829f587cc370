package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Named is a window with a name of its own.
type Named struct {
	Name   string `json:"name"`   // as resources are named, made of what the event is called
	Reason string `json:"reason"` // what the event is called
	Window Window `json:"window"`
}

// ImportICS reads the events of an iCalendar file (RFC 5545). Times without a zone are in the one given or, when that
// is empty, in the calendar's own, else in UTC. Cancelled events are left out; one of a series that was moved becomes
// a window of its own and an exception of the series. One event that cannot be understood refuses the file.
func ImportICS(r io.Reader, zone string) ([]Named, error) {
	root, err := readComponents(r)
	if err != nil {
		return nil, err
	}
	in := importer{zones: map[string]string{}, names: map[string]bool{}}
	for _, c := range root.parts {
		if c.name != "VCALENDAR" {
			return nil, errs.E(errs.Invalid, "line %d: got %.30q, expected VCALENDAR", c.at, c.name)
		}
		if err := in.calendar(c, zone); err != nil {
			return nil, err
		}
	}
	if len(root.parts) == 0 {
		return nil, errs.E(errs.Invalid, "there is no VCALENDAR: this is no iCalendar file")
	}
	return in.out, nil
}

type importer struct {
	zone  string            // of times without one
	zones map[string]string // what the file's own names of zones are called by everyone
	names map[string]bool
	out   []Named
}

// event is a VEVENT that was read.
type event struct {
	uid, reason string
	at          int
	window      Window
	instance    string // of a series, the local time of the one that this event replaces
	more        []string
	cancelled   bool
}

func (in *importer) calendar(c *component, zone string) error {
	own, _ := c.find("X-WR-TIMEZONE")
	in.zone = cmp.Or(zone, own.value, "UTC")
	if _, err := location(in.zone); err != nil {
		return err
	}
	var events []*event
	for _, part := range c.parts {
		switch part.name {
		case "VTIMEZONE":
			id, _ := part.find("TZID")
			where, _ := part.find("X-LIC-LOCATION")
			in.zones[id.value] = where.value
		case "VEVENT":
			e, err := in.event(part)
			if err != nil {
				summary, _ := part.find("SUMMARY")
				return errs.Wrap(errs.Invalid, err, "line %d: event %q", part.at, plainText(summary.value, 60))
			}
			events = append(events, e)
		}
	}
	if len(events) > icsEvents {
		return errs.E(errs.Invalid, "the calendar has %d events, expected at most %d", len(events), icsEvents)
	}
	return in.keep(events)
}

// keep takes the instances that were moved or cancelled out of their series, and names what is left.
func (in *importer) keep(events []*event) error {
	series := map[string]*event{}
	for _, e := range events {
		if e.instance == "" && e.uid != "" {
			series[e.uid] = e
		}
	}
	for _, e := range events {
		if s := series[e.uid]; e.instance != "" && s != nil {
			s.window.Except = append(s.window.Except, e.instance)
		}
	}
	for _, e := range events {
		if e.cancelled {
			continue
		}
		windows := []Window{e.window}
		for _, start := range e.more {
			begin, err := local("RDATE", start)
			if err != nil {
				return err
			}
			windows = append(windows, Window{Start: start, End: begin.Add(length(e.window)).Format(localTime), Zone: e.window.Zone})
		}
		for _, w := range windows {
			err := Check(w)
			if errors.Is(err, errNever) && len(w.Except) > 0 {
				continue // all of the series was cancelled or moved
			}
			if err != nil {
				return errs.Wrap(errs.Invalid, err, "line %d: event %q", e.at, e.reason)
			}
			in.out = append(in.out, Named{Name: in.name(e.reason), Reason: e.reason, Window: w})
		}
	}
	return nil
}

func length(w Window) time.Duration {
	start, _ := time.Parse(localTime, w.Start)
	end, _ := time.Parse(localTime, w.End)
	return end.Sub(start)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

func (in *importer) name(reason string) string {
	base := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(reason), "-"), "-")
	base = cmp.Or(strings.Trim(base[:min(len(base), 55)], "-"), "window")
	name := base
	for n := 2; in.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	in.names[name] = true
	return name
}

func (in *importer) event(c *component) (*event, error) {
	e := &event{at: c.at}
	status, _ := c.find("STATUS")
	e.cancelled = strings.EqualFold(status.value, "CANCELLED")
	uid, _ := c.find("UID")
	e.uid = uid.value
	summary, _ := c.find("SUMMARY")
	e.reason = cmp.Or(plainText(summary.value, 200), "An event without a summary")
	begin, ok := c.find("DTSTART")
	if !ok {
		return nil, errs.E(errs.Invalid, "has no DTSTART")
	}
	start, err := in.moment(begin)
	if err != nil {
		return nil, err
	}
	end, err := in.end(c, start)
	if err != nil {
		return nil, err
	}
	e.window = Window{Start: start.local.Truncate(time.Minute).Format(localTime), End: end.Add(time.Minute - 1).Truncate(time.Minute).Format(localTime), Zone: start.zone}
	if err := in.recurrence(c, e, start); err != nil {
		return nil, err
	}
	return e, nil
}

// recurrence reads what makes an event come again, or not.
func (in *importer) recurrence(c *component, e *event, start moment) error {
	rules := c.all("RRULE")
	if len(rules) > 1 || len(c.all("EXRULE")) > 0 {
		return errs.E(errs.Invalid, "has several rules, expected one RRULE and no EXRULE")
	}
	if len(rules) == 1 {
		e.window.Rule = rules[0].value
	}
	var err error
	if e.window.Except, err = in.starts(c.all("EXDATE"), start); err != nil {
		return err
	}
	if e.more, err = in.starts(c.all("RDATE"), start); err != nil {
		return err
	}
	if id, ok := c.find("RECURRENCE-ID"); ok {
		if id.params["RANGE"] != "" {
			return errs.E(errs.Invalid, "changes a series from RECURRENCE-ID on, expected two series")
		}
		moved, err := in.starts([]line{id}, start)
		if err != nil {
			return err
		}
		e.instance = moved[0]
	}
	return nil
}

// starts reads dates of a series as local beginnings, as Window.Except has them.
func (in *importer) starts(lines []line, start moment) ([]string, error) {
	zone, err := location(start.zone)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lines {
		for value := range strings.SplitSeq(l.value, ",") {
			if len(out) >= mostExcept {
				return nil, errs.E(errs.Invalid, "%s has more than %d times", l.name, mostExcept)
			}
			one := l
			one.value = value
			at, err := in.moment(one)
			if err != nil {
				return nil, err
			}
			where := at.in(zone)
			if at.date && !start.date {
				where = at.local.Add(start.local.Sub(start.local.Truncate(24 * time.Hour)))
			}
			out = append(out, where.Truncate(time.Minute).Format(localTime))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (in *importer) end(c *component, start moment) (time.Time, error) {
	if l, ok := c.find("DTEND"); ok {
		end, err := in.moment(l)
		if err != nil {
			return time.Time{}, err
		}
		zone, err := location(start.zone)
		if err != nil {
			return time.Time{}, err
		}
		return end.in(zone), nil
	}
	if l, ok := c.find("DURATION"); ok {
		d, err := duration(l.value)
		return start.local.Add(d), err
	}
	if start.date {
		return start.local.AddDate(0, 0, 1), nil
	}
	return time.Time{}, errs.E(errs.Invalid, "has neither DTEND nor DURATION")
}
