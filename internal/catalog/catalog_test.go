package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

func actions(r Result) string {
	var b strings.Builder
	for _, it := range r.Items {
		fmt.Fprintf(&b, "%s/%s %s\n", it.Kind, it.Name, it.Action)
	}
	return b.String()
}

func TestApplyWritesOnceAndRecordsWhatChanged(t *testing.T) {
	c, m := newCatalog()
	if got, want := actions(apply(t, c, shop()...)), "Service/shop created\nRingPlan/standard created\nSegment/employees created\n"; got != want {
		t.Errorf("first: %s", cmp.Diff(want, got))
	}
	if m.commits != 1 || len(m.events) != 3 {
		t.Fatalf("%d commits, %d events, expected 1 and 3", m.commits, len(m.events))
	}
	if e := m.events[0]; e.Type != "resource.applied" || e.Subject != "service/shop" || e.Actor != "user:ann" || !e.Time.Equal(t0) {
		t.Errorf("event %+v", e)
	}
	apply(t, c, shop()...)
	if m.commits != 1 || len(m.events) != 3 {
		t.Errorf("applying the same again wrote: %d commits, %d events", m.commits, len(m.events))
	}
	set := shop()
	set[2] = segment("employees", `{"audience":{"users":["ann","carl"]}}`)
	res := apply(t, c, set...)
	if got, want := actions(res), "Service/shop unchanged\nRingPlan/standard unchanged\nSegment/employees changed\n"; got != want {
		t.Errorf("change: %s", cmp.Diff(want, got))
	}
	var data Applied
	if err := json.Unmarshal(m.events[3].Data, &data); err != nil {
		t.Fatal(err)
	}
	want := Applied{Action: Changed, Changes: []resource.Change{{Path: "spec.audience.users[1]", Old: json.RawMessage(`"bob"`), New: json.RawMessage(`"carl"`)}}}
	if d := cmp.Diff(want, data); d != "" {
		t.Error(d)
	}
	if res.Items[2].Before == nil || !strings.Contains(string(res.Items[2].Before.Spec), "bob") {
		t.Error("the state before is missing")
	}
}

func TestSpellingIsNoChange(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	plan := make1("RingPlan", "standard", `{"rings":[
		{"bake":"0h30m0s","name":"canary","audience":{"segment":"employees"}},
		{"name":"early","audience":{"percent":5.0}},
		{"name":"all"}],"gates":[]}`)
	if got := actions(apply(t, c, plan)); got != "RingPlan/standard unchanged\n" || m.commits != 1 {
		t.Errorf("%s after %d commits", got, m.commits)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	c, m := newCatalog()
	res, err := c.Apply(t.Context(), "user:ann", t0, shop(), true)
	if err != nil || !res.DryRun || len(res.Items) != 3 || res.Items[0].Action != Created {
		t.Fatalf("%+v, %v", res, err)
	}
	if m.commits != 0 || len(m.docs) != 0 {
		t.Errorf("wrote %d documents", len(m.docs))
	}
}

func TestAllOrNothing(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	for name, tt := range map[string]struct {
		set  []resource.Resource
		want string // index path: message
	}{
		"a bad spec":               {[]resource.Resource{service("a", "standard"), service("b", "no plan")}, `1 spec.plan: "no plan" is no name`},
		"a dangling plan":          {[]resource.Resource{service("a", "standrd")}, `0 spec.plan: there is no RingPlan "standrd", did you mean standard?`},
		"a dangling segment":       {[]resource.Resource{segment("x", `{"audience":{"any":[{"percent":1},{"segment":"nobody"}]}}`)}, `0 spec.audience.any[1].segment: there is no Segment "nobody"`},
		"a route that is taken":    {[]resource.Resource{make1("Service", "a", `{"plan":"standard","run":{"command":["{artifact}","{port}"]},"route":{"host":"shop.localhost","path":"/"}}`)}, `0 spec.route: service/shop has the same host and path already`},
		"a circle with the stored": {[]resource.Resource{segment("employees", `{"audience":{"segment":"b"}}`), segment("b", `{"audience":{"segment":"employees"}}`)}, `1 spec.audience.segment: goes in a circle: b → employees → b`},
		"the same twice":           {[]resource.Resource{segment("b", `{"audience":{"percent":1}}`), segment("b", `{"audience":{"percent":2}}`)}, `1 metadata.name: is declared twice`},
		"a rule that is none":      {[]resource.Resource{segment("b", `{"audience":{"rule":{"equals":[1,2]}}}`)}, `0 spec.audience.rule: `},
		"a release": {[]resource.Resource{make1("Release", "shop/v1", `{"service":"shop","version":"v1","digest":"sha256:`+strings.Repeat("0", 64)+
			`","size":1,"created":"2026-01-01T00:00:00Z","by":"x"}`)}, `0 kind: releases and configs are not applied but made`},
		"nothing": {nil, "got 0 resources"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Apply(t.Context(), "user:ann", t0, tt.set, false)
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("error %v, expected one of kind invalid", err)
			}
			text := err.Error()
			var ps resource.Problems
			if errors.As(err, &ps) {
				text = fmt.Sprintf("%d %s", ps[0].Index, ps[0].Text())
			}
			if !strings.Contains(text, tt.want) {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
		})
	}
	if m.commits != 1 || len(m.events) != 3 {
		t.Errorf("something was written: %d commits", m.commits)
	}
}

func TestDelete(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	for _, tt := range []struct {
		kind, name string
		is         errs.Kind
		want       string
	}{
		{"RingPlan", "standard", errs.Conflict, "RingPlan standard is used by service/shop (spec.plan)"},
		{"Segment", "employees", errs.Conflict, "ringplan/standard (spec.rings[0].audience.segment)"},
		{"Service", "cart", errs.Missing, `no Service "cart"`},
		{"Release", "shop/v1", errs.Denied, "stays"},
		{"Cat", "x", errs.Invalid, "unknown kind"},
	} {
		err := c.Delete(t.Context(), "user:ann", t0, tt.kind, tt.name)
		if !errs.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v, expected %s: %s", tt.kind, tt.name, err, tt.is, tt.want)
		}
	}
	c.InUse = func(context.Context, string, string) error { return errs.E(errs.Conflict, "it runs") }
	if err := c.Delete(t.Context(), "user:ann", t0, "Service", "shop"); !errs.Is(err, errs.Conflict) {
		t.Errorf("deleted what runs: %v", err)
	}
	c.InUse = nil
	if m.commits != 1 {
		t.Fatalf("a refused delete wrote something")
	}
	for _, r := range shop() {
		if err := c.Delete(t.Context(), "user:ann", t0, r.Kind, r.Metadata.Name); err != nil {
			t.Fatal(err)
		}
	}
	if e := m.events[3]; e.Type != "resource.deleted" || e.Subject != "service/shop" || !strings.Contains(string(e.Data), "shop.localhost") {
		t.Errorf("event %+v %s", e, e.Data)
	}
	if all, err := c.Export(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}

// The plan goes away between the judging and the writing of a service that refers to it.
func TestAFasterWriterCannotLeaveADanglingReference(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	other := &Catalog{Store: m}
	apply(t, c, make1("RingPlan", "quick", `{"rings":[{"name":"all"}]}`))
	m.before = func() {
		if err := other.Delete(t.Context(), "user:bob", t0, "RingPlan", "quick"); err != nil {
			t.Error(err)
		}
	}
	_, err := c.Apply(t.Context(), "user:ann", t0, []resource.Resource{service("cart", "quick")}, false)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `no RingPlan "quick"`) {
		t.Errorf("got %v", err)
	}
}

func TestManyWritersAtOnce(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := c.Apply(t.Context(), "user:ann", t0, []resource.Resource{service(fmt.Sprintf("s%d", i), "standard")}, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := c.List(t.Context(), "Service", "", 0); err != nil || len(all) != 41 || m.commits != 41 {
		t.Errorf("%d services after %d commits, %v", len(all), m.commits, err)
	}
}

func TestExportAppliesAgain(t *testing.T) {
	c, _ := newCatalog()
	apply(t, c, shop()...)
	all, err := c.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	empty, _ := newCatalog()
	apply(t, empty, all...)
	again, err := empty.Export(t.Context())
	if d := cmp.Diff(all, again); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestListPages(t *testing.T) {
	c, _ := newCatalog()
	var set []resource.Resource
	for i := range 7 {
		set = append(set, segment(fmt.Sprintf("s%d", i), `{"audience":{"percent":1}}`))
	}
	apply(t, c, set...)
	page, err := c.List(t.Context(), "Segment", "s2", 3)
	if err != nil || len(page) != 3 || page[0].Metadata.Name != "s3" {
		t.Errorf("%v, %v", page, err)
	}
	if _, err := c.List(t.Context(), "Rollout", "", 0); !errs.Is(err, errs.Invalid) {
		t.Errorf("kind that is not ours: %v", err)
	}
}

func TestReleasesAreImmutable(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	put := func(s string) string {
		d, _, err := c.PutArtifact(t.Context(), strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, two := put("one"), put("two!")
	rel := resource.Release{Service: "shop", Version: "v1", Digest: one, By: "forged"}
	made, err := c.CreateRelease(t.Context(), "user:ann", t0, rel)
	if err != nil || made.By != "user:ann" || !made.Created.Equal(t0) || made.Size != 3 {
		t.Fatalf("%+v, %v", made, err)
	}
	if e := m.events[len(m.events)-1]; e.Type != "release.created" || e.Subject != "release/shop/v1" {
		t.Errorf("event %+v", e)
	}
	commits := m.commits
	again, err := c.CreateRelease(t.Context(), "user:bob", t0.Add(1), rel)
	if d := cmp.Diff(made, again); d != "" || err != nil || m.commits != commits {
		t.Errorf("the same again: %s %v", d, err)
	}
	rel.Digest = two
	_, err = c.CreateRelease(t.Context(), "user:ann", t0, rel)
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) {
		t.Errorf("another artifact: %v", err)
	}
	rel.Digest, rel.Env = one, map[string]string{"A": "b"}
	if _, err = c.CreateRelease(t.Context(), "user:ann", t0, rel); !errs.Is(err, errs.Conflict) {
		t.Errorf("another environment: %v", err)
	}
	for name, tt := range map[string]struct {
		rel  resource.Release
		kind errs.Kind
	}{
		"no such service": {resource.Release{Service: "cart", Version: "v1", Digest: one}, errs.Missing},
		"no artifact":     {resource.Release{Service: "shop", Version: "v2", Digest: "sha256:" + strings.Repeat("0", 64)}, errs.Missing},
		"no digest":       {resource.Release{Service: "shop", Version: "v2", Digest: "../../x"}, errs.Invalid},
		"no version":      {resource.Release{Service: "shop", Version: "../v2", Digest: one}, errs.Invalid},
	} {
		if _, err := c.CreateRelease(t.Context(), "user:ann", t0, tt.rel); !errs.Is(err, tt.kind) {
			t.Errorf("%s: %v, expected kind %s", name, err, tt.kind)
		}
	}
	if all, err := c.Releases(t.Context(), "shop"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestTwoMakeOneRelease(t *testing.T) {
	c, m := newCatalog()
	apply(t, c, shop()...)
	d, _, err := c.PutArtifact(t.Context(), strings.NewReader("one"))
	if err != nil {
		t.Fatal(err)
	}
	rel := resource.Release{Service: "shop", Version: "v1", Digest: d}
	m.before = func() {
		if _, err := c.CreateRelease(t.Context(), "user:bob", t0, rel); err != nil {
			t.Error(err)
		}
	}
	made, err := c.CreateRelease(t.Context(), "user:ann", t0, rel)
	if err != nil || made.By != "user:bob" {
		t.Errorf("%+v, %v", made, err)
	}
}
