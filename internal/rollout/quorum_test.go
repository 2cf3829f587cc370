package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

func TestQuorum(t *testing.T) {
	groups := map[string][]string{"sre": {"ann", "bob", "cy"}, "sec": {"cy", "dee"}, "none": {}}
	of := func(pairs ...any) (out []resource.ApprovalOf) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, resource.ApprovalOf{Name: pairs[i].(string), Count: pairs[i+1].(int)})
		}
		return out
	}
	for _, c := range []struct {
		of      []resource.ApprovalOf
		given   string
		missing string
	}{
		{of("sre", 1, "sec", 1), "", "the approval of one of sre and one of sec"},
		{of("sre", 1, "sec", 1), "cy", "the approval of one of sec"}, // who is in both counts for one
		{of("sre", 1, "sec", 1), "cy ann", ""},                       // and moves to where it helps
		{of("sec", 1, "sre", 1), "ann cy", ""},
		{of("sre", 2, "sec", 1), "ann ann ann cy", "the approval of one of sec"},
		{of("sre", 2, "sec", 1), "ann bob dee", ""},
		{of("sre", 3), "ann bob", "the approval of one of sre"},
		{of("none", 1), "ann bob cy dee", "the approval of one of none"},
		{of("misspelt", 1, "sre", 1), "ann", "the approval of one of misspelt"},
		{of("sre", 0), "dee", "the approval of one of sre"}, // nothing asked is one asked
		{of("sre", 1), "mallory", "the approval of one of sre"},
	} {
		got := rollout.Unapproved(resource.Approval{Groups: c.of}, "user:rel", prefixed(strings.Fields(c.given)), groups)
		if got != c.missing {
			t.Errorf("%v given %q: %q, expected %q", c.of, c.given, got, c.missing)
		}
	}
	if got := rollout.Unapproved(resource.Approval{Groups: of("sre", 1)}, "user:ann", []string{"user:ann"}, groups); got == "" {
		t.Error("the author approved their own change")
	}
}

func prefixed(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "user:" + n
	}
	return out
}

// No approvals, or fewer than are asked, never suffice; each given counts once, and only of members.
func TestQuorumNeedsAllItAsks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := []string{"a", "b", "c", "d", "e"}
		groups := map[string][]string{}
		var of []resource.ApprovalOf
		need := 0
		for i := range rapid.IntRange(1, 3).Draw(t, "groups") {
			name := fmt.Sprintf("g%d", i)
			groups[name] = rapid.SliceOfDistinct(rapid.SampledFrom(people), func(s string) string { return s }).Draw(t, name)
			n := rapid.IntRange(0, 3).Draw(t, "count")
			of = append(of, resource.ApprovalOf{Name: name, Count: n})
			need += max(n, 1)
		}
		given := rapid.SliceOf(rapid.SampledFrom(append([]string{"stranger"}, people...))).Draw(t, "given")
		missing := rollout.Quorum(of, given, groups)
		distinct := slices.Compact(slices.Sorted(slices.Values(given)))
		if missing == "" && len(distinct) < need {
			t.Fatalf("%v of %v suffice for %v", given, groups, of)
		}
		if want := seated(of, distinct, groups, nil); (missing == "") != want {
			t.Fatalf("%v of %v for %v: missing %q, by trying all %v", given, groups, of, missing, want)
		}
	})
}

// seated tries every way to seat people.
func seated(of []resource.ApprovalOf, people []string, groups map[string][]string, used []string) bool {
	for i, one := range of {
		if one.Count < 0 {
			continue
		}
		for _, p := range people {
			if slices.Contains(groups[one.Name], p) && !slices.Contains(used, p) {
				rest := slices.Clone(of)
				if rest[i].Count = max(one.Count, 1) - 1; rest[i].Count == 0 {
					rest[i].Count = -1
				}
				if seated(rest, people, groups, append(slices.Clone(used), p)) {
					return true
				}
			}
		}
		return false
	}
	return true
}

func TestADigestStandsForWhatIsApproved(t *testing.T) {
	s := rollout.State{ID: "shop-7", Service: "shop", From: "v1", To: "v2", Ring: 0, Rings: []rollout.Ring{{Name: "canary"}, {Name: "all"}}}
	seen := rollout.Consent{Digest: s.Digest()}
	if seen.Digest == "" || s.Agrees(seen) != nil || s.Agrees(rollout.Consent{}) != nil {
		t.Fatalf("%+v", seen)
	}
	for name, edit := range map[string]func(*rollout.State){
		"version": func(s *rollout.State) { s.To = "v3" }, "ring": func(s *rollout.State) { s.Ring = -1 }, "before": func(s *rollout.State) { s.From = "v0" },
		"units": func(s *rollout.State) {
			s.Rings = []rollout.Ring{{Name: "canary"}, {Name: "all", Units: []string{"eu"}}}
		}, "author": func(s *rollout.State) { s.By = "user:x" },
	} {
		changed := s
		edit(&changed)
		if changed.Agrees(seen) == nil {
			t.Errorf("%s: another thing is approved", name)
		}
	}
}
