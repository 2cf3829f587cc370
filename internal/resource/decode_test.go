package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

const (
	goodService = `{"plan":"standard","run":{"command":["{artifact}","--listen","{address}"]},"route":{"host":"shop.localhost"}}`
	goodPlan    = `{"rings":[{"name":"canary","audience":{"users":["ann"]},"bake":"30m"},{"name":"early","audience":{"percent":5}},{"name":"all"}]}`
	zeros       = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	goodRelease = `{"service":"shop","version":"v1","digest":"` + zeros + `","size":1,"created":"2026-01-01T00:00:00Z","by":"ann"}`
)

func envelopeOf(kind, name, spec string) []byte {
	return []byte(`{"apiVersion":"ringfence.dev/v1","kind":"` + kind + `","metadata":{"name":"` + name + `"},"spec":` + spec + `}`)
}

// badRule stands for package exposure, which this one cannot import.
func badRule(raw json.RawMessage) error {
	if strings.Contains(string(raw), "bad") {
		return errors.New("unknown operator bad")
	}
	return nil
}

func TestGoodResources(t *testing.T) {
	for name, raw := range map[string][]byte{
		"service": envelopeOf(KindService, "shop", goodService),
		"service with everything": envelopeOf(KindService, "shop", `{"owner":"team-shop","plan":"p","unit":"local","drain":"1m","stopGrace":"5s",
			"run":{"command":["java","-jar","{artifact}"],"env":{"LOG":"{level}","JSON":"{\"a\":1}"},"dir":"/srv/shop","instances":3},
			"ready":{"http":"/readyz?full=1","interval":"2s","timeout":"500ms","within":"2m"},
			"route":{"host":"*.example.com","path":"/shop","stripPath":true,"targetingKey":{"header":"X-User-ID","cookie":"uid","query":"u","jwt":"https://x/claim"},
				"attributes":{"plan":{"jwt":"plan"}},"protocol":"h2c","timeout":"5s","maxBodyBytes":-1,"streamTimeout":"1h"}}`),
		"told by PORT": envelopeOf(KindService, "shop", `{"plan":"p","run":{"command":["{artifact}"]},"route":{}}`),
		"plan":         envelopeOf(KindRingPlan, "standard", goodPlan),
		"one ring":     envelopeOf(KindRingPlan, "hotfix", `{"rings":[{"name":"all"}]}`),
		"gates":        envelopeOf(KindRingPlan, "p", `{"rings":[{"name":"all"}],"gates":[{"signal":"errors","compare":"none"},{"signal":"latency","over":"300ms"},{"signal":"latency","over":"1s","maxShare":0.01,"compare":"none"}]}`),
		"segment":      envelopeOf(KindSegment, "employees", `{"audience":{"any":[{"users":["ann"]},{"rule":{"ends_with":[{"var":"email"},"@x.org"]}},{"segment":"others"},{"percent":0.5}]}}`),
		"release":      envelopeOf(KindRelease, "shop/v1", goodRelease),
		"longest name": envelopeOf(KindSegment, strings.Repeat("a", 63), `{"audience":{"percent":100}}`),
	} {
		if _, ps := Decode(raw, badRule); len(ps) > 0 {
			t.Errorf("%s: %v", name, ps)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	_, ps := Decode(envelopeOf(KindSegment, "s", `{"audience":{"users":[1`+strings.Repeat(",1", 5000)+`]}}`), nil)
	if len(ps) != maxProblems {
		t.Errorf("%d problems, expected %d", len(ps), maxProblems)
	}
	var many strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&many, `"instan%d":1,`, i)
	}
	if _, ps := Decode(envelopeOf(KindService, "s", `{`+many.String()+`"plan":"p"}`), nil); len(ps) != maxProblems {
		t.Errorf("%d problems, expected %d", len(ps), maxProblems)
	}
	if _, ps := Decode(append([]byte(`"`), make([]byte, MaxBytes)...), nil); len(ps) != 1 || !strings.Contains(ps[0].Msg, "at most 1048576") {
		t.Errorf("too large: %v", ps)
	}
}

func TestCanonicalFormIsStable(t *testing.T) {
	a := envelopeOf(KindRingPlan, "p", `{"gates":[],"rings":[{"bake":"90m","audience":{"rule":{"and":[{"b":1,"a":[2.50]}]}},"name":"x"},{"name":"all"}]}`)
	b := envelopeOf(KindRingPlan, "p", `{"rings":[{"name":"x","audience":{"rule":{"and":[{"a":[2.50],"b":1}]}},"bake":"1h30m0s"},{"name":"all"}]}`)
	ra, pa := Decode(a, nil)
	rb, pb := Decode(b, nil)
	if len(pa)+len(pb) > 0 {
		t.Fatal(pa, pb)
	}
	want := `{"rings":[{"name":"x","audience":{"rule":{"and":[{"a":[2.50],"b":1}]}},"bake":"1h30m"},{"name":"all"}]}`
	if d := cmp.Diff([]string{want, want}, []string{string(ra.Spec), string(rb.Spec)}); d != "" {
		t.Error(d)
	}
	if again, ps := Validate(ra, nil); len(ps) > 0 || cmp.Diff(ra, again) != "" {
		t.Errorf("canonical form changes: %s %v", again.Spec, ps)
	}
}

func TestDefaultsLeaveTheOriginalAlone(t *testing.T) {
	plan := RingPlan{Rings: []Ring{{Name: "a", Bake: fleet.Dur(48 * time.Hour)}, {Name: "b"}}, Gates: []Gate{{Signal: "latency", Over: 1}}}
	full := plan.Defaults()
	if full.Rings[1].Bake != fleet.Dur(48*time.Hour) {
		t.Errorf("the bake of the ring before is not kept: %s", full.Rings[1].Bake)
	}
	if g := full.Gates[0]; g.MaxShare != 1 || g.Compare != "stable" {
		t.Errorf("gate %+v", g)
	}
	if plan.Rings[1].Bake != 0 || plan.Gates[0].Alpha != 0 {
		t.Error("the plan itself was changed")
	}
	if one := (RingPlan{Rings: []Ring{{Name: "a", Bake: fleet.Dur(time.Second)}, {Name: "b"}}}).Defaults(); one.Rings[1].Bake != fleet.Dur(DefaultBake) {
		t.Errorf("default bake %s", one.Rings[1].Bake)
	}
}

func TestAs(t *testing.T) {
	r, _ := Decode(envelopeOf(KindService, "shop", goodService), nil)
	if s, err := As[Service](r); err != nil || s.Plan != "standard" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := As[RingPlan](r); !errs.Is(err, errs.Invalid) {
		t.Errorf("a service as a plan: %v", err)
	}
}

func TestKindNamed(t *testing.T) {
	for word, want := range map[string]string{"service": "Service", "Services": "Service", "ring-plans": "RingPlan", "plan": "RingPlan", "release": "Release", "RingPlan": "RingPlan"} {
		if got, err := KindNamed(word); got != want || err != nil {
			t.Errorf("%s: %s, %v", word, got, err)
		}
	}
	if _, err := KindNamed("pod"); !errs.Is(err, errs.Invalid) {
		t.Errorf("pod: %v", err)
	}
}

func TestChanges(t *testing.T) {
	a, _ := Decode(envelopeOf(KindRingPlan, "p", goodPlan), nil)
	b, _ := Decode(envelopeOf(KindRingPlan, "p", strings.Replace(strings.Replace(goodPlan, `"bake":"30m"`, `"bake":"1h"`, 1), `"percent":5`, `"segment":"x"`, 1)), nil)
	want := []Change{
		{Path: "spec.rings[0].bake", Old: json.RawMessage(`"30m"`), New: json.RawMessage(`"1h"`)},
		{Path: "spec.rings[1].audience.percent", Old: json.RawMessage(`5`)},
		{Path: "spec.rings[1].audience.segment", New: json.RawMessage(`"x"`)},
	}
	if d := cmp.Diff(want, Changes(&a, &b)); d != "" {
		t.Error(d)
	}
	if c := Changes(&a, &a); len(c) != 0 {
		t.Errorf("no change: %v", c)
	}
	if c := Changes(nil, &a); len(c) != 1 || c[0].Path != "" || c[0].Old != nil {
		t.Errorf("created: %v", c)
	}
}

// Text and the number that is written the same are different.
func TestChangesTellTypesApart(t *testing.T) {
	a, _ := Decode(envelopeOf(KindSegment, "s", `{"audience":{"rule":{"==":[{"var":"n"},1]}}}`), nil)
	b, _ := Decode(envelopeOf(KindSegment, "s", `{"audience":{"rule":{"==":[{"var":"n"},"1"]}}}`), nil)
	if len(Changes(&a, &b)) != 1 {
		t.Error("1 and \"1\" are taken for the same")
	}
}
