package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/switchboard"
)

const flagPath = "/v1/flags/{set}/{key}"

func (s *Server) flags() {
	register(s, operation{method: http.MethodGet, path: "/v1/flags", id: "listFlags", tag: "flags", summary: "Lists flags as they are in an environment",
		route: route{action: policy.Read}}, s.listFlags)
	register(s, operation{method: http.MethodGet, path: flagPath, id: "getFlag", tag: "flags", summary: "Answers a flag as it is in an environment",
		route: route{action: policy.Read}}, s.getFlag)
	register(s, operation{method: http.MethodPost, path: flagPath + "/explain", id: "explainFlag", tag: "flags", summary: "Says what a user gets of a flag, and why",
		route: route{action: policy.Read}}, s.explainFlag)
	register(s, operation{method: http.MethodPost, path: flagPath + "/expose", id: "exposeFlag", tag: "flags", summary: "Begins to show a variant to users, ring by ring",
		about: "It is a rollout, whose commands apply to it. Asking for what is in flight or done already answers with that.",
		route: route{action: policy.Decide, keyed: true}}, s.exposeFlag)
	register(s, operation{method: http.MethodPost, path: flagPath + "/off", id: "switchFlagOff", tag: "flags", summary: "Takes a flag's variant back from everyone at once",
		about: "A rollout in flight is rolled back; one that has ended is returned from; a flag without either is disabled. It waits for no review.",
		route: route{action: policy.Decide, keyed: true}}, s.switchFlagOff)
	register(s, operation{method: http.MethodPost, path: flagPath + "/choices", id: "choosePreview", tag: "flags", summary: "Notes what a user wants of a flag's preview",
		route: route{action: policy.Decide, keyed: true}}, s.choosePreview)
	for word, patch := range map[string]struct {
		summary string
		action  policy.Action
		do      func(context.Context, *flagAction) (switchboard.Edited, error)
	}{
		"enable":  {"Enables a flag in an environment", policy.Change, s.setState(true)},
		"disable": {"Disables a flag in an environment: callers use their own defaults. It waits for no review", policy.Decide, s.setState(false)},
		"archive": {"Archives a flag: it answers as if it were disabled, and is kept", policy.Change, s.setArchived(true)},
		"restore": {"Takes a flag out of the archive", policy.Change, s.setArchived(false)},
	} {
		register(s, operation{method: http.MethodPost, path: flagPath + "/" + word, id: word + "Flag", tag: "flags", summary: patch.summary,
			route: route{action: patch.action, keyed: true}}, func(ctx context.Context, in *flagAction) (*answered[switchboard.Edited], error) {
			out, err := patch.do(ctx, in)
			return &answered[switchboard.Edited]{out}, err
		})
	}
	s.flagEdits()
	s.changeRequests()
}

// ByFlag is the part of a path that names a flag.
type ByFlag struct {
	Set string `path:"set" maxLength:"63" doc:"name of the set"`
	Key string `path:"key" maxLength:"1024" doc:"key of the flag"`
}

func (b ByFlag) in(env string) flag.Subject {
	if env == "" {
		env = flag.Production
	}
	return flag.Subject{Set: b.Set, Key: b.Key, Environment: env}
}

type flagsInput struct {
	Set         string `query:"set" maxLength:"63" doc:"only of this set"`
	Environment string `query:"environment" maxLength:"200" doc:"where; default production"`
}

func (s *Server) listFlags(ctx context.Context, in *flagsInput) (*answered[wire.Flags], error) {
	env := in.Environment
	if env == "" {
		env = flag.Production
	}
	items, err := s.Board.Flags(ctx, in.Set, env, s.Now())
	return &answered[wire.Flags]{wire.Flags{Items: items}}, err
}

type flagInput struct {
	ByFlag
	Environment string `query:"environment" maxLength:"200" doc:"where; default production"`
}

func (s *Server) getFlag(ctx context.Context, in *flagInput) (*answered[switchboard.View], error) {
	v, err := s.Board.Flag(ctx, in.in(in.Environment), s.Now())
	return &answered[switchboard.View]{v}, err
}

type flagQuestion struct {
	ByFlag
	Body wire.FlagQuestion
}

func (s *Server) explainFlag(ctx context.Context, in *flagQuestion) (*answered[switchboard.Explanation], error) {
	user, err := contextOf(in.Body.Context, s.Now())
	if err != nil {
		return nil, err
	}
	x, err := s.Board.Explain(ctx, in.in(in.Body.Environment), user)
	return &answered[switchboard.Explanation]{x}, err
}

// contextOf is the evaluation context that OpenFeature's SDKs send.
func contextOf(attributes map[string]any, now time.Time) (*exposure.Context, error) {
	user := &exposure.Context{Attributes: attributes, Timestamp: now.Unix()}
	switch key := attributes["targetingKey"].(type) {
	case nil:
	case string:
		user.TargetingKey = key
	default:
		return nil, errs.E(errs.Invalid, "context: targetingKey is no text")
	}
	return user, nil
}

type flagExposing struct {
	ByFlag
	Body *wire.Exposing
}

func (s *Server) exposeFlag(ctx context.Context, in *flagExposing) (*answered[wire.Rollout], error) {
	b := wire.Exposing{}
	if in.Body != nil {
		b = *in.Body
	}
	state, err := s.Board.Expose(ctx, actorOf(ctx), rollout.Order{Service: in.in(b.Environment).String(), Version: b.Variant, Lane: rollout.Lane(b.Lane),
		Force: b.Force, Through: b.ThroughFreeze, Replace: b.Replace, Why: b.Reason}, s.Now())
	if err != nil {
		return nil, err
	}
	return s.view(ctx, state)
}

type flagAction struct {
	ByFlag
	Body *wire.FlagAction
}

func (in flagAction) said() wire.FlagAction {
	if in.Body == nil {
		return wire.FlagAction{}
	}
	return *in.Body
}

func (s *Server) switchFlagOff(ctx context.Context, in *flagAction) (*answered[switchboard.Off], error) {
	off, err := s.Board.Off(ctx, actorOf(ctx), in.in(in.said().Environment), in.said().Reason, s.Now())
	return &answered[switchboard.Off]{off}, err
}

func (s *Server) setState(enabled bool) func(context.Context, *flagAction) (switchboard.Edited, error) {
	return func(ctx context.Context, in *flagAction) (switchboard.Edited, error) {
		return s.Board.State(ctx, actorOf(ctx), in.in(in.said().Environment), enabled, in.said().Reason, s.Now())
	}
}

func (s *Server) setArchived(archived bool) func(context.Context, *flagAction) (switchboard.Edited, error) {
	return func(ctx context.Context, in *flagAction) (switchboard.Edited, error) {
		patch := map[string]any{"archived": true}
		if !archived {
			patch["archived"] = nil
		}
		return s.Board.EditFlag(ctx, actorOf(ctx), in.Set, in.Key, patch, in.said().Reason, s.Now())
	}
}

type flagChoice struct {
	ByFlag
	Body wire.FlagChoice
}

func (s *Server) choosePreview(ctx context.Context, in *flagChoice) (*none, error) {
	return &none{}, s.Board.Choose(ctx, actorOf(ctx), in.in(in.Body.Environment), in.Body.TargetingKey, in.Body.Choice, s.Now())
}

func (s *Server) flagEdits() {
	const about = "Where the set names reviewers for an environment in which this changes an answer, it becomes a change request, which is applied when they have approved it."
	register(s, operation{method: http.MethodPatch, path: flagPath, id: "editFlag", tag: "flags", summary: "Changes a flag's definition", about: about,
		route: route{action: policy.Change, keyed: true}}, func(ctx context.Context, in *struct {
		ByFlag
		Body wire.FlagEdit
	}) (*answered[switchboard.Edited], error) {
		out, err := s.Board.EditFlag(ctx, actorOf(ctx), in.Set, in.Key, in.Body.Patch, in.Body.Reason, s.Now())
		return &answered[switchboard.Edited]{out}, err
	})
	register(s, operation{method: http.MethodPut, path: "/v1/flag-sets/{set}", id: "proposeFlags", tag: "flags", summary: "Makes a declared set be as given", about: about,
		route: route{action: policy.Change, keyed: true, maxBody: maxConfig}}, func(ctx context.Context, in *struct {
		Set  string `path:"set" maxLength:"63" doc:"name of the set"`
		Body wire.FlagProposal
	}) (*answered[switchboard.Edited], error) {
		r := resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: in.Set}, Spec: in.Body.Spec}
		out, err := s.Board.Propose(ctx, actorOf(ctx), r, in.Body.Reason, s.Now())
		return &answered[switchboard.Edited]{out}, err
	})
	register(s, operation{method: http.MethodPost, path: flagPath + "/undo", id: "undoFlag", tag: "flags", summary: "Takes a change of a flag's definition back", about: about,
		route: route{action: policy.Change, keyed: true}}, func(ctx context.Context, in *struct {
		ByFlag
		Body *wire.FlagUndo
	}) (*answered[switchboard.Edited], error) {
		u := wire.FlagUndo{}
		if in.Body != nil {
			u = *in.Body
		}
		out, err := s.Board.Undo(ctx, actorOf(ctx), in.Set, in.Key, u.At, u.Reason, s.Now())
		return &answered[switchboard.Edited]{out}, err
	})
}

func (s *Server) changeRequests() {
	register(s, operation{method: http.MethodGet, path: "/v1/change-requests", id: "listChangeRequests", tag: "flags", summary: "Lists change requests, newest first",
		route: route{action: policy.Read}}, func(ctx context.Context, in *struct {
		Set  string `query:"set" maxLength:"63" doc:"only of this set"`
		Open bool   `query:"open" doc:"only those that wait"`
	}) (*answered[wire.ChangeRequests], error) {
		items, err := s.Board.Requests(ctx, in.Set, in.Open)
		return &answered[wire.ChangeRequests]{wire.ChangeRequests{Items: items}}, err
	})
	type byRequest struct {
		Request string `path:"request" maxLength:"80" doc:"the request's ID"`
	}
	register(s, operation{method: http.MethodGet, path: "/v1/change-requests/{request}", id: "getChangeRequest", tag: "flags", summary: "Answers a change request",
		route: route{action: policy.Read}}, func(ctx context.Context, in *byRequest) (*answered[switchboard.Request], error) {
		r, err := s.Board.Request(ctx, in.Request)
		return &answered[switchboard.Request]{r}, err
	})
	for word, refuse := range map[string]bool{"approve": false, "refuse": true} {
		register(s, operation{method: http.MethodPost, path: "/v1/change-requests/{request}/" + word, id: word + "ChangeRequest", tag: "flags",
			summary: map[bool]string{false: "Approves a change request; the last approval that is missing applies it", true: "Refuses a change request"}[refuse],
			route:   route{action: policy.Decide, keyed: true}}, func(ctx context.Context, in *struct {
			Request string `path:"request" maxLength:"80" doc:"the request's ID"`
			Body    *wire.Reason
		}) (*answered[switchboard.Request], error) {
			reason := ""
			if in.Body != nil {
				reason = in.Body.Reason
			}
			r, err := s.Board.Review(ctx, actorOf(ctx), in.Request, reason, refuse, s.Now())
			return &answered[switchboard.Request]{r}, err
		})
	}
}
