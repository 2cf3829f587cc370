package catalog

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// ConfigMade is the data of the event config.created: which values there are, not what they are.
type ConfigMade struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Note    string   `json:"note,omitempty"`
	Env     []string `json:"env,omitempty" doc:"names of the environment"`
	Files   []string `json:"files,omitempty" doc:"paths of the files"`
}

// CreateConfig makes a version of a service's configuration. When there is one already with the same content, that one is
// the answer and nothing changes; anything else under its version is a conflict. Created and By are set here.
func (c *Catalog) CreateConfig(ctx context.Context, actor string, now time.Time, cfg resource.Config) (resource.Config, error) {
	if err := c.exists(ctx, cfg.Service); err != nil {
		return cfg, err
	}
	if same, err := c.sameConfig(ctx, cfg); err == nil || !errs.Is(err, errs.Missing) {
		return same, err
	}
	cfg.Created, cfg.By = now.UTC().Truncate(time.Microsecond), actor
	if err := c.writeConfig(ctx, cfg); errs.Is(err, errs.Conflict) {
		return c.sameConfig(ctx, cfg) // another one was faster: perhaps with the same content
	} else if err != nil {
		return cfg, err
	}
	return cfg, nil
}

func (c *Catalog) sameConfig(ctx context.Context, cfg resource.Config) (resource.Config, error) {
	old, err := c.Config(ctx, cfg.Service, cfg.Version)
	if err != nil {
		return cfg, err
	}
	if !maps.Equal(old.Env, cfg.Env) || !maps.Equal(old.Files, cfg.Files) {
		return old, errs.E(errs.Conflict, "config %s is immutable, and has other values", resource.ReleaseName(cfg.Service, cfg.Version)).
			Next("Make a config of the new values under a version of its own.")
	}
	return old, nil
}

func (c *Catalog) writeConfig(ctx context.Context, cfg resource.Config) error {
	r, err := resource.New(resource.ReleaseName(cfg.Service, cfg.Version), cfg)
	if err != nil {
		return err
	}
	r, problems := resource.Validate(r, nil)
	if err := resource.Refuse(problems); err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	made := ConfigMade{Service: cfg.Service, Version: cfg.Version, Note: cfg.Note, Env: sorted(cfg.Env), Files: sorted(cfg.Files)}
	e, err := audit.New(cfg.Created, "config.created", cfg.By, r.Key(), made)
	if err != nil {
		return err
	}
	_, err = c.Store.Commit(ctx, store.Write{
		Puts:   []store.Doc{{Kind: r.Kind, Name: r.Metadata.Name, Updated: cfg.Created, Body: body}},
		Events: []audit.Event{e},
	})
	return err
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Config returns one version of a service's configuration.
func (c *Catalog) Config(ctx context.Context, service, version string) (resource.Config, error) {
	r, err := c.Get(ctx, resource.KindConfig, resource.ReleaseName(service, version))
	if err != nil {
		return resource.Config{}, err
	}
	return resource.As[resource.Config](r)
}

// Configs returns all versions of a service's configuration, by version as text.
func (c *Catalog) Configs(ctx context.Context, service string) ([]resource.Config, error) {
	return made[resource.Config](ctx, c, resource.KindConfig, service)
}

// made returns everything of a kind that was made for a service.
func made[T resource.Spec](ctx context.Context, c *Catalog, kind, service string) ([]T, error) {
	docs, err := c.every(ctx, kind, service+"/")
	if err != nil {
		return nil, err
	}
	all := make([]T, 0, len(docs))
	for _, d := range docs {
		r, err := decode(d)
		if err != nil {
			return nil, err
		}
		spec, err := resource.As[T](r)
		if err != nil {
			return nil, err
		}
		all = append(all, spec)
	}
	return all, nil
}
