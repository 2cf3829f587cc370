package api_test

import (
	"testing"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/test/plane"
)

// A flag is shown by what asks whether it may be: a release asks for less.
func TestAFlagIsNotReleased(t *testing.T) {
	p := plane.Start(t)
	apply(t, p.Admin, plane.Shop+`
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: web}
spec:
  flags:
    new: {state: DISABLED, variants: {"on": true, "off": false}, defaultVariant: "off", exposure: {plan: quick, variant: "on"}}
`)
	if r, err := p.Admin.Release(t.Context(), "flag:web:new", wire.Release{Version: "on"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("%+v, %v", r.Rollout, err)
	}
}
