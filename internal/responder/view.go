package responder

import (
	"context"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
)

// View is an incident with everything that follows from it.
type View struct {
	Incident  incident.State   `json:"incident"`
	Times     incident.Times   `json:"times"`
	Checklist []incident.Item  `json:"checklist" doc:"what has to be so before it is closed"`
	Remedies  []Remedy         `json:"remedies" doc:"what may end the harm; the first that can be done comes first"`
	Causes    Causes           `json:"causes"`
	Timeline  []incident.Entry `json:"timeline"`
	Runbook   string           `json:"runbook,omitempty"`
	Impact    string           `json:"impact,omitempty" doc:"what users notice when the service hurts, as it is declared"`
	Users     int64            `json:"users,omitempty" doc:"who got what hurt, as far as rollouts say"`
	Link      string           `json:"link,omitempty"`
}

// View looks at an incident.
func (r *Responder) View(ctx context.Context, id string) (View, error) {
	s, err := r.Get(ctx, id)
	if err != nil {
		return View{}, err
	}
	v := View{Incident: s, Times: s.Times(), Checklist: s.Checklist()}
	if v.Causes, err = r.Causes(ctx, s); err != nil {
		return v, err
	}
	if v.Remedies, err = r.Remedies(ctx, s, v.Causes); err != nil {
		return v, err
	}
	if v.Timeline, err = r.Timeline(ctx, s); err != nil {
		return v, err
	}
	if s.Service != "" {
		spec := r.service(ctx, s.Service)
		v.Runbook, v.Impact = spec.Runbook, spec.Impact
	}
	if r.Link != "" {
		v.Link = r.Link + "/incidents/" + s.ID
	}
	v.Users, err = r.users(ctx, s)
	return v, err
}

// users who got what was taken back.
func (r *Responder) users(ctx context.Context, s incident.State) (int64, error) {
	ids := s.Rollouts
	if s.Cause != nil {
		if id, ok := strings.CutPrefix(s.Cause.Ref, "rollout/"); ok {
			ids = []string{id}
		}
	}
	var n int64
	for _, id := range ids {
		st, err := r.Rollouts.Find(ctx, id)
		if errs.Is(err, errs.Missing) || err == nil && st.ID != id {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, stage := range st.Stages {
			n += stage.Users
		}
	}
	return n, nil
}

// Postmortem is the document of an incident, in Markdown.
func (r *Responder) Postmortem(ctx context.Context, id string) (string, error) {
	v, err := r.View(ctx, id)
	if err != nil {
		return "", err
	}
	return incident.Postmortem(v.Incident, incident.Dossier{Timeline: v.Timeline, Causes: v.Causes.Candidates, Users: v.Users, Link: v.Link}), nil
}

// Trends are the last spans of incidents, of a service or of all.
func (r *Responder) Trends(ctx context.Context, service string, span time.Duration, n int) ([]incident.Trend, error) {
	all, err := r.List(ctx)
	return incident.Trends(all, service, r.now(), span, n), err
}

// OpenAction is an action item with the incident that it is of.
type OpenAction struct {
	Incident string `json:"incident"`
	Title    string `json:"title"`
	incident.Action
	Overdue bool    `json:"overdue"`
	Age     float64 `json:"age" doc:"seconds since it was made"`
}

// Actions are the open action items of all incidents.
func (r *Responder) Actions(ctx context.Context) ([]OpenAction, error) {
	all, err := r.List(ctx)
	now := r.now()
	list := []OpenAction{}
	for _, s := range all {
		for _, a := range s.Actions {
			if a.Done.IsZero() {
				list = append(list, OpenAction{Incident: s.ID, Title: s.Title, Action: a, Overdue: !a.Due.IsZero() && a.Due.Before(now), Age: now.Sub(a.Made).Seconds()})
			}
		}
	}
	return list, err
}
