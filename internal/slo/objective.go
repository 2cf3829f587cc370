package slo

import (
	"time"
)

// The budgeting methods.
const (
	Occurrences     = "Occurrences"
	Timeslices      = "Timeslices"
	RatioTimeslices = "RatioTimeslices"
)

// What an objective does when nothing is measured for a while.
const (
	NoDataTicket = "ticket"
	NoDataPage   = "page"
	NoDataIgnore = "ignore"
)

// Objective is one target of an SLO with everything that is needed to watch it.
type Objective struct {
	ID          string // of the SLO, and its number when there are several
	SLO         string
	Display     string
	Description string
	Service     string
	Owner       string
	Runbook     string
	Impact      string
	Target      float64 // share of good events, 0 to 1; of a composite the highest
	Method      string
	Window      Window
	Composite   bool
	Parts       []Part // one, or those of a composite
	Conditions  []Condition
	Guard       float64       // fewest bad events over the long window before an alert
	NoData      string        // ticket, page or ignore
	Quiet       time.Duration // without data before that is told
	Unmeasured  string        // why nothing is read for it here
	Notes       []string      // what a reader should know of how it is read

	watches [2]string // a service, and the signal of all its requests that it is on
}

// Part is what is measured of an objective.
type Part struct {
	Name   string
	Budget float64 // share of bad events that is allowed
	Weight float64
	read   func(window time.Duration) (bad, total string)
	slice  time.Duration // of time slices; 0: events are counted
}

// Queries are PromQL expressions for the bad and all events in a window. Each gives one number, or nothing without data.
func (p Part) Queries(window time.Duration) (bad, total string) { return p.read(window) }

// Watches is the service of which an objective has alerts on all requests as the gateway counts them, and the signal: errors or slow.
func (o *Objective) Watches() (service, signal string, ok bool) {
	return o.watches[0], o.watches[1], o.watches[0] != "" && len(o.Conditions) > 0 && o.Unmeasured == ""
}

// Count is what was counted in some time: nothing when Total is 0.
type Count struct{ Bad, Total float64 }

// Add joins what was counted in two times.
func (c Count) Add(d Count) Count { return Count{c.Bad + d.Bad, c.Total + d.Total} }

// share is the share of bad events.
func (c Count) share() float64 { return min(max(c.Bad/c.Total, 0), 1) }

// Burn is how fast the budget burns beside how fast it may, by the counts of the parts; false without any data.
func (o *Objective) Burn(counts []Count) (float64, bool) {
	burn, ok := 0.0, false
	for i, p := range o.Parts {
		if counts[i].Total > 0 {
			burn, ok = burn+p.Weight*(counts[i].share()/p.Budget), true
		}
	}
	return burn, ok
}

// known says whether there is data of all parts.
func (o *Objective) known(counts []Count) bool {
	for i := range o.Parts {
		if !(counts[i].Total > 0) {
			return false
		}
	}
	return true
}

func (o *Objective) bad(counts []Count) float64 {
	n := 0.0
	for _, c := range counts {
		n += c.Bad
	}
	return n
}

// Remaining is the part of the budget that is left after what was counted in the window: 1 is all of it, below 0 it is overspent.
// Time slices of a calendar's window are counted against all slices that the window will have had.
func (o *Objective) Remaining(counts []Count, now time.Time) (float64, bool) {
	if o.Method == Occurrences || o.Window.Rolling() {
		burn, ok := o.Burn(counts)
		return 1 - burn, ok
	}
	from, to := o.Window.Bounds(now)
	spent, ok := 0.0, false
	for i, p := range o.Parts {
		if counts[i].Total > 0 {
			all := float64(to.Sub(from) / p.slice)
			spent, ok = spent+p.Weight*counts[i].Bad/(p.Budget*all), true
		}
	}
	return 1 - spent, ok
}

// worst is the burn rate when everything fails.
func (o *Objective) worst() float64 {
	sum := 0.0
	for _, p := range o.Parts {
		sum += p.Weight / p.Budget
	}
	return sum
}

// Windows are the lengths of time that the conditions ask for, shortest first, each once.
func (o *Objective) Windows() []time.Duration {
	var all []time.Duration
	add := func(w time.Duration) {
		for i, have := range all {
			switch {
			case have == w:
				return
			case have > w:
				all = append(all[:i], append([]time.Duration{w}, all[i:]...)...)
				return
			}
		}
		all = append(all, w)
	}
	for _, c := range o.Conditions {
		for _, r := range c.Rows {
			add(r.Long)
			if r.Short != 0 {
				add(r.Short)
			}
		}
	}
	return all
}

// Slice is the length of the pieces of time by which an objective's budget is kept: about 8640 of them in its window.
func (o *Objective) Slice() time.Duration {
	s := min(max(o.Window.Length.Duration()/8640, time.Minute), time.Hour).Truncate(time.Minute)
	for _, p := range o.Parts {
		if p.slice > 0 {
			s = max(p.slice, s/p.slice*p.slice)
		}
	}
	return s
}

// Known says whether there is data of all parts of an objective.
func Known(o *Objective, counts []Count) bool { return len(counts) == len(o.Parts) && o.known(counts) }
