package api

import (
	"context"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/secrecy"
	"github.com/ringfence/ringfence/internal/secret"
)

// Secrets keeps secrets.
type Secrets interface {
	SecretViews
	Set(ctx context.Context, actor, name, value string) (secret.Secret, error)
	Revoke(ctx context.Context, actor, name string, version int, reason string) (secret.Secret, error)
}

// SecretViews say what is known of secrets, and give values.
type SecretViews interface {
	List(ctx context.Context) ([]secret.Secret, error)
	Show(ctx context.Context, name string) (secret.Secret, error)
	Read(ctx context.Context, actor, name string, version int) (secrecy.Value, error)
	ForInstance(ctx context.Context, actor string, in secrecy.Instance) (map[string][]secrecy.Value, error)
}

// BySecret is the part of a path that names a secret.
type BySecret struct {
	Name string `path:"name" maxLength:"63" doc:"name of the secret"`
}

type setSecretInput struct {
	BySecret
	Body wire.SecretValue
}

type secretVersionInput struct {
	BySecret
	Version int `path:"version" minimum:"0" maximum:"1000000000" doc:"number of the version; 0 for the current one"`
}

type revokeSecretInput struct {
	BySecret
	Version int `path:"version" minimum:"1" maximum:"1000000000" doc:"number of the version"`
	Body    wire.Reason
}

type instanceSecretsInput struct {
	ByPlane
	Body wire.InstanceSecretsRequest
}

func (s *Server) secrets() {
	const path = "/v1/secrets"
	register(s, operation{method: http.MethodGet, path: path, id: "listSecrets", tag: "secrets", summary: "Lists secrets, their versions and readers, without values",
		route: route{action: policy.Read}}, s.listSecrets)
	register(s, operation{method: http.MethodGet, path: path + "/{name}", id: "getSecret", tag: "secrets", summary: "Says which versions a secret has and who read it, without values",
		route: route{action: policy.Read}}, s.getSecret)
	register(s, operation{method: http.MethodPost, path: path + "/{name}/versions", id: "setSecret", tag: "secrets",
		summary: "Makes a value the current one", about: "The one before stays valid beside it. Sending the current value again changes nothing.",
		route: route{action: policy.Change}}, s.setSecret)
	register(s, operation{method: http.MethodPost, path: path + "/{name}/versions/{version}/reads", id: "readSecret", tag: "secrets",
		summary: "Gives the value of a version", about: "It is on the record before it is given.", route: route{action: policy.Export}}, s.readSecret)
	register(s, operation{method: http.MethodPost, path: path + "/{name}/versions/{version}/revocation", id: "revokeSecret", tag: "secrets",
		summary: "Revokes a version that is not the current one", about: "Its value is gone. Doing it again changes nothing.", route: route{action: policy.Change}}, s.revokeSecret)
	register(s, operation{method: http.MethodPost, path: "/v1/units/{unit}/secrets", id: "getInstanceSecrets", tag: "units",
		summary: "Gives an instance the secrets that its service declares", about: "It is on the record before they are given.", route: route{action: policy.Operate}}, s.instanceSecrets)
}

var errNoSecrets = errs.E(errs.Unavailable, "no secrets are kept here")

func (s *Server) listSecrets(ctx context.Context, _ *struct{}) (*answered[wire.Secrets], error) {
	if s.Secrets == nil {
		return nil, errNoSecrets
	}
	all, err := s.Secrets.List(ctx)
	return &answered[wire.Secrets]{wire.Secrets{Items: all}}, err
}

func (s *Server) getSecret(ctx context.Context, in *BySecret) (*answered[secret.Secret], error) {
	if s.Secrets == nil {
		return nil, errNoSecrets
	}
	one, err := s.Secrets.Show(ctx, in.Name)
	return &answered[secret.Secret]{one}, err
}

func (s *Server) setSecret(ctx context.Context, in *setSecretInput) (*answered[secret.Secret], error) {
	if s.Secrets == nil {
		return nil, errNoSecrets
	}
	one, err := s.Secrets.Set(ctx, actorOf(ctx), in.Name, in.Body.Value)
	return &answered[secret.Secret]{one}, err
}

func (s *Server) readSecret(ctx context.Context, in *secretVersionInput) (*answered[secrecy.Value], error) {
	if s.Secrets == nil {
		return nil, errNoSecrets
	}
	v, err := s.Secrets.Read(ctx, actorOf(ctx), in.Name, in.Version)
	return &answered[secrecy.Value]{v}, err
}

func (s *Server) revokeSecret(ctx context.Context, in *revokeSecretInput) (*answered[secret.Secret], error) {
	if s.Secrets == nil {
		return nil, errNoSecrets
	}
	one, err := s.Secrets.Revoke(ctx, actorOf(ctx), in.Name, in.Version, in.Body.Reason)
	return &answered[secret.Secret]{one}, err
}

func (s *Server) instanceSecrets(ctx context.Context, in *instanceSecretsInput) (*answered[wire.InstanceSecrets], error) {
	if s.Secrets == nil {
		return nil, errNoSecrets
	}
	if err := s.Hub.Admit(ctx, in.Unit, in.Plane); err != nil {
		return nil, err
	}
	values, err := s.Secrets.ForInstance(ctx, actorOf(ctx), secrecy.Instance{Unit: in.Unit, Service: in.Body.Service, Version: in.Body.Version, ID: in.Body.Instance})
	return &answered[wire.InstanceSecrets]{wire.InstanceSecrets{Values: values}}, err
}
