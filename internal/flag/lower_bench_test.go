package flag

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
)

// A set of a thousand flags of which ten are on their way out.
func BenchmarkLower(b *testing.B) {
	flags, live := map[string]any{}, Live{Exposures: map[string]Exposure{}}
	for i := range 1000 {
		key := fmt.Sprint("flag-", i)
		f := map[string]any{"state": "ENABLED", "variants": map[string]bool{"on": true, "off": false}, "defaultVariant": "off",
			"targeting": json.RawMessage(`{"if": [{"==": [{"var": "plan"}, "beta"]}, "on", {"fractional": [["on", 10], ["off", 90]]}]}`)}
		if i%100 == 7 {
			f["prerequisites"] = []Prerequisite{{Flag: fmt.Sprint("flag-", i-1), Variants: []string{"on"}}}
			live.Exposures[key] = Exposure{Rollout: "r", Salt: "s", Variants: []string{"on", "", ""}, Trial: &Trial{Ring: 1, Variant: "on", Control: 50, Salt: "t"},
				Rings: []fleet.Ring{{Name: "a", Percent: 1}, {Name: "b", Percent: 10}, {Name: "all"}}}
		}
		flags[key] = f
	}
	raw, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		b.Fatal(err)
	}
	d, problems := ParseDocument(raw)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	b.Run("document", func(b *testing.B) {
		for b.Loop() {
			ParseDocument(raw)
		}
	})
	b.Run("lower", func(b *testing.B) {
		for b.Loop() {
			Lower(d, "", live)
		}
	})
	b.Run("parse", func(b *testing.B) {
		plain, _ := Lower(d, "", live)
		for b.Loop() {
			Parse(plain)
		}
	})
}
