package authority_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/grant"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

const jit = "apiVersion: ringfence.dev/v1\nkind: AccessRules\nmetadata: {name: access}\nspec: {noStanding: true}\n"

var alice = policy.Principal{Name: "alice", Role: policy.Operator}

func TestAGrantCountsWhileItHoldsAndNowhereElse(t *testing.T) {
	h := open(t)
	h.must(jit)
	q := policy.Request{Principal: alice, Action: policy.Decide, Verb: "promote", Resource: shop}
	g, err := h.authority.Request(t.Context(), alice, grant.Wish{Role: policy.Operator, Service: "shop", Minutes: 30, Reason: "v2 hurts"}, h.now)
	if err != nil || g.State != grant.Asked {
		t.Fatalf("%+v, %v", g, err)
	}
	if again, _ := h.authority.Request(t.Context(), alice, grant.Wish{Role: policy.Operator, Service: "shop", Reason: "again"}, h.now); again.ID != g.ID {
		t.Errorf("asked twice: %s, %s", g.ID, again.ID)
	}
	say := func(by, digest string) (grant.Grant, error) {
		return h.authority.Decided(t.Context(), "user:"+by, g.ID, rollout.Consent{Digest: digest}, h.now)
	}
	if _, err := say("alice", g.Digest()); !errs.Is(err, errs.Denied) {
		t.Errorf("approved by who asked: %v", err)
	}
	if _, err := say("bob", "other"); !errs.Is(err, errs.Conflict) {
		t.Errorf("approved without having seen it: %v", err)
	}
	if d := h.decide(q); d.Allowed {
		t.Error("it counts before it is given")
	}
	if g, err = say("bob", g.Digest()); err != nil || g.State != grant.Active {
		t.Fatalf("%+v, %v", g, err)
	}
	if d := h.decide(q); !d.Allowed || d.Grant != g.ID {
		t.Errorf("%+v", d)
	}
	narrow := q
	narrow.Principal.Only = []policy.Action{policy.Read}
	other := q
	other.Resource = pay
	change := q
	change.Action = policy.Change
	another := q
	another.Principal.Name = "bob"
	for name, q := range map[string]policy.Request{"another service": other, "more than the role": change, "another person": another, "a narrowed token": narrow} {
		if d := h.decide(q); d.Allowed {
			t.Errorf("%s: %+v", name, d)
		}
	}
	h.now = h.now.Add(30 * time.Minute)
	if d := h.decide(q); d.Allowed {
		t.Error("it counts after it expired")
	}
	if err := h.authority.Sweep(t.Context(), h.now); err != nil || h.count("grant.ended") != 1 {
		t.Errorf("its end is told %d times: %v", h.count("grant.ended"), err)
	}
	past, err := h.authority.Grants(t.Context(), true, h.now)
	if err != nil || len(past) != 1 || past[0].EndedWhy != "it expired" {
		t.Errorf("%+v, %v", past, err)
	}
}

func TestRevokedGrantsEndAtOnce(t *testing.T) {
	h := open(t)
	h.must(jit)
	g, err := h.authority.BreakGlass(t.Context(), alice, "fire", h.now)
	if err != nil || g.State != grant.Active || !g.Emergency {
		t.Fatalf("%+v, %v", g, err)
	}
	q := policy.Request{Principal: alice, Action: policy.Change, Resource: shop}
	if d := h.decide(q); !d.Allowed {
		t.Fatalf("%+v", d)
	}
	if _, err := h.authority.BreakGlass(t.Context(), policy.Principal{Name: "carol", Role: policy.Viewer}, "fire", h.now); !errs.Is(err, errs.Denied) {
		t.Errorf("a viewer broke glass: %v", err)
	}
	if _, err := h.authority.Offboard(t.Context(), "user:admin", "alice", h.now); err != nil {
		t.Fatal(err)
	}
	if d := h.decide(q); d.Allowed {
		t.Error("it counts after it was revoked")
	}
	if _, err := h.authority.ReviewGlass(t.Context(), "user:alice", g.ID, "fine", h.now); !errs.Is(err, errs.Denied) {
		t.Errorf("reviewed by who broke it: %v", err)
	}
	late := h.now.Add(25 * time.Hour)
	for range 2 {
		if err := h.authority.Sweep(t.Context(), late); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.count("grant.overdue"); n != 1 {
		t.Errorf("an overdue review is told %d times", n)
	}
	if g, err = h.authority.ReviewGlass(t.Context(), "user:bob", g.ID, "it was a fire", late); err != nil || g.Reviewed != "user:bob" {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestRespondersHaveWhatTheirIncidentNeeds(t *testing.T) {
	h := open(t)
	h.must(jit)
	hurts := []authority.Hurt{{ID: "inc-1", Service: "shop", Responders: []string{"alice"}}}
	h.authority.Hurting = func(context.Context) ([]authority.Hurt, error) { return hurts, nil }
	q := policy.Request{Principal: alice, Action: policy.Decide, Verb: "rollback", Resource: shop}
	for range 2 {
		if err := h.authority.Sweep(t.Context(), h.now); err != nil {
			t.Fatal(err)
		}
	}
	if d := h.decide(q); !d.Allowed || h.count("grant.given") != 1 {
		t.Fatalf("%+v, given %d times", d, h.count("grant.given"))
	}
	hurts = nil
	if err := h.authority.Sweep(t.Context(), h.now); err != nil {
		t.Fatal(err)
	}
	if d := h.decide(q); d.Allowed {
		t.Error("it outlives the incident")
	}
}

func TestAWishIsGivenOnce(t *testing.T) {
	h := open(t)
	h.must(jit)
	g, err := h.authority.Request(t.Context(), alice, grant.Wish{Role: policy.Operator, Reason: "x"}, h.now)
	if err != nil {
		t.Fatal(err)
	}
	var racing sync.WaitGroup
	for i := range 20 {
		racing.Go(func() {
			_, _ = h.authority.Decided(t.Context(), fmt.Sprintf("user:p%d", i), g.ID, rollout.Consent{Digest: g.Digest()}, h.now)
		})
	}
	racing.Wait()
	if n := h.count("grant.given"); n != 1 {
		t.Errorf("given %d times", n)
	}
}

// Whatever is asked, approved and ended: a grant counts only between its times, only within its scope, and never by the
// word of whom it is for.
func TestGrantsKeepTheirBounds(t *testing.T) {
	start := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		p := policy.Principal{Name: rapid.SampledFrom(names).Draw(t, "who"), Role: policy.Operator}
		w := grant.Wish{Role: policy.Operator, Service: rapid.SampledFrom([]string{"", "shop"}).Draw(t, "service"), Ring: rapid.SampledFrom([]string{"", "early"}).Draw(t, "ring"),
			Minutes: rapid.IntRange(1, 60).Draw(t, "minutes"), Reason: "r"}
		g, err := grant.Ask(resource.AccessRules{}.Defaults(), p, w, grant.Known{}, start)
		if err != nil {
			t.Fatal(err)
		}
		g.ID = p.Name + "-1"
		others, now := 0, start
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "later")) * time.Minute)
			if rapid.IntRange(0, 5).Draw(t, "end") == 0 {
				g = g.End("user:x", "over", now)
				break
			}
			by := rapid.SampledFrom(names).Draw(t, "by")
			next, err := g.Approve("user:"+by, rollout.Consent{Digest: g.Digest()}, nil, now)
			if by == p.Name && err == nil {
				t.Fatal("approved by who asked")
			}
			if err == nil {
				g, others = next, others+1
			}
		}
		if g.State == grant.Active && others == 0 {
			t.Fatalf("active without anybody's approval: %+v", g)
		}
		at := start.Add(time.Duration(rapid.IntRange(-60, 600).Draw(t, "at")) * time.Minute)
		if g.Holds(at) && (g.State != grant.Active || at.Before(g.From) || at.Sub(g.From) >= time.Duration(w.Minutes)*time.Minute) {
			t.Fatalf("%+v holds at %s", g, at)
		}
		r := policy.Resource{Kind: "rollout", Service: rapid.SampledFrom([]string{"", "shop", "pay"}).Draw(t, "on"), Ring: rapid.SampledFrom([]string{"", "early", "all"}).Draw(t, "in")}
		if g.Covers(r) && (w.Service != "" && r.Service != w.Service || w.Ring != "" && r.Ring != w.Ring) {
			t.Fatalf("%+v covers %+v", g, r)
		}
	})
}
