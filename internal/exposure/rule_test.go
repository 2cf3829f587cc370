package exposure

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestCompileRuleNamesThePlace(t *testing.T) {
	deep := strings.Repeat(`{"!":`, 201) + `1` + strings.Repeat(`}`, 201)
	wide := `{"or": [` + strings.Repeat(`{"var": "a"},`, 5000) + `1]}`
	for _, c := range []struct {
		raw, want string
		opts      Options
	}{
		{raw: `{"and": [true, {"equals": [1, 2]}]}`, want: `rule at /and/1/equals: unknown operator "equals"`},
		{raw: `{"a/b~": 1}`, want: `rule at /a~1b~0: unknown operator "a/b~"`},
		{raw: `{"fractional": [["a", {"x": 1}]]}`, want: `rule at /fractional/0/1/x: unknown operator "x"`},
		{raw: `{"map": [[1], {"x": 1}]}`, want: `rule at /map/1/x: unknown operator "x"`},
		{raw: `{"$ref": "staff"}`, want: `rule at /$ref: there is no evaluator "staff"`},
		{raw: `{"$ref": 1}`, want: `rule at /$ref: $ref must be the name of an evaluator`},
		{raw: `[{"==": [1]}]`, opts: Options{Strict: true}, want: `rule at /0/==: "==" has 1 arguments; expected at least 2`},
		{raw: `{"in": [1, 2, 3]}`, opts: Options{Strict: true}, want: `rule at /in: "in" has 3 arguments; expected 2`},
		{raw: `{"substr": ["a"]}`, opts: Options{Strict: true}, want: `rule at /substr: "substr" has 1 arguments; expected 2 to 3`},
		{raw: `{"if": [{"==": [1, 1], "!=": [1, 2]}, 1]}`, opts: Options{Strict: true}, want: `rule at /if/0: an object with 2 keys is no rule; expected one operator`},
		{raw: `"` + strings.Repeat("x", MaxRuleBytes) + `"`, want: `rule has 65538 bytes, at most 65536 are allowed`},
		{raw: `{"==": [1, `, want: `rule is not JSON: unexpected end of JSON input`},
		{raw: ``, want: `rule is not JSON: unexpected end of JSON input`},
		{raw: deep, want: `rule at ` + strings.Repeat("/!", 16) + `/…/!/!/!/!: nested more than 200 deep`},
		{raw: wide, opts: Options{MaxBytes: 1 << 20}, want: `rule at /or/4999/var: more than 5000 operators`},
	} {
		_, err := CompileRule(json.RawMessage(c.raw), c.opts)
		if err == nil {
			t.Errorf("%.60s is accepted", c.raw)
			continue
		}
		wantInvalid(t, err, c.want)
	}
}

func TestEvaluators(t *testing.T) {
	opts := Options{Evaluators: map[string]json.RawMessage{
		"staff":  json.RawMessage(`{"ends_with": [{"var": "email"}, "@example.com"]}`),
		"nested": json.RawMessage(`{"!": {"$ref": "staff"}}`),
		"broken": json.RawMessage(`{"equals": 1}`),
	}}
	r, err := CompileRule(json.RawMessage(`{"if": [{"$ref": "staff"}, "on", {"$ref": "staff"}]}`), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := r.Eval(&Context{Attributes: map[string]any{"email": "carol@example.com"}}).Text(); got != "on" {
		t.Errorf("got %q, want on", got)
	}
	if names, all := r.Attributes(); all || !reflect.DeepEqual(names, []string{"email"}) {
		t.Errorf("reads %v %v, want email", names, all)
	}
	_, err = CompileRule(json.RawMessage(`{"$ref": "nested"}`), opts)
	wantInvalid(t, err, `rule at /$ref/nested/!/$ref: an evaluator cannot refer to another one`)
	_, err = CompileRule(json.RawMessage(`{"$ref": "broken"}`), opts)
	wantInvalid(t, err, `rule at /$ref/broken/equals: unknown operator "equals"`)
}

func TestRuleAttributes(t *testing.T) {
	for _, c := range []struct {
		rule string
		want []string
		all  bool
	}{
		{rule: `{"and": [{"var": "b.c"}, {"var": ["a", 1]}, {"var": "b"}, {"var": "targetingKey"}, {"var": "$flagd.timestamp"}]}`, want: []string{"a", "b"}},
		{rule: `{"map": [{"var": "list"}, {"var": "inner"}]}`, want: []string{"list"}},
		{rule: `{"missing": ["x", "y.z"]}`, want: []string{"x", "y"}},
		{rule: `{"missing_some": [1, ["x"]]}`, want: []string{"x"}},
		{rule: `{"var": ""}`, all: true},
		{rule: `{"var": {"var": "name"}}`, want: []string{"name"}, all: true},
		{rule: `{"missing": {"merge": ["x", {"var": "y"}]}}`, want: []string{"y"}, all: true},
		{rule: `{"map": [[1], {"var": ""}]}`},
		{rule: `{"map": [[1], {"missing": ["x", ""]}]}`},
		{rule: `true`},
	} {
		names, all := mustRule(t, c.rule).Attributes()
		if !reflect.DeepEqual(names, c.want) || all != c.all {
			t.Errorf("%s: reads %v %v, want %v %v", c.rule, names, all, c.want, c.all)
		}
	}
}

// Rules that would run for ages or fill the memory end in null, soon.
func TestRunawayRulesAreNull(t *testing.T) {
	list := "[" + strings.Repeat("1,", 999) + "1]"
	double := func(op string) string {
		return `{"reduce": [` + list + `, {"` + op + `": [{"var": "accumulator"}, {"var": "accumulator"}]}, "ab"]}`
	}
	nested := `{"var": ""}`
	for range 5 {
		nested = fmt.Sprintf(`{"map": [%s, %s]}`, list, nested)
	}
	for name, raw := range map[string]string{
		"text":    double("cat"),
		"merge":   double("merge"),
		"list":    `{"reduce": [` + list + `, [{"var": "accumulator"}, {"var": "accumulator"}], 1]}`,
		"objects": `{"reduce": [` + list + `, [{"var": ""}, {"var": ""}], 1]}`,
		"loops":   nested,
		"some":    `{"some": [` + list + `, {"!": {"map": [` + list + `, 1]}}]}`,
	} {
		start := time.Now()
		v := mustRule(t, raw).Eval(&Context{})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if out, _ := json.Marshal(v.Any()); len(out) > 2*maxText {
			t.Errorf("%s: the result has %d bytes", name, len(out))
		}
	}
	for _, raw := range []string{nested, `{"some": [` + list + `, {"!": {"map": [` + list + `, 1]}}]}`} {
		if v := mustRule(t, raw).Eval(&Context{}); v.Truthy() {
			t.Errorf("%.40s…: got %v, want nothing", raw, v.Kind())
		}
	}
}

// The rules of every day allocate nothing.
func TestUsualRulesDoNotAllocate(t *testing.T) {
	ctx := &Context{TargetingKey: "carol", FlagKey: "checkout", Attributes: map[string]any{
		"plan": "beta", "version": "2.4.1", "age": 41.0, "user": map[string]any{"name": "carol"}, "roles": []any{"dev"}}}
	for _, raw := range []string{
		`{"if": [{"==": [{"var": "plan"}, "beta"]}, "on", "off"]}`,
		`{"and": [{"<": [18, {"var": "age"}, 65]}, {"!": {"var": "gone"}}]}`,
		`{"in": [{"var": "targetingKey"}, ["alice", "bob"]]}`,
		`{"in": ["dev", {"var": "roles"}]}`,
		`{"sem_ver": [{"var": "version"}, "^", "2.0.0"]}`,
		`{"or": [{"starts_with": [{"var": "plan"}, "x"]}, {"ends_with": [{"var": "user.name"}, "l"]}]}`,
		`{"fractional": [["on", 25], ["off", 75]]}`,
		`{"fractional": [{"cat": ["salt", {"var": "$flagd.flagKey"}, {"var": "user.name"}]}, ["on", 1], ["off", 1]]}`,
		`{">": [{"var": "$flagd.timestamp"}, 1700000000]}`,
		`{"var": ["gone", 1]}`,
	} {
		r := mustRule(t, raw)
		if n := testing.AllocsPerRun(100, func() { r.Eval(ctx); r.Match(ctx) }); n != 0 {
			t.Errorf("%s allocates %v times", raw, n)
		}
	}
}

func FuzzCompileRule(f *testing.F) {
	for _, raw := range []string{
		`{"if": [{"sem_ver": [{"var": "v"}, "~", "1.2"]}, "a", {"fractional": [["b", 1], ["c", {"var": "n"}]]}]}`,
		`{"reduce": [{"var": "l"}, {"cat": [{"var": "current"}, {"substr": ["abc", -2, 1]}]}, {"missing": "x"}]}`,
		`[{"$ref": "r"}, {"-": {"merge": [1, 2]}}, {"%": 1}, {"none": [[], null]}]`,
	} {
		f.Add([]byte(raw), "alice", 1.5)
	}
	evaluators := map[string]json.RawMessage{"r": json.RawMessage(`{"in": [{"var": "s"}, ["a", 1, null]]}`)}
	f.Fuzz(func(t *testing.T, raw []byte, key string, n float64) {
		lax, err := CompileRule(raw, Options{Evaluators: evaluators})
		strict, strictErr := CompileRule(raw, Options{Evaluators: evaluators, Strict: true})
		switch {
		case err != nil && (strictErr == nil || !errs.Is(err, errs.Invalid)):
			t.Fatalf("%s: %v, strict %v", raw, err, strictErr)
		case err != nil:
			return
		}
		ctx := &Context{TargetingKey: key, Attributes: map[string]any{"n": n, "s": key, "v": "1.2.3", "l": []any{key, n, nil, []any{n}}, "o": map[string]any{key: n}}}
		v := lax.Eval(ctx)
		if lax.Match(ctx) != v.Truthy() {
			t.Fatalf("%s: Match is not the truth of Eval", raw)
		}
		if _, err := json.Marshal(v.Any()); err != nil {
			t.Fatalf("%s gives no JSON: %v", raw, err)
		}
		if strictErr == nil && !reflect.DeepEqual(strict.Eval(ctx).Any(), v.Any()) {
			t.Fatalf("%s: strict gives another result", raw)
		}
	})
}
