package flag

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/fleet"
)

// ownRules are rules of flags, among them all that read the flag's key or give something else than a text.
var ownRules = []string{
	``, `{}`,
	`{"if": [{"==": [{"var": "plan"}, "beta"]}, "on"]}`,
	`{"if": [{"==": [{"var": "plan"}, "beta"]}, "on", "off"]}`,
	`{"fractional": [["on", 30], ["off", 70]]}`,
	`{"fractional": [{"var": "email"}, ["on", 30], ["off", 70]]}`,
	`{"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["on", 30], ["off", 70]]}`,
	`{"if": [{"==": [{"var": "$flagd.flagKey"}, "b"]}, "on", "true"]}`,
	`{"$ref": "key"}`,
	`{"if": [{"$ref": "beta"}, {"$ref": "share"}]}`,
	`{"==": [{"var": "plan"}, "beta"]}`,
	`{"var": "wish"}`,
	`{"+": [{"if": [{"==": [{"var": "plan"}, "beta"]}, 6, 5]}, 1]}`,
	`{"if": [{"some": [{"var": "tags"}, {"==": [{"var": ""}, "x"]}]}, "on", {"var": ["$flagd.flagKey", "on"]}]}`,
}

const ownEvaluators = `{"beta": {"==": [{"var": "plan"}, "beta"]}, "share": {"fractional": [["on", 1], ["off", 1]]}, "key": {"if": [{"in": [{"var": "$flagd.flagKey"}, "ac"]}, "on", "off"]}}`

var ownVariants = []string{"on", "off", "true", "false", "7"}

// drawDocument draws flags a, b and c, of which each may need those before it.
func drawDocument(t *rapid.T) *Document {
	bucketing := rapid.SampledFrom([]exposure.Bucketing{exposure.V2, exposure.V2, exposure.V3}).Draw(t, "bucketing")
	rules := slices.DeleteFunc(slices.Clone(ownRules), func(rule string) bool { // of V3, those that name no key cannot be needed
		return bucketing == exposure.V3 && (strings.Contains(rule, `{"fractional": [[`) || strings.Contains(rule, "share"))
	})
	flags := map[string]any{}
	var before []string
	for _, key := range []string{"a", "b", "c"} {
		f := map[string]any{"variants": map[string]int{"on": 1, "off": 2, "true": 3, "false": 4, "7": 5}}
		f["state"] = rapid.SampledFrom([]string{"ENABLED", "ENABLED", "ENABLED", "DISABLED"}).Draw(t, "state")
		if v := rapid.SampledFrom([]string{"", "on", "off", "off"}).Draw(t, "default"); v != "" {
			f["defaultVariant"] = v
		}
		if rule := rapid.SampledFrom(rules).Draw(t, "rule"); rule != "" {
			f["targeting"] = json.RawMessage(rule)
		}
		if rapid.Bool().Draw(t, "scheduled") {
			f["schedule"] = []Window{{From: time.Unix(100, 0).UTC(), Until: time.Unix(200, 0).UTC(), Variant: "true"}, {From: time.Unix(150, 0).UTC(), Variant: "7"}}
		}
		f["preview"] = Preview{Title: "a title", Variant: "on"}
		var needs []Prerequisite
		for _, other := range before {
			if rapid.Bool().Draw(t, "needs") {
				some := rapid.SliceOfNDistinct(rapid.SampledFrom(ownVariants), 1, 3, rapid.ID[string]).Draw(t, "variants")
				needs = append(needs, Prerequisite{Flag: other, Variants: some})
			}
		}
		if needs != nil {
			f["prerequisites"] = needs
		}
		flags[key], before = f, append(before, key)
	}
	raw, err := json.Marshal(map[string]any{"bucketing": bucketing, "flags": flags, "$evaluators": json.RawMessage(ownEvaluators)})
	if err != nil {
		t.Fatal(err)
	}
	d, problems := ParseDocument(raw)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, raw)
	}
	return d
}

var someKeys = rapid.SampledFrom([]string{"", "carol", "dave", "erin", "5c3d8535", "ä", "u1", "u2", "u3", "u4", "u5"})

func drawUser(t *rapid.T) *exposure.Context {
	attributes := map[string]any{}
	for name, values := range map[string][]any{"plan": {"beta", "free", nil}, "email": {"a@example.com", "b@example.com", "", nil}, "wish": {"on", true, 7.0, "gone", nil},
		"tags": {[]any{"x", "y"}, nil}} {
		if v := rapid.SampledFrom(values).Draw(t, name); v != nil {
			attributes[name] = v
		}
	}
	return &exposure.Context{TargetingKey: someKeys.Draw(t, "key"), Attributes: attributes, Timestamp: rapid.Int64Range(90, 210).Draw(t, "now")}
}

func drawRings(t *rapid.T) []fleet.Ring {
	rings := []fleet.Ring{}
	percent := 0.0
	for i := range rapid.IntRange(0, 3).Draw(t, "rings") {
		r := fleet.Ring{Name: fmt.Sprint("ring", i)}
		switch rapid.IntRange(0, 3).Draw(t, "audience") {
		case 0:
			r.Audience = json.RawMessage(`{"==": [{"var": "plan"}, "beta"]}`)
		case 1:
			r.Audience = json.RawMessage(`{"or": [{"in": [{"var": "targetingKey"}, ["carol", "dave"]]}, {"and": [{"var": "targetingKey"}, {"fractional": [{"cat": ["s", {"var": "targetingKey"}]}, [true, 40000000], [false, 60000000]]}]}]}`)
		case 2:
			r.Units = []string{"there"}
			r.Audience = json.RawMessage(`true`)
		default:
			percent += rapid.Float64Range(1, 33).Draw(t, "percent")
			r.Percent = percent
		}
		rings = append(rings, r)
	}
	return append(rings, fleet.Ring{Name: "all"})
}

func drawExposure(t *rapid.T) Exposure {
	e := Exposure{Salt: "s", Rings: drawRings(t)}
	for range e.Rings {
		e.Variants = append(e.Variants, rapid.SampledFrom([]string{"", "on", "on", "off"}).Draw(t, "variant"))
	}
	if rapid.Bool().Draw(t, "trial") {
		e.Trial = &Trial{Ring: rapid.IntRange(0, len(e.Rings)-1).Draw(t, "ring"), Variant: "true", Control: rapid.Float64Range(0, 90).Draw(t, "control"), Salt: "trial"}
	}
	return e
}

func drawLive(t *rapid.T) Live {
	l := Live{Exposures: map[string]Exposure{}, Choices: map[string]Choices{}, Experiments: map[string]Assignment{}}
	for _, key := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(t, "exposed") {
			l.Exposures[key] = drawExposure(t)
		}
		if rapid.Bool().Draw(t, "chosen") {
			l.Choices[key] = Choices{In: rapid.SliceOfN(someKeys, 0, 2).Draw(t, "in"), Out: rapid.SliceOfN(someKeys, 0, 2).Draw(t, "out")}
		}
		if rapid.Bool().Draw(t, "experiment") {
			l.Experiments[key] = Assignment{Experiment: "x", Salt: "x" + key, Share: rapid.Float64Range(1, 100).Draw(t, "share"),
				Audience: json.RawMessage(`{"!": {"==": [{"var": "plan"}, "free"]}}`), Group: &Slice{Salt: "group", From: 0, To: 70},
				Holdouts: []Holdout{{Salt: "held", Percent: 20}}, Variants: []Weight{{"on", 1}, {"7", 2}}}
		}
	}
	return l
}

// expected is what Lower's documentation says, flag by flag. It gives the variant, "" for the caller's default, or false for
// an error.
func expected(t *rapid.T, d *Document, live Live, key string, ctx *exposure.Context) (string, bool) {
	f := d.Flags[key]
	if !f.Enabled {
		return "", true
	}
	for _, p := range f.Prerequisites {
		if v, ok := expected(t, d, live, p.Flag, ctx); !ok || v == "" || !slices.Contains(p.Variants, v) {
			return f.Default, true
		}
	}
	if c := live.Choices[key]; ctx.TargetingKey != "" {
		switch {
		case slices.Contains(c.In, ctx.TargetingKey):
			return "on", true
		case slices.Contains(c.Out, ctx.TargetingKey):
			return f.Default, true
		}
	}
	if e, ok := live.Exposures[key]; ok {
		e.Rings = fleet.RingsIn(e.Rings, live.Unit)
		sides, err := e.Compile()
		if err != nil {
			t.Fatal(err)
		}
		ring, side := sides.Of(ctx)
		switch {
		case side == Treatment:
			return e.Trial.Variant, true
		case e.Variants[ring] != "":
			return e.Variants[ring], true
		}
	}
	if a, ok := live.Experiments[key]; ok {
		p, err := a.Compile(key, d.Bucketing)
		if err != nil {
			t.Fatal(err)
		}
		if v, in := p.Of(ctx); in {
			return v, true
		}
	}
	for _, w := range f.Schedule {
		if ctx.Timestamp >= w.From.Unix() && (w.Until.IsZero() || ctx.Timestamp < w.Until.Unix()) {
			return w.Variant, true
		}
	}
	r := f.Evaluate(ctx)
	return r.Variant, r.Code == ""
}

// The lowered set gives what was said of the document, the rings among it being those of exposure.Rings.
func TestLoweredIsMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, live := drawDocument(t), drawLive(t)
		if d.Bucketing == exposure.V3 { // which rings do not have
			clear(live.Exposures)
		}
		raw, problems := Lower(d, "", live)
		set, more := Parse(raw)
		if len(problems)+len(more) > 0 {
			t.Fatalf("%v %v\n%s", problems, more, raw)
		}
		for range 10 {
			ctx := drawUser(t)
			for _, key := range d.Keys() {
				want, ok := expected(t, d, live, key, ctx)
				if got := set.Evaluate(key, ctx); got.Variant != want || (got.Code == "") != ok {
					t.Fatalf("%s of %+v: %+v, want %q %v\n%s", key, ctx, got, want, ok, raw)
				}
			}
		}
	})
}

// Without anything live and without what flagd has no words for, a flag comes out as it went in.
func TestLoweringNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDocument(t)
		for _, f := range d.Flags {
			f.Prerequisites, f.Schedule = nil, nil
		}
		raw, _ := Lower(d, "production", Live{Choices: map[string]Choices{"a": {}}})
		again, problems := ParseDocument(raw)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		for key, f := range d.Flags {
			got, _ := json.Marshal(again.Flags[key].targeting)
			want, _ := json.Marshal(f.targeting)
			if string(got) != string(want) || again.Flags[key].Default != f.Default || again.Flags[key].Enabled != f.Enabled {
				t.Fatalf("%s: %s, want %s", key, got, want)
			}
		}
	})
}

// Whoever has the variant keeps it through the whole ramp: while the control share of a ring in trial shrinks, when it is
// released, and when the next ring is tried.
func TestRampsNest(t *testing.T) {
	d := documented(t, `{"flags": {"a": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"==": [{"var": "plan"}, "free"]}, "on"]}}}}`)
	rapid.Check(t, func(t *rapid.T) {
		rings := drawRings(t)
		var steps []*Set
		done := make([]string, len(rings))
		step := func(trial *Trial) {
			e := Exposure{Salt: "s", Rings: rings, Variants: slices.Clone(done), Trial: trial}
			raw, problems := Lower(d, "", Live{Unit: "there", Exposures: map[string]Exposure{"a": e}})
			s, more := Parse(raw)
			if len(problems)+len(more) > 0 {
				t.Fatal(problems, more)
			}
			steps = append(steps, s)
		}
		for i := range rings {
			for _, control := range []float64{90, 50, 12.5, 0} {
				step(&Trial{Ring: i, Variant: "on", Control: control, Salt: "t"})
			}
			done[i] = "on"
			step(nil)
		}
		for range 20 {
			ctx := drawUser(t)
			had := false
			for i, s := range steps {
				has := s.Evaluate("a", ctx).Variant == "on"
				if had && !has {
					t.Fatalf("%+v loses the variant in step %d of %d", ctx, i, len(steps))
				}
				had = has
			}
			if !had {
				t.Fatalf("%+v is left out at the end", ctx)
			}
		}
	})
}

// The sides of a trial are alike: which side one is on has nothing to do with the ring's own bucket, with another trial's
// side, or with an experiment's variant.
func TestSidesAreAlike(t *testing.T) {
	rings := []fleet.Ring{{Name: "early", Percent: 20}, {Name: "all"}}
	compile := func(ring int, salt string) *Sides {
		s, err := Exposure{Salt: "plan", Rings: rings, Trial: &Trial{Ring: ring, Variant: "on", Control: 40, Salt: salt}}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, other := compile(0, "ramp-1"), compile(1, "ramp-1"), compile(0, "ramp-2")
	p, err := Assignment{Salt: "x", Share: 50, Variants: []Weight{{"on", 1}, {"off", 1}}}.Compile("f", exposure.V2)
	if err != nil {
		t.Fatal(err)
	}
	const users = 100_000
	var inner, outer, innerTreated, outerTreated, both, part, partTreated, partOn float64
	for i := range users {
		ctx := &exposure.Context{TargetingKey: fmt.Sprintf("user-%d", i)}
		ring, side := a.Of(ctx)
		variant, in := p.Of(ctx)
		if ring == 0 {
			inner++
			_, second := other.Of(ctx)
			innerTreated += one(side == Treatment)
			both += one(side == Treatment && second == Treatment)
			part += one(in)
			partTreated += one(in && side == Treatment)
			partOn += one(in && variant == "on")
			continue
		}
		outer++
		_, side = b.Of(ctx)
		outerTreated += one(side == Treatment)
	}
	for _, c := range []struct {
		what         string
		part, of, as float64
	}{
		{"in the ring", inner, users, 0.2},
		{"treated within", innerTreated, inner, 0.6},
		{"treated without", outerTreated, outer, 0.6},
		{"treated by both ramps", both, inner, 0.36},
		{"in the experiment", part, inner, 0.5},
		{"treated of the experiment's", partTreated, part, 0.6},
		{"on of the experiment's", partOn, part, 0.5},
	} {
		if sigma := math.Sqrt(c.as * (1 - c.as) / c.of); math.Abs(c.part/c.of-c.as) > 5*sigma {
			t.Errorf("%s: %.4f, want %.2f within %.4f", c.what, c.part/c.of, c.as, 5*sigma)
		}
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestSidesAllocateNothing(t *testing.T) {
	s, err := Exposure{Salt: "plan", Rings: []fleet.Ring{{Name: "early", Percent: 20}, {Name: "all"}}, Trial: &Trial{Ring: 0, Variant: "on", Control: 40, Salt: "ramp"}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	keys := make([]exposure.Context, 100)
	for i := range keys {
		keys[i].TargetingKey = fmt.Sprint("user-", i)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Of(&keys[i%100]); i++ }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
