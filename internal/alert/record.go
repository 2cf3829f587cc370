package alert

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Record is an alert as it is kept: what was last heard of it, and what became of it.
type Record struct {
	Alert
	ID       string      `json:"id" doc:"its fingerprint, in hexadecimal"`
	Added    []string    `json:"added,omitempty" doc:"labels that it was not sent with"`
	Heard    time.Time   `json:"heard" doc:"when it was last heard of"`
	Until    time.Time   `json:"until" doc:"by when it should be heard of again while it fires"`
	Unheard  bool        `json:"unheard,omitempty" doc:"nothing was heard of it in time: whether it still holds is not known"`
	Begun    []time.Time `json:"begun,omitempty" doc:"when it began to fire lately, the last one last"`
	Expired  bool        `json:"expired,omitempty" doc:"it was given up, and nobody saw its end"`
	Ack      *Ack        `json:"ack,omitempty"`
	Flapping bool        `json:"flapping,omitempty" doc:"it comes and goes: its end is told only when it has been quiet for a while"`
}

// abreast is how far clocks may be apart for an end that is now to be taken for one that has been.
const abreast = time.Second

// Limits of what is kept of one alert.
const (
	mostBegun = 20
	lately    = 24 * time.Hour
)

// ID is the fingerprint of labels, as programs write it.
func (a Alert) ID() string { return fmt.Sprintf("%016x", a.Fingerprint()) }

// What a message changes.
type What int

// The changes.
const (
	Nothing  What = iota // or only until when it holds
	Began                // it was not firing, and is
	Ended                // it was firing, and is not
	Reworded             // it fires as before, with other annotations
)

// Merge takes in what was heard of an alert at a time. An alert that says nothing of its end is to be heard of
// again within timeout. An end that was announced and passed in silence is not seen: the record becomes unheard, not resolved.
func Merge(was *Record, a Alert, now time.Time, timeout time.Duration) (Record, What) {
	r := Record{Alert: a, ID: a.ID(), Heard: now}
	over := !a.EndsAt.IsZero() && !a.EndsAt.After(now.Add(abreast))
	switch {
	case over:
		r.Until = a.EndsAt
	case a.EndsAt.IsZero():
		r.Until = now.Add(timeout)
	default:
		r.Until = a.EndsAt
	}
	if !over {
		r.EndsAt = time.Time{} // nobody has seen it
	}
	if r.StartsAt.IsZero() {
		r.StartsAt = now
		if over && a.EndsAt.Before(now) {
			r.StartsAt = a.EndsAt
		}
	}
	if was == nil {
		if !over {
			r.Begun = []time.Time{now}
			return r, Began
		}
		return r, Nothing
	}
	r.Begun, r.Flapping = was.Begun, was.Flapping
	switch fired := was.EndsAt.IsZero(); {
	case fired && over:
		r.StartsAt, r.Ack = earlier(was.StartsAt, r.StartsAt), was.Ack
		return r, Ended
	case fired:
		r.StartsAt, r.Ack = earlier(was.StartsAt, r.StartsAt), was.Ack
		if !maps.Equal(r.Annotations, was.Annotations) || was.Unheard {
			return r, Reworded
		}
		return r, Nothing
	case over:
		return *was, Nothing
	}
	if r.StartsAt.Before(was.EndsAt) { // an old beginning of what has ended since
		r.StartsAt = now
	}
	r.Begun = begunLately(append(slices.Clone(was.Begun), now), now)
	return r, Began
}

func begunLately(all []time.Time, now time.Time) []time.Time {
	all = slices.DeleteFunc(all, func(t time.Time) bool { return t.Before(now.Add(-lately)) })
	return all[max(0, len(all)-mostBegun):]
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Firing says whether it fires, or must be taken to: what was not heard of any more is not over.
func (r Record) Firing() bool { return r.EndsAt.IsZero() }

// Sent are the labels that it was sent with.
func (r Record) Sent() map[string]string {
	labels := maps.Clone(r.Labels)
	for _, name := range r.Added {
		delete(labels, name)
	}
	return labels
}
