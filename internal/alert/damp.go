package alert

import "time"

// Damping says when an alert flaps: it began to fire so often within a time. Its end is then told only when it has been
// quiet for a while, and its coming back before that is no news.
type Damping struct {
	Times  int
	Within time.Duration
	Calm   time.Duration
}

// DefaultDamping holds where none is declared.
var DefaultDamping = Damping{Times: 4, Within: time.Hour, Calm: 10 * time.Minute}

// Flaps says whether a record comes and goes.
func (d Damping) Flaps(r Record, now time.Time) bool {
	n := 0
	for _, t := range r.Begun {
		if t.After(now.Add(-d.Within)) {
			n++
		}
	}
	return d.Times > 0 && n >= d.Times
}

// Lasts says whether an alert is told as firing: it fires, or it flaps and has not been quiet for long.
func (d Damping) Lasts(r Record, now time.Time) bool {
	return r.Firing() || r.EndsAt.Add(d.Calm).After(now) && d.Flaps(r, now)
}
