package schema

import (
	"slices"
	"time"
)

// pace chooses how much is filled at once and how long the pauses are. It decides by numbers that it is given and knows no clock.
//
// Whether filling slows others down is told by small writes, timed all along: the slow ones among all of them are compared with
// the slow ones among those during pauses, lately. What else goes on in the database, or on its machine, bears upon both alike.
type pace struct {
	batch  time.Duration // what a batch shall take
	most   float64       // rows a second, 0 for no limit
	blocks int64
	duty   float64 // share of the time that is spent filling
	all    recent
	pauses recent
	fresh  int // small writes since duty was changed
}

const (
	dutyFirst = 0.2
	dutyLeast = 0.02
	dutyMost  = 0.7
	enough    = 21 // small writes of a kind, before they say anything
	every     = 7  // small writes between two changes of duty
	slow      = 0.9
	slower    = 1.3
	slack     = 500 * time.Microsecond
)

// recent are the last durations of a kind.
type recent struct {
	ring [101]time.Duration
	n    int
}

func (r *recent) add(d time.Duration) { r.ring[r.n%len(r.ring)] = d; r.n++ }

func (r *recent) quantile(q float64) time.Duration {
	last := slices.Clone(r.ring[:min(r.n, len(r.ring))])
	slices.Sort(last)
	return last[int(q*float64(len(last)-1))]
}

func newPace(batch time.Duration, most float64) *pace {
	return &pace{batch: batch, most: most, blocks: 8, duty: dutyFirst}
}

// answer takes in how long a small write took, and whether a batch was being filled.
func (p *pace) answer(d time.Duration, filling bool) {
	p.fresh++
	p.all.add(d)
	if !filling {
		p.pauses.add(d)
	}
	if p.all.n < enough || p.pauses.n < enough || p.fresh < every {
		return
	}
	p.fresh = 0
	if float64(p.all.quantile(slow)) > float64(p.pauses.quantile(slow))*slower+float64(slack) {
		p.duty = max(p.duty*0.9, dutyLeast)
		return
	}
	p.duty = min(p.duty+0.01, dutyMost)
}

// filled takes in what a batch took and did, and says how long to pause.
func (p *pace) filled(took time.Duration, rows int64) time.Duration {
	switch {
	case took > 2*p.batch:
		p.blocks = max(p.blocks/2, 1)
	case took > p.batch*5/4:
		p.blocks = max(p.blocks*4/5, 1)
	case took < p.batch*3/4:
		p.blocks = min(p.blocks+p.blocks/4+1, 4096)
	}
	pause := time.Duration(float64(took) * (1/p.duty - 1))
	if p.most > 0 {
		pause = max(pause, time.Duration(float64(rows)/p.most*float64(time.Second))-took)
	}
	return min(pause, 5*time.Second)
}
