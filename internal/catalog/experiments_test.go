package catalog

import (
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// An experiment compares what its flag has, whichever of the two is applied last.
func TestExperimentsCompareWhatThereIs(t *testing.T) {
	set := func(spec string) resource.Resource { return make1(resource.KindFlagSet, "shop", spec) }
	ask := func(flag, more string) resource.Resource {
		return make1(resource.KindExperiment, "x", `{"flag":"`+flag+`","hypothesis":"h","variants":[{"variant":"off"},{"variant":"on"}],"primary":{"event":"order"}`+more+`}`)
	}
	const good = `{"environments":["production"],"flags":{"button":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}}}`
	for name, c := range map[string]struct {
		there, set []resource.Resource
		want       string
	}{
		"together":            {nil, []resource.Resource{ask("shop/button", ""), set(good)}, ""},
		"one after the other": {[]resource.Resource{set(good)}, []resource.Resource{ask("shop/button", "")}, ""},
		"no such set":         {nil, []resource.Resource{ask("shop/button", "")}, `spec.flag: there is no FlagSet "shop"`},
		"no such flag":        {[]resource.Resource{set(good)}, []resource.Resource{ask("shop/knob", "")}, `spec.flag: there is no flag "knob" in set shop, expected a flag of the set`},
		"no such environment": {[]resource.Resource{set(good)}, []resource.Resource{ask("shop/button", `,"environment":"moon"`)},
			`spec.environment: set shop has no environment "moon", expected one of production`},
		"a variant that goes": {[]resource.Resource{set(good), ask("shop/button", "")},
			[]resource.Resource{set(`{"flags":{"button":{"state":"ENABLED","variants":{"yes":true,"off":false},"defaultVariant":"off"}}}`)},
			`spec.variants[1].variant: flag shop/button has no variant "on", expected one of off, yes`},
		"a flag that goes": {[]resource.Resource{set(good), ask("shop/button", "")}, []resource.Resource{set(`{"flags":{}}`)},
			`spec.flag: there is no flag "button" in set shop, expected a flag of the set`},
		"another set": {[]resource.Resource{set(good), ask("shop/button", "")}, []resource.Resource{make1(resource.KindFlagSet, "other", `{"flags":{}}`)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c1, _ := newCatalog()
			if c.there != nil {
				apply(t, c1, c.there...)
			}
			_, err := c1.Apply(t.Context(), "user:ann", t0, c.set, false)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "experiment/x: "+c.want) {
				t.Errorf("got %v, expected %s", err, c.want)
			}
		})
	}
}
