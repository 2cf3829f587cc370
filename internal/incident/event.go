package incident

import (
	"slices"
	"time"
)

// The types of events.
const (
	EvOpened    = "incident.opened"
	EvJoined    = "incident.joined"  // another page, or a rollout, is of the same cause
	EvCleared   = "incident.cleared" // the alerts of a page are over; that ends no incident
	EvCalled    = "incident.called"  // people are called
	EvUncalled  = "incident.uncalled"
	EvAcked     = "incident.acknowledged"
	EvNoted     = "incident.noted"
	EvRated     = "incident.rated" // its severity or commander
	EvImpact    = "incident.impact"
	EvCause     = "incident.cause"
	EvActed     = "incident.acted" // a mitigation was begun
	EvUpdated   = "incident.updated"
	EvMitigated = "incident.mitigated"
	EvResolved  = "incident.resolved"
	EvReopened  = "incident.reopened"
	EvLearned   = "incident.learned"
	EvAction    = "incident.action"
	EvReminded  = "incident.reminded"
	EvClosed    = "incident.closed"
)

// Event is one thing that happened to an incident. Which fields are set depends on Type.
type Event struct {
	Type      string    `json:"-"`
	Time      time.Time `json:"-"`
	Actor     string    `json:"-"`
	ID        string    `json:"id,omitempty"`
	Number    int       `json:"number,omitempty"`
	Title     string    `json:"title,omitempty"`
	Service   string    `json:"service,omitempty"`
	Owner     string    `json:"owner,omitempty"`
	Severity  *int      `json:"severity,omitempty"`
	Commander string    `json:"commander,omitempty"`
	Origin    Origin    `json:"origin,omitempty"`
	Page      *PageRef  `json:"page,omitempty"`
	Rollout   string    `json:"rollout,omitempty"`
	Impact    *Impact   `json:"impact,omitempty"`
	At        time.Time `json:"at,omitzero"` // when it happened, when that is not when it was recorded
	Text      string    `json:"text,omitempty"`
	Cause     *Cause    `json:"cause,omitempty"`
	Learned   *Learned  `json:"learned,omitempty"`
	Action    *Action   `json:"action,omitempty"`
	Calls     *Calls    `json:"calls,omitempty"`
	Times     *Times    `json:"times,omitempty"`
	To        []string  `json:"to,omitempty"` // notifiers that are told whatever they listen to; * for all
	People    []string  `json:"people,omitempty"`
	Phase     Phase     `json:"phase,omitempty"` // after it
}

// Fold applies one event to a state.
func Fold(s State, e Event) State {
	s.Pages, s.Rollouts, s.Actions = slices.Clone(s.Pages), slices.Clone(s.Rollouts), slices.Clone(s.Actions)
	at := e.Time
	if !e.At.IsZero() {
		at = e.At
	}
	switch e.Type {
	case EvOpened:
		s = State{ID: e.ID, Number: e.Number, Title: e.Title, Service: e.Service, Owner: e.Owner, Phase: Open, Origin: e.Origin, By: e.Actor, Commander: e.Commander, Opened: e.Time, Detected: at}
		s.join(e)
	case EvJoined:
		s.join(e)
	case EvCleared:
		for i := range s.Pages {
			if s.Pages[i].Key == e.Page.Key && s.Pages[i].Resolved.IsZero() {
				s.Pages[i].Resolved = at
			}
		}
	case EvCalled:
		s.Calls = *e.Calls
	case EvUncalled:
		s.Calls.Done, s.Calls.Next = true, time.Time{}
	case EvAcked:
		s.Phase, s.Acknowledged, s.AckedBy = Acknowledged, at, e.Actor
		if s.Commander == "" {
			s.Commander = e.Actor
		}
	case EvImpact:
		s.Impact = merged(s.Impact, *e.Impact)
	case EvCause:
		s.Cause = e.Cause
	case EvUpdated:
		if s.Told.IsZero() {
			s.Told = at
		}
	case EvMitigated:
		s.Phase, s.Mitigated, s.MitigatedBy = Mitigated, at, e.Actor
		s.Calls.Next = time.Time{}
	case EvResolved:
		s.Phase, s.Resolved = Resolved, at
	case EvReopened:
		s.Phase, s.Mitigated, s.Resolved, s.Impact.End, s.Calls = Open, time.Time{}, time.Time{}, time.Time{}, Calls{}
		s.Acknowledged, s.AckedBy = time.Time{}, ""
		s.Reopened++
		s.join(e)
	case EvLearned:
		s.Learned = e.Learned
	case EvAction:
		s.put(*e.Action)
	case EvReminded:
		for i := range s.Actions {
			if s.Actions[i].Done.IsZero() && (e.Action == nil || s.Actions[i].Number == e.Action.Number) {
				s.Actions[i].Reminded = e.Time
			}
		}
	case EvClosed:
		s.Phase, s.Closed, s.ClosedBy = Closed, e.Time, e.Actor
	}
	if e.Type == EvRated || e.Type == EvOpened {
		s.rate(e)
	}
	return s
}

func (s *State) rate(e Event) {
	if e.Severity != nil {
		s.Severity = *e.Severity
	}
	if e.Commander != "" {
		s.Commander = e.Commander
	}
	if e.Title != "" {
		s.Title = e.Title
	}
}

// join takes a page, a rollout and what they say of the impact into the incident.
func (s *State) join(e Event) {
	if e.Page != nil {
		i := slices.IndexFunc(s.Pages, func(p PageRef) bool { return p.Key == e.Page.Key })
		if i < 0 {
			s.Pages = append(s.Pages, *e.Page)
		} else {
			s.Pages[i] = *e.Page
		}
	}
	if e.Rollout != "" && !slices.Contains(s.Rollouts, e.Rollout) {
		s.Rollouts = append(s.Rollouts, e.Rollout)
	}
	if e.Impact != nil {
		s.Impact = merged(s.Impact, *e.Impact)
	}
	if e.Severity != nil && e.Type != EvOpened && *e.Severity < s.Severity {
		s.Severity = *e.Severity
	}
}

func (s *State) put(a Action) {
	for i := range s.Actions {
		if s.Actions[i].Number == a.Number {
			s.Actions[i] = a
			return
		}
	}
	s.Actions = append(s.Actions, a)
}

// trust orders what says when users were hurt.
var trust = map[string]int{"alert": 1, "rollout": 2, "data": 3, "person": 4}

// merged is what is known of an impact with more said of it: a better source replaces a worse one.
func merged(was, more Impact) Impact {
	if !more.Start.IsZero() && (was.Start.IsZero() || trust[more.Source] > trust[was.Source] || more.Source == was.Source && (more.Source == "person" || more.Start.Before(was.Start))) {
		was.Start, was.Source, was.Where = more.Start, more.Source, more.Where
	}
	if !more.End.IsZero() {
		was.End = more.End
	}
	if more.Text != "" {
		was.Text = more.Text
	}
	return was
}

// FoldAll applies events in order.
func FoldAll(s State, events []Event) State {
	for _, e := range events {
		s = Fold(s, e)
	}
	return s
}
