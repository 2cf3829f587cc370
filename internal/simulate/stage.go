package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

const day = 24 * time.Hour

// stage is one ring's time in one run: traffic comes, and the trials are given their samples.
type stage struct {
	w      *world
	rng    *rand.Rand
	trials []rollout.Trial
	bad    []float64 // by gate, chance that a request to the new version is bad
	share  float64   // of the requests that go to the new version
	bake   time.Duration
	at     time.Duration // since the ring was entered
	hour   time.Duration // time of the day when it was

	due, sent sides // requests so far, before and after rounding
	draws     []draws
	idle      bool // no trial judges anything
}

type sides struct{ canary, stable float64 }

type draws struct{ canary, stable binomial }

func (w *world) enter(s rollout.State, share float64, bad []float64, hour time.Duration, rng *rand.Rand) *stage {
	st := &stage{w: w, rng: rng, trials: s.Trials(s.Ring, false), bad: bad, share: share, bake: w.bake(s.Ring), hour: hour, idle: true}
	st.draws = make([]draws, len(st.trials))
	for i := range st.trials {
		st.idle = st.idle && st.trials[i].Process == nil
	}
	return st
}

// step lets time pass and reports whether a trial is over. Its length is a part of what has passed, so that a stop is
// timed about as well in the first minutes as after a day.
func (st *stage) step() (time.Duration, bool) {
	d := st.width()
	canary, stable := st.requests(d)
	st.at += d
	stopped := false
	for i := range st.trials {
		t := &st.trials[i]
		c := health.Counts{Requests: canary}
		s := health.Counts{Requests: stable}
		if t.Process != nil {
			c.Bad = st.draws[i].canary.draw(st.rng, canary, st.bad[i])
		}
		if t.Process != nil && t.Gate.Compare == health.CompareStable {
			s.Bad = st.draws[i].stable.draw(st.rng, stable, st.w.stable[i])
		}
		if t.Add(health.Sample{Canary: &c, Stable: &s}) != nil {
			continue // more requests than can be judged: no more evidence, as in production
		}
		stopped = stopped || t.Process != nil && t.Process.StoppedAt != nil
	}
	return d, stopped
}

// seen is how many requests the new version has got.
func (st *stage) seen() int64 { return int64(st.sent.canary) }

func (st *stage) width() time.Duration {
	finest := min(max(st.bake/24, time.Second), 5*time.Second)
	coarsest := max(time.Minute, st.bake/720)
	if st.w.coarse {
		coarsest = max(time.Minute, st.bake/200)
	}
	left := st.bake - st.at
	switch d := min(max(st.at/24, finest), coarsest); {
	case left <= 0: // only a floor of traffic is waited for
		return max(d, st.at/100)
	case st.idle:
		return left
	default:
		return min(d, left)
	}
}

// requests returns how many come in the next d, carrying over what rounding leaves.
func (st *stage) requests(d time.Duration) (canary, stable int64) {
	n := st.w.traffic * st.load(d) * d.Seconds()
	st.due.canary += n * st.share
	st.due.stable += n * (1 - st.share)
	return whole(st.due.canary, &st.sent.canary), whole(st.due.stable, &st.sent.stable)
}

func whole(due float64, sent *float64) int64 {
	n := max(0, math.Floor(due+1e-6)-*sent)
	*sent += n
	return int64(n)
}

// load is how busy the next d is against the day's mean.
func (st *stage) load(d time.Duration) float64 {
	if st.w.swing == 0 {
		return 1
	}
	turn := func(t time.Duration) float64 { return 2 * math.Pi * float64(t) / float64(day) }
	from := turn(st.hour + st.at)
	if d < time.Hour {
		return 1 + st.w.swing*math.Cos(from+turn(d)/2)
	}
	return 1 + st.w.swing*(math.Sin(from+turn(d))-math.Sin(from))/turn(d)
}
