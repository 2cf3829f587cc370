package schema

import (
	"slices"
	"time"
)

// pace chooses how much is filled at once and how long the pauses are. It decides by numbers that it is given and knows no clock.
type pace struct {
	batch  time.Duration // what a batch shall take
	most   float64       // rows a second, 0 for no limit
	blocks int64
	duty   float64 // share of the time that is spent filling
	before []time.Duration
	usual  time.Duration // how long a small write takes without us
	now    time.Duration // lately, smoothed
}

const (
	dutyFirst = 0.15
	dutyLeast = 0.01
	dutyMost  = 0.9
	samples   = 9 // small writes that are timed before the fill
	slower    = 3 // halves: answers may take this many halves of what is usual
)

func newPace(batch time.Duration, most float64) *pace {
	return &pace{batch: batch, most: most, blocks: 8, duty: dutyFirst}
}

// ready reports whether it is known how long a small write usually takes.
func (p *pace) ready() bool { return p.usual > 0 }

// answer takes in how long a small write took.
func (p *pace) answer(d time.Duration) {
	if !p.ready() {
		if p.before = append(p.before, d); len(p.before) >= samples {
			slices.Sort(p.before)
			p.usual = max(p.before[len(p.before)/2], 100*time.Microsecond)
			p.now = p.usual
		}
		return
	}
	p.now += (d - p.now) / 4
	if p.now > p.usual*slower/2+500*time.Microsecond {
		p.duty = max(p.duty*0.75, dutyLeast)
		return
	}
	p.duty = min(p.duty+0.02, dutyMost)
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
