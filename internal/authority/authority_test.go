package authority_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/cedar"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// house is an authority on a real store, with a catalog that it guards.
type house struct {
	t         *testing.T
	store     *sqlite.Store
	catalog   *catalog.Catalog
	authority *authority.Authority
	now       time.Time
	around    func(policy.Resource) (policy.Resource, policy.Circumstances, error)
	remote    error
	asked     int
}

func (h *house) Situation(_ context.Context, r policy.Resource, _ time.Time) (policy.Resource, policy.Circumstances, error) {
	if h.around == nil {
		return r, policy.Circumstances{}, nil
	}
	return h.around(r)
}

func (h *house) Ask(context.Context, resource.RemotePolicy, policy.Request) error {
	h.asked++
	return h.remote
}

var everyone = []policy.Principal{{Name: "admin", Role: policy.Admin}, {Name: "alice", Role: policy.Operator}, {Name: "bob", Role: policy.Operator}, {Name: "carol", Role: policy.Viewer}}

func open(t *testing.T) *house {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := &house{t: t, store: s, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	h.authority = authority.New(authority.Options{Store: s, Compile: cedar.Compile, World: h, Remote: h, Head: store.Doc{Kind: catalog.HeadKind, Name: catalog.HeadName},
		People: func(context.Context) ([]policy.Principal, error) { return everyone, nil }, Now: func() time.Time { return h.now }})
	h.catalog = &catalog.Catalog{Store: s, CheckAccess: h.authority.Check, Governed: h.authority.Governed}
	h.authority.Catalog = h.catalog
	return h
}

func (h *house) read(text string) []resource.Resource {
	h.t.Helper()
	set, problems := manifest.Read([]manifest.Source{{Name: "x.yaml", Data: []byte(text)}})
	if len(problems) > 0 {
		h.t.Fatal(problems)
	}
	return set.Resources
}

func (h *house) apply(text string) error {
	h.t.Helper()
	_, err := h.catalog.Apply(h.t.Context(), "user:admin", h.now, h.read(text), false)
	return err
}

func (h *house) must(text string) {
	h.t.Helper()
	if err := h.apply(text); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) decide(q policy.Request) policy.Decision {
	h.t.Helper()
	d, err := h.authority.Decide(h.t.Context(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func rules(name, text string) string {
	raw, _ := json.Marshal(text)
	return "---\napiVersion: ringfence.dev/v1\nkind: AccessPolicy\nmetadata: {name: " + name + "}\nspec: {rules: " + string(raw) + "}\n"
}

const team = `apiVersion: ringfence.dev/v1
kind: Group
metadata: {name: shop-team}
spec: {members: [alice, bob]}
`

func as(name string, role policy.Role, a policy.Action, r policy.Resource) policy.Request {
	return policy.Request{Principal: policy.Principal{Name: name, Role: role}, Action: a, Resource: r}
}

var (
	shop = policy.Resource{Kind: "service", Name: "shop", Service: "shop"}
	pay  = policy.Resource{Kind: "service", Name: "pay", Service: "pay"}
)

func TestAChangeCountsAtTheNextRequest(t *testing.T) {
	h := open(t)
	q := as("alice", policy.Viewer, policy.Decide, shop)
	if d := h.decide(q); d.Allowed {
		t.Fatalf("%+v", d)
	}
	h.must(team + rules("shop", `@id("team") permit (principal in Group::"shop-team", action == Action::"decide", resource) when { resource.service == "shop" };`))
	if d := h.decide(q); !d.Allowed || d.Rules[0].Policy != "shop" || d.Rules[0].ID != "team" || d.Rules[0].Line != 1 {
		t.Errorf("a member: %+v", d)
	}
	if d := h.decide(as("alice", policy.Viewer, policy.Decide, pay)); d.Allowed {
		t.Errorf("another service: %+v", d)
	}
	if d := h.decide(as("carol", policy.Viewer, policy.Decide, shop)); d.Allowed {
		t.Errorf("no member: %+v", d)
	}
	h.must(strings.Replace(team, "alice, bob", "bob", 1))
	if d := h.decide(q); d.Allowed {
		t.Errorf("no member any more: %+v", d)
	}
}

func TestWhatGoesOnAround(t *testing.T) {
	h := open(t)
	h.must(rules("calm", `forbid (principal, action == Action::"decide", resource) when { resource.ring == "all" && !context.incident };`))
	h.around = func(r policy.Resource) (policy.Resource, policy.Circumstances, error) {
		r.Service, r.Ring = "shop", "all"
		return r, policy.Circumstances{}, nil
	}
	q := as("op", policy.Operator, policy.Decide, policy.Resource{Kind: "rollout", Name: "shop-1"})
	if d := h.decide(q); d.Allowed || !strings.Contains(d.Missing, "policy calm (line 1)") {
		t.Errorf("%+v", d)
	}
	h.around = func(r policy.Resource) (policy.Resource, policy.Circumstances, error) {
		r.Ring = "all"
		return r, policy.Circumstances{Incident: true}, nil
	}
	if d := h.decide(q); !d.Allowed {
		t.Errorf("in an incident: %+v", d)
	}
	h.around = func(r policy.Resource) (policy.Resource, policy.Circumstances, error) {
		return r, policy.Circumstances{}, errs.E(errs.Unavailable, "gone")
	}
	if _, err := h.authority.Decide(t.Context(), q); !errs.Is(err, errs.Unavailable) {
		t.Errorf("what cannot be known: %v", err)
	}
}

func TestNobodyIsLockedOut(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"everything forbidden":                          {rules("bad", `forbid (principal, action, resource);`), "data planes"},
		"admins forbidden":                              {rules("bad", `forbid (principal in Role::"admin", action == Action::"change", resource);`), "nobody could change policy again"},
		"a strong sign-in that nobody with a token has": {rules("bad", `forbid (principal, action == Action::"change", resource) unless { principal.strong };`), "nobody could change"},
		"just this kind":                                {rules("bad", `forbid (principal, action == Action::"change", resource) when { resource.kind == "accesspolicy" };`), "nobody could change"},
		"a year without":                                {rules("bad", `forbid (principal, action == Action::"change", resource) unless { context.now > datetime("2027-03-04") };`), "nobody could change"},
		"an error":                                      {rules("bad", `forbid (principal, action == Action::"change", resource) when { context.signedIn * 9223372036854775807 > 1 };`), "nobody could change"},
		"no grant to be had":                            {team + "---\napiVersion: ringfence.dev/v1\nkind: AccessRules\nmetadata: {name: access}\nspec: {noStanding: true, emergency: {who: [shop-team]}}\n", "nobody could change"},
		"a weak emergency":                              {"apiVersion: ringfence.dev/v1\nkind: AccessRules\nmetadata: {name: access}\nspec: {noStanding: true, emergency: {role: operator}}\n", "nobody could change"},
	} {
		h := open(t)
		if err := h.apply(c.text); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected %q", name, err, c.says)
		}
		if d := h.decide(as("admin", policy.Admin, policy.Change, shop)); !d.Allowed {
			t.Errorf("%s: refused, and yet %+v", name, d)
		}
	}
	h := open(t)
	h.must(rules("hours", `forbid (principal, action == Action::"change", resource) unless { ["mon", "tue", "wed"].contains(context.weekday) && context.hour >= 9 && context.hour < 17 };`))
	h.must("apiVersion: ringfence.dev/v1\nkind: AccessRules\nmetadata: {name: access}\nspec: {noStanding: true}\n")
}

// A group that a rule rests on cannot go, and a rule cannot rest on one that is not there.
func TestGroupsOfRulesStay(t *testing.T) {
	h := open(t)
	own := rules("shop", `permit (principal in Group::"shop-team", action == Action::"decide", resource);`)
	if err := h.apply(own); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "shop-team") {
		t.Errorf("a group that is not there: %v", err)
	}
	h.must(team + own)
	if err := h.catalog.Delete(t.Context(), "user:admin", h.now, resource.KindGroup, "shop-team"); !errs.Is(err, errs.Invalid) {
		t.Errorf("deleted: %v", err)
	}
}

func TestNoStandingAccess(t *testing.T) {
	h := open(t)
	h.must("apiVersion: ringfence.dev/v1\nkind: AccessRules\nmetadata: {name: access}\nspec: {noStanding: true, exempt: [ci]}\n")
	for _, c := range []struct {
		q   policy.Request
		yes bool
	}{
		{as("op", policy.Operator, policy.Decide, shop), false},
		{as("admin", policy.Admin, policy.Change, shop), false},
		{as("admin", policy.Admin, policy.Export, policy.Resource{Kind: "backup"}), false},
		{as("op", policy.Operator, policy.Read, shop), true},
		{as("op", policy.Operator, policy.Ask, policy.Resource{Kind: "access"}), true},
		{as("ci", policy.Operator, policy.Decide, shop), true},
		{as("plane", policy.DataPlane, policy.Operate, policy.Resource{Kind: "unit"}), true},
		{policy.Request{Principal: policy.Principal{Name: "op", Role: policy.Operator}, Action: policy.Decide, Verb: "halt", Resource: shop}, true},
		{policy.Request{Principal: policy.Principal{Name: "op", Role: policy.Operator}, Action: policy.Decide, Verb: "approve", Resource: shop}, true},
		{policy.Request{Principal: policy.Principal{Name: "op", Role: policy.Operator}, Action: policy.Decide, Verb: "promote", Resource: shop}, false},
		{policy.Request{Principal: policy.Principal{Name: "op", Role: policy.Viewer}, Action: policy.Decide, Verb: "halt", Resource: shop}, false},
	} {
		if d := h.decide(c.q); d.Allowed != c.yes {
			t.Errorf("%+v: %+v, expected %v", c.q, d, c.yes)
		}
	}
}

func TestTheRemoteAgentHasToAllowToo(t *testing.T) {
	h := open(t)
	h.must("apiVersion: ringfence.dev/v1\nkind: AccessRules\nmetadata: {name: access}\nspec: {remote: {url: \"http://127.0.0.1:8181/v1/data/x\"}}\n")
	if d := h.decide(as("op", policy.Operator, policy.Decide, shop)); !d.Allowed || h.asked != 1 {
		t.Errorf("both allow: %+v, asked %d times", d, h.asked)
	}
	if d := h.decide(as("op", policy.Viewer, policy.Decide, shop)); d.Allowed || h.asked != 1 {
		t.Errorf("refused here: %+v, asked %d times", d, h.asked)
	}
	h.remote = errs.E(errs.Denied, "it says no")
	if d := h.decide(as("op", policy.Operator, policy.Decide, shop)); d.Allowed || !strings.Contains(d.Missing, "says no") {
		t.Errorf("refused there: %+v", d)
	}
}
