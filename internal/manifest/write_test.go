package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// anyText is what people and machines put into fields: also what YAML takes for something else.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"yes", "no", "on", "~", "null", "true", "1", "1.0", "0x10", "1e3", ".inf", "2026-01-01", "12:30:45", "<<", "- a", "a: b", "#x", " x", "x ",
			"a\nb", "a\n", "\n", "a\n\nb\n", "\ta", "a\tb", "a\r\nb", "\u2028", "\u0085", "\ufeff", "'", "\"", "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "?", ":", "-", "", "é", "😀", "\x7f", "\x1b"}),
		rapid.StringN(0, 30, 100).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) }),
	)
}

func anyName() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?`)
}

func anyDur(t *rapid.T, label string) fleet.Dur {
	return fleet.Dur(rapid.Int64Range(1, int64(20*time.Hour)).Draw(t, label))
}

func anyAudience(t *rapid.T, depth int) resource.Audience {
	switch form := rapid.IntRange(0, 4).Draw(t, "form"); {
	case form == 0:
		return resource.Audience{Segment: anyName().Draw(t, "segment")}
	case form == 1:
		v := rapid.Float64Range(0.001, 99).Draw(t, "percent")
		return resource.Audience{Percent: &v}
	case form == 2:
		raw, err := json.Marshal(map[string]any{"==": []any{map[string]string{"var": "x"}, anyText().Draw(t, "operand")}})
		if err != nil {
			t.Fatal(err)
		}
		return resource.Audience{Rule: raw}
	case form == 3 && depth < 3:
		var a resource.Audience
		for range rapid.IntRange(1, 3).Draw(t, "any") {
			a.Any = append(a.Any, anyAudience(t, depth+1))
		}
		return a
	}
	return resource.Audience{Users: rapid.SliceOfNDistinct(anyText().Filter(func(s string) bool { return s != "" }), 1, 12, rapid.ID).Draw(t, "users")}
}

func anyResource(t *rapid.T) resource.Resource {
	var r resource.Resource
	var err error
	name := anyName().Draw(t, "name")
	switch rapid.SampledFrom(resource.Kinds).Draw(t, "kind") {
	case resource.KindSegment:
		r, err = resource.New(name, resource.Segment{Audience: anyAudience(t, 0)})
	case resource.KindService:
		r, err = resource.New(name, resource.Service{Plan: anyName().Draw(t, "plan"), Owner: anyText().Draw(t, "owner"), Drain: anyDur(t, "drain"),
			Run: resource.Run{
				Command:   append([]string{"{artifact}", "{port}"}, rapid.SliceOfN(anyText(), 0, 10).Draw(t, "arguments")...),
				Env:       rapid.MapOfN(rapid.StringMatching(`[A-Z_]{1,5}`), anyText(), 0, 3).Draw(t, "env"),
				Instances: rapid.IntRange(1, 100).Draw(t, "instances"),
			},
			Route: fleet.Route{Host: "x.org", MaxBodyBytes: rapid.SampledFrom([]int64{0, -1, 1 << 40}).Draw(t, "body"), StreamTimeout: anyDur(t, "stream")}})
	case resource.KindRingPlan:
		r, err = resource.New(name, resource.RingPlan{
			Rings: []resource.Ring{{Name: "a", Audience: anyAudience(t, 0), Purpose: anyText().Draw(t, "purpose"), Bake: anyDur(t, "bake")}, {Name: "all"}},
			Gates: []resource.Gate{{Signal: "latency", Over: fleet.Dur(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "over")), Alpha: rapid.Float64Range(0.000001, 0.2).Draw(t, "alpha")}},
		})
	default:
		r, err = resource.New(name+"/v1", resource.Release{Service: name, Version: "v1", Digest: "sha256:" + strings.Repeat("0a", 32), Size: 1, By: anyText().Draw(t, "by"),
			Created: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "created")).UTC()})
	}
	if err != nil {
		t.Fatal(err)
	}
	r.Metadata.Labels = rapid.MapOfN(rapid.StringMatching(`[a-z0-9.]{0,5}[a-z]`).Filter(func(s string) bool { return s[0] != '.' }), anyText(), 0, 3).Draw(t, "labels")
	if len(r.Metadata.Labels) == 0 {
		r.Metadata.Labels = nil
	}
	return r
}

// What is written reads back the same, and writing that again gives the same bytes.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, ps := resource.Validate(anyResource(t), checkRule)
		if len(ps) > 0 {
			t.Fatalf("the generator makes resources that are refused: %v", ps)
		}
		text, err := YAML(want)
		if err != nil {
			t.Fatal(err)
		}
		set, problems := Read([]Source{{"f", text}})
		if len(problems) > 0 || len(set.Resources) != 1 {
			t.Fatalf("%v\n%s", Problems(problems), text)
		}
		if d := cmp.Diff(want, set.Resources[0]); d != "" {
			t.Fatalf("%s\n%s", d, text)
		}
		if again, err := YAML(set.Resources[0]); string(again) != string(text) || err != nil {
			t.Fatalf("%s is written again as %s, %v", text, again, err)
		}
	})
}

func TestWriteLooksAsPeopleWrite(t *testing.T) {
	sources, err := Load([]string{"testdata/good/shop.yaml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := Read(sources)
	var b strings.Builder
	if err := Write(&b, []resource.Resource{set.Resources[0], set.Resources[2]}); err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: ringfence.dev/v1
kind: Service
metadata:
  name: shop
  labels: {tier: "1"}
spec:
  owner: team-shop
  run:
    command: ['{artifact}', --listen, '{address}']
    instances: 2
  ready: {http: /readyz}
  route:
    host: shop.localhost
    targetingKey: {header: X-User-ID, cookie: uid}
  plan: standard
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: standard}
spec:
  rings:
    - name: canary
      purpose: finds most user-facing bugs
      audience: {segment: employees}
      bake: 30m
    - name: early
      audience: {percent: 5}
      bake: 24h
    - name: broad
      audience: {percent: 50}
      bake: 24h
    - {name: all}
  gates:
    - {signal: errors, compare: stable, maxRatio: 1.2}
    - {signal: latency, over: 300ms, compare: stable}
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func segmentOf(t *testing.T, users ...string) *resource.Resource {
	t.Helper()
	r, err := resource.New("s", resource.Segment{Audience: resource.Audience{Users: users}})
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

var diffs = map[string]string{
	"equal": "",
	"created": `--- /dev/null
+++ segment/s
@@ -0,0 +1,6 @@
+apiVersion: ringfence.dev/v1
+kind: Segment
+metadata: {name: s}
+spec:
+  audience:
+    users: [ann]
`,
	"deleted": `--- segment/s
+++ /dev/null
@@ -1,6 +0,0 @@
-apiVersion: ringfence.dev/v1
-kind: Segment
-metadata: {name: s}
-spec:
-  audience:
-    users: [ann]
`,
	"two places": `--- segment/s
+++ segment/s
@@ -5,7 +5,7 @@
   audience:
     users:
       - u00
-      - u01
+      - changed
       - u02
       - u03
       - u04
@@ -24,7 +24,7 @@
       - u17
       - u18
       - u19
-      - u20
+      - changed
       - u21
       - u22
       - u23
`,
	"two places so close that they share a hunk": `--- segment/s
+++ segment/s
@@ -5,13 +5,13 @@
   audience:
     users:
       - u00
-      - u01
+      - changed
       - u02
       - u03
       - u04
       - u05
       - u06
-      - u07
+      - changed
       - u08
       - u09
       - u10
`,
}

func TestDiff(t *testing.T) {
	long := func(changed ...int) *resource.Resource {
		users := make([]string, 30)
		for i := range users {
			users[i] = fmt.Sprintf("u%02d", i)
		}
		for _, i := range changed {
			users[i] = "changed"
		}
		return segmentOf(t, users...)
	}
	for name, pair := range map[string][2]*resource.Resource{
		"equal":      {long(), long()},
		"created":    {nil, segmentOf(t, "ann")},
		"deleted":    {segmentOf(t, "ann"), nil},
		"two places": {long(), long(1, 20)},
		"two places so close that they share a hunk": {long(), long(1, 7)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Diff(pair[0], pair[1])
			if d := cmp.Diff(diffs[name], got); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
}

// The kept and removed lines are the old text, the kept and added ones the new.
func TestCompareKeepsBothTexts(t *testing.T) {
	lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 12)
	rapid.Check(t, func(t *rapid.T) {
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		var gotA, gotB []string
		kept := 0
		for _, e := range compare(a, b) {
			if e.op != '+' {
				gotA = append(gotA, e.line)
			}
			if e.op != '-' {
				gotB = append(gotB, e.line)
			}
			if e.op == ' ' {
				kept++
			}
		}
		if strings.Join(a, "") != strings.Join(gotA, "") || strings.Join(b, "") != strings.Join(gotB, "") {
			t.Fatalf("%v to %v", gotA, gotB)
		}
		if want := int(table(a, b)[0][0]); kept != want {
			t.Fatalf("kept %d lines of %d", kept, want)
		}
	})
}
