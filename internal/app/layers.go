package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/schema"
	"github.com/ringfence/ringfence/internal/servicing"
)

// maxSecret is how long a file with a secret may be.
const maxSecret = 4096

// openServicing makes what changes the schemas of databases beside the services that use them.
func (s *server) openServicing() *servicing.Engine {
	return servicing.New(servicing.Options{Store: s.store, Databases: databases{s.catalog, filepath.Join(s.Data, secretsFolder)}, Uses: s.controller.Uses,
		Read: func(file string, text []byte) (ddl.Migration, error) {
			return manifest.ReadMigration(manifest.Source{Name: file, Data: text})
		},
		Changed: func() { s.controller.Declared() }, Logger: s.Logger})
}

// databases reaches the declared databases. No address is in an error: it holds a password.
type databases struct {
	catalog *catalog.Catalog
	secrets string
}

// with lets do use the engine of a database.
func (d databases) with(ctx context.Context, name string, o schema.Options, do func(*schema.Engine, resource.Database) error) error {
	r, err := d.catalog.Get(ctx, resource.KindDatabase, name)
	if err != nil {
		return err
	}
	spec, err := resource.As[resource.Database](r)
	if err != nil {
		return err
	}
	spec = spec.Defaults()
	address, err := d.address(spec.AddressFile)
	if err != nil {
		return err
	}
	engine, done, err := openSchema(ctx, address, spec.Schema, o)
	if err != nil {
		return err
	}
	defer done()
	err = do(engine, spec)
	if errors.Is(err, schema.ErrLeased) {
		err = errs.Wrap(errs.Unavailable, err, "database %s", name)
	}
	return err
}

func (d databases) address(file string) (string, error) {
	root, err := os.OpenRoot(d.secrets)
	if err != nil {
		return "", errs.E(errs.Unavailable, "the control plane has no folder of secrets").Next("Put the database's address into the file secrets/%s of the control plane's data folder.", file)
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(file))
	if err != nil {
		return "", errs.E(errs.Unavailable, "the file secrets/%s cannot be read: %s", file, reasonOf(err)).Next("Put the database's address there, postgres://user:password@host/name, readable by the control plane alone.")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret))
	address := strings.TrimSpace(string(raw))
	if err == nil && address == "" {
		return "", errs.E(errs.Unavailable, "the file secrets/%s is empty, expected the database's address", file)
	}
	return address, err
}

// reasonOf is why a file cannot be read, without the folder that it is in.
func reasonOf(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// Look says what a database says of itself.
func (d databases) Look(ctx context.Context, name string) (seen layer.Seen, err error) {
	err = d.with(ctx, name, schema.Options{}, func(e *schema.Engine, spec resource.Database) error {
		st, err := e.Status(ctx)
		if err != nil {
			return err
		}
		seen = layer.Seen{Schema: spec.Schema, Live: st.Live}
		if r := st.Latest; r != nil {
			seen.Migration, seen.Phase, seen.Version, seen.Previous = r.Name, layer.Phase(r.Phase), r.Plan.Version, r.Plan.Previous
			if seen.Previous == "" {
				seen.Previous = r.Plan.Schema
			}
		}
		return nil
	})
	return seen, err
}

// Plan says what a migration would do.
func (d databases) Plan(ctx context.Context, name string, m ddl.Migration) (p ddl.Plan, err error) {
	err = d.with(ctx, name, schema.Options{}, func(e *schema.Engine, _ resource.Database) error {
		p, err = e.Plan(ctx, m)
		return err
	})
	return p, err
}

// Start makes the new version of a migration.
func (d databases) Start(ctx context.Context, name string, m ddl.Migration, report func(string)) error {
	o := schema.Options{Report: func(r schema.Report) { report(doing(r)) }}
	return d.with(ctx, name, o, func(e *schema.Engine, _ resource.Database) error {
		_, err := e.Start(ctx, m)
		return err
	})
}

// doing says in a few words what a migration is about.
func doing(r schema.Report) string {
	text := fmt.Sprintf("step %d of %d, %s", r.Step, r.Steps, r.Title)
	if r.Filled.Blocks > 0 {
		text += fmt.Sprintf(", %.0f %%", 100*r.Filled.Share())
	}
	if left := r.Filled.Left(); left > 0 {
		text += ", about " + left.Round(time.Second).String() + " left"
	}
	if r.Held != "" {
		text += "; held: " + r.Held
	}
	return text
}

// Complete takes the old version away.
func (d databases) Complete(ctx context.Context, name string, step layer.Step) error {
	return d.with(ctx, name, schema.Options{}, func(e *schema.Engine, _ resource.Database) error {
		_, err := e.Complete(ctx, step.Name, schema.Consent{Baked: true, AllowUnknown: step.AllowUnknown})
		return err
	})
}

// Rollback takes the new version away.
func (d databases) Rollback(ctx context.Context, name string, step layer.Step) error {
	return d.with(ctx, name, schema.Options{}, func(e *schema.Engine, _ resource.Database) error {
		_, err := e.Rollback(ctx, step.Name, schema.Consent{AllowUnknown: step.AllowUnknown, Force: step.Force})
		return err
	})
}
