package simulate

import (
	"math/rand/v2"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// patience is how much longer than its bake a ring may last before the rollout counts as held for good.
const patience = 90 * day

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) // any Monday would do

// ending is how a simulated rollout came out.
type ending string

const (
	detected ending = "detected" // halted by a gate
	passed   ending = "passed"   // out to everyone
	held     ending = "held"     // waiting for ever
)

type outcome struct {
	ending      ending
	ring        int           // the outermost that was entered
	inRing      time.Duration // how long it was in that ring
	took        time.Duration // from the first ring on
	userMinutes float64
}

// run is one rollout on its way.
type run struct {
	w     *world
	rng   *rand.Rand
	bad   rates
	state rollout.State
	ev    rollout.Evidence
	took  time.Duration
	hour  time.Duration
	stage *stage // of the ring that the state is in, nil before the first
	until int64  // requests to the new version before which the gates can only hold
}

func (w *world) run(rng *rand.Rand, bad rates) outcome {
	ready := rollout.Instances{Ready: 1, Wanted: 1}
	r := &run{w: w, rng: rng, bad: bad, ev: rollout.Evidence{Seen: true, InForce: true, To: ready, From: ready}}
	if w.swing > 0 {
		r.hour = time.Duration(rng.Float64() * float64(day)) // people release at all times
	}
	r.ev.Before = w.before(0)
	r.state, _ = rollout.Start(w.plan, epoch)
	r.decide()
	var userMinutes float64
	for r.goesOn() {
		d, stopped := r.stage.step()
		r.took += d
		userMinutes += r.stage.share * w.users * d.Minutes()
		if stopped || w.every || r.stage.at >= r.stage.bake && r.stage.seen() >= r.until {
			r.judge()
			r.decide()
		}
	}
	o := outcome{ending: held, ring: max(0, r.state.Ring), took: r.took, userMinutes: userMinutes}
	if r.stage != nil {
		o.inRing = r.stage.at
	}
	switch r.state.Phase {
	case rollout.RollingBack, rollout.RolledBack:
		o.ending = detected
	case rollout.Succeeded:
		o.ending = passed
	default:
		if r.stopped() {
			o.ending = detected
		}
	}
	return o
}

func (r *run) goesOn() bool {
	return r.stage != nil && r.state.Phase != rollout.RollingBack && !r.state.Phase.Ended() && !r.stopped() && r.stage.at <= r.stage.bake+patience
}

// stopped says whether a gate keeps the rollout where it is until a person acts.
func (r *run) stopped() bool { return r.state.Halted || r.stage != nil && r.stage.over > 0 }

// decide asks rollout.Next until it has to wait.
func (r *run) decide() {
	now := epoch.Add(r.took)
	for {
		events := rollout.Next(r.state, r.ev, now)
		if len(events) == 0 {
			return
		}
		entered := len(r.state.Stages)
		r.state = rollout.FoldAll(r.state, events)
		if len(r.state.Stages) > entered {
			r.stage = r.w.enter(r.state, r.w.shares[r.state.Ring], r.bad, r.hour+r.took, r.rng)
			r.judge() // each ring begins without evidence
			r.ev.Before = r.w.before(r.state.Ring + 1)
		}
	}
}

func (r *run) judge() {
	r.ev.Gates = make([]health.Judgement, len(r.stage.trials))
	r.ev.Requests, r.ev.Users = r.stage.seen(), r.stage.users()
	r.ev.Peak.Covered = r.stage.at >= r.stage.bake
	r.until = r.w.asked(r.state.Ring, r.stage.share)
	for i := range r.stage.trials {
		j := r.stage.judgement(i)
		r.ev.Gates[i], r.until = j, max(r.until, r.stage.seen()+j.Evidence.MoreRequests)
	}
}

// before are passes of all gates that are asked before a ring is entered.
func (w *world) before(ring int) []health.Judgement {
	var all []health.Judgement
	for _, g := range w.plan.GatesIn(ring, true) {
		all = append(all, passing(g))
	}
	return all
}

// alone lets a change with the regression stay in one ring of a given size, and returns when it is seen there; false
// when that takes longer than limit.
func (w *world) alone(rng *rand.Rand, ring int, share float64, limit time.Duration) (time.Duration, bool) {
	state := w.plan
	state.Ring = ring
	var hour time.Duration
	if w.swing > 0 {
		hour = time.Duration(rng.Float64() * float64(day))
	}
	st := w.enter(state, share, w.sick, hour, rng)
	for st.at < limit {
		if _, stopped := st.step(); stopped {
			return st.at, true
		}
	}
	return 0, false
}
