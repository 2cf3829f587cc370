package incident

import (
	"math"
	"slices"
	"time"
)

// others are the candidates that are no changes. Those of one kind and subject are one.
func (j *judge) others(changes []Candidate) []Candidate {
	var all []Candidate
	for _, s := range j.Signals {
		if s.Subject == "" && (s.Kind == Dependency || s.Kind == Customer) {
			continue
		}
		c := j.signal(j.whole(s))
		if i := slices.IndexFunc(all, func(o Candidate) bool { return o.Kind == c.Kind && o.Ref == c.Ref }); i >= 0 {
			continue
		}
		all = append(all, c)
	}
	for _, d := range j.neighbours() {
		c, ok := j.down(d)
		if ok && !slices.ContainsFunc(all, func(o Candidate) bool { return o.Kind == Dependency && o.Ref == c.Ref }) {
			all = append(all, c)
		}
	}
	if c, ok := j.drop(); ok && !slices.ContainsFunc(all, func(o Candidate) bool { return o.Kind == Traffic }) {
		all = append(all, c)
	}
	for i := range all { // a change of the very thing that is down, close by, is the reason why it is
		for _, ch := range changes {
			if all[i].Kind == Dependency && ch.Service == all[i].Service && ch.Service != "" && ch.Lag > -4 {
				all[i].Told -= 3
			}
		}
	}
	return all
}

// whole is a signal with what another one of the same customer says: an alert knows no counts, and counts no alert.
func (j *judge) whole(s Signal) Signal {
	if s.Kind != Customer {
		return s
	}
	for _, o := range j.Signals {
		if o.Kind != Customer || o.Subject != s.Subject || o.Service != s.Service {
			continue
		}
		if s.All.Requests == 0 {
			s.Own, s.All = o.Own, o.All
		}
		if s.Version == "" {
			s.Version = o.Version
		}
		s.Counted = s.Counted && o.Counted
	}
	return s
}

// neighbours are the services that the one that hurts calls, near ones first.
func (j *judge) neighbours() []string {
	var all []string
	next := slices.Clone(j.DependsOn[j.Service])
	for depth := 0; depth < 3 && len(next) > 0; depth++ {
		var further []string
		for _, d := range next {
			if d != j.Service && !slices.Contains(all, d) {
				all = append(all, d)
				further = append(further, j.DependsOn[d]...)
			}
		}
		next = further
	}
	return all
}

// signal weighs what an alert says outright.
func (j *judge) signal(s Signal) Candidate {
	c := Candidate{Kind: s.Kind, Ref: s.Kind, Service: s.Service, Near: kindOdds[s.Kind], Told: 3, Title: titleOf(s)}
	if s.Subject != "" {
		c.Ref += "/" + s.Subject
	}
	if rel := j.relation(s.Service); s.Service != "" && rel != itself {
		c.Near += relationOdds[rel]
	}
	switch {
	case s.Kind == Customer:
		c.Split = concentrated(s.Own, s.All)
		c.Exposed, c.Others = &s.Own, &Tally{s.All.Requests - s.Own.Requests, s.All.Bad - s.Own.Bad}
		if s.All.Requests == 0 {
			c.Exposed, c.Others = nil, nil
		}
	case s.Kind == Dependency && slices.Contains(j.neighbours(), s.Subject):
		c.Service = s.Subject
		c.Split = j.sick(s.Subject)
	}
	if s.Counted {
		c.Told = 0
	}
	if s.Version != "" && (s.Kind == Crash || s.Kind == Memory || s.Kind == Customer) { // of one version: what brought it is nearer to the cause
		for _, ch := range j.Changes {
			if slices.Contains(ch.Versions, s.Version) {
				c.Told = 0
				if s.Kind == Customer { // everyone has it sooner or later, and this one was the first to use what is wrong with it
					c.Split = min(c.Split, most/2)
				}
			}
		}
	}
	c.Why = j.whySignal(s, c)
	return c
}

func (j *judge) sick(service string) float64 {
	s, known := j.of(service)
	if !known {
		return 0
	}
	if sick := s.sickness(); sick >= 3 {
		return min(6, sick/2)
	}
	return -3
}

// down weighs that something the service calls does not work, with no change of it that would say why.
func (j *judge) down(service string) (Candidate, bool) {
	fires := slices.Contains(j.Down, service)
	s, known := j.of(service)
	sick := known && s.sickness() >= 3
	if !fires && !sick {
		return Candidate{}, false
	}
	c := Candidate{Kind: Dependency, Ref: Dependency + "/" + service, Service: service, Title: service + ", which " + j.Service + " calls, does not work", Near: kindOdds[Dependency]}
	if fires {
		c.Told = 4
	}
	if known {
		c.Split = j.sick(service)
		t := s.since
		c.Exposed = &t
	}
	c.Why = j.whyDown(service, fires, s, known)
	return c, true
}

// drop weighs that the requests themselves stay away.
func (j *judge) drop() (Candidate, bool) {
	before, since := j.pace()
	if before.Requests < 60 || since.Requests > 0.5*before.Requests || j.own.sickness() > 5 {
		return Candidate{}, false
	}
	n, m := since.Requests, before.Requests // over the same time
	odds := n*math.Log(max(n, 0.5)/m) - n + m
	c := Candidate{Kind: Traffic, Ref: Traffic, Service: j.Service, Title: "the requests to " + j.Service + " stay away", Near: kindOdds[Traffic], Split: min(6, odds/j.own.spread/4)}
	c.Why = whyDrop(before, since)
	return c, true
}

// pace is what came over the same time before the onset and since it, at most ten minutes.
func (j *judge) pace() (before, since Tally) {
	counts := j.Counts[j.Service]
	if len(counts) == 0 {
		return before, since
	}
	first, last := counts[0].At, counts[len(counts)-1].At
	span := min(10*time.Minute, last.Sub(j.Onset), j.Onset.Sub(first))
	for _, c := range counts {
		switch d := c.At.Sub(j.Onset); {
		case d > 0 && d <= span:
			since.add(c)
		case d <= 0 && d > -span:
			before.add(c)
		}
	}
	return before, since
}

// concentrated is the logarithm of the likelihood ratio that a customer has its own share of the bad requests, and that
// it has the share of its requests.
func concentrated(own, all Tally) float64 {
	if all.Bad <= 0 || own.Requests <= 0 || all.Requests <= own.Requests {
		return 0
	}
	p0 := own.Requests / all.Requests
	p1 := (own.Bad + 0.5) / (all.Bad + 1)
	if p1 <= p0 {
		return max(-most, -all.Bad*(p0-p1))
	}
	return min(most, own.Bad*math.Log(p1/p0)+(all.Bad-own.Bad)*math.Log((1-p1)/(1-p0)))
}
