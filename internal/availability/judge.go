package availability

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// What a minute is.
const (
	Good    = "good"
	Bad     = "bad"
	Idle    = "idle"
	Unknown = "unknown"
)

// Minute is how a service was there in one minute.
type Minute struct {
	At       time.Time `json:"at" doc:"when it began"`
	State    string    `json:"state" enum:"good,bad,idle,unknown" doc:"idle: no request came; unknown: no gateway's counts are known"`
	Requests int64     `json:"requests"`
	Failed   int64     `json:"failed" doc:"answered with 5xx or not at all, but not because a limit was reached"`
	Shed     int64     `json:"shed" doc:"refused because a limit of the service was reached"`
	Slow     int64     `json:"slow" doc:"took longer than availability.slowOver; one that failed as well is in both"`
	Share    float64   `json:"share" doc:"of its requests that failed, were shed or slow, from 0 to 1"`
	Reasons  []Reason  `json:"reasons,omitempty" doc:"why gateways had to answer in the service's place, most often first"`
	Beside   []int     `json:"beside,omitempty" doc:"of a bad minute: what happened in it, or in the five minutes before the first bad one; positions in happened"`
}

// Reason is why a gateway lost requests.
type Reason struct {
	Reason   string `json:"reason"`
	Requests int64  `json:"requests"`
}

// Happening is something that may have cost users something.
type Happening struct {
	At    time.Time `json:"at"`
	Kind  string    `json:"kind" enum:"rollout,flag,service,plan,restart,scaling,unit,upgrade,incident,line,limit,ejection,ready"`
	Type  string    `json:"type,omitempty" doc:"of the event in the record; empty for what gateways counted"`
	Seq   int64     `json:"seq,omitempty" doc:"its number in the record"`
	Ref   string    `json:"ref,omitempty" doc:"what it happened to, as kind/name"`
	Actor string    `json:"actor,omitempty"`
	Text  string    `json:"text"`
}

// Report is a service's availability over some time.
type Report struct {
	Service  string                `json:"service"`
	From     time.Time             `json:"from"`
	To       time.Time             `json:"to"`
	Rule     resource.Availability `json:"rule" doc:"when a minute is bad"`
	Good     int                   `json:"good" doc:"minutes"`
	Bad      int                   `json:"bad"`
	Idle     int                   `json:"idle"`
	Unknown  int                   `json:"unknown"`
	Requests int64                 `json:"requests"`
	Hurt     int64                 `json:"hurt" doc:"requests that failed, were shed or slow, of all minutes"`
	Minutes  []Minute              `json:"minutes"`
	Happened []Happening           `json:"happened" doc:"what happened beside bad minutes, in order of time"`
}

// counts are what gateways counted in a minute.
type counts struct {
	known                        bool
	requests, failed, shed, slow float64
	reasons                      map[string]float64
}

// before is how long before the first bad minute what happened may have begun it.
const before = 5 * time.Minute

// judge puts the counts of minutes and what happened together.
func judge(r *Report, all []counts, happened []Happening) {
	slices.SortStableFunc(happened, func(a, b Happening) int { return a.At.Compare(b.At) })
	at, spell := map[int]int{}, time.Time{}
	for i, c := range all {
		m := minuteOf(c, r.Rule)
		m.At = r.From.Add(time.Duration(i) * time.Minute)
		r.Requests += m.Requests
		r.Hurt += m.hurt()
		switch m.State {
		case Good:
			r.Good++
		case Idle:
			r.Idle++
		case Unknown:
			r.Unknown++
		case Bad:
			r.Bad++
		}
		if m.State != Bad {
			spell = time.Time{}
			r.Minutes = append(r.Minutes, m)
			continue
		}
		if spell.IsZero() {
			spell = m.At
		}
		for k, h := range happened {
			if h.At.Before(spell.Add(-before)) || !h.At.Before(m.At.Add(time.Minute)) {
				continue
			}
			if _, ok := at[k]; !ok {
				at[k] = len(r.Happened)
				r.Happened = append(r.Happened, h)
			}
			m.Beside = append(m.Beside, at[k])
		}
		r.Minutes = append(r.Minutes, m)
	}
}

func minuteOf(c counts, rule resource.Availability) Minute {
	whole := func(x float64) int64 { return int64(math.Round(max(0, x))) }
	m := Minute{State: Unknown, Requests: whole(c.requests), Shed: whole(c.shed), Slow: whole(c.slow)}
	m.Requests = max(m.Requests, m.Shed) // what waited for a first version and was refused is counted as shed alone
	m.Failed = max(0, min(whole(c.failed), m.Requests)-m.Shed)
	m.Slow = min(m.Slow, m.Requests)
	if m.Requests > 0 {
		m.Share = float64(m.hurt()) / float64(m.Requests)
	}
	switch {
	case m.Requests > 0 && m.hurt() >= int64(rule.MinBad) && 100*m.Share >= rule.BadShare:
		m.State = Bad
	case m.Requests > 0:
		m.State = Good
	case c.known:
		m.State = Idle
	}
	for reason, n := range c.reasons {
		if whole(n) > 0 {
			m.Reasons = append(m.Reasons, Reason{reason, whole(n)})
		}
	}
	slices.SortFunc(m.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Reason, b.Reason))
	})
	return m
}

// hurt is how many of the requests were of no good to users.
func (m Minute) hurt() int64 { return min(m.Requests, m.Failed+m.Shed+m.Slow) }
