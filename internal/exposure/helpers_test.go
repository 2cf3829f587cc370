package exposure

import (
	"encoding/json"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

func mustRule(t testing.TB, raw string) *Rule {
	t.Helper()
	r, err := CompileRule(json.RawMessage(raw), Options{})
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return r
}

func mustRings(t testing.TB, salt string, rings ...fleet.Ring) *Rings {
	t.Helper()
	r, err := Compile(salt, rings)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantInvalid(t *testing.T, err error, message string) {
	t.Helper()
	if !errs.Is(err, errs.Invalid) || err.Error() != message {
		t.Errorf("got %v (%v)\nwant %s", err, errs.KindOf(err), message)
	}
}

// try evaluates a rule and returns the result as JSON.
func try(t *testing.T, raw string, ctx *Context) string {
	t.Helper()
	out, err := json.Marshal(mustRule(t, raw).Eval(ctx).Any())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
