package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ringfence/ringfence/internal/api"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/test/plane"
)

// undescribed are the patterns without an operation, and why.
var undescribed = map[string]string{
	"/":                            "the UI: pages for people, which sign in there",
	"/api/v1/":                     "Prometheus' API, described by Prometheus",
	"POST /api/v1/write":           "Prometheus' remote write, described by Prometheus",
	"POST /api/v1/otlp/v1/metrics": "OpenTelemetry's protocol, where Prometheus has it",
	"POST /v1/metrics":             "OpenTelemetry's protocol",
	"OPTIONS /v1/metrics":          "what browsers ask before",
	"OPTIONS /v1/logs":             "what browsers ask before",
	"GET /metrics":                 "Prometheus' format",
	"POST /opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "OpenTelemetry's protocol, gRPC",
	"POST /opentelemetry.proto.collector.logs.v1.LogsService/Export":       "OpenTelemetry's protocol, gRPC",

	"POST /api/v2/alerts":         "Alertmanager's API, described by Alertmanager",
	"GET /api/v2/alerts":          "Alertmanager's API",
	"GET /api/v2/alerts/groups":   "Alertmanager's API",
	"GET /api/v2/silences":        "Alertmanager's API",
	"POST /api/v2/silences":       "Alertmanager's API",
	"GET /api/v2/silence/{id}":    "Alertmanager's API",
	"DELETE /api/v2/silence/{id}": "Alertmanager's API",
	"GET /api/v2/status":          "Alertmanager's API",
	"GET /api/v2/receivers":       "Alertmanager's API",

	"/v1/":              "answers for what is not there",
	"GET /openapi.json": "the description itself",
	"GET /openapi.yaml": "the description itself",
}

type described struct {
	OpenAPI    string                                `json:"openapi"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

type described1 struct {
	OperationID string `json:"operationId"`
	Summary     string `json:"summary"`
	Action      string `json:"x-ringfence-action"`
	Parameters  []struct {
		Name, In, Description string
	} `json:"parameters"`
	Responses map[string]any        `json:"responses"`
	Security  []map[string][]string `json:"security"`
}

func openAPI(t *testing.T, p *plane.Plane) ([]byte, described) {
	t.Helper()
	res, err := http.Get(p.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	var doc described
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

func TestEveryRouteIsDescribed(t *testing.T) {
	p := plane.Start(t)
	_, doc := openAPI(t, p)
	routes := api.Routes(p.Server)
	if len(routes) < 30 {
		t.Fatalf("only %d routes were found", len(routes))
	}
	seen := 0
	for pattern, action := range routes {
		if action == "" {
			t.Errorf("%s: nobody decided who may", pattern)
		}
		if _, ok := undescribed[pattern]; ok {
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		raw, ok := doc.Paths[path][strings.ToLower(method)]
		if !ok {
			t.Errorf("%s has no operation in the description", pattern)
			continue
		}
		seen++
		checkOperation(t, pattern, action, raw)
	}
	for path, item := range doc.Paths {
		for method := range item {
			if _, ok := routes[strings.ToUpper(method)+" "+path]; !ok {
				t.Errorf("%s %s is described but not served", method, path)
			}
			seen--
		}
	}
	if seen != 0 {
		t.Errorf("%d operations more or less than routes", seen)
	}
}

func checkOperation(t *testing.T, pattern string, action policy.Action, raw json.RawMessage) {
	var op described1
	if err := json.Unmarshal(raw, &op); err != nil {
		t.Fatal(err)
	}
	if op.OperationID == "" || op.Summary == "" || len(op.Responses) == 0 || op.Action != string(action) {
		t.Errorf("%s: %+v", pattern, op)
	}
	if public := len(op.Security) == 0; public != (action == policy.Anyone) {
		t.Errorf("%s: security %v for the action %s", pattern, op.Security, action)
	}
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(pattern, -1) {
		if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In, Description string }) bool {
			return p.Name == m[1] && p.In == "path" && p.Description != ""
		}) {
			t.Errorf("%s: the parameter %s is not described", pattern, m[1])
		}
	}
}

// Every schema compiles and every reference leads somewhere; a duration is text, not a number of nanoseconds.
func TestDescriptionIsSound(t *testing.T) {
	p := plane.Start(t)
	raw, doc := openAPI(t, p)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("OpenAPI %s", doc.OpenAPI)
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("http://x/openapi.json", whole); err != nil {
		t.Fatal(err)
	}
	for name := range doc.Components.Schemas {
		if _, err := c.Compile("http://x/openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	for _, m := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
		if _, ok := doc.Components.Schemas[m[1]]; !ok {
			t.Errorf("nothing is at %s", m[0])
		}
	}
	ring := doc.Components.Schemas["RolloutRing"].(map[string]any)["properties"].(map[string]any)["bake"].(map[string]any)
	if ring["type"] != "string" {
		t.Errorf("a duration is described as %v", ring)
	}
	ids := map[string]bool{}
	for _, item := range doc.Paths {
		for _, one := range item {
			var op described1
			if err := json.Unmarshal(one, &op); err != nil || ids[op.OperationID] {
				t.Errorf("operation %q: twice, or %v", op.OperationID, err)
			}
			ids[op.OperationID] = true
		}
	}
}

// What the server answers is what the description says it answers.
func TestAnswersAreAsDescribed(t *testing.T) {
	p := plane.Start(t)
	apply(t, p.Admin, plane.Shop)
	if _, err := p.Admin.Release(t.Context(), "shop", release(t, p, "v1")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Admin.CreateConfig(t.Context(), "shop", wire.Config{Version: "c1", Env: map[string]string{"A": "b"}}); err != nil {
		t.Fatal(err)
	}
	raw, _ := openAPI(t, p)
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("http://x/openapi.json", whole); err != nil {
		t.Fatal(err)
	}
	for path, schema := range map[string]string{
		"/v1/whoami": "WhoAmI", "/v1/version": "Version", "/v1/services": "Services", "/v1/services/shop": "Service", "/v1/rollouts": "Rollouts",
		"/v1/rollouts/shop": "Rollout", "/v1/events": "Events", "/v1/resources/services": "Resources", "/v1/services/shop/releases": "Releases",
		"/v1/units/local/desired": "Desired", "/v1/services/shop/ring": "RingOf", "/v1/approvals": "Approvals",
		"/v1/line": "RolloutLine", "/v1/services/shop/configs": "Configs", "/v1/services/shop/configs/c1": "ResourceConfig", "/v1/tokens": "Tokens", "/v1/nothing": "Problem", "/v1/rollouts/nothing": "Problem",
	} {
		s, err := c.Compile("http://x/openapi.json#/components/schemas/" + schema)
		if err != nil {
			t.Fatal(err)
		}
		_, body := request(t, p, policy.Admin, http.MethodGet, path, "", nil)
		answer, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Errorf("%s: %v in %s", path, err, body)
			continue
		}
		if err := s.Validate(answer); err != nil {
			t.Errorf("%s is no %s: %v\n%s", path, schema, err, body)
		}
	}
}
