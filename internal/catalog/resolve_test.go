package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

func TestResolve(t *testing.T) {
	c, _ := newCatalog()
	apply(t, c, shop()...)
	got, err := c.Resolve(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "shop" || got.Salt != "standard" || got.Plan != "standard" || len(got.Exposure) != 3 || got.Exposure[1].Percent != 5 || got.Exposure[2].Audience != nil {
		t.Errorf("%+v", got)
	}
	var bakes []time.Duration
	for _, r := range got.Rings {
		bakes = append(bakes, time.Duration(r.Bake))
	}
	if d := cmp.Diff([]time.Duration{30 * time.Minute, 24 * time.Hour, 24 * time.Hour}, bakes); d != "" {
		t.Error(d)
	}
	want := []resource.Gate{{Name: "errors", When: "during", NoData: "hold", OnFail: "rollback", Signal: "errors", Compare: "stable", MaxRatio: 1, MaxShare: 0.05, Alpha: 0.01, MinRequests: 500}}
	if d := cmp.Diff(want, got.Gates); d != "" {
		t.Error(d)
	}
	if s := got.Service; s.Run.Instances != 1 || s.Drain != fleet.Dur(30*time.Second) || s.Unit != "local" || !s.Ready.TCP {
		t.Errorf("defaults: %+v", s)
	}
	rings, err := exposure.Compile(got.Salt, got.Exposure)
	if err != nil {
		t.Fatal(err)
	}
	if i := rings.Lookup(&exposure.Context{TargetingKey: "bob"}); i != 0 {
		t.Errorf("bob is an employee, but in ring %d", i)
	}
	for _, name := range []string{"cart", ""} {
		if _, err := c.Resolve(t.Context(), name); !errs.Is(err, errs.Missing) {
			t.Errorf("service %q: %v", name, err)
		}
	}
}

// Each segment is right, but together they are more than a data plane takes.
func TestAPlanThatIsTooLargeWithItsSegmentsIsRefused(t *testing.T) {
	c, m := newCatalog()
	var set []resource.Resource
	var refs []string
	for i := range 3 {
		users := make([]string, 9000)
		for j := range users {
			users[j] = fmt.Sprintf(`"user-%d-%d"`, i, j)
		}
		set = append(set, segment(fmt.Sprintf("s%d", i), `{"audience":{"users":[`+strings.Join(users, ",")+`]}}`))
		refs = append(refs, fmt.Sprintf(`{"segment":"s%d"}`, i))
	}
	set = append(set, make1("RingPlan", "big", `{"rings":[{"name":"some","audience":{"any":[`+strings.Join(refs, ",")+`]}},{"name":"all"}]}`))
	_, err := c.Apply(t.Context(), "user:ann", t0, set, false)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "ringplan/big: spec.rings[0].audience") || m.commits != 0 {
		t.Errorf("%v", err)
	}
}
