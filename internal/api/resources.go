package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// maxApply holds the largest sensible set: a thousand resources with some long lists of users.
const maxApply = 8 << 20

const yamlType = "application/yaml"

func (s *Server) resources() {
	register(s, operation{method: http.MethodPost, path: "/v1/apply", id: "apply", tag: "resources",
		summary: "Makes what is declared be as in the files, all of it or nothing",
		route:   route{action: policy.Change, maxBody: maxApply, keyed: true}}, s.apply)
	register(s, operation{method: http.MethodGet, path: "/v1/resources/{kind}", id: "listResources", tag: "resources",
		summary: "Lists the resources of a kind", route: route{action: policy.Read}}, s.listResources)
	register(s, operation{method: http.MethodGet, path: "/v1/resources/{kind}/{name}", id: "getResource", tag: "resources",
		summary: "Answers one resource", route: route{action: policy.Read}}, s.getResource)
	register(s, operation{method: http.MethodDelete, path: "/v1/resources/{kind}/{name}", id: "deleteResource", tag: "resources",
		summary: "Deletes a resource that nothing refers to", route: route{action: policy.Change, keyed: true}}, s.deleteResource)
	register(s, operation{method: http.MethodGet, path: "/v1/export", id: "export", tag: "resources", media: yamlType,
		summary: "Answers everything declared as YAML that can be applied again", route: route{action: policy.Read}}, s.export)
	register(s, operation{method: http.MethodGet, path: "/v1/schema", id: "schema", tag: "resources", media: "application/schema+json",
		summary: "Answers the JSON Schema of resources", route: route{action: policy.Self}}, s.schema)
}

type applyInput struct{ Body wire.Apply }

// declaredIn reads files as they are sent; what is wrong in any of them refuses all.
func declaredIn(files []wire.File) (manifest.Set, error) {
	sources := make([]manifest.Source, len(files))
	for i, f := range files {
		sources[i] = manifest.Source{Name: f.Name, Data: []byte(f.Text)}
	}
	set, problems := manifest.Read(sources)
	if len(problems) > 0 {
		return set, refused(problems)
	}
	return set, nil
}

func (s *Server) apply(ctx context.Context, in *applyInput) (*answered[wire.Applied], error) {
	set, err := declaredIn(in.Body.Files)
	if err != nil {
		return nil, err
	}
	if len(set.Resources) == 0 {
		return nil, errs.E(errs.Invalid, "the files hold no resource")
	}
	for _, r := range set.Resources {
		if err := s.mayDeclare(ctx, r, "apply"); err != nil {
			return nil, err
		}
	}
	result, err := s.Catalog.Apply(ctx, actorOf(ctx), s.Now(), set.Resources, in.Body.DryRun)
	var fields resource.Problems
	if errors.As(err, &fields) {
		return nil, refused(set.Locate(fields))
	}
	if err != nil {
		return nil, err
	}
	return appliedOf(result)
}

func appliedOf(result catalog.Result) (*answered[wire.Applied], error) {
	out := wire.Applied{DryRun: result.DryRun, Items: make([]wire.AppliedItem, len(result.Items))}
	for i, it := range result.Items {
		out.Items[i] = wire.AppliedItem{Kind: it.Kind, Name: it.Name, Action: string(it.Action)}
		if it.Action == catalog.Unchanged {
			continue
		}
		var err error
		if out.Items[i].Diff, err = manifest.Diff(it.Before, it.After); err != nil {
			return nil, err
		}
	}
	return &answered[wire.Applied]{out}, nil
}

type listInput struct {
	Kind  string `path:"kind" maxLength:"40" doc:"Segment, RingPlan, Service or Release, in any usual spelling"`
	After string `query:"after" maxLength:"253" doc:"only names after this one"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"at most so many"`
}

func (s *Server) listResources(ctx context.Context, in *listInput) (*answered[wire.Resources], error) {
	kind, err := resource.KindNamed(in.Kind)
	if err != nil {
		return nil, err
	}
	items, err := s.Catalog.List(ctx, kind, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	out := wire.Resources{Items: items}
	if len(items) == in.Limit {
		out.Next = items[len(items)-1].Metadata.Name
	}
	return &answered[wire.Resources]{out}, nil
}

// ByName is the part of a path that names a resource. (Embedded types are exported, or the library would not fill them.)
type ByName struct {
	Kind string `path:"kind" maxLength:"40" doc:"Segment, RingPlan, Service or Release, in any usual spelling"`
	Name string `path:"name" maxLength:"253" doc:"the name; of a release service/version, with the slash as %2F"`
}

type getInput struct {
	ByName
	IfNoneMatch string `header:"If-None-Match" doc:"the ETag that is at hand"`
}

type resourceAnswer struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *resource.Resource
}

func (s *Server) getResource(ctx context.Context, in *getInput) (*resourceAnswer, error) {
	r, tag, err := s.find(ctx, in.ByName)
	if err != nil {
		return nil, err
	}
	if in.IfNoneMatch == tag {
		return &resourceAnswer{Status: http.StatusNotModified, ETag: tag}, nil
	}
	return &resourceAnswer{Status: http.StatusOK, ETag: tag, Body: &r}, nil
}

func (s *Server) find(ctx context.Context, in ByName) (resource.Resource, string, error) {
	kind, err := resource.KindNamed(in.Kind)
	if err != nil {
		return resource.Resource{}, "", err
	}
	r, err := s.Catalog.Get(ctx, kind, in.Name)
	if err != nil {
		return r, "", err
	}
	raw, err := json.Marshal(r) // canonical, so equal content has equal tags
	if err != nil {
		return r, "", err
	}
	sum := sha256.Sum256(raw)
	return r, `"` + hex.EncodeToString(sum[:12]) + `"`, nil
}

type deleteInput struct {
	ByName
	IfMatch string `header:"If-Match" doc:"delete it only as it was seen with this ETag"`
}

func (s *Server) deleteResource(ctx context.Context, in *deleteInput) (*none, error) {
	r, tag, err := s.find(ctx, in.ByName)
	if err != nil {
		return nil, err
	}
	if in.IfMatch != "" && in.IfMatch != tag {
		return nil, newProblem(http.StatusPreconditionFailed, errs.Conflict, r.Key()+" has changed since it was seen", "Look at it again.")
	}
	if err := s.mayDeclare(ctx, r, "delete"); err != nil {
		return nil, err
	}
	return &none{}, s.Catalog.Delete(ctx, actorOf(ctx), s.Now(), r.Kind, r.Metadata.Name)
}

func (s *Server) export(ctx context.Context, _ *none) (*textAnswer, error) {
	set, err := s.Catalog.Export(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := manifest.Write(&b, set); err != nil {
		return nil, err
	}
	return &textAnswer{ContentType: yamlType, Body: b.Bytes()}, nil
}

func (s *Server) schema(context.Context, *none) (*textAnswer, error) {
	b, err := manifest.Schema()
	return &textAnswer{ContentType: "application/schema+json", Body: b}, err
}
