package api

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxConfig holds the largest files and environment, also when most of their characters need escaping.
const maxConfig = 4 << 20

func (s *Server) configs() {
	const path = "/v1/services/{service}/configs"
	register(s, operation{method: http.MethodPost, path: path, id: "createConfig", tag: "configs",
		summary: "Makes a version of a service's configuration", about: "It runs nowhere until it is released. Asking again with the same values changes nothing; a version is immutable.",
		route: route{action: policy.Decide, keyed: true, maxBody: maxConfig}}, s.createConfig)
	register(s, operation{method: http.MethodGet, path: path, id: "listConfigs", tag: "configs", summary: "Lists the versions of a service's configuration",
		route: route{action: policy.Read}}, s.listConfigs)
	register(s, operation{method: http.MethodGet, path: path + "/{version}", id: "getConfig", tag: "configs", summary: "Answers one version of a service's configuration",
		route: route{action: policy.Read}}, s.getConfig)
}

type configInput struct {
	ByService
	Body wire.Config
}

func (s *Server) createConfig(ctx context.Context, in *configInput) (*answered[resource.Config], error) {
	b := in.Body
	cfg := resource.Config{Service: in.Service, Version: b.Version, Env: b.Env, Files: b.Files, Note: b.Note}
	made, err := s.Configs.CreateConfig(ctx, actorOf(ctx), s.Now(), cfg)
	return &answered[resource.Config]{made}, err
}

func (s *Server) listConfigs(ctx context.Context, in *ByService) (*answered[wire.Configs], error) {
	if _, err := s.Catalog.Get(ctx, resource.KindService, in.Service); err != nil {
		return nil, err
	}
	items, err := s.Configs.Configs(ctx, in.Service)
	return &answered[wire.Configs]{wire.Configs{Items: items}}, err
}

type byConfig struct {
	ByService
	Version string `path:"version" maxLength:"63" doc:"the version of the configuration"`
}

func (s *Server) getConfig(ctx context.Context, in *byConfig) (*answered[resource.Config], error) {
	cfg, err := s.Configs.Config(ctx, in.Service, in.Version)
	return &answered[resource.Config]{cfg}, err
}
