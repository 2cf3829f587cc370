package ui_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/policy"
)

// careful is the shop's plan with an approval and gates of all kinds.
const careful = `apiVersion: ringfence.dev/v1
kind: Group
metadata: {name: sre}
spec: {members: [ann, viewer]}
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings:
    - {name: canary, audience: {users: [alice]}, bake: 1h}
    - {name: broad, audience: {percent: 50}, bake: 1h, approval: {from: [sre]}}
    - {name: all, bake: 1h}
  gates:
    - {signal: errors}
    - {signal: query, name: queue, query: up, max: 5, informing: true}
    - {signal: webhook, name: desk, webhook: {url: "http://127.0.0.1:1/"}, when: before, rings: [broad], onFail: halt, noData: pass}
`

func (w *world) apply(text string) {
	w.t.Helper()
	_, err := w.Admin.Apply(w.t.Context(), []wire.File{{Name: "more.yaml", Text: text}}, false)
	must(w.t, err)
}

// person signs somebody in who has a token of their own.
func (w *world) person(name string, role policy.Role) *browser {
	w.t.Helper()
	token := access.NewToken()
	must(w.t, access.Tokens{Store: w.Store}.Register(w.t.Context(), "system:test", token, name, role, time.Now()))
	b := w.browser()
	if res, body := b.post("/sign-in", url.Values{"token": {token}}); res.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("sign in as %s: %s\n%s", name, res.Status, body)
	}
	return b
}

func (b *browser) holds(path string, wants ...string) string {
	b.t.Helper()
	res, body := b.get(path)
	for _, want := range wants {
		if res.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			b.t.Errorf("GET %s: %s, lacks %q", path, res.Status, want)
		}
	}
	return body
}

func TestApprovals(t *testing.T) {
	w := start(t)
	w.apply(careful)
	w.release("v2")
	admin, ann, bob := w.as(policy.Admin), w.person("ann", policy.Operator), w.person("bob", policy.Operator)
	admin.holds("/approvals", "will wait", "Ring broad waits for the approval of one of sre.", "cannot approve it too", "Ring canary for", "hold; errors hold", `<b class="count">1</b>`)
	bob.holds("/approvals", "Bob is in none of the groups that approve ring broad: sre.")
	w.as(policy.Viewer).holds("/approvals", "The role viewer may not decide.")
	body := ann.holds("/approvals", "do-approve-shop-2", "do-refuse-shop-2", `data-live="all"`)
	if strings.Contains(body, "is in none") {
		t.Error("ann is told that she may not")
	}
	ann.holds("/rollouts/shop-2", "Ring broad waits for the approval of one of sre.", "do-approve-shop-2")
	if res, body := bob.post("/rollouts/shop-2/approve", url.Values{"form": {bob.formToken()}}); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "in none of the groups") {
		t.Errorf("bob approves: %s", res.Status)
	}
	if res, body := ann.post("/rollouts/shop-2/approve", url.Values{"form": {ann.formToken()}, "ring": {"all"}}); res.StatusCode != http.StatusConflict || !strings.Contains(body, "to enter ring broad next") {
		t.Errorf("approving another ring: %s", res.Status)
	}
	ann.holds("/rollouts/shop-2/approve", `name="ring" value="broad"`)
	if res, body := ann.post("/rollouts/shop-2/approve", url.Values{"form": {ann.formToken()}, "ring": {"broad"}, "reason": {"looks good"}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("ann approves: %s\n%s", res.Status, body)
	}
	admin.holds("/approvals", "Nothing waits for an approval.")
	admin.holds("/rollouts/shop-2", "ann approved ring broad", "looks good")
	if res, _ := admin.post("/rollouts/shop-2/refuse", url.Values{"form": {admin.formToken()}, "ring": {"broad"}, "reason": {"no"}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("whoever released it refuses: %s", res.Status)
	}
	admin.holds("/rollouts/shop-2", "admin refused ring broad", "Halted in ring canary", "do-resume")
}

func TestGatesOfEveryKind(t *testing.T) {
	w := start(t)
	w.apply(careful)
	w.release("v2")
	body := w.as(policy.Viewer).holds("/rollouts/shop-2", "queue", "informing: decides nothing", "desk", "asked before the next ring", "failure halts it", "no data counts as pass", "failure takes it back")
	if strings.Contains(body, "do-halt") {
		t.Error("a viewer is offered what they may not do")
	}
	w.as(policy.Viewer).holds("/services/shop", "at most 5", "asks http://127.0.0.1:1/")
}

func TestMitigations(t *testing.T) {
	w := start(t)
	b := w.person("ann", policy.Operator)
	form := url.Values{"form": {b.formToken()}, "reason": {"users complain"}}
	b.holds("/rollouts/shop-1", "why-redeploy", "No version before v1 is known to be good.", "why-rollback", "is the first release")
	w.release("v2")
	b.holds("/rollouts/shop-2", `id="do-halt" class`, `id="do-rollback" class`, "There is no other release to go forward to.", "Rollout shop-2 is in flight; roll it back first.")
	if res, _ := b.post("/rollouts/shop-2/halt", form); res.StatusCode != http.StatusSeeOther {
		t.Errorf("halt: %s", res.Status)
	}
	b.holds("/rollouts/shop-2", "Halted in ring canary", "Halted: users complain.", "ann halted shop-2", "Cannot promote shop-2: it is halted")
	path := filepath.Join(t.TempDir(), "v3")
	must(t, os.WriteFile(path, []byte("v3"), 0o600))
	a, err := w.Admin.PutFile(t.Context(), path)
	must(t, err)
	if _, err = w.Admin.Release(t.Context(), "shop", wire.Release{Version: "v3", Digest: a.Digest}); err == nil {
		t.Fatal("v3 was not refused while v2 is in flight")
	}
	b.holds("/rollouts/shop-2", `id="do-forward" class`)
	b.holds("/rollouts/shop-2/forward", "<option>v3</option>", "required")
	if res, _ := b.post("/rollouts/shop-2/forward", form); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("forward to nothing: %s", res.Status)
	}
	form.Set("choice", "v3")
	if res, body := b.post("/rollouts/shop-2/forward", form); res.StatusCode != http.StatusSeeOther {
		t.Errorf("forward: %s\n%s", res.Status, body)
	}
	w.until("shop-3", "baking")
	b.holds("/rollouts/shop-3", "Rolled forward", "users complain", "v3 bakes in ring canary")
	if res, _ := b.post("/rollouts/shop-3/redeploy", form); res.StatusCode != http.StatusConflict {
		t.Errorf("redeploy in flight: %s", res.Status)
	}
}

func TestTheLineTakesTwoToGoOn(t *testing.T) {
	w := start(t)
	ann, bob := w.person("ann", policy.Operator), w.person("bob", policy.Operator)
	stop := url.Values{"form": {ann.formToken()}}
	ann.holds("/", "do-stop")
	if res, _ := ann.post("/line/stop", stop); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("stopped without a reason: %s", res.Status)
	}
	stop.Set("reason", "the <b>database</b> burns")
	if res, _ := ann.post("/line/stop", stop); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/calendar" {
		t.Errorf("stop: %s", res.Status)
	}
	for _, page := range []string{"/", "/events", "/services/shop", "/approvals", "/rollouts/shop-1"} {
		bob.holds(page, "Line stopped", "the &lt;b&gt;database&lt;/b&gt; burns", "do-lift")
	}
	if _, part := bob.get("/", "HX-Request", "true", "HX-Target", "live"); !strings.Contains(part, `<div id="line" role="status" hx-swap-oob="true">`) || strings.Contains(part, "do-stop") {
		t.Error("a page that is open does not learn of it")
	}
	if body := w.as(policy.Viewer).holds("/", "Line stopped"); strings.Contains(body, "do-lift") {
		t.Error("a viewer is offered to lift it")
	}
	if res, body := ann.post("/line/lift", stop); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "a second person has to lift it") {
		t.Errorf("whoever stopped it lifts it: %s", res.Status)
	}
	if res, _ := bob.post("/line/lift", url.Values{"form": {bob.formToken()}, "reason": {"it is out"}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("lift: %s", res.Status)
	}
	if body := bob.holds("/events", "ann stopped the line", "bob lifted the line", "“it is out”"); strings.Contains(body, "do-lift") {
		t.Error("the line is still shown as stopped")
	}
}
