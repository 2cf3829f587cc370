package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
)

func (s *Server) rollouts() {
	register(s, operation{method: http.MethodGet, path: "/v1/rollouts", id: "listRollouts", tag: "rollouts", summary: "Lists rollouts, newest first",
		route: route{action: policy.Read}}, s.listRollouts)
	register(s, operation{method: http.MethodGet, path: "/v1/rollouts/{rollout}", id: "getRollout", tag: "rollouts",
		summary: "Answers a rollout, what it waits for, and what is seen of it now", route: route{action: policy.Read}}, s.getRollout)
	for verb, summary := range map[rollout.Verb]string{
		rollout.Pause:    "Lets nothing move outward; harm is still taken back",
		rollout.Resume:   "Lets it go on",
		rollout.Promote:  "Does not wait for the rest of the current ring's bake; the verdict must still pass",
		rollout.Abort:    "Takes a rollout in flight back",
		rollout.Halt:     "Stops it where it is because it may be hurting",
		rollout.Rollback: "Takes a rollout back, also after it has succeeded",
	} {
		register(s, operation{method: http.MethodPost, path: "/v1/rollouts/{rollout}/" + string(verb), id: string(verb) + "Rollout", tag: "rollouts",
			summary: summary, about: "Asking for what is so already changes nothing.", route: route{action: policy.Decide, keyed: true}},
			func(ctx context.Context, in *commandInput) (*answered[wire.Rollout], error) {
				reason := ""
				if in.Body != nil {
					reason = in.Body.Reason
				}
				state, err := s.Rollouts.Command(ctx, verb, actorOf(ctx), in.Rollout, reason, s.Now())
				if err != nil {
					return nil, err
				}
				return s.view(ctx, state)
			})
	}
}

// ByRollout is the part of a path that names a rollout.
type ByRollout struct {
	Rollout string `path:"rollout" maxLength:"300" doc:"a rollout's ID, or a service's name for its newest"`
}

type commandInput struct {
	ByRollout
	Body *wire.Reason
}

type rolloutsInput struct {
	Service  string `query:"service" maxLength:"300" doc:"only of this service"`
	InFlight bool   `query:"inFlight" doc:"only those that have not ended"`
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"at most so many"`
	After    string `query:"after" maxLength:"300" doc:"only those that are older than this one"`
}

func (s *Server) listRollouts(ctx context.Context, in *rolloutsInput) (*answered[wire.Rollouts], error) {
	all, err := s.Rollouts.List(ctx, in.Service)
	if err != nil {
		return nil, err
	}
	if in.After != "" {
		i := slices.IndexFunc(all, func(st rollout.State) bool { return st.ID == in.After })
		if i < 0 {
			return nil, errs.E(errs.Invalid, "after: there is no rollout %q in this list", in.After)
		}
		all = all[i+1:]
	}
	if in.InFlight {
		all = slices.DeleteFunc(slices.Clone(all), func(st rollout.State) bool { return st.Phase.Ended() })
	}
	out := wire.Rollouts{Items: all[:min(in.Limit, len(all))]}
	if len(all) > in.Limit {
		out.Next = all[in.Limit-1].ID
	}
	return &answered[wire.Rollouts]{out}, nil
}

func (s *Server) getRollout(ctx context.Context, in *ByRollout) (*answered[wire.Rollout], error) {
	state, err := s.Rollouts.Find(ctx, in.Rollout)
	if err != nil {
		return nil, err
	}
	return s.view(ctx, state)
}

// newest returns a service's newest rollout; none is no error.
func (s *Server) newest(ctx context.Context, service string) (rollout.State, error) {
	state, err := s.Rollouts.Find(ctx, service)
	if errs.Is(err, errs.Missing) || err == nil && !strings.EqualFold(state.Service, service) {
		return rollout.State{}, nil
	}
	return state, err
}

// stableOf is the version that everyone has or returns to.
func stableOf(newest rollout.State) string {
	if newest.Phase == rollout.Succeeded && newest.Spared == 0 {
		return newest.To
	}
	return newest.From
}
