package manifest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/resource"
)

func schemaOf(t *testing.T) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s, doc.(map[string]any)
}

func check(t *testing.T, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestSchemaTakesWhatIsRead(t *testing.T) {
	s, _ := schemaOf(t)
	rapid.Check(t, func(rt *rapid.T) {
		raw, err := json.Marshal(anyResource(rt))
		if err != nil {
			rt.Fatal(err)
		}
		if err := check(t, s, raw); err != nil {
			rt.Fatalf("%s: %v", raw, err)
		}
	})
}

func TestSchemaRefuses(t *testing.T) {
	s, _ := schemaOf(t)
	const good = `{"apiVersion":"ringfence.dev/v1","kind":"Service","metadata":{"name":"shop"},"spec":{"plan":"p","drain":"30s",
		"run":{"command":["{artifact}","{port}"],"instances":2},"route":{"protocol":"http"}}}`
	if err := check(t, s, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`"plan"`, `"plans"`}, {`"30s"`, `30`}, {`"30s"`, `"30"`}, {`"30s"`, `""`}, {`2}`, `0}`}, {`2}`, `101}`}, {`2}`, `1.5}`}, {`"http"`, `"grpc"`}, {`"Service"`, `"Pod"`},
		{`"Service"`, `"Segment"`}, {`/v1`, `/v2`}, {`"command"`, `"extra":1,"command"`}, {`["{artifact}","{port}"]`, `[]`}, {`"metadata"`, `"status":{},"metadata"`},
	} {
		raw := strings.Replace(good, edit[0], edit[1], 1)
		if raw == good {
			t.Fatalf("%s is not there", edit[0])
		}
		if err := check(t, s, []byte(raw)); err == nil {
			t.Errorf("the schema takes %s", raw)
		}
		if _, ps := resource.Decode([]byte(raw), nil); len(ps) == 0 {
			t.Errorf("the reader takes %s", raw)
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	_, doc := schemaOf(t)
	fields := 0
	for name, def := range doc["$defs"].(map[string]any) {
		for field, v := range def.(map[string]any)["properties"].(map[string]any) {
			fields++
			if d, _ := v.(map[string]any)["description"].(string); d == "" {
				t.Errorf("%s.%s has no description", name, field)
			}
		}
	}
	if fields < 60 {
		t.Errorf("only %d fields in the schema", fields)
	}
}

// The reference names every field of every kind, and its examples can be applied.
func TestReferenceIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/resources.md")
	if err != nil {
		t.Fatal(err)
	}
	var seen = map[*resource.Shape]bool{}
	var walk func(s *resource.Shape, where string)
	walk = func(s *resource.Shape, where string) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		walk(s.Elem, where)
		for _, m := range s.Fields {
			row := "| `" + m.Name + "` |"
			if section := sectionOf(string(text), s.Name); !strings.Contains(section, row) || !strings.Contains(section, m.Doc) {
				t.Errorf("docs/resources.md: section %q has no row %s with %q", s.Name, row, m.Doc)
			}
			walk(m.Shape, where+"."+m.Name)
		}
	}
	for _, kind := range resource.Kinds {
		walk(resource.SpecShape(kind), kind)
	}
	var set []resource.Resource
	for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		got, problems := Read([]Source{{Name: "docs/resources.md example", Data: []byte(block)}})
		if len(problems) > 0 {
			t.Errorf("example %d: %v", i, Problems(problems))
		}
		set = append(set, got.Resources...)
	}
	if ps := resource.Check(set); len(ps) > 0 {
		t.Error(ps)
	}
	kinds := map[string]bool{}
	for _, r := range set {
		kinds[r.Kind] = true
	}
	if len(kinds) != len(resource.Kinds) {
		t.Errorf("examples of only %v", kinds)
	}
}

// sectionOf is the text from a heading that begins with the name to the next heading.
func sectionOf(text, name string) string {
	for _, s := range strings.Split(text, "\n#")[1:] {
		if title, body, _ := strings.Cut(s, "\n"); strings.TrimLeft(title, "# ") == name {
			return body
		}
	}
	return ""
}
