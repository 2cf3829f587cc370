package main

import (
	"encoding/json"
	"testing"
	"time"

	ours "github.com/ringfence/ringfence/internal/flag"
)

// What docs/decisions/018-flags-beside-flagd.md says of the two is so.
func TestExceptions(t *testing.T) {
	for _, c := range []struct{ what, rule, context, flagd, here string }{
		{"a list in cat", `{"cat": [{"var": "x"}, "a"]}`, `{"x": ["r", "s"]}`, "ERROR PARSE_ERROR", "ERROR GENERAL"},
		{"text for a list", `{"some": [{"var": "x"}, {"==": [{"var": ""}, "a"]}]}`, `{"x": "a"}`, "ERROR PARSE_ERROR", "TARGETING_MATCH false"},
		{"a missing number", `{"if": [{"==": [{"+": [{"var": "x"}, 1]}, 1]}, "red"]}`, `{}`, "ERROR PARSE_ERROR", "TARGETING_MATCH red"},
		{"text that is no number", `{"if": [{"==": [{"+": ["x", 1]}, 1]}, "red"]}`, `{}`, "TARGETING_MATCH red", "DEFAULT blue"},
		{"a list has no order", `{"<": [{"var": "x"}, 1]}`, `{"x": ["a"]}`, "TARGETING_MATCH false", "DEFAULT blue"},
		{"a boolean in cat", `{"cat": [{"var": "x"}]}`, `{"x": true}`, "ERROR PARSE_ERROR", "TARGETING_MATCH true"},
		{"a name in a list", `{"var": "x.tier"}`, `{"x": ["red"]}`, "TARGETING_MATCH red", "DEFAULT blue"},
		{"data is no share", `{"fractional": [{"var": "x"}]}`, `{"x": ["red", 1], "targetingKey": "a"}`, "TARGETING_MATCH red", "DEFAULT blue"},
		{"data is no rule", `{"if": [true, {"var": "x"}]}`, `{"x": {"cat": ["red"]}}`, "TARGETING_MATCH red", "ERROR GENERAL"},
		{"missing empty text", `{"if": [{"missing": ["x"]}, "red"]}`, `{"x": ""}`, "DEFAULT blue", "TARGETING_MATCH red"},
		{"null and 0", `{"<=": [0, {"var": "x"}]}`, `{}`, "TARGETING_MATCH false", "TARGETING_MATCH true"},
		{"substr past the end", `{"substr": ["red", 7]}`, `{}`, "TARGETING_MATCH red", "ERROR GENERAL"},
		{"blanks of cat", `{"cat": [" re", "d "]}`, `{}`, "TARGETING_MATCH red", "ERROR GENERAL"},
		{"names in a loop", `{"if": [{"some": [{"var": "list"}, {"==": [{"var": "x"}, "a"]}]}, "red"]}`, `{"x": "a", "list": [{"x": "b"}]}`, "TARGETING_MATCH red", "DEFAULT blue"},
		{"four arguments", `{"<": [1, 2, 3, 2]}`, `{}`, "TARGETING_MATCH true", "TARGETING_MATCH false"},
		{"a list in a list", `{"in": [2, [[1, 3]]]}`, `{}`, "TARGETING_MATCH true", "TARGETING_MATCH false"},
		{"its own operators", `{"if": [{"abs": [-1]}, "red"]}`, `{}`, "TARGETING_MATCH red", "ERROR PARSE_ERROR"},
		{"unknown, not reached", `{"if": [true, "red", {"unknown": []}]}`, `{}`, "TARGETING_MATCH red", "ERROR PARSE_ERROR"},
		{"names in quotes", `{"cat": ["\"q\"", ""]}`, `{}`, "ERROR GENERAL", `TARGETING_MATCH "q"`},
		{"names with a sign", `{"cat": ["<b>"]}`, `{}`, "ERROR GENERAL", "TARGETING_MATCH <b>"},
		{"an empty key", `{"==": [{"var": "targetingKey"}, ""]}`, `{"targetingKey": ""}`, "TARGETING_MATCH true", "TARGETING_MATCH false"},
	} {
		raw := []byte(`{"flags": {"f": {"state": "ENABLED", "defaultVariant": "blue", "targeting": ` + c.rule + `,
			"variants": {"red": 1, "blue": 2, "true": 3, "false": 4, "\"q\"": 5, "<b>": 6}}}}`)
		o, err := newOracle(raw)
		if err != nil {
			t.Fatal(err)
		}
		set, _ := ours.Parse(raw)
		var ctx map[string]any
		if err := json.Unmarshal([]byte(c.context), &ctx); err != nil {
			t.Fatal(err)
		}
		if got := short(o.answer("f", ctx)); got != c.flagd {
			t.Errorf("%s: flagd gives %s, not %s", c.what, got, c.flagd)
		}
		if got := short(ourAnswer(set, "f", ctx, time.Now())); got != c.here {
			t.Errorf("%s: ours is %s, not %s", c.what, got, c.here)
		}
	}
}

func short(a answer) string { return a.Reason + " " + a.Code + a.Variant }

// A short run without a difference.
func TestNoDifference(t *testing.T) {
	if err := differ(t.Output(), 3*time.Second, 1, 0, 5); err != nil {
		t.Error(err)
	}
}
