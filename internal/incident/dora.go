package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Deployment is a rollout as the four measures see it.
type Deployment struct {
	Service   string
	Rollout   string
	Committed time.Time // when what is in it was committed, if that is known
	Started   time.Time
	Reached   time.Time // when its first users got it; zero when none did
	Out       time.Time // when everyone had it
	Back      bool      // it was taken back
	Hurt      time.Time // the first bad event of what it was taken back for
	Safe      time.Time // when no user had it any more
}

// Measures are DORA's four for one service, or for all together.
type Measures struct {
	Service     string   `json:"service,omitempty" doc:"empty for all together"`
	Days        float64  `json:"days" doc:"how long the time is that was looked at"`
	Deployments int      `json:"deployments" doc:"changes that everyone got"`
	PerDay      float64  `json:"perDay" doc:"deployment frequency"`
	Lead        *float64 `json:"lead,omitempty" doc:"lead time: median of the seconds from the commit until everyone had it"`
	LeadKnown   int      `json:"leadKnown" doc:"of how many deployments the commit's time is known"`
	Reached     int      `json:"reached" doc:"changes that some user got"`
	Failed      int      `json:"failed" doc:"of these, how many were taken back or caused an incident"`
	FailureRate *float64 `json:"failureRate,omitempty" doc:"change failure rate, 0 to 1"`
	Restore     *float64 `json:"restore,omitempty" doc:"time to restore: median of the seconds from the first bad event until users were safe"`
	Restored    int      `json:"restored" doc:"over how many failures"`
}

// Dora measures every service, and all together first, from a time to another.
func Dora(deployments []Deployment, incidents []State, from, to time.Time) []Measures {
	in := func(t time.Time) bool { return !t.Before(from) && t.Before(to) && !t.IsZero() }
	by := map[string]*tallying{"": {}}
	of := func(service string) []*tallying {
		if by[service] == nil {
			by[service] = &tallying{}
		}
		return []*tallying{by[""], by[service]}
	}
	told := map[string]bool{} // rollouts of which an incident tells when users were safe
	for _, s := range incidents {
		for _, id := range s.ofRollouts() {
			told[id] = true
		}
		if t := s.Times().Mitigate; t != nil && in(s.Detected) && s.Service != "" {
			for _, m := range of(s.Service) {
				m.restores = append(m.restores, *t)
			}
		}
	}
	for _, d := range deployments {
		for _, m := range of(d.Service) {
			m.take(d, told[d.Rollout], in)
		}
	}
	days := to.Sub(from).Hours() / 24
	var all []Measures
	for service, m := range by {
		all = append(all, m.measures(service, days))
	}
	slices.SortFunc(all, func(a, b Measures) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

// ofRollouts are the rollouts that an incident is of.
func (s State) ofRollouts() []string {
	all := slices.Clone(s.Rollouts)
	if s.Cause != nil {
		if id, ok := strings.CutPrefix(s.Cause.Ref, "rollout/"); ok && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

type tallying struct {
	out, reached, failed int
	leads, restores      []float64
}

func (t *tallying) take(d Deployment, told bool, in func(time.Time) bool) {
	if in(d.Out) {
		t.out++
		if l := between(d.Committed, d.Out); l != nil {
			t.leads = append(t.leads, *l)
		}
	}
	if !in(d.Reached) {
		return
	}
	t.reached++
	if d.Back || told {
		t.failed++
	}
	if r := between(cmpTime(d.Hurt, d.Reached), d.Safe); d.Back && !told && r != nil {
		t.restores = append(t.restores, *r)
	}
}

func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

func (t *tallying) measures(service string, days float64) Measures {
	m := Measures{Service: service, Days: days, Deployments: t.out, LeadKnown: len(t.leads), Reached: t.reached, Failed: t.failed, Restored: len(t.restores), Lead: median(t.leads), Restore: median(t.restores)}
	if days > 0 {
		m.PerDay = float64(t.out) / days
	}
	if t.reached > 0 {
		r := float64(t.failed) / float64(t.reached)
		m.FailureRate = &r
	}
	return m
}

func median(xs []float64) *float64 {
	if len(xs) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(xs))
	m := (s[(len(s)-1)/2] + s[len(s)/2]) / 2
	return &m
}

// Trend is what incidents were like in one span of time.
type Trend struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Incidents   int       `json:"incidents"`
	Detect      *float64  `json:"detect,omitempty" doc:"median TTD in seconds"`
	Acknowledge *float64  `json:"acknowledge,omitempty"`
	Tell        *float64  `json:"tell,omitempty" doc:"median TTN in seconds"`
	Mitigate    *float64  `json:"mitigate,omitempty" doc:"median TTM in seconds"`
	Remediate   *float64  `json:"remediate,omitempty" doc:"median TTR in seconds"`
	ByPeople    int       `json:"byPeople" doc:"how many were noticed by people before any alert"`
}

// Trends cuts the time before to into spans and measures the incidents of a service that were noticed in each; those of
// all services when it is "".
func Trends(incidents []State, service string, to time.Time, span time.Duration, n int) []Trend {
	all := make([]Trend, n)
	for i := range all {
		t := Trend{From: to.Add(-time.Duration(n-i) * span), To: to.Add(-time.Duration(n-i-1) * span)}
		var d, a, tell, m, r []float64
		for _, s := range incidents {
			if s.Detected.Before(t.From) || !s.Detected.Before(t.To) || service != "" && s.Service != service {
				continue
			}
			t.Incidents++
			if s.Origin == ByPerson {
				t.ByPeople++
			}
			x := s.Times()
			for _, to := range []struct {
				list *[]float64
				v    *float64
			}{{&d, x.Detect}, {&a, x.Acknowledge}, {&tell, x.Tell}, {&m, x.Mitigate}, {&r, x.Remediate}} {
				if to.v != nil {
					*to.list = append(*to.list, *to.v)
				}
			}
		}
		t.Detect, t.Acknowledge, t.Tell, t.Mitigate, t.Remediate = median(d), median(a), median(tell), median(m), median(r)
		all[i] = t
	}
	return all
}
