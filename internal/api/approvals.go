package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

func (s *Server) approvals() {
	register(s, operation{method: http.MethodGet, path: "/v1/approvals", id: "listApprovals", tag: "approvals",
		summary: "Lists the approvals that rollouts wait for, or will wait for once their current ring has baked",
		route:   route{action: policy.Read}}, s.listApprovals)
	for _, v := range []struct {
		word, id, summary, about string
		refuse                   bool
	}{
		{"approve", "approveRollout", "Approves that a rollout enters its next ring", "Given before the ring before has baked, it counts as well. Given twice, it is given once.", false},
		{"refuse", "refuseRollout", "Refuses that a rollout enters its next ring, which halts it where it is", "It goes on when it is resumed, and asks again; or it is taken back.", true},
	} {
		register(s, operation{method: http.MethodPost, path: "/v1/rollouts/{rollout}/" + v.word, id: v.id, tag: "approvals", summary: v.summary,
			about: v.about, route: route{action: policy.Decide, keyed: true}},
			func(ctx context.Context, in *decisionInput) (*answered[wire.Rollout], error) {
				d := wire.Decision{}
				if in.Body != nil {
					d = *in.Body
				}
				state, err := s.Decisions.Consent(ctx, actorOf(ctx), in.Rollout, rollout.Consent{Ring: d.Ring, Digest: d.Digest, Reason: d.Reason, Refuse: v.refuse}, s.Now())
				if err != nil {
					return nil, err
				}
				return s.view(ctx, state)
			})
	}
	register(s, operation{method: http.MethodPost, path: "/v1/services/{service}/redeploy", id: "redeploy", tag: "rollouts",
		summary: "Replaces what everyone has by what was last known good, at once",
		about:   "It takes no ring and no gate, and leaves what it replaces as known to be bad.",
		route:   route{action: policy.Decide, keyed: true}}, s.redeploy)
}

type decisionInput struct {
	ByRollout
	Body *wire.Decision
}

func (s *Server) listApprovals(ctx context.Context, _ *none) (*answered[wire.Approvals], error) {
	list, err := s.Decisions.Inbox(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.Approvals{Items: make([]wire.Approval, len(list))}
	for i, a := range list {
		st := a.Rollout
		out.Items[i] = wire.Approval{Rollout: st.ID, Service: st.Service, From: st.From, To: st.To, Ring: a.Ring, Missing: a.Missing, By: st.By, Digest: st.Digest(),
			Given: slices.DeleteFunc(slices.Clone(st.Approved), func(g rollout.Approved) bool { return g.Ring != a.Ring })}
		if st.Asked == a.Ring {
			if out.Items[i].Since, err = s.asked(ctx, st.ID); err != nil {
				return nil, err
			}
		}
	}
	return &answered[wire.Approvals]{out}, nil
}

// asked is when a rollout last asked for an approval.
func (s *Server) asked(ctx context.Context, id string) (time.Time, error) {
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: "rollout/" + id, Type: rollout.EvAsked, Limit: 1, Backward: true})
	if err != nil || len(events) == 0 {
		return time.Time{}, err
	}
	return events[0].Time, nil
}

type reasonInput struct{ Body wire.Reason }

type serviceReason struct {
	ByService
	Body wire.Reason
}

func (s *Server) redeploy(ctx context.Context, in *serviceReason) (*answered[wire.Rollout], error) {
	state, err := s.Decisions.Redeploy(ctx, actorOf(ctx), in.Service, in.Body.Reason, s.Now())
	if err != nil {
		return nil, err
	}
	return s.view(ctx, state)
}

func (s *Server) line() {
	register(s, operation{method: http.MethodGet, path: "/v1/line", id: "getLine", tag: "line", summary: "Says whether the line is stopped, by whom and why",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[rollout.Line], error) {
		l, err := s.Decisions.Line(ctx)
		return &answered[rollout.Line]{l}, err
	})
	for _, v := range []struct {
		word, id, summary, about string
		stop                     bool
	}{
		{"stop", "stopLine", "Stops the line: nothing moves outward, of any service", "Harm is still taken back. Asking for what is so already changes nothing.", true},
		{"lift", "liftLine", "Lifts a stopped line, which takes another person than the one who stopped it", "Asking for what is so already changes nothing.", false},
	} {
		register(s, operation{method: http.MethodPost, path: "/v1/line/" + v.word, id: v.id, tag: "line", summary: v.summary, about: v.about,
			route: route{action: policy.Decide, keyed: true}}, func(ctx context.Context, in *reasonInput) (*answered[rollout.Line], error) {
			l, err := s.Decisions.TurnLine(ctx, actorOf(ctx), in.Body.Reason, v.stop, s.Now())
			return &answered[rollout.Line]{l}, err
		})
	}
}
