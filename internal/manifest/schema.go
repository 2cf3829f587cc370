package manifest

import (
	"encoding/json"
	"strings"

	"github.com/ringfence/ringfence/internal/resource"
)

// SchemaID names the schema, for editors.
const SchemaID = "https://ringfence.dev/schema/v1.json"

// Schema is the JSON Schema (draft 2020-12) of every kind, from the same shapes that the strict reader checks.
func Schema() ([]byte, error) {
	g := generator{defs: map[string]any{}}
	kinds := make([]any, len(resource.Kinds))
	for i, kind := range resource.Kinds {
		whole := g.object(resource.Envelope())
		props := whole["properties"].(map[string]any)
		props["kind"] = map[string]any{"const": kind, "description": props["kind"].(map[string]any)["description"]}
		props["spec"] = g.schema(resource.SpecShape(kind), resource.Member{Doc: "what is wanted of this " + kind})
		whole["title"] = kind
		g.defs["Resource."+kind] = whole
		kinds[i] = map[string]any{
			"if":   map[string]any{"properties": map[string]any{"kind": map[string]any{"const": kind}}, "required": []string{"kind"}},
			"then": map[string]any{"$ref": "#/$defs/Resource." + kind},
		}
	}
	return json.MarshalIndent(map[string]any{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"$id":         SchemaID,
		"title":       "Ringfence resource",
		"description": "Something declared to Ringfence: " + strings.Join(resource.Kinds, ", ") + ".",
		"type":        "object",
		"required":    []string{"apiVersion", "kind", "metadata", "spec"},
		"properties":  map[string]any{"kind": map[string]any{"enum": resource.Kinds, "description": "what it is"}},
		"allOf":       kinds, // by kind, so that an editor complains about the kind that was meant
		"$defs":       g.defs,
	}, "", "  ")
}

// generator makes each named object once, under $defs.
type generator struct{ defs map[string]any }

func (g generator) schema(s *resource.Shape, m resource.Member) map[string]any {
	out := map[string]any{}
	if m.Doc != "" {
		out["description"] = m.Doc
	}
	set := func(key string, limit int) {
		if limit > 0 {
			out[key] = limit
		}
	}
	switch s.Type {
	case resource.Object:
		if _, done := g.defs[s.Name]; !done {
			g.defs[s.Name] = nil // an Audience holds Audiences
			g.defs[s.Name] = g.object(s)
		}
		out["$ref"] = "#/$defs/" + s.Name
	case resource.Map:
		out["type"], out["additionalProperties"] = "object", g.schema(s.Elem, resource.Member{})
		set("maxProperties", m.MaxLen)
	case resource.List:
		out["type"], out["items"] = "array", g.schema(s.Elem, resource.Member{})
		set("minItems", m.MinLen)
		set("maxItems", m.MaxLen)
	case resource.Number, resource.Integer:
		out["type"] = string(s.Type)
		if m.Min != nil {
			out["minimum"] = *m.Min
		}
		if m.Max != nil {
			out["maximum"] = *m.Max
		}
	case resource.Bool:
		out["type"] = "boolean"
	case resource.Duration:
		out["type"], out["pattern"], out["examples"] = "string", `^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`, []string{"300ms", "30m", "24h"}
	case resource.Time:
		out["type"], out["format"] = "string", "date-time"
	case resource.Text:
		out["type"] = "string"
		set("maxLength", m.MaxLen)
		if len(m.Enum) > 0 {
			out["enum"] = m.Enum
		}
	}
	return out
}

func (g generator) object(s *resource.Shape) map[string]any {
	props := map[string]any{}
	required := []string{}
	for _, m := range s.Fields {
		props[m.Name] = g.schema(m.Shape, m)
		if m.Required {
			required = append(required, m.Name)
		}
	}
	return map[string]any{"type": "object", "properties": props, "required": required, "additionalProperties": false}
}
