package responder

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/rollout"
)

// The kinds of remedies.
const (
	Rollback = "rollback"
	Halt     = "halt"
	FlagOff  = "flag-off"
	Redeploy = "redeploy"
)

// Remedy is something that may end the harm with one click.
type Remedy struct {
	Kind    string  `json:"kind" enum:"rollback,halt,flag-off,redeploy"`
	Ref     string  `json:"ref" doc:"the rollout, flag or service"`
	Label   string  `json:"label"`
	Suspect string  `json:"suspect,omitempty" doc:"why it is offered: the candidate that it takes back"`
	Share   float64 `json:"share,omitempty" doc:"of the odds that this candidate has"`
	Why     string  `json:"why,omitempty" doc:"why it cannot be done now"`
}

// mostSuspects are how many candidates a remedy is looked for.
const mostSuspects = 5

// Remedies are what may end the harm of an incident: while a change is a suspect, taking back the likeliest comes first.
// What cannot be done says why.
func (r *Responder) Remedies(ctx context.Context, s incident.State, causes Causes) ([]Remedy, error) {
	if !s.Phase.Before(incident.Resolved) {
		return nil, nil
	}
	var all []Remedy
	for _, c := range causes.Candidates[:min(mostSuspects, len(causes.Candidates))] {
		id, ok := strings.CutPrefix(c.Ref, "rollout/")
		if !ok || c.Share < 0.01 {
			if set, is := strings.CutPrefix(c.Ref, "flagset/"); is {
				all = append(all, Remedy{Kind: FlagOff, Ref: set, Label: "Undo the change of flag set " + set, Suspect: c.Title, Share: c.Share, Why: "which flag of the set it was is for a person to say: ringfence flags off SET/KEY"})
			}
			continue
		}
		st, err := r.Rollouts.Find(ctx, id)
		if errs.Is(err, errs.Missing) {
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, r.remediesOf(st, c)...)
	}
	if s.Service != "" {
		re, err := r.redeployment(ctx, s.Service)
		if err != nil {
			return all, err
		}
		all = append(all, re)
	}
	slices.SortStableFunc(all, func(a, b Remedy) int { return cmp.Compare(min(len(a.Why), 1), min(len(b.Why), 1)) })
	return all, nil
}

func (r *Responder) remediesOf(st rollout.State, c incident.Candidate) []Remedy {
	back := Remedy{Kind: Rollback, Ref: st.ID, Label: fmt.Sprintf("Roll back %s %s", serviceName(st.Service), st.To), Suspect: c.Title, Share: c.Share}
	if st.From != "" {
		back.Label += " to " + st.From
	}
	if sub, ok := subjectOf(st); ok {
		back.Kind, back.Ref, back.Label = FlagOff, sub.Set+"/"+sub.Key, "Switch off flag "+sub.Set+"/"+sub.Key
		if sub.Environment != flag.Production {
			back.Ref += "/" + sub.Environment
		}
		return []Remedy{back}
	}
	if st.Phase == rollout.RolledBack || st.Phase == rollout.RollingBack {
		back.Why = "it is " + map[bool]string{true: "rolled back already", false: "being rolled back"}[st.Phase == rollout.RolledBack]
	} else if _, err := rollout.Command(st, rollout.Rollback, Actor, "", r.now()); err != nil {
		back.Why = err.Error()
	}
	all := []Remedy{back}
	if !st.Phase.Ended() && !st.Halted && st.Phase != rollout.RollingBack {
		all = append(all, Remedy{Kind: Halt, Ref: st.ID, Label: "Halt " + st.ID, Suspect: c.Title, Share: c.Share})
	}
	return all
}

func (r *Responder) redeployment(ctx context.Context, service string) (Remedy, error) {
	re := Remedy{Kind: Redeploy, Ref: service, Label: "Redeploy what was last good of " + service}
	good := ""
	if r.LastGood != nil {
		var err error
		if good, err = r.LastGood(ctx, service); err != nil && !errs.Is(err, errs.Missing) {
			return re, err
		}
	}
	st, err := r.Rollouts.Find(ctx, service)
	switch {
	case err == nil && !st.Phase.Ended():
		re.Why = fmt.Sprintf("rollout %s is in flight; roll it back first", st.ID)
	case good == "":
		re.Why = "no version before what everyone has is known to be good"
	default:
		re.Label = fmt.Sprintf("Redeploy %s %s", service, good)
	}
	return re, nil
}

// Remedied is what came of a remedy.
type Remedied struct {
	Incident incident.State `json:"incident"`
	Done     Remedy         `json:"done"`
}

// Remedy does what may end the harm, and writes it down. Without a kind it is the first that is offered; a reference
// that is not offered is taken at its word.
func (r *Responder) Remedy(ctx context.Context, actor, id, kind, ref, reason string) (Remedied, error) {
	s, err := r.Get(ctx, id)
	if err != nil {
		return Remedied{}, err
	}
	if s.Phase == incident.Closed {
		return Remedied{Incident: s}, errs.E(errs.Conflict, "%s is closed", s.ID)
	}
	causes, err := r.Causes(ctx, s)
	if err != nil {
		return Remedied{}, err
	}
	offered, err := r.Remedies(ctx, s, causes)
	if err != nil {
		return Remedied{}, err
	}
	do, err := choose(s, offered, kind, ref)
	if err != nil {
		return Remedied{Incident: s}, err
	}
	why := s.ID + ": " + cmp.Or(strings.TrimSpace(reason), s.Title)
	if err := r.do(ctx, actor, do, clip(why, 500)); err != nil {
		return Remedied{Incident: s, Done: do}, err
	}
	s, err = r.change(ctx, s.ID, func(s incident.State) ([]incident.Event, error) {
		now := r.now()
		var events []incident.Event
		if s.Phase == incident.Open { // who takes it back has taken it
			events = append(events, incident.Event{Type: incident.EvAcked, Time: now, Actor: actor, Service: s.Service, Phase: incident.Acknowledged})
			s.Phase = incident.Acknowledged
		}
		return append(events, incident.Event{Type: incident.EvActed, Time: now, Actor: actor, Service: s.Service, Text: do.Label, Phase: s.Phase}), nil
	})
	return Remedied{Incident: s, Done: do}, err
}

func choose(s incident.State, offered []Remedy, kind, ref string) (Remedy, error) {
	if kind == "" {
		if len(offered) == 0 || offered[0].Why != "" {
			err := errs.E(errs.Conflict, "nothing that could be taken back is a suspect of %s", s.ID)
			if len(offered) > 0 {
				err = errs.E(errs.Conflict, "%s: %s", offered[0].Label, offered[0].Why)
			}
			return Remedy{}, err.Next("when users are not hurt any more, say so: ringfence incident mitigate %s --done", s.ID)
		}
		return offered[0], nil
	}
	if !slices.Contains([]string{Rollback, Halt, FlagOff, Redeploy}, kind) {
		return Remedy{}, errs.E(errs.Invalid, "remedy %q: expected rollback, halt, flag-off or redeploy", kind)
	}
	for _, o := range offered {
		if o.Kind == kind && (ref == "" || ref == o.Ref) {
			if o.Why != "" {
				return o, errs.E(errs.Conflict, "%s: %s", o.Label, o.Why)
			}
			return o, nil
		}
	}
	if ref == "" {
		return Remedy{}, errs.E(errs.Invalid, "%s offers nothing to %s: say what, such as %s/shop-7", s.ID, kind, kind)
	}
	return Remedy{Kind: kind, Ref: ref, Label: kind + " " + ref}, nil
}

func (r *Responder) do(ctx context.Context, actor string, do Remedy, why string) error {
	var err error
	now := r.now()
	switch do.Kind {
	case Rollback:
		_, err = r.Rollouts.Command(ctx, rollout.Rollback, actor, do.Ref, why, now)
	case Halt:
		_, err = r.Rollouts.Command(ctx, rollout.Halt, actor, do.Ref, why, now)
	case Redeploy:
		_, err = r.Rollouts.Redeploy(ctx, actor, do.Ref, why, now)
	case FlagOff:
		sub, bad := flag.ParseSubject(do.Ref)
		if bad != nil {
			return bad
		}
		if r.Flags == nil {
			return errs.E(errs.Unavailable, "flags cannot be switched off here")
		}
		err = r.Flags.Off(ctx, actor, sub, why, now)
	}
	return err
}
