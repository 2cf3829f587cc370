package flag

import (
	"testing"

	"github.com/ringfence/ringfence/internal/exposure"
)

const measured = `{"metadata": {"flagSetId": "shop"}, "flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
  "conditions": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"and": [
     {"==": [{"var": "plan"}, "beta"]}, {"ends_with": [{"var": "email"}, "@example.com"]}, {"in": [{"var": "country"}, ["de", "fr", "nl"]]}]}, "on", "off"]}},
  "percent": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 25], ["off", 75]]}},
  "seeded": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting":
     {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["on", 25], ["off", 75]]}},
  "version": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"sem_ver": [{"var": "version"}, ">=", "2.4.0"]}, "on"]}}}}`

var someone = &exposure.Context{TargetingKey: "5c3d8535-f81a-4478-a6d3-afaa4d51199e", Timestamp: 1_800_000_000,
	Attributes: map[string]any{"plan": "beta", "email": "carol@example.com", "country": "nl", "version": "2.10.0", "tier": "gold"}}

func BenchmarkEvaluate(b *testing.B) {
	set := parsed(b, measured)
	for _, key := range []string{"static", "conditions", "percent", "seeded", "version", "none"} {
		b.Run(key, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if r := set.Evaluate(key, someone); r.HasValue() {
					n++
				}
			}
			if n == 0 && key != "none" {
				b.Error("there was no value")
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parsed(b, measured)
	}
}

// The usual ways of evaluation allocate nothing.
func TestNoAllocation(t *testing.T) {
	set := parsed(t, measured)
	for _, key := range []string{"static", "conditions", "percent", "seeded", "version"} {
		if n := testing.AllocsPerRun(100, func() { set.Evaluate(key, someone) }); n != 0 {
			t.Errorf("%s: %v allocations", key, n)
		}
	}
}
