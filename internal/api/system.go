package api

import (
	"context"
	"net/http"
	"runtime"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

type textAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

type none struct{}

type answered[T any] struct{ Body T }

func plain(text string) *textAnswer {
	return &textAnswer{ContentType: "text/plain; charset=utf-8", Body: []byte(text)}
}

func (s *Server) system() {
	register(s, operation{method: http.MethodGet, path: "/healthz", id: "healthz", tag: "system", summary: "Says that the process runs",
		route: route{action: policy.Anyone}, media: "text/plain"},
		func(context.Context, *none) (*textAnswer, error) { return plain("ok\n"), nil })
	register(s, operation{method: http.MethodGet, path: "/readyz", id: "readyz", tag: "system", summary: "Says that requests can be answered",
		route: route{action: policy.Anyone}, media: "text/plain"}, s.readyz)
	register(s, operation{method: http.MethodGet, path: "/v1/whoami", id: "whoami", tag: "system", summary: "Says who the token is",
		route: route{action: policy.Self}}, s.whoami)
	register(s, operation{method: http.MethodGet, path: "/v1/version", id: "version", tag: "system", summary: "Says what runs",
		route: route{action: policy.Self}}, s.version)
}

func (s *Server) readyz(ctx context.Context, _ *none) (*textAnswer, error) {
	if s.Ready != nil {
		if err := s.Ready(ctx); err != nil {
			s.Logger.Warn("not ready", "err", err)
			return nil, errs.E(errs.Unavailable, "not ready: the database does not answer") // whoever asks: no more than that
		}
	}
	return plain("ready\n"), nil
}

func (s *Server) whoami(ctx context.Context, _ *none) (*answered[wire.WhoAmI], error) {
	return &answered[wire.WhoAmI]{wire.WhoAmI{Principal: principalOf(ctx), Server: s.Version}}, nil
}

func (s *Server) version(context.Context, *none) (*answered[wire.Version], error) {
	return &answered[wire.Version]{wire.Version{Version: s.Version, Go: runtime.Version(), Started: s.started}}, nil
}
