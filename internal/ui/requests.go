package ui

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/switchboard"
)

const shownRequests = 50

// requestView is a change request as its page tells of it.
type requestView struct {
	switchboard.Request
	Diff   []diffRow
	Flags  []flag.Subject // those that it touches
	Denied string         // why the visitor may not approve it
	Refuse bool           // they may refuse it, or take it back
	Own    bool
}

// Link is the page of a flag that it touches.
func (requestView) Link(s flag.Subject) string { return flagURL(s, "") }

type requestsPage struct {
	*visit
	Set     string
	All     bool // those decided are shown too
	Open    []requestView
	Decided []requestView
	More    int
}

func (s *Server) requests(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, q := r.Context(), r.URL.Query()
	v.Title, v.Live = "Change requests", "all"
	p := requestsPage{visit: v, Set: clip(q.Get("set"), 63), All: q.Get("all") != ""}
	all, err := s.Board.Requests(ctx, p.Set, false)
	if err != nil {
		return err
	}
	for _, one := range all {
		switch {
		case one.State == switchboard.Open:
			view := viewOf(one)
			if err := s.reviewable(ctx, v, &view); err != nil {
				return err
			}
			p.Open = append(p.Open, view)
		case len(p.Decided) < shownRequests && (p.All || len(p.Decided) < 5):
			p.Decided = append(p.Decided, viewOf(one))
		default:
			p.More++
		}
	}
	slices.SortStableFunc(p.Open, func(a, b requestView) int { return a.At.Compare(b.At) }) // who waits longest comes first
	return s.show(w, r, http.StatusOK, "requests", p)
}

func viewOf(r switchboard.Request) requestView {
	v := requestView{Request: r, Diff: diffsOf(r.Changes)}
	env := flag.Production
	if len(r.Environments) > 0 && !slices.Contains(r.Environments, env) {
		env = r.Environments[0]
	}
	tree, err := treeOf(r.Patch)
	flags, _ := tree["flags"].(map[string]any)
	if err == nil {
		for key := range flags {
			v.Flags = append(v.Flags, flag.Subject{Set: r.Set, Key: key, Environment: env})
		}
	}
	slices.SortFunc(v.Flags, func(a, b flag.Subject) int { return strings.Compare(a.Key, b.Key) })
	return v
}

// reviewable says whether the visitor may decide on a request, as the board does when they do.
func (s *Server) reviewable(ctx context.Context, v *visit, view *requestView) error {
	actor := v.Who.Actor()
	view.Own = actor == view.By
	if !v.May() {
		view.Denied = "The role " + string(v.Who.Role) + " may not decide."
		return nil
	}
	set, err := s.Catalog.Get(ctx, resource.KindFlagSet, view.Set)
	if errs.Is(err, errs.Missing) {
		view.Denied = "Its set is not there any more."
		return nil
	} else if err != nil {
		return err
	}
	doc, _ := flag.Of(set)
	if doc == nil {
		return nil
	}
	own := false
	for _, env := range view.Environments {
		approval, ok := doc.Reviewers[env]
		if !ok {
			continue
		}
		if view.Own && !approval.Own {
			own = true
			continue
		}
		member, err := s.memberOf(ctx, v.Who.Name, approval.Named())
		if err != nil {
			return err
		}
		view.Refuse = view.Refuse || member
	}
	given := slices.ContainsFunc(view.Approved, func(a rollout.Approved) bool { return a.By == actor })
	switch {
	case view.Refuse && view.Stale:
		view.Denied = "The same fields were changed meanwhile. Refuse it, and make the edit anew."
	case view.Refuse && given:
		view.Denied = "You have approved it; others are still waited for."
	case view.Refuse:
	case own:
		view.Denied = "You asked for it and cannot approve it too."
	default:
		view.Denied = "You are no reviewer of " + strings.Join(view.Environments, ", ") + "."
	}
	view.Refuse = view.Refuse || view.Own // to take it back
	return nil
}

// memberOf says whether somebody is in one of some groups; without groups everyone who decides is.
func (s *Server) memberOf(ctx context.Context, name string, groups []string) (bool, error) {
	for _, group := range groups {
		r, err := s.Catalog.Get(ctx, resource.KindGroup, group)
		if errs.Is(err, errs.Missing) {
			continue
		} else if err != nil {
			return false, err
		}
		g, err := resource.As[resource.Group](r)
		if err != nil {
			return false, err
		}
		if slices.Contains(g.Members, name) {
			return true, nil
		}
	}
	return len(groups) == 0, nil
}

// review approves a change request, or refuses it.
func (s *Server) review(refuse bool) deed {
	return deed{
		may: policy.Decide,
		ask: func(r *http.Request, v *visit) (question, error) {
			one, err := s.Board.Request(r.Context(), r.PathValue("request"))
			if err != nil {
				return question{}, err
			}
			q := question{Ask: "Approve " + one.ID + "?", Button: "Approve", Back: "/change-requests",
				Text: person(one.By) + " asked to change " + fieldsOf(diffsOf(one.Changes)) + ". The last approval that is missing applies it."}
			if refuse {
				q.Ask, q.Button, q.Loud, q.Text = "Refuse "+one.ID+"?", "Refuse", true, "Nothing is changed; "+person(one.By)+" can ask anew."
				if one.By == v.Who.Actor() {
					q.Ask, q.Button, q.Text = "Take "+one.ID+" back?", "Take it back", "Nothing is changed."
				}
			}
			return q, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Board.Review(r.Context(), v.Who.Actor(), r.PathValue("request"), reason, refuse, v.Now)
			return err
		},
	}
}
