package rollout

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// Hours are the times of a week in which a change may move outward, by the clock on a wall in their zone: 09:00 stays
// 09:00 when that clock is changed. Where to is not after from, the hours end on the day after.
type Hours resource.Hours

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // as time.Weekday counts

// hours are Hours that were understood.
type hours struct {
	days     [7]bool
	from, to int // minutes since midnight; to may be 24 * 60
	zone     *time.Location
}

// Check says what is wrong with h.
func (h Hours) Check() error {
	_, err := h.read()
	return err
}

// Open reports whether the hours contain now and, when they do not, when they begin. Hours that are wrong never open:
// next is zero then.
func (h Hours) Open(now time.Time) (open bool, next time.Time) {
	read, err := h.read()
	if err != nil {
		return false, time.Time{}
	}
	if read.contain(now) {
		return true, time.Time{}
	}
	return false, read.next(now)
}

func (h Hours) read() (hours, error) {
	var read hours
	var err error
	for _, d := range h.Days {
		i := slices.Index(weekdays, d)
		if i < 0 {
			return read, errs.E(errs.Invalid, "days: got %.20q, expected mon, tue, wed, thu, fri, sat or sun", d)
		}
		if read.days[i] {
			return read, errs.E(errs.Invalid, "days: %q stands twice, expected each day once", d)
		}
		read.days[i] = true
	}
	if len(h.Days) == 0 {
		read.days = [7]bool{false, true, true, true, true, true, false}
	}
	if read.from, err = minutes("from", h.From, 9*60); err != nil {
		return read, err
	}
	if read.to, err = minutes("to", h.To, 17*60); err != nil {
		return read, err
	}
	if read.from == 24*60 {
		return read, errs.E(errs.Invalid, "from: got 24:00, expected a time before it; 00:00 is the beginning of a day")
	}
	if read.from == read.to {
		return read, errs.E(errs.Invalid, "to: got %s, which is from, expected another time; from 00:00 to 24:00 is a whole day", h.To)
	}
	read.zone, err = time.LoadLocation(h.Zone)
	if err != nil || h.Zone == "Local" {
		return read, errs.E(errs.Invalid, "zone: got %.60q, expected an IANA time zone such as Europe/Berlin, or none for UTC", h.Zone)
	}
	return read, nil
}

// minutes reads 09:30 as minutes since midnight.
func minutes(field, text string, without int) (int, error) {
	if text == "" {
		return without, nil
	}
	hour, minute, _ := strings.Cut(text, ":")
	h, errH := strconv.ParseUint(hour, 10, 8)
	m, errM := strconv.ParseUint(minute, 10, 8)
	all := int(h)*60 + int(m)
	if errH != nil || errM != nil || len(hour) != 2 || len(minute) != 2 || m > 59 || all > 24*60 {
		return 0, errs.E(errs.Invalid, "%s: got %.20q, expected a time of day from 00:00 to 24:00, such as 09:30", field, text)
	}
	return all, nil
}

// contain asks the clock on the wall, so that it needs to know nothing of the days on which that clock is changed.
func (h hours) contain(t time.Time) bool {
	t = t.In(h.zone)
	clock, today := t.Hour()*60+t.Minute(), t.Weekday()
	if h.from < h.to {
		return h.days[today] && h.from <= clock && clock < h.to
	}
	return h.days[today] && h.from <= clock || h.days[(today+6)%7] && clock < h.to
}

// next is the first moment after t that the hours contain. They begin at from, or where the clock on the wall is
// moved into them.
func (h hours) next(t time.Time) time.Time {
	var first time.Time
	consider := func(at time.Time) {
		if at.After(t) && (first.IsZero() || at.Before(first)) && h.contain(at) {
			first = at
		}
	}
	local := t.In(h.zone)
	for day := -1; day <= 15; day++ { // a day may be missing where the date line was moved
		for _, at := range h.shows(local.Year(), local.Month(), local.Day()+day) {
			consider(at)
		}
	}
	for at, n := t, 0; n < 8; n++ {
		_, change := at.In(h.zone).ZoneBounds()
		if change.IsZero() {
			break
		}
		consider(change)
		at = change
	}
	return first
}

// shows is when the clock on the wall shows from on a date: once, twice where it is put back over that time, never
// where it is put forward.
func (h hours) shows(year int, month time.Month, day int) []time.Time {
	want := time.Date(year, month, day, 0, h.from, 0, 0, time.UTC)
	near := time.Date(year, month, day, 0, h.from, 0, 0, h.zone)
	before, after := near.ZoneBounds()
	around := []time.Time{near}
	if !before.IsZero() {
		around = append(around, before.Add(-1))
	}
	if !after.IsZero() {
		around = append(around, after)
	}
	var out []time.Time
	for _, a := range around {
		_, offset := a.In(h.zone).Zone()
		at := want.Add(-time.Duration(offset) * time.Second).In(h.zone)
		if _, o := at.Zone(); o == offset {
			out = append(out, at)
		}
	}
	return out
}
