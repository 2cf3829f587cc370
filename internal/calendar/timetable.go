package calendar

import (
	"iter"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/ringfence/ringfence/internal/errs"
)

// localTime is how windows write their times.
const localTime = "2006-01-02T15:04"

// Limits of a window.
const (
	longest    = 60 * 24 * time.Hour
	mostExcept = 1000
	firstYear  = 1970
	lastYear   = 2199
)

// A rule without a match is given up in the year 9999, which is far to go from here. The calendar repeats itself after
// 400 years to the day of the week, so rules are worked out closer to that end.
const ahead = 19 * 400

// timetable is a window that was understood. All its times are local.
type timetable struct {
	zone   *time.Location
	first  time.Time
	length time.Duration
	rule   *rrule.ROption // years ahead; nil for a window that comes once
	except map[time.Time]bool
}

func read(w Window) (*timetable, error) {
	t := &timetable{except: map[time.Time]bool{}}
	var err error
	if t.zone, err = location(w.Zone); err != nil {
		return nil, err
	}
	if t.first, err = local("start", w.Start); err != nil {
		return nil, err
	}
	end, err := local("end", w.End)
	if err != nil {
		return nil, err
	}
	if t.length = end.Sub(t.first); t.length <= 0 {
		return nil, errs.E(errs.Invalid, "end: %s is not after start, %s", w.End, w.Start)
	}
	if t.length > longest {
		return nil, errs.E(errs.Invalid, "end: the window is %d days long, expected at most %d; give a rule by which it comes again", t.length/(24*time.Hour), longest/(24*time.Hour))
	}
	if len(w.Except) > mostExcept {
		return nil, errs.E(errs.Invalid, "except: has %d beginnings, expected at most %d", len(w.Except), mostExcept)
	}
	for _, e := range w.Except {
		at, err := local("except", e)
		if err != nil {
			return nil, err
		}
		t.except[at] = true
	}
	if w.Rule != "" {
		if t.rule, err = readRule(w.Rule, t.first, t.zone); err != nil {
			return nil, err
		}
	}
	for range t.starts(t.first) {
		return t, nil
	}
	return nil, errNever
}

var errNever = errs.E(errs.Invalid, "rule: the window never comes: nothing matches it from start on, or all that does is excepted")

func location(zone string) (*time.Location, error) {
	l, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, errs.E(errs.Invalid, "zone: got %.60q, expected an IANA time zone such as Europe/Berlin, or none for UTC", zone)
	}
	return l, nil
}

func local(field, text string) (time.Time, error) {
	t, err := time.Parse(localTime, text)
	if err != nil {
		return t, errs.E(errs.Invalid, "%s: got %.30q, expected a local time such as 2026-12-20T08:00", field, text)
	}
	if t.Year() < firstYear || t.Year() > lastYear {
		return t, errs.E(errs.Invalid, "%s: the year %d is none from %d to %d", field, t.Year(), firstYear, lastYear)
	}
	return t, nil
}

// spans are the times of the window, in order, from the last that may still be open at from.
func (t *timetable) spans(from time.Time) iter.Seq[Span] {
	const margin = 25 * time.Hour // the most that a clock on a wall was ever changed by
	return func(yield func(Span) bool) {
		for start := range t.starts(wall(from, t.zone).Add(-t.length - margin)) {
			begin, _ := shown(start, t.zone)
			_, end := shown(start.Add(t.length), t.zone)
			if end.After(begin) && !yield(Span{begin, end}) {
				return
			}
		}
	}
}

// starts are the local beginnings at or after from, in order.
func (t *timetable) starts(from time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for at := range t.matches(from) {
			if !at.Before(from) && !t.except[at] && !yield(at) {
				return
			}
		}
	}
}

// matches are the beginnings that the rule gives, in order; some before from may be left out.
func (t *timetable) matches(from time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if t.rule == nil {
			yield(t.first)
			return
		}
		if !t.rule.Until.IsZero() && t.rule.Until.Before(from.AddDate(ahead, 0, 0)) {
			return
		}
		rule, err := rrule.NewRRule(near(*t.rule, from.AddDate(ahead, 0, 0)))
		if err != nil {
			return // it was accepted by readRule
		}
		next := rule.Iterator()
		for at, ok := next(); ok; at, ok = next() {
			if !yield(at.AddDate(-ahead, 0, 0)) {
				return
			}
		}
	}
}
