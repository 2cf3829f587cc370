package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
)

func (s *Server) feed() {
	register(s, operation{method: http.MethodGet, path: "/v1/environments/{environment}/flags", id: "getFlagFeed", tag: "flags",
		summary: "Answers everything that an environment's flags are served by, once it differs from what the caller has",
		about:   "For programs that serve flags themselves, such as data planes. After the wait, the answer is what the caller has.",
		route:   route{action: policy.Operate, timeout: maxWait + 10*time.Second}}, s.getFeed)
}

type feedInput struct {
	Environment string `path:"environment" maxLength:"200" doc:"name of the environment"`
	Have        string `query:"have" maxLength:"100" doc:"version of what the caller has"`
	Wait        string `query:"wait" maxLength:"20" default:"0s" doc:"how long to wait for something else, at most 60s"`
}

func (s *Server) getFeed(ctx context.Context, in *feedInput) (*answered[flag.Feed], error) {
	wait, err := time.ParseDuration(in.Wait)
	if err != nil || wait < 0 || wait > maxWait {
		return nil, errs.E(errs.Invalid, "wait %q: expected a duration of 0s to %s", in.Wait, maxWait)
	}
	feed, err := s.Flags.Await(ctx, in.Environment, in.Have, wait)
	if err == nil && feed.Version == in.Have {
		feed.Sets, feed.Ramps = nil, nil // unchanged
	}
	return &answered[flag.Feed]{feed}, err
}
