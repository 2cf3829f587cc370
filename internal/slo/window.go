package slo

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Length is a duration of OpenSLO: a number and a unit, of which months, quarters and years have no length of their own.
type Length struct {
	N    int
	Unit byte // m, h, d, w, M, Q, Y
}

var lengthRE = regexp.MustCompile(`^([1-9][0-9]{0,5})([mhdwMQY])$`)

const lengthWords = "a number and one of m, h, d, w, M (months), Q and Y, such as 30d"

// ParseLength reads a duration such as 30d.
func ParseLength(s string) (Length, bool) {
	m := lengthRE.FindStringSubmatch(s)
	if m == nil {
		return Length{}, false
	}
	n, _ := strconv.Atoi(m[1]) // at most six digits
	return Length{n, m[2][0]}, true
}

func (l Length) String() string { return fmt.Sprintf("%d%c", l.N, l.Unit) }

// Duration is the length, of months and longer as if each had 30 days, a quarter 90 and a year 365.
func (l Length) Duration() time.Duration {
	const day = 24 * time.Hour
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day, 'M': 30 * day, 'Q': 90 * day, 'Y': 365 * day}[l.Unit]
	return time.Duration(l.N) * unit
}

// Window is the time over which a budget is: the last Length, or the one of a calendar that is under way.
type Window struct {
	Length Length
	Start  time.Time // of a calendar's first window, in its zone; zero: it is rolling
}

// Rolling says whether it moves along.
func (w Window) Rolling() bool { return w.Start.IsZero() }

func (w Window) String() string {
	if w.Rolling() {
		return w.Length.String() + " rolling"
	}
	return fmt.Sprintf("%s from %s", w.Length, w.Start.Format("2006-01-02 15:04 MST"))
}

// Bounds are the beginning and the end of the window at a time.
func (w Window) Bounds(now time.Time) (from, to time.Time) {
	if w.Rolling() {
		return now.Add(-w.Length.Duration()), now
	}
	n := int(now.Sub(w.Start) / w.Length.Duration())
	for n--; !w.begin(n + 1).After(now); n++ { // months are shorter and longer than 30 days, and days than 24 hours
	}
	for ; w.begin(n).After(now); n-- {
	}
	return w.begin(n), w.begin(n + 1)
}

// begin is where the nth window begins by the clock on a wall in its zone. A month later than the 31st is the last day of a
// shorter month.
func (w Window) begin(n int) time.Time {
	k := n * w.Length.N
	switch w.Length.Unit {
	case 'm', 'h':
		return w.Start.Add(time.Duration(n) * w.Length.Duration())
	case 'd':
		return w.onWall(0, k)
	case 'w':
		return w.onWall(0, 7*k)
	case 'Q':
		return w.onWall(3*k, 0)
	case 'Y':
		return w.onWall(12*k, 0)
	}
	return w.onWall(k, 0)
}

// onWall is so many months and days after the start. A time that the clock skips is as much later, of one that it shows twice it is the first.
func (w Window) onWall(months, days int) time.Time {
	y, m, d := w.Start.Date()
	if months != 0 {
		d = min(d, time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	hour, minute, sec := w.Start.Clock()
	local := time.Date(y, m+time.Month(months), d+days, hour, minute, sec, 0, time.UTC)
	either := time.Date(y, m+time.Month(months), d+days, hour, minute, sec, 0, w.Start.Location())
	_, off := either.Add(-24 * time.Hour).Zone()
	before := local.Add(-time.Duration(off) * time.Second).In(w.Start.Location()) // by the clock before any change
	if before.Format(time.DateTime) != local.Format(time.DateTime) && either.Format(time.DateTime) == local.Format(time.DateTime) {
		return either
	}
	return before
}

// promText is a duration as PromQL has it, whole milliseconds.
func promText(d time.Duration) string {
	if d%time.Second != 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	out := ""
	for _, u := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.d; n > 0 {
			out += strconv.FormatInt(int64(n), 10) + u.name
			d -= n * u.d
		}
	}
	return out
}
