package catalog

import (
	"context"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

const (
	twoRings = `{"rings":[{"name":"some","audience":{"percent":10}},{"name":"all"}]}`
	exposed  = `{"flags":{"new":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","exposure":{"plan":"quick","variant":"on","ring":"some"}}}}`
)

// The ring that a flag is to reach is one of its plan's, whichever of the two is applied last: else nothing of it could be decided,
// not even that it is taken back.
func TestARingToReachIsThere(t *testing.T) {
	plan := func(spec string) resource.Resource { return make1(resource.KindRingPlan, "quick", spec) }
	set := func(spec string) resource.Resource { return make1(resource.KindFlagSet, "shop", spec) }
	for name, last := range map[string]resource.Resource{
		"the plan":          plan(`{"rings":[{"name":"few","audience":{"percent":10}},{"name":"all"}]}`),
		"the set":           set(strings.Replace(exposed, `"some"`, `"few"`, 1)),
		"in an environment": set(strings.Replace(exposed, `"exposure"`, `"environments":{"staging":{"exposure":{"plan":"quick","variant":"on","ring":"few"}}},"exposure"`, 1)),
	} {
		c, _ := newCatalog()
		apply(t, c, plan(twoRings), set(exposed))
		_, err := c.Apply(t.Context(), "user:ann", t0, []resource.Resource{last}, false)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "plan quick has no ring") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A freeze that concerns a service, by its name or its labels, concerns the flags that its requests judge.
func TestFreezesOfAServiceConcernItsFlags(t *testing.T) {
	c, _ := newCatalog()
	shop := service("shop", "quick")
	shop.Metadata.Labels = map[string]string{"tier": "1"}
	set := make1(resource.KindFlagSet, "shop", strings.Replace(exposed, `{"flags"`, `{"service":"shop","flags"`, 1))
	set.Metadata.Labels = map[string]string{"team": "a"}
	freeze := func(name, of string) resource.Resource {
		return make1(resource.KindFreeze, name, `{"reason":"r","when":{"start":"2026-01-01T00:00","end":"2026-01-02T00:00"},`+of+`}`)
	}
	apply(t, c, make1(resource.KindRingPlan, "quick", twoRings), shop, set,
		freeze("by-name", `"services":["shop"]`), freeze("by-label", `"labels":{"tier":"1"}`), freeze("by-set", `"labels":{"team":"a"}`), freeze("of-others", `"labels":{"tier":"2"}`))
	r, err := c.Resolve(t.Context(), "flag:shop:new")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.Freezes {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "by-label by-name by-set" {
		t.Errorf("frozen by %s", got)
	}
}

// A variant that users have by a rollout, or are to have by one in flight, is not taken out of the flag.
func TestAVariantThatIsShownStays(t *testing.T) {
	const more = `{"flags":{"new":{"state":"ENABLED","variants":{"on":true,"off":false,"spare":true},"defaultVariant":"off","exposure":{"plan":"quick","variant":"on"}}}}`
	without := func(name, instead string) resource.Resource {
		return make1(resource.KindFlagSet, "shop", strings.Replace(strings.Replace(more, `"`+name+`":true`, `"`+instead+`":true`, 1), `"variant":"`+name+`"`, `"variant":"`+instead+`"`, 1))
	}
	for _, x := range []struct {
		what, shown, inFlight string
		set                   resource.Resource
		refused               bool
	}{
		{"nothing is shown", "", "", without("on", "yes"), false},
		{"it is shown", "on", "", without("on", "yes"), true},
		{"another is shown", "on", "", without("spare", "other"), false},
		{"a rollout is in flight", "", "flag:shop:new-1", without("on", "yes"), true},
	} {
		c, _ := newCatalog()
		c.Shown = func(context.Context, string) (string, string, error) { return x.shown, x.inFlight, nil }
		apply(t, c, make1(resource.KindRingPlan, "quick", twoRings), make1(resource.KindFlagSet, "shop", more))
		if _, err := c.Apply(t.Context(), "user:ann", t0, []resource.Resource{x.set}, false); errs.Is(err, errs.Conflict) != x.refused {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}
