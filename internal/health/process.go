package health

import (
	"fmt"

	"github.com/ringfence/ringfence/internal/errs"
)

// MaxCount is the largest count, and the largest sum of counts over all samples, that can be judged.
const MaxCount = 1_000_000_000_000

// Process is the judgement of one gate as far as its samples have come. It is made by NewProcess or read from
// the JSON that it writes itself as; any other is not to be used.
type Process struct {
	Gate      Gate   `json:"gate"`      // with defaults filled in
	Samples   int    `json:"samples"`   // how many were added
	StoppedAt *int   `json:"stoppedAt"` // index of the sample at which it failed
	Canary    Counts `json:"canary"`    // sums, up to the stop
	Stable    Counts `json:"stable"`
	Compared  int64  `json:"compared"` // canary requests in samples where both sides had some
	Ratio     Ladder `json:"ratio"`    // canary's bad events against stable's
	Limit     Ladder `json:"limit"`    // canary's bad share against maxShare
	Split     Split  `json:"split"`
	Refused   string `json:"refused,omitempty"` // why nothing can be judged
}

// NewProcess starts a judgement. A gate that Validate refuses gives a process that holds and says why, since a
// wrong gate must neither let a release through nor take one back.
func NewProcess(gate Gate) *Process {
	if err := validateAs(byCounts, gate); err != nil {
		return &Process{Gate: Defaults(Gate{}), Refused: err.Error()} // the gate itself may hold what JSON cannot
	}
	return &Process{Gate: Defaults(gate)}
}

// Judge judges samples offline, as a Process does that is given one after the other.
func Judge(gate Gate, samples []Sample) Judgement {
	p := NewProcess(gate)
	for i, s := range samples {
		if err := p.Add(s); err != nil && p.Refused == "" {
			p.Refused = fmt.Sprintf("samples[%d].%s", i, err)
		}
	}
	return p.Judgement()
}

// Add folds the next sample. A sample that cannot be is refused and not counted. After a fail samples are
// counted, so that indexes stay right, but change nothing else.
func (p *Process) Add(s Sample) error {
	if fault := faultOf(s, p.Canary, p.Stable); fault != "" {
		return errs.E(errs.Invalid, "%s", fault)
	}
	at := p.Samples
	p.Samples++
	if p.StoppedAt != nil || p.Refused != "" {
		return nil
	}
	p.Canary.plus(s.Canary)
	p.Stable.plus(s.Stable)
	p.check(at, s)
	worse := p.compare(s)
	over := p.bound(s)
	if worse || over {
		p.StoppedAt = stop(at)
	}
	return nil
}

// stop is apart from Add so that only the one sample that stops pays for an allocation.
func stop(at int) *int { return &at }

// check looks for a sample-ratio mismatch. A side without data says nothing about where its users are.
func (p *Process) check(at int, s Sample) {
	if p.Gate.ExpectedShare > 0 && s.Canary != nil && s.Stable != nil {
		p.Split.add(at, p.Gate.ExpectedShare, s.Canary.Users, s.Stable.Users)
	}
}

// compare judges the sample against stable and reports whether that fails the canary.
func (p *Process) compare(s Sample) bool {
	if p.Gate.Compare != CompareStable || s.Canary == nil || s.Stable == nil {
		return false
	}
	c, b := s.Canary, s.Stable
	if c.Requests == 0 || b.Requests == 0 {
		return false
	}
	p.Compared += c.Requests
	rho := float64(c.Requests) / float64(c.Requests+b.Requests)
	return p.Ratio.add(tilted(rho, p.Gate.MaxRatio), c.Bad, c.Bad+b.Bad) && p.worse()
}

// bound judges the sample against the limit and reports whether that fails the canary.
func (p *Process) bound(s Sample) bool {
	return s.Canary != nil && p.Limit.add(p.Gate.MaxShare, s.Canary.Bad, s.Canary.Requests) && p.overLimit()
}

// worse reports whether the comparison fails the canary. With users wrongly split it cannot: what differs may be
// the users.
func (p *Process) worse() bool {
	return p.Gate.Compare == CompareStable && p.Split.At == nil && p.Ratio.reached(p.Gate.Alpha)
}

func (p *Process) overLimit() bool { return p.Limit.reached(p.Gate.Alpha) }

func (c *Counts) plus(d *Counts) {
	if d != nil {
		c.Requests += d.Requests
		c.Bad += d.Bad
		c.Users += d.Users
	}
}

// ValidateSamples refuses samples that cannot be, naming the first by its index.
func ValidateSamples(samples []Sample) error {
	var canary, stable Counts
	for i, s := range samples {
		if fault := faultOf(s, canary, stable); fault != "" {
			return errs.E(errs.Invalid, "samples[%d].%s", i, fault)
		}
		canary.plus(s.Canary)
		stable.plus(s.Stable)
	}
	return nil
}

// faultOf says what is wrong with a sample that comes after the given sums, "" when nothing is.
func faultOf(s Sample, canary, stable Counts) string {
	if fault := sideFault("canary", s.Canary, canary); fault != "" {
		return fault
	}
	return sideFault("stable", s.Stable, stable)
}

func sideFault(side string, c *Counts, sum Counts) string {
	if c == nil {
		return ""
	}
	switch {
	case c.Requests < 0 || c.Requests > MaxCount:
		return fmt.Sprintf("%s.requests: got %d, expected 0 to %d", side, c.Requests, int64(MaxCount))
	case c.Bad < 0 || c.Bad > c.Requests:
		return fmt.Sprintf("%s.bad: got %d, expected 0 to %d, the number of requests", side, c.Bad, c.Requests)
	case c.Users < 0 || c.Users > MaxCount:
		return fmt.Sprintf("%s.users: got %d, expected 0 to %d", side, c.Users, int64(MaxCount))
	case sum.Requests+c.Requests > MaxCount:
		return fmt.Sprintf("%s.requests: %d with those before it, expected at most %d in all", side, sum.Requests+c.Requests, int64(MaxCount))
	case sum.Users+c.Users > MaxCount:
		return fmt.Sprintf("%s.users: %d with those before it, expected at most %d in all", side, sum.Users+c.Users, int64(MaxCount))
	}
	return ""
}
