package flag

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/exposure"
)

// Flags that each need the one before twice double with each step; that ends in a problem, and those behind stay at
// their default.
func TestPrerequisitesAreBounded(t *testing.T) {
	flags := map[string]any{}
	for i := range 300 {
		f := map[string]any{"state": "ENABLED", "variants": map[string]bool{"on": true, "off": false}, "defaultVariant": "off",
			"targeting": json.RawMessage(`{"if": [{"var": "x"}, "on"]}`)}
		if i > 0 {
			before := Prerequisite{Flag: fmt.Sprintf("flag-%03d", i-1), Variants: []string{"on"}}
			f["prerequisites"] = []Prerequisite{before, before}
		}
		flags[fmt.Sprintf("flag-%03d", i)] = f
	}
	raw, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		t.Fatal(err)
	}
	plain, problems := Lower(documented(t, string(raw)), "", Live{})
	if len(problems) == 0 || len(plain) > maxExpanded {
		t.Fatalf("%d problems, %d bytes", len(problems), len(plain))
	}
	set, more := Parse(plain)
	if len(more) > 0 {
		t.Fatal(more)
	}
	ctx := &exposure.Context{Attributes: map[string]any{"x": true}}
	for key, want := range map[string]string{"flag-000": "on", "flag-005": "on", "flag-299": "off"} {
		if got := set.Evaluate(key, ctx); got.Variant != want {
			t.Errorf("%s: %+v", key, got)
		}
	}
}

// More opted in than a rule can hold: the flag is served as if nobody had.
func TestChoicesAreBounded(t *testing.T) {
	d := documented(t, `{"flags": {"a": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "preview": {"title": "New", "variant": "on"},
		"targeting": {"if": [{"==": [{"var": "plan"}, "beta"]}, "on"]}}}}`)
	for _, c := range []struct {
		users    int
		problems int
		first    string
	}{{10_000, 0, "on"}, {60_000, 1, "off"}} {
		var in []string
		for i := range c.users {
			in = append(in, fmt.Sprintf("a-user-of-some-length-%d", i))
		}
		plain, problems := Lower(d, "", Live{Choices: map[string]Choices{"a": {In: in}}})
		set, more := Parse(plain)
		if len(problems) != c.problems || len(more) > 0 {
			t.Fatalf("%d users: %v %v", c.users, problems, more)
		}
		if got := set.Evaluate("a", &exposure.Context{TargetingKey: in[0]}); got.Variant != c.first {
			t.Errorf("%d users: %+v", c.users, got)
		}
		if got := set.Evaluate("a", &exposure.Context{Attributes: map[string]any{"plan": "beta"}}); got.Variant != "on" {
			t.Errorf("%d users: its own rule: %+v", c.users, got)
		}
	}
}

// A long way round is found at once.
func TestLongCircle(t *testing.T) {
	flags := map[string]any{}
	for i := range maxFlags {
		flags[fmt.Sprintf("flag-%05d", i)] = map[string]any{"state": "ENABLED", "variants": map[string]bool{"on": true},
			"prerequisites": []Prerequisite{{Flag: fmt.Sprintf("flag-%05d", (i+1)%maxFlags), Variants: []string{"on"}}}}
	}
	raw, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		t.Fatal(err)
	}
	_, problems := ParseDocument(raw)
	if len(problems) != 1 || problems[0].Path != `flags.flag-00000.prerequisites` && problems[0].Path != `flags["flag-00000"].prerequisites` {
		t.Fatalf("got %d problems, %s", len(problems), problems[0].Path)
	}
	if n := len(problems[0].Msg); n > 2000 || !strings.Contains(problems[0].Msg, "flag-00001") {
		t.Errorf("the message has %d bytes", n)
	}
}
