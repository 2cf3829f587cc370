package ofrep

import (
	"bytes"
	"github.com/ringfence/ringfence/internal/flaggate"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are the protocol's replies, as its document describes them; the reason DEFAULT is there besides.
func schemas(t *testing.T) func(name, reply string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/replies.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("replies.json", doc); err != nil {
		t.Fatal(err)
	}
	return func(name, reply string) {
		t.Helper()
		schema, err := c.Compile("replies.json#/$defs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(reply))
		if err != nil {
			t.Fatalf("%s: %v", reply, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s\n%v", reply, err)
		}
	}
}

func TestRepliesAreTheProtocols(t *testing.T) {
	check := schemas(t)
	f := newFeed(t, shop)
	open := New(Options{Gate: &flaggate.Gate{Source: f, Environment: "prod"}})
	for _, context := range []string{`{}`, `{"targetingKey":"alice","email":"x@example.com","choice":"x","plan":"half"}`, `{"targetingKey":"","choice":[1]}`} {
		body := `{"context":` + context + `}`
		check("bulk", ask(open, "/ofrep/v1/evaluate/flags", body).Body.String())
		for _, key := range f.snapshot.All().Keys() {
			w := ask(open, "/ofrep/v1/evaluate/flags/"+strings.ReplaceAll(key, " ", "%20"), body)
			check(map[int]string{200: "success", 400: "failure"}[w.Code], w.Body.String())
		}
	}
	check("missing", ask(open, "/ofrep/v1/evaluate/flags/none", `{}`).Body.String())
	keyed := New(Options{Gate: &flaggate.Gate{Source: f, Keys: clients, RequireKey: true, Rate: 0.001, Burst: 10}})
	for _, c := range []struct {
		schema, path, body, key string
		status                  int
	}{
		{"failure", "/static", `{}`, "browser", 400},
		{"bulkFailure", "", `{}`, "browser", 400},
		{"failure", "/static", `{`, "browser", 400},
		{"bulkFailure", "", `{"context":1}`, "browser", 400},
		{"failure", "/static", `{"context":1}`, "browser", 400},
		{"failure", "/static", `{}`, "x", 401},
		{"bulkFailure", "", `{}`, "revoked", 403},
		{"failure", "/static", strings.Repeat(" ", 70000), "server", 413},
		{"general", "", `{"context":{"targetingKey":"x"}}`, "lost", 500},
		{"general", "/static", `{"context":{"targetingKey":"x"}}`, "lost", 500},
	} {
		var w *httptest.ResponseRecorder
		if w = ask(keyed, "/ofrep/v1/evaluate/flags"+c.path, c.body, "X-API-Key", c.key); w.Code != c.status {
			t.Errorf("%q %q: %d, want %d", c.path, c.body, w.Code, c.status)
		}
		check(c.schema, w.Body.String())
	}
	w := httptest.NewRecorder()
	if err := (&events{w: w, to: http.NewResponseController(w), known: "before"}).changed("after", 5); err != nil {
		t.Fatal(err)
	}
	_, data, _ := strings.Cut(w.Body.String(), "data: ")
	check("event", data)
}
