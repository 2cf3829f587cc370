package workload

import (
	"slices"
	"time"
)

// seen is what planning knows of one instance.
type seen struct {
	n        int
	current  bool // runs what is wanted now
	ready    bool
	settled  bool // its readiness is known; false between adoption and the first check
	stopping bool
}

// plan says which instance numbers to start and which to stop so that in the end `want` current ones run.
// Instances of an older spec are replaced one at a time: one more is started than wanted, and an old ready
// one is stopped only while more than `want` are ready. It is called again after every change.
func plan(want int, have []seen) (start, stop []int) {
	var cur, old []seen
	taken := map[int]bool{}
	ready, stopping := 0, 0
	for _, s := range have {
		taken[s.n] = true
		switch {
		case s.stopping:
			stopping++
			continue
		case s.current:
			cur = append(cur, s)
		default:
			old = append(old, s)
		}
		if s.ready {
			ready++
		}
	}
	next := func() int {
		n := 1
		for taken[n] {
			n++
		}
		taken[n] = true
		return n
	}
	if want == 0 {
		return nil, numbers(append(cur, old...))
	}
	if extra := len(cur) - want; extra > 0 {
		slices.SortFunc(cur, leastUseful)
		stop, cur = numbers(cur[:extra]), cur[extra:]
	}
	if len(old) == 0 {
		for range want - len(cur) {
			start = append(start, next())
		}
		return start, stop
	}
	return roll(want, ready, stopping, cur, old, next, stop)
}

func roll(want, ready, stopping int, cur, old []seen, next func() int, stop []int) ([]int, []int) {
	var start []int
	slices.SortFunc(old, leastUseful)
	worst := old[0]
	if stopping == 0 && len(stop) == 0 && (worst.settled && !worst.ready || worst.ready && ready > want) {
		stop, old = append(stop, worst.n), old[1:]
	}
	curReady := !slices.ContainsFunc(cur, func(s seen) bool { return !s.ready })
	if len(cur) < want && curReady && len(cur)+len(old) <= want {
		start = append(start, next())
	}
	return start, stop
}

// leastUseful orders instances known to be down first, then those not yet known, then the ready; the highest
// number first among equals.
func leastUseful(a, b seen) int {
	use := func(s seen) int {
		switch {
		case s.ready:
			return 2
		case !s.settled:
			return 1
		}
		return 0
	}
	if d := use(a) - use(b); d != 0 {
		return d
	}
	return b.n - a.n
}

func numbers(list []seen) []int {
	var out []int
	for _, s := range list {
		out = append(out, s.n)
	}
	return out
}

const (
	backoffFirst  = 200 * time.Millisecond
	backoffMost   = 30 * time.Second
	healthyResets = time.Minute
)

// backoff is the pause before try number `attempt` (1 is the first restart). Random is in [0,1) and moves the
// pause by up to a fifth either way, so that instances that fail together do not come back together.
func backoff(attempt int, random float64) time.Duration {
	d := backoffMost
	if attempt < 1 {
		attempt = 1
	}
	if attempt <= 8 { // 200 ms << 7 = 25.6 s; the next would be over the most
		d = backoffFirst << (attempt - 1)
	}
	return min(time.Duration(float64(d)*(0.8+0.4*random)), backoffMost)
}

// nextAttempt counts tries: an instance that was ready for a minute on end starts from the first pause again.
func nextAttempt(attempt int, healthyFor time.Duration) int {
	if healthyFor >= healthyResets {
		return 1
	}
	return attempt + 1
}

// failuresToWithdraw is how many checks in a row must fail before a ready instance loses its endpoint: one
// slow answer must not cost capacity.
const failuresToWithdraw = 3

// readiness folds check results: ready on one success, not ready after so many failures in a row, failuresToWithdraw if nothing else is wanted.
type readiness struct {
	ready bool
	fails int
}

func (r readiness) observe(ok bool, withdraw int) readiness {
	if ok {
		return readiness{ready: true}
	}
	r.fails++
	if withdraw == 0 {
		withdraw = failuresToWithdraw
	}
	if r.fails >= withdraw {
		r.ready = false
	}
	return r
}

// checkPause is the time to the next readiness check: short until an instance was first ready, so that a
// rollout does not wait for a tick.
func checkPause(everReady bool, interval time.Duration) time.Duration {
	if !everReady {
		return min(firstCheckEvery, interval)
	}
	return interval
}

const firstCheckEvery = 50 * time.Millisecond
