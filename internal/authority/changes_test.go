package authority_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const approved = team + `---
apiVersion: ringfence.dev/v1
kind: AccessRules
metadata: {name: access}
spec: {changes: {groups: [{name: shop-team, count: 2}]}}
`

var wider = rules("wider", `@id("w") permit (principal == User::"carol", action == Action::"decide", resource);`)

func (h *house) propose(by, text string) authority.Proposal {
	h.t.Helper()
	p, err := h.authority.Propose(h.t.Context(), "user:"+by, h.read(text), nil, "because", h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func TestAChangeOfPolicyTakesApproval(t *testing.T) {
	h := open(t)
	h.must(approved)
	for name, text := range map[string]string{"policy": wider, "rules": strings.Replace(approved, "count: 2", "count: 1", 1), "who approves": strings.Replace(team, "bob", "mallory", 1)} {
		if err := h.apply(text); !errs.Is(err, errs.Denied) || !strings.Contains(errs.HintOf(err), "policy propose") {
			t.Errorf("%s: applied by one: %v", name, err)
		}
	}
	if err := h.catalog.Delete(t.Context(), "user:admin", h.now, resource.KindAccessRules, "access"); !errs.Is(err, errs.Denied) {
		t.Errorf("deleted by one: %v", err)
	}
	p := h.propose("alice", wider)
	if p.State != authority.Open || p.Digest == "" || p.Missing == "" {
		t.Fatalf("%+v", p)
	}
	if again := h.propose("alice", wider); again.ID != p.ID {
		t.Errorf("asked twice: %s and %s", p.ID, again.ID)
	}
	say := func(by, digest string) error {
		_, err := h.authority.Review(t.Context(), "user:"+by, p.ID, rollout.Consent{Digest: digest}, h.now)
		return err
	}
	if err := say("alice", p.Digest); !errs.Is(err, errs.Denied) {
		t.Errorf("who asked approved: %v", err)
	}
	if err := say("carol", p.Digest); !errs.Is(err, errs.Denied) {
		t.Errorf("who is in no group approved: %v", err)
	}
	for _, digest := range []string{"", "0000"} {
		if err := say("bob", digest); !errs.Is(err, errs.Conflict) {
			t.Errorf("approved without having seen it: %v", err)
		}
	}
	if err := say("bob", p.Digest); err != nil {
		t.Fatal(err)
	}
	if d := h.decide(as("carol", policy.Viewer, policy.Decide, shop)); d.Allowed {
		t.Error("applied with one of two approvals")
	}
}

func TestApprovedChangesAreApplied(t *testing.T) {
	h := open(t)
	h.must(strings.Replace(approved, "count: 2", "count: 1", 1))
	p := h.propose("admin", wider)
	done, err := h.authority.Review(t.Context(), "user:bob", p.ID, rollout.Consent{Digest: p.Digest, Reason: "seen"}, h.now)
	if err != nil || done.State != authority.Applied {
		t.Fatalf("%+v, %v", done, err)
	}
	if d := h.decide(as("carol", policy.Viewer, policy.Decide, shop)); !d.Allowed {
		t.Errorf("%+v", d)
	}
	if _, err := h.authority.Review(t.Context(), "user:bob", p.ID, rollout.Consent{Digest: p.Digest}, h.now); !errs.Is(err, errs.Conflict) {
		t.Errorf("applied twice: %v", err)
	}
	stale := h.propose("admin", rules("wider", `@id("x") permit (principal == User::"carol", action == Action::"change", resource);`))
	other := h.propose("alice", rules("wider", `@id("y") permit (principal == User::"carol", action == Action::"read", resource);`))
	if _, err := h.authority.Review(t.Context(), "user:bob", other.ID, rollout.Consent{Digest: other.Digest}, h.now); err != nil {
		t.Fatal(err)
	}
	if _, err := h.authority.Review(t.Context(), "user:bob", stale.ID, rollout.Consent{Digest: stale.Digest}, h.now); !errs.Is(err, errs.Conflict) {
		t.Errorf("what it replaces was another: %v", err)
	}
	gone, err := h.authority.Reset(t.Context(), "user:admin", "locked out", h.now)
	if err != nil || len(gone) != 2 {
		t.Fatalf("%v, %v", gone, err)
	}
	if d := h.decide(as("carol", policy.Viewer, policy.Decide, shop)); d.Allowed {
		t.Error("the default rules were not restored")
	}
	if n := h.count("policy.reset"); n != 1 {
		t.Errorf("%d resets are on the record", n)
	}
}

func (h *house) count(typ string) int { return len(h.events(typ)) }

func (h *house) events(typ string) []audit.Event {
	h.t.Helper()
	events, err := h.store.Events(h.t.Context(), store.EventQuery{Type: typ, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	return events
}

// A hundred approvals by one person at once are one, and a hundred by as many people apply the change once.
func TestAnApprovalCountsOnce(t *testing.T) {
	for _, people := range []int{1, 100} {
		h := open(t)
		names := make([]string, 100)
		for i := range names {
			names[i] = fmt.Sprintf("p%d", i)
		}
		h.must(strings.Replace(approved, "alice, bob", strings.Join(names, ", "), 1))
		p := h.propose("admin", wider)
		var applied atomic.Int32
		var racing sync.WaitGroup
		for i := range 100 {
			racing.Go(func() {
				done, err := h.authority.Review(t.Context(), "user:"+names[i%people], p.ID, rollout.Consent{Digest: p.Digest}, h.now)
				if err == nil && done.State == authority.Applied {
					applied.Add(1)
				}
			})
		}
		racing.Wait()
		all, err := h.authority.Proposals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch given := len(all[0].Approved); {
		case people == 1 && (given != 1 || all[0].State != authority.Open || applied.Load() != 0):
			t.Errorf("one person a hundred times: %+v", all[0])
		case people == 100 && (given != 2 || all[0].State != authority.Applied || applied.Load() != 1 || h.count("policy.changed") != 1):
			t.Errorf("a hundred people: %+v, applied %d times, on record %d", all[0], applied.Load(), h.count("policy.changed"))
		}
	}
}

func TestExplain(t *testing.T) {
	h := open(t)
	h.must(wider)
	x, err := h.authority.Explain(t.Context(), policy.Request{Principal: policy.Principal{Name: "carol"}, Action: policy.Change, Resource: shop})
	if err != nil || x.Allowed || x.Request.Principal.Role != policy.Viewer || len(x.Roles) != 1 || x.Roles[0] != policy.Admin {
		t.Errorf("%+v, %v", x, err)
	}
	rows, err := h.authority.Who(t.Context(), shop)
	if err != nil || len(rows) != len(everyone) || rows[3].Actions[policy.Decide] != "wider/w" || rows[3].Actions[policy.Change] != "" {
		t.Errorf("%+v, %v", rows, err)
	}
}
