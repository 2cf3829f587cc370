package alert

import (
	"slices"
	"time"
)

// Told is what one receiver was last told of a group.
type Told struct {
	At       time.Time `json:"at,omitzero" doc:"when; zero when nothing was taken yet"`
	Firing   []string  `json:"firing,omitempty" doc:"alerts that fired then"`
	Resolved []string  `json:"resolved,omitempty" doc:"alerts that were over then"`
	Symptoms int       `json:"symptoms,omitempty"`
	Acked    bool      `json:"acked,omitempty"`
	Attempts int       `json:"attempts,omitempty" doc:"that failed since"`
	Next     time.Time `json:"next,omitzero" doc:"when it is tried again"`
	Failing  time.Time `json:"failing,omitzero" doc:"since when it takes nothing"`
	Error    string    `json:"error,omitempty" doc:"of the last attempt"`
	Unsure   bool      `json:"unsure,omitempty" doc:"it may have been told and nobody could write it down"`
}

// Reason is why somebody is told.
type Reason string

// The reasons.
const (
	Not      Reason = ""
	Begins   Reason = "first notification"
	Grows    Reason = "new alerts added"
	Ends     Reason = "all alerts resolved"
	Shrinks  Reason = "some alerts resolved"
	Repeats  Reason = "repeat interval elapsed"
	Acks     Reason = "acknowledged"
	Explains Reason = "symptoms"
)

// News says why a receiver is to be told of a group now, as Alertmanager decides it: of new alerts, of ended ones, of
// the end of all, and again after repeat. People who have taken it are not told again that it lasts.
func (t Told) News(g Group, acked bool, repeat time.Duration, now time.Time) Reason {
	firing := ids(g.Firing)
	switch {
	case len(firing) > 0 && len(t.Firing) == 0:
		return Begins
	case !within(firing, t.Firing):
		return Grows
	case len(firing) == 0 && len(t.Firing) == 0:
		return Not
	case len(firing) == 0 && g.over(t.Firing):
		return Ends
	case len(firing) == 0:
		return Not // silenced, muted or explained, and not over
	case !within(g.endedOf(t.Firing), t.Resolved):
		return Shrinks
	case repeat > 0 && !acked && now.Sub(t.At) >= repeat:
		return Repeats
	}
	return Not
}

// Change says why those who take pages further are told: at once, of every change.
func (t Told) Change(g Group, acked bool, now time.Time) Reason {
	if why := t.News(g, acked, 0, now); why != Not {
		return why
	}
	switch {
	case len(g.Firing) == 0:
		return Not
	case acked != t.Acked:
		return Acks
	case len(g.Symptoms) > t.Symptoms:
		return Explains
	}
	return Not
}

// Took is what is written down once the receiver has taken it.
func (t Told) Took(g Group, acked bool, now time.Time) Told {
	return Told{At: now, Firing: ids(g.Firing), Resolved: g.endedOf(slices.Concat(t.Firing, t.Resolved)), Symptoms: len(g.Symptoms), Acked: acked}
}

// Opens is when a group is first told: a while after its first alert, so that others can join.
func (g Group) Opens() time.Time {
	var at time.Time
	for _, r := range g.Firing {
		began := r.StartsAt
		if n := len(r.Begun); n > 0 {
			began = r.Begun[n-1]
		}
		if at.IsZero() || began.Before(at) {
			at = began
		}
	}
	return at.Add(g.Route.Wait)
}

// Acked says whether people have taken all of it.
func (g Group) Acked(now time.Time) bool { return len(g.Firing) > 0 && ackOf(g.Firing, now) != nil }

// over says whether none of some alerts fires any more, told or not.
func (g Group) over(told []string) bool {
	held := ids(g.Held)
	return !slices.ContainsFunc(told, func(id string) bool { return slices.Contains(held, id) })
}

// endedOf are those of some alerts that are over.
func (g Group) endedOf(told []string) []string {
	var out []string
	for _, id := range ids(g.Ended) {
		if slices.Contains(told, id) {
			out = append(out, id)
		}
	}
	return out
}

func ids(rs []Record) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.ID
	}
	slices.Sort(out)
	return out
}

func within(part, whole []string) bool {
	for _, id := range part {
		if !slices.Contains(whole, id) {
			return false
		}
	}
	return true
}
