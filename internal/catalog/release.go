package catalog

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// PutArtifact keeps an artifact and returns its digest and size. It is not recorded: the release that names it is.
func (c *Catalog) PutArtifact(ctx context.Context, r io.Reader) (digest string, size int64, err error) {
	return c.Blobs.Put(ctx, r, MaxArtifact)
}

// OpenArtifact reads an artifact. Reading fails before its end when the content is not that of the digest.
func (c *Catalog) OpenArtifact(ctx context.Context, digest string) (io.ReadCloser, error) {
	return c.Blobs.Open(ctx, digest)
}

// CreateRelease makes a release of an artifact that was put before. When there is one already with the same artifact
// and environment, that one is the answer and nothing changes; anything else under its version is a conflict. Size,
// Created and By are set here.
func (c *Catalog) CreateRelease(ctx context.Context, actor string, now time.Time, rel resource.Release) (resource.Release, error) {
	if !resource.ValidDigest(rel.Digest) {
		return rel, errs.E(errs.Invalid, "digest %q: expected sha256: and 64 hexadecimal digits", rel.Digest)
	}
	if err := c.exists(ctx, rel.Service); err != nil {
		return rel, err
	}
	rel, err := c.understands(ctx, rel)
	if err != nil {
		return rel, err
	}
	name := resource.ReleaseName(rel.Service, rel.Version)
	if same, err := c.sameRelease(ctx, name, rel); err == nil || !errs.Is(err, errs.Missing) {
		return same, err
	}
	size, err := c.Blobs.Size(ctx, rel.Digest)
	if errs.Is(err, errs.Missing) {
		return rel, errs.E(errs.Missing, "artifact %s is not here", rel.Digest).Next("Upload the artifact before making a release of it.")
	}
	if err != nil {
		return rel, err
	}
	if rel.Interface != nil {
		if c.ReadInterface == nil {
			return rel, errs.E(errs.Unavailable, "interfaces cannot be read here")
		}
		read := *rel.Interface
		if read.Operations, err = c.ReadInterface(ctx, read.Format, read.Digest, now); err != nil {
			return rel, err
		}
		rel.Interface = &read
	}
	rel.Size, rel.Created, rel.By = size, now.UTC().Truncate(time.Microsecond), actor
	if err := c.writeRelease(ctx, name, rel); errs.Is(err, errs.Conflict) {
		return c.sameRelease(ctx, name, rel) // another one was faster: perhaps with the same release
	} else if err != nil {
		return rel, err
	}
	return rel, nil
}

// understands fills in which database a release uses, which is its service's. A service that uses one has every release say which
// versions of its schema it understands: nobody could tell otherwise when one of them may go.
func (c *Catalog) understands(ctx context.Context, rel resource.Release) (resource.Release, error) {
	r, err := c.Get(ctx, resource.KindService, rel.Service)
	if err != nil {
		return rel, err
	}
	svc, err := resource.As[resource.Service](r)
	if err != nil {
		return rel, err
	}
	switch {
	case rel.Schema == nil && svc.Database == "":
		return rel, nil
	case rel.Schema == nil:
		return rel, errs.E(errs.Invalid, "understands: missing, expected which versions of the schema of database %s release %s understands", svc.Database, rel.Version).
			Next("Name them, the one that is live among them: --understands %s. See: ringfence database show %s", "public_01_first,public_02_split", svc.Database)
	case svc.Database == "" || rel.Schema.Database != "" && rel.Schema.Database != svc.Database:
		return rel, errs.E(errs.Invalid, "service %s does not name the database whose schema release %s understands", rel.Service, rel.Version).
			Next("Apply the service with spec.database first.")
	}
	use := *rel.Schema
	use.Database = svc.Database
	rel.Schema = &use
	return rel, nil
}

func (c *Catalog) exists(ctx context.Context, service string) error {
	_, err := c.Store.Get(ctx, resource.KindService, service)
	if errs.Is(err, errs.Missing) {
		return errs.E(errs.Missing, "there is no service %q", service).Next("Apply the service before releasing a version of it.")
	}
	return err
}

func (c *Catalog) sameRelease(ctx context.Context, name string, rel resource.Release) (resource.Release, error) {
	old, err := c.Release(ctx, rel.Service, rel.Version)
	switch {
	case err != nil:
		return rel, err
	case old.Digest != rel.Digest:
		return old, errs.E(errs.Conflict, "release %s is immutable: it is %s, not %s", name, old.Digest, rel.Digest).
			Next("Release the new artifact under a version of its own.")
	case rel.Interface != nil && (old.Interface == nil || old.Interface.Digest != rel.Interface.Digest):
		return old, errs.E(errs.Conflict, "release %s is immutable: it was made with another interface", name).
			Next("Release the artifact with the new interface under a version of its own.")
	case !maps.Equal(old.Env, rel.Env):
		return old, errs.E(errs.Conflict, "release %s is immutable: it was made with another environment", name).
			Next("Release the artifact with the new environment under a version of its own.")
	case !old.Schema.Same(rel.Schema):
		return old, errs.E(errs.Conflict, "release %s is immutable: it was said to understand other versions of the schema", name).
			Next("Release the artifact under a version of its own.")
	}
	return old, nil
}

func (c *Catalog) writeRelease(ctx context.Context, name string, rel resource.Release) error {
	r, err := resource.New(name, rel)
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
	e, err := audit.New(rel.Created, "release.created", rel.By, r.Key(), rel)
	if err != nil {
		return err
	}
	_, err = c.Store.Commit(ctx, store.Write{
		Puts:   []store.Doc{{Kind: r.Kind, Name: name, Updated: rel.Created, Body: body}},
		Events: []audit.Event{e},
	})
	return err
}

// Release returns one release.
func (c *Catalog) Release(ctx context.Context, service, version string) (resource.Release, error) {
	if flag.IsSubject(service) {
		return c.variant(ctx, service, version)
	}
	r, err := c.Get(ctx, resource.KindRelease, resource.ReleaseName(service, version))
	if err != nil {
		return resource.Release{}, err
	}
	return resource.As[resource.Release](r)
}

// Releases returns all releases of a service, by version as text.
func (c *Catalog) Releases(ctx context.Context, service string) ([]resource.Release, error) {
	return made[resource.Release](ctx, c, resource.KindRelease, service)
}
