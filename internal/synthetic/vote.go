package synthetic

import (
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// State is what the probers together say of a version.
type State string

// The states.
const (
	Up      State = "up"
	Down    State = "down"
	Unknown State = "unknown" // too few of them have looked lately
)

// Vote is what the probers say of one version.
type Vote struct {
	State   State  `json:"state" enum:"up,down,unknown"`
	Fresh   int    `json:"fresh" doc:"probers that looked lately"`
	Failing int    `json:"failing" doc:"of these, how many see it fail"`
	Need    int    `json:"need" doc:"how many of them make it down"`
	Reason  string `json:"reason,omitempty" doc:"what one that sees it fail says"`
	Prober  string `json:"prober,omitempty" doc:"which one that is"`
}

// FreshFor is how long a round counts.
func FreshFor(p resource.Probe) time.Duration {
	return 3*time.Duration(p.Every) + time.Duration(p.Timeout)*time.Duration(max(1, len(p.Steps)))
}

// Cast joins what the probers see of a version. Those that the probe does not name have no vote.
func Cast(p resource.Probe, views map[string]*View, now time.Time) Vote {
	v := Vote{State: Unknown, Need: p.Agree}
	for _, name := range p.From {
		seen := views[name]
		if seen == nil || now.Sub(seen.Last.At) > FreshFor(p) {
			continue
		}
		v.Fresh++
		if seen.Row < p.Failures {
			continue
		}
		if v.Failing++; v.Failing == 1 {
			v.Reason, v.Prober = seen.Last.Reason, name
			if seen.Last.Step != "" {
				v.Reason = seen.Last.Step + ": " + v.Reason
			}
		}
	}
	switch missing := len(p.From) - v.Fresh; {
	case v.Failing >= v.Need:
		v.State = Down
	case v.Failing+missing < v.Need: // whatever the silent ones would say
		v.State = Up
	case v.Failing == 0 && v.Fresh >= v.Need:
		v.State = Up
	}
	return v
}

// Says is the vote in words.
func (v Vote) Says() string {
	switch {
	case v.State == Unknown && v.Fresh == 0:
		return "no prober has looked lately"
	case v.State == Unknown:
		return fmt.Sprintf("only %d probers have looked lately, %d see it fail", v.Fresh, v.Failing)
	case v.Failing == 0:
		return fmt.Sprintf("%d of %d probers see it well", v.Fresh, v.Fresh)
	}
	return fmt.Sprintf("%d of %d probers see it fail: %s", v.Failing, v.Fresh, v.Reason)
}
