package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/breaching"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

// Breaches are kept from their start to their end.
type Breaches interface {
	List(ctx context.Context) ([]breach.State, error)
	Get(ctx context.Context, id string) (breach.State, error)
	Start(ctx context.Context, actor string, d breaching.Draft) (breach.State, error)
	Do(ctx context.Context, id string, a breach.Ask) (breach.State, error)
	Contain(ctx context.Context, actor, id, name string, freeze bool) (breach.State, error)
	BreachSigns
}

// BreachSigns are what gives breaches away.
type BreachSigns interface {
	Held(ctx context.Context) ([]breach.Detection, error)
	Lay(ctx context.Context, actor, subject string, up bool) error
}

func (s *Server) breaches() {
	if s.Breaches == nil {
		return
	}
	op := func(method, path, id, summary string, action policy.Action) operation {
		return operation{method: method, path: path, id: id, tag: "breaches", summary: summary, route: route{action: action, keyed: method == http.MethodPost}}
	}
	register(s, op(http.MethodGet, "/v1/breaches", "listBreaches", "Lists breaches", policy.Read), s.listBreaches)
	register(s, op(http.MethodPost, "/v1/breaches", "startBreach", "Starts the response to a breach", policy.Decide), s.startBreach)
	register(s, op(http.MethodGet, "/v1/breaches/{breach}", "showBreach", "Shows a breach, and what is left to do", policy.Read), s.showBreach)
	register(s, op(http.MethodPost, "/v1/breaches/{breach}", "askOfBreach", "Answers, gives roles, ticks off, repairs, closes", policy.Decide), s.askOfBreach)
	register(s, op(http.MethodPost, "/v1/breaches/{breach}/contain", "containBreach", "Ends all sessions and tokens of identities, and stops the line", policy.Change), s.containBreach)
	register(s, op(http.MethodGet, "/v1/detections", "listDetections", "Lists what looks like a breach now, and the rules that look for it", policy.Read), s.listDetections)
	register(s, op(http.MethodPost, "/v1/honey", "layHoney", "Lays out bait, or takes it up again", policy.Change), s.layHoney)
	register(s, op(http.MethodGet, "/v1/reach/{principal}", "reach", "Answers what a stolen identity gets to", policy.Change), s.reach)
}

func breachOf(b breach.State, err error) (*answered[wire.Breach], error) {
	return &answered[wire.Breach]{wire.Breach{State: b, Left: append([]string{}, b.Left()...)}}, err
}

func (s *Server) listBreaches(ctx context.Context, _ *none) (*answered[wire.Breaches], error) {
	all, err := s.Breaches.List(ctx)
	return &answered[wire.Breaches]{wire.Breaches{Items: append([]breach.State{}, all...)}}, err
}

type breachInput struct {
	Breach string `path:"breach" maxLength:"100" doc:"its name"`
}

func (s *Server) showBreach(ctx context.Context, in *breachInput) (*answered[wire.Breach], error) {
	return breachOf(s.Breaches.Get(ctx, in.Breach))
}

type draftInput struct{ Body wire.BreachDraft }

func (s *Server) startBreach(ctx context.Context, in *draftInput) (*answered[wire.Breach], error) {
	d := breaching.Draft{Title: in.Body.Title, Severity: in.Body.Severity, Principals: in.Body.Principals}
	if in.Body.NotifyWithin != "" {
		var err error
		if d.NotifyWithin, err = time.ParseDuration(in.Body.NotifyWithin); err != nil || d.NotifyWithin <= 0 {
			return nil, errs.E(errs.Invalid, "notifyWithin: got %q, expected a time such as 72h", in.Body.NotifyWithin)
		}
	}
	return breachOf(s.Breaches.Start(ctx, actorOf(ctx), d))
}

type askInput struct {
	Breach string `path:"breach" maxLength:"100" doc:"its name"`
	Body   breach.Ask
}

func (s *Server) askOfBreach(ctx context.Context, in *askInput) (*answered[wire.Breach], error) {
	if in.Body.Verb == "contain" {
		return nil, errs.E(errs.Invalid, "contain is asked for below /contain: it takes another right")
	}
	in.Body.Actor = actorOf(ctx)
	return breachOf(s.Breaches.Do(ctx, in.Breach, in.Body))
}

type containInput struct {
	Breach string `path:"breach" maxLength:"100" doc:"its name"`
	Body   wire.Contain
}

func (s *Server) containBreach(ctx context.Context, in *containInput) (*answered[wire.Breach], error) {
	return breachOf(s.Breaches.Contain(ctx, actorOf(ctx), in.Breach, in.Body.Principal, !in.Body.GoOn))
}

func (s *Server) listDetections(ctx context.Context, _ *none) (*answered[wire.Detections], error) {
	held, err := s.Breaches.Held(ctx)
	out := wire.Detections{Items: append([]breach.Detection{}, held...)}
	for _, r := range breach.Rules {
		out.Rules = append(out.Rules, wire.DetectionRule{Name: r.Name, About: r.About, Owner: r.Owner, Playbook: r.Playbook})
	}
	return &answered[wire.Detections]{out}, err
}

type honeyInput struct{ Body wire.Honey }

func (s *Server) layHoney(ctx context.Context, in *honeyInput) (*answered[wire.Honey], error) {
	return &answered[wire.Honey]{in.Body}, s.Breaches.Lay(ctx, actorOf(ctx), in.Body.Subject, in.Body.TakenUp)
}

type reachInput struct {
	Principal string `path:"principal" maxLength:"200" doc:"a name"`
}

func (s *Server) reach(ctx context.Context, in *reachInput) (*answered[wire.Reach], error) {
	all, err := s.Reach(ctx, in.Principal)
	return &answered[wire.Reach]{wire.Reach{Principal: in.Principal, Reached: append([]breach.Reached{}, all...)}}, err
}
