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
	bad    []float64 // by trial, chance that a request to the new version is bad
	usual  []float64 // by trial, to the version before
	counts []bool    // by trial, whether it is of counts, which alone are simulated
	bears  []bool    // by trial, whether its failure stops anything
	over   int       // trials that bear weight and have failed
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

func (w *world) enter(s rollout.State, share float64, bad rates, hour time.Duration, rng *rand.Rand) *stage {
	st := &stage{w: w, rng: rng, trials: s.Trials(s.Ring, false), share: share, bake: w.bakeFrom(s.Ring, hour), hour: hour, idle: true}
	st.draws = make([]draws, len(st.trials))
	for _, t := range st.trials {
		st.bad, st.usual = append(st.bad, bad[t.Gate.Signal]), append(st.usual, w.stable[t.Gate.Signal])
		st.counts, st.bears = append(st.counts, counted(t.Gate.Signal)), append(st.bears, bears(t.Gate))
		st.idle = st.idle && t.Process == nil
	}
	return st
}

// counted says whether a signal is counts of requests.
func counted(signal string) bool {
	return signal == health.SignalErrors || signal == health.SignalLatency
}

// bears says whether anything follows from a gate's failure.
func bears(g rollout.Gate) bool { return !g.Informing && g.OnFail != "notify" }

// step lets time pass and reports whether a trial is over. Its length is a part of what has passed, so that a stop is
// timed about as well in the first minutes as after a day.
func (st *stage) step() (time.Duration, bool) {
	d := st.width()
	canary, stable := st.requests(d)
	st.at += d
	was := st.over
	st.over = 0
	for i := range st.trials {
		if !st.counts[i] {
			continue
		}
		t := &st.trials[i]
		c := health.Counts{Requests: canary}
		s := health.Counts{Requests: stable}
		if t.Process != nil {
			c.Bad = st.draws[i].canary.draw(st.rng, canary, st.bad[i])
		}
		if t.Process != nil && t.Gate.Compare == health.CompareStable {
			s.Bad = st.draws[i].stable.draw(st.rng, stable, st.usual[i])
		}
		_ = t.Add(health.Sample{Canary: &c, Stable: &s}) // more requests than can be judged are no more evidence, as in production
		if st.bears[i] && t.Process != nil && t.Process.StoppedAt != nil {
			st.over++
		}
	}
	return d, st.over > was
}

// judgement is a trial's; what is not simulated passes at once.
func (st *stage) judgement(i int) health.Judgement {
	if st.counts[i] {
		return st.trials[i].Judgement()
	}
	return passing(st.trials[i].Gate)
}

func passing(g rollout.Gate) health.Judgement {
	return health.Judgement{Gate: g.Gate, Verdict: health.Pass, Reasons: []string{"is not simulated"}}
}

// users is about how many of the ring's users have sent a request: each is as active as any other.
func (st *stage) users() int64 {
	all := st.share * st.w.users
	return int64(math.Round(all * -math.Expm1(-st.sent.canary/all)))
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
