package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/availability"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

// Availability says how services were there for their users.
type Availability interface {
	Read(ctx context.Context, service string, from, to time.Time) (availability.Report, error)
}

type availabilityInput struct {
	Service string    `path:"service" maxLength:"63" doc:"name of the service"`
	Since   string    `query:"since" maxLength:"20" default:"24h" doc:"how long a time is looked at, from 1m to 24h"`
	Until   time.Time `query:"until" doc:"its end; default now"`
}

func (s *Server) availability() {
	register(s, operation{method: http.MethodGet, path: "/v1/services/{service}/availability", id: "getAvailability", tag: "services",
		summary: "Shows minute by minute how a service was there for its users, and what happened beside its bad minutes", about: "Minutes are whole; the last one may still pass.",
		route: route{action: policy.Read}}, func(ctx context.Context, in *availabilityInput) (*answered[availability.Report], error) {
		since, err := time.ParseDuration(in.Since)
		if err != nil || since < time.Minute || since > 24*time.Hour {
			return nil, errs.E(errs.Invalid, "since %q: expected a duration from 1m to 24h", clip(in.Since, 20))
		}
		until := in.Until
		if until.IsZero() || until.After(s.Now()) {
			until = s.Now()
		}
		if s.Availability == nil {
			return nil, errs.E(errs.Unavailable, "there are no metrics to read it from")
		}
		r, err := s.Availability.Read(ctx, in.Service, until.Add(-since), until)
		return &answered[availability.Report]{r}, err
	})
}
