package calendar

import (
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/ringfence/ringfence/internal/errs"
)

// Limits of a rule.
const (
	ruleBytes    = 500
	mostCount    = 1000
	mostInterval = 1000
	mostADay     = 24
)

var ruleParts = []string{"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE", "BYSETPOS"}

// readRule reads a recurrence rule that begins at a local time. What it returns is years ahead, and complete: what RFC
// 5545 takes from the beginning is put in.
func readRule(text string, first time.Time, zone *time.Location) (*rrule.ROption, error) {
	parts, err := split(text)
	if err != nil {
		return nil, err
	}
	o, err := rrule.StrToROptionInLocation(strings.TrimPrefix(strings.ToUpper(text), "RRULE:"), time.UTC)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "rule: expected a recurrence rule such as FREQ=WEEKLY;BYDAY=FR")
	}
	if err := limits(o, parts); err != nil {
		return nil, err
	}
	if err := sense(o); err != nil {
		return nil, err
	}
	if until := parts["UNTIL"]; until != "" {
		o.Until = localUntil(o.Until, until, zone).AddDate(ahead, 0, 0)
	}
	o.Dtstart = first.AddDate(ahead, 0, 0)
	rule, err := rrule.NewRRule(*o)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "rule")
	}
	return &rule.Options, nil
}

func split(text string) (map[string]string, error) {
	if len(text) > ruleBytes || strings.ContainsAny(text, "\r\n") {
		return nil, errs.E(errs.Invalid, "rule: expected one line of at most %d characters", ruleBytes)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(strings.ToUpper(text), "RRULE:"), ";") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case name == "BYSECOND":
			return nil, errs.E(errs.Invalid, "rule: BYSECOND is too fine, expected windows that begin at a whole minute")
		case !slices.Contains(ruleParts, name):
			return nil, errs.E(errs.Invalid, "rule: there is no part %.20q, expected %s", name, strings.Join(ruleParts, ", "))
		case parts[name] != "":
			return nil, errs.E(errs.Invalid, "rule: %s stands twice, expected each part once", name)
		}
		parts[name] = value
	}
	return parts, nil
}

// limits refuses rules that cost too much.
func limits(o *rrule.ROption, parts map[string]string) error {
	switch {
	case o.Freq > rrule.HOURLY:
		return errs.E(errs.Invalid, "rule: FREQ=%s is too often, expected YEARLY, MONTHLY, WEEKLY, DAILY or HOURLY", parts["FREQ"])
	case parts["INTERVAL"] != "" && (o.Interval < 1 || o.Interval > mostInterval):
		return errs.E(errs.Invalid, "rule: INTERVAL is %d, expected 1 to %d", o.Interval, mostInterval)
	case parts["COUNT"] != "" && (o.Count < 1 || o.Count > mostCount):
		return errs.E(errs.Invalid, "rule: COUNT is %d, expected 1 to %d", o.Count, mostCount)
	case o.Count > 0 && !o.Until.IsZero():
		return errs.E(errs.Invalid, "rule: has both COUNT and UNTIL, expected one of them")
	case o.Freq == rrule.HOURLY && (len(o.Byhour) > 0 || len(o.Byminute) > 1):
		return errs.E(errs.Invalid, "rule: FREQ=HOURLY takes no BYHOUR and one BYMINUTE, expected FREQ=DAILY with them")
	case max(1, len(o.Byhour))*max(1, len(o.Byminute)) > mostADay:
		return errs.E(errs.Invalid, "rule: comes %d times a day, expected at most %d", len(o.Byhour)*len(o.Byminute), mostADay)
	}
	return nil
}

// sense refuses what RFC 5545 forbids or leaves open, and what would ask for days that a month cannot have.
func sense(o *rrule.ROption) error {
	yearly, numbered := o.Freq == rrule.YEARLY, false
	for _, d := range o.Byweekday {
		n := max(d.N(), -d.N())
		numbered = numbered || n > 0
		if n > 5 && (!yearly || len(o.Bymonth) > 0) {
			return errs.E(errs.Invalid, "rule: BYDAY=%s: no month has that many weeks, expected at most 5", d.String())
		}
	}
	switch {
	case numbered && o.Freq > rrule.MONTHLY:
		return errs.E(errs.Invalid, "rule: BYDAY with a number is for FREQ=MONTHLY and YEARLY")
	case numbered && len(o.Byweekno) > 0:
		return errs.E(errs.Invalid, "rule: BYDAY has a number next to BYWEEKNO, expected days without one")
	case o.Freq == rrule.WEEKLY && len(o.Bymonthday) > 0:
		return errs.E(errs.Invalid, "rule: BYMONTHDAY is not for FREQ=WEEKLY")
	case !yearly && len(o.Byyearday)+len(o.Byweekno) > 0:
		return errs.E(errs.Invalid, "rule: BYYEARDAY and BYWEEKNO are for FREQ=YEARLY")
	case len(o.Byweekno) > 0 && len(o.Byweekday) == 0:
		return errs.E(errs.Invalid, "rule: BYWEEKNO leaves the day open, expected BYDAY next to it")
	case len(o.Bysetpos) > 0 && len(o.Bymonth)+len(o.Bymonthday)+len(o.Byyearday)+len(o.Byweekno)+len(o.Byweekday)+len(o.Byhour)+len(o.Byminute) == 0:
		return errs.E(errs.Invalid, "rule: BYSETPOS selects from nothing, expected another BY part next to it")
	}
	return nil
}

// localUntil is the last local time that text allows: it may be given in UTC, in local time, or as a day.
func localUntil(read time.Time, text string, zone *time.Location) time.Time {
	switch {
	case strings.HasSuffix(text, "Z"):
		return wall(read, zone)
	case len(text) == len("20060102"):
		return read.AddDate(0, 0, 1).Add(-time.Second)
	}
	return read
}

// near moves the beginning of a rule close to from, by a whole number of its steps, so that it is not followed through
// all the years before. A rule that counts is followed from its beginning.
func near(o rrule.ROption, from time.Time) rrule.ROption {
	if o.Count > 0 || !from.After(o.Dtstart) {
		return o
	}
	step, begin := max(o.Interval, 1), o.Dtstart
	steps := func(passed int) int { return max(0, passed/step-1) * step }
	switch o.Freq {
	case rrule.YEARLY:
		if n := steps(from.Year() - begin.Year()); n > 0 {
			o.Dtstart = onFirst(begin, begin.Year()+n, time.January)
		}
	case rrule.MONTHLY:
		if n := steps((from.Year()-begin.Year())*12 + int(from.Month()) - int(begin.Month())); n > 0 {
			o.Dtstart = onFirst(begin, begin.Year(), begin.Month()+time.Month(n))
		}
	case rrule.WEEKLY:
		o.Dtstart = begin.AddDate(0, 0, 7*steps(days(begin, from)/7))
	case rrule.DAILY:
		o.Dtstart = begin.AddDate(0, 0, steps(days(begin, from)))
	case rrule.HOURLY:
		o.Dtstart = begin.Add(time.Duration(steps(int(from.Sub(begin)/time.Hour))) * time.Hour)
	}
	return o
}

// onFirst is the first of a month, at begin's time of day. Which days match is in the rule's parts by now.
func onFirst(begin time.Time, year int, month time.Month) time.Time {
	h, m, s := begin.Clock()
	return time.Date(year, month, 1, h, m, s, 0, time.UTC)
}

func days(from, to time.Time) int { return int(to.Sub(from) / (24 * time.Hour)) }
