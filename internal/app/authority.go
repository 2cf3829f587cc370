package app

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/cedar"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/opa"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// openAuthority makes what says who may do what, and has it judge changes of that.
func (s *server) openAuthority() {
	s.authority = authority.New(authority.Options{Store: s.store, Compile: cedar.Compile, World: around{s}, Catalog: s.catalog, People: s.people, Remote: opa.New(), OnCall: s.onCall, Hurting: s.hurting, Alarm: s.alarm,
		Head: store.Doc{Kind: catalog.HeadKind, Name: catalog.HeadName}, Logger: s.Logger})
	s.catalog.CheckAccess, s.catalog.Governed = s.authority.Check, s.authority.Governed
}

// people are those with a token.
func (s *server) people(ctx context.Context) ([]policy.Principal, error) {
	all, err := access.Tokens{Store: s.store}.List(ctx)
	people := make([]policy.Principal, len(all))
	for i, t := range all {
		people[i] = policy.Principal{Name: t.Name, Role: t.Role, Via: "token"}
	}
	return people, err
}

// around tells rules what goes on around a resource.
type around struct{ *server }

// Situation puts a rollout's service and ring to it, and says what restrains the service now.
func (a around) Situation(ctx context.Context, r policy.Resource, now time.Time) (policy.Resource, policy.Circumstances, error) {
	var c policy.Circumstances
	if r.Kind == "rollout" && r.Name != "" {
		state, err := a.controller.Find(ctx, r.Name)
		if err != nil {
			return r, c, err
		}
		r.Service, r.Ring = state.Service, nextRing(state)
		for i, change := range state.Changes {
			if c.Change == "" || i == 0 {
				c.Change = change.Kind
			}
		}
	}
	var err error
	if c.Incident, err = a.hurt(ctx, r.Service); err != nil {
		return r, c, err
	}
	c.Frozen, err = a.frozen(ctx, r.Service, now)
	return r, c, err
}

// nextRing is the one that a rollout would enter next; the last one when it is in all.
func nextRing(s rollout.State) string {
	if len(s.Rings) == 0 {
		return ""
	}
	return s.Rings[min(s.Ring+1, len(s.Rings)-1)].Name
}

// hurt says whether an incident of a service is open; without a service, any.
func (a around) hurt(ctx context.Context, service string) (bool, error) {
	open, err := a.responder.Hurting(ctx)
	if err != nil || service == "" {
		return len(open) > 0, err
	}
	for _, s := range open {
		if s.Service == service {
			return true, nil
		}
	}
	return false, nil
}

// frozen says whether the line is stopped or a freeze holds for a service.
func (a around) frozen(ctx context.Context, service string, now time.Time) (bool, error) {
	line, err := a.controller.Line(ctx)
	if err != nil || line.Stopped || service == "" {
		return line.Stopped, err
	}
	full, err := a.catalog.Resolve(ctx, service)
	if errs.Is(err, errs.Missing) {
		return false, nil
	}
	for _, f := range full.Freezes {
		if _, ok := (windows{}).Active(f.When, now); ok {
			return true, nil
		}
	}
	return false, err
}

// first says whether a request carries the token in the data folder that was made at the first start.
func (s *server) first(r *http.Request) bool {
	token, err := access.ReadToken(filepath.Join(s.Data, access.AdminFile))
	return err == nil && access.Bearer(r, token)
}

func (s *server) governance() api.Governance {
	return api.Governance{Policies: s.authority, PolicyEdits: s.authority, Grants: s.authority, GrantReviews: s.authority, First: s.first}
}
