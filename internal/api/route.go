package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
)

const (
	maxJSON        = 1 << 20
	defaultTimeout = 30 * time.Second
)

// route is what is asked of a request before its handler sees it.
type route struct {
	id       string
	pattern  string // the mux'
	action   policy.Action
	maxBody  int64         // bytes; 0 means 1 MiB
	timeout  time.Duration // for the whole request; 0 means 30s
	stream   bool          // goes on for as long as both sides like: no timeout
	keyed    bool          // honours Idempotency-Key
	missing  bool          // answers for what is not there
	steady   bool          // what programs send all the time: bounded by its handler instead of a rate
	otlp     bool          // errors are told as OpenTelemetry's protocol has them
	restores bool          // whoever holds the first admin token may, whatever the rules say
	page     bool          // for browsers: may load its own scripts and styles
}

// operation describes an endpoint.
type operation struct {
	method, path, id, tag, summary string
	route
	status int
	loose  bool // takes fields it does not know: the caller may be of a newer version
	media  string
	about  string
}

// register adds an endpoint. An operation without an action is a defect.
func register[I, O any](s *Server, op operation, handle func(context.Context, *I) (*O, error)) {
	if op.action == "" {
		panic("operation " + op.id + " names no action")
	}
	op.route.id = op.id
	if op.maxBody == 0 {
		op.maxBody = maxJSON
	}
	s.routes[op.method+" "+op.path] = op.route
	h := huma.Operation{
		Method: op.method, Path: op.path, OperationID: op.id, Tags: []string{op.tag}, Summary: op.summary, Description: op.about,
		DefaultStatus: op.status, MaxBodyBytes: op.maxBody, BodyReadTimeout: defaultTimeout, SkipValidateBody: op.loose,
		RejectUnknownQueryParameters: true,
		Security:                     []map[string][]string{{"token": {}}},
		Extensions:                   map[string]any{"x-ringfence-action": op.action},
	}
	if op.action == policy.Anyone {
		h.Security = []map[string][]string{}
	}
	if op.media != "" {
		h.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{op.media: {
			Schema: &huma.Schema{Type: huma.TypeString}}}}}
	}
	if op.keyed {
		h.Parameters = append(h.Parameters, &huma.Param{Name: keyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "a name for this request: within a day, the same request under the same name is done once and answered alike"})
	}
	huma.Register(s.api, h, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.problemOf(ctx, op.id, err)
		}
		return out, nil
	})
}

func (s *Server) config() huma.Config {
	c := huma.DefaultConfig("Ringfence", s.Version)
	c.CreateHooks, c.DocsPath, c.SchemasPath, c.OpenAPIPath = nil, "", "", ""
	c.Info.Description = "Takes changes to production one ring at a time. Errors are application/problem+json."
	c.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[fleet.Dur](), reflect.TypeFor[string]())
	registry.RegisterTypeAlias(reflect.TypeFor[problem](), reflect.TypeFor[wire.Problem]())
	c.Components.Schemas = registry
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "a token that begins with rf_"},
	}
	return c
}

// schemaName puts the package before the name, except for the API's own types: several packages have a Ring.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
	if pkg == "" || pkg == "wire" || pkg == "api" {
		return name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

// describe writes the OpenAPI documents down once, after the last route.
func (s *Server) describe() error {
	asJSON, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return err
	}
	asYAML, err := s.api.OpenAPI().YAML()
	if err != nil {
		return err
	}
	for path, doc := range map[string]struct {
		media string
		body  []byte
	}{"/openapi.json": {"application/openapi+json", asJSON}, "/openapi.yaml": {"application/openapi+yaml", asYAML}} {
		s.mount("GET "+path, route{action: policy.Anyone}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", doc.media)
			_, _ = w.Write(doc.body)
		}))
	}
	return nil
}
