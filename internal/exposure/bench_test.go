package exposure

import (
	"encoding/json"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
)

// A plan of four rings: a rule of three conditions, two percentages, everyone.
var fourRings = []fleet.Ring{
	{Name: "canary", Audience: json.RawMessage(`{"and": [
		{"==": [{"var": "plan"}, "beta"]},
		{"ends_with": [{"var": "email"}, "@example.com"]},
		{"in": [{"var": "country"}, ["de", "fr", "nl"]]}]}`)},
	{Name: "early", Percent: 5},
	{Name: "broad", Percent: 50},
	{Name: "all"},
}

// aside keeps the compiler from leaving out what is measured.
var aside int

func benchmarkLookup(b *testing.B, rings []fleet.Ring, ctx *Context) {
	r, err := Compile("shop-4711", rings)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		aside += r.Lookup(ctx)
	}
}

func BenchmarkLookup(b *testing.B) {
	attributes := map[string]any{"plan": "beta", "email": "carol@example.com", "country": "se", "tier": "gold"}
	for name, key := range map[string]string{"uuid": "5c3d8535-f81a-4478-a6d3-afaa4d51199e", "short": "carol"} {
		b.Run("4rings-3conditions/"+name, func(b *testing.B) {
			benchmarkLookup(b, fourRings, &Context{TargetingKey: key, Attributes: attributes})
		})
	}
	b.Run("static", func(b *testing.B) {
		benchmarkLookup(b, fourRings[3:], &Context{TargetingKey: "carol", Attributes: attributes})
	})
	b.Run("percent", func(b *testing.B) {
		benchmarkLookup(b, fourRings[1:], &Context{TargetingKey: "carol", Attributes: attributes})
	})
	b.Run("rule", func(b *testing.B) {
		inside := &Context{TargetingKey: "carol", Attributes: map[string]any{"plan": "beta", "email": "carol@example.com", "country": "de"}}
		benchmarkLookup(b, fourRings, inside)
	})
}

func BenchmarkRule(b *testing.B) {
	ctx := &Context{TargetingKey: "carol", FlagKey: "checkout", Attributes: map[string]any{
		"plan": "beta", "version": "2.4.1", "age": 41.0, "user": map[string]any{"name": "carol"}}}
	for name, raw := range map[string]string{
		"static":     `"on"`,
		"sem_ver":    `{"if": [{"sem_ver": [{"var": "version"}, ">=", "2.4.0"]}, "on", "off"]}`,
		"between":    `{"<": [18, {"var": "age"}, 65]}`,
		"fractional": `{"fractional": [["on", 25], ["off", 75]]}`,
		"cat":        `{"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]}, ["on", 25], ["off", 75]]}`,
	} {
		r, err := CompileRule(json.RawMessage(raw), Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				aside += int(r.Eval(ctx).Kind())
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile("shop-4711", fourRings); err != nil {
			b.Fatal(err)
		}
	}
}
