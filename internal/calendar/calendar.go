package calendar

import (
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// Window is a time that may come again.
type Window = resource.Window

// Span is one time that a window is open, in UTC: from Start until just before End.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// endless is how long windows may follow one another before their end is called unknown.
const (
	endless    = 400 * 24 * time.Hour
	mostJoined = 1000
)

// Check says what is wrong with w.
func Check(w Window) error {
	_, err := known(w)
	return err
}

// Active reports whether w is open now, and until when. Times that touch or overlap are one; until is zero when they
// go on for more than a year.
func Active(w Window, now time.Time) (until time.Time, ok bool) {
	t, err := known(w)
	if err != nil {
		return time.Time{}, true
	}
	for s := range t.spans(now) {
		switch {
		case !ok && s.Start.After(now), ok && s.Start.After(until):
			return until, ok
		case s.End.After(now):
			ok = true
			until = later(until, s.End)
		}
		if ok && until.Sub(now) > endless {
			return time.Time{}, true
		}
	}
	return until, ok
}

// ActiveAny is Active for several windows at once: one that begins when another ends goes on.
func ActiveAny(ws []Window, now time.Time) (until time.Time, ok bool) {
	at := now
	for range mostJoined {
		reached := at
		for _, w := range ws {
			end, active := Active(w, at)
			if active && (end.IsZero() || end.Sub(now) > endless) {
				return time.Time{}, true
			}
			if active {
				reached = later(reached, end)
			}
		}
		if reached.Equal(at) {
			return until, ok
		}
		at, until, ok = reached, reached, true
	}
	return time.Time{}, true
}

// Next is the first time of w that begins at or after now.
func Next(w Window, now time.Time) (start, end time.Time, ok bool) {
	t, err := known(w)
	if err != nil {
		return time.Time{}, time.Time{}, false
	}
	for s := range t.spans(now) {
		if !s.Start.Before(now) {
			return s.Start, s.End, true
		}
	}
	return time.Time{}, time.Time{}, false
}

// Between lists the times of w that lie at least partly between from and to, at most limit of them, the earliest first.
func Between(w Window, from, to time.Time, limit int) []Span {
	t, err := known(w)
	if err != nil {
		return nil
	}
	var out []Span
	for s := range t.spans(from) {
		if len(out) >= limit || !s.Start.Before(to) {
			break
		}
		if s.End.After(from) {
			out = append(out, s)
		}
	}
	return out
}

// Covered reports whether one whole time of w lies between from and to.
func Covered(w Window, from, to time.Time) bool {
	_, end, ok := Next(w, from)
	return ok && !end.After(to) // no later time ends earlier
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// timetables remembers windows that were understood: reading a rule and a time zone costs more than asking about it.
var timetables = struct {
	sync.Mutex
	of map[string]*timetable
}{of: map[string]*timetable{}}

const remembered = 1024

func known(w Window) (*timetable, error) {
	key := strings.Join(append([]string{w.Start, w.End, w.Zone, w.Rule}, w.Except...), "\x00")
	timetables.Lock()
	t := timetables.of[key]
	timetables.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := read(w)
	if err != nil {
		return nil, err
	}
	timetables.Lock()
	defer timetables.Unlock()
	if len(timetables.of) >= remembered {
		clear(timetables.of)
	}
	timetables.of[key] = t
	return t, nil
}
