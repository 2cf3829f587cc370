package ui_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// shopFlags are flags of all sorts; changes of production are reviewed by sre.
const shopFlags = `apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: shop-flags}
spec:
  service: shop
  environments: [production, staging]
  $evaluators:
    staff: {ends_with: [{var: email}, "@shop.example"]}
  flags:
    new-checkout:
      description: the checkout on one page
      owner: team-checkout
      kind: release
      expires: "2020-01-31"
      state: ENABLED
      variants: {"on": true, "off": false}
      defaultVariant: "off"
      exposure: {plan: quick, variant: "on", control: 40}
      preview: {title: The new checkout, variant: "on"}
      environments:
        staging: {state: DISABLED}
    page-size:
      kind: operational
      state: ENABLED
      variants: {small: 10, large: 100, huge: 1000}
      defaultVariant: small
      targeting:
        if:
        - {$ref: staff}
        - huge
        - {fractional: [[large, 25], [small, 75]]}
`

const reviewedFlags = `apiVersion: ringfence.dev/v1
kind: Group
metadata: {name: sre}
spec: {members: [ann]}
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: careful}
spec:
  environments: [production, staging]
  reviewers: {production: {from: [sre]}}
  flags:
    banner:
      state: ENABLED
      variants: {"on": true, "off": false}
      defaultVariant: "off"
`

// shows waits until a page says something.
func (b *browser) shows(path string, wants ...string) string {
	b.t.Helper()
	for try := 0; ; try++ {
		res, body := b.get(path)
		lacks := ""
		for _, want := range wants {
			if !strings.Contains(body, want) {
				lacks = want
			}
		}
		if res.StatusCode == http.StatusOK && lacks == "" {
			return body
		}
		if try == 200 {
			b.t.Fatalf("GET %s: %s, lacks %q\n%s", path, res.Status, lacks, body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestFlagsAreListed(t *testing.T) {
	w := start(t)
	b := w.as(policy.Viewer)
	b.holds("/flags", "No flag is declared yet.", "kind: FlagSet", "ringfence apply -f flags.yaml")
	w.apply(shopFlags)
	b.holds("/flags", "new-checkout", "page-size", "team-checkout", "past its expiry", "unless its rule says otherwise", "2 flags in production", "not begun", `href="/flags?environment=staging"`)
	body := b.holds("/flags?environment=staging&q=checkout", "new-checkout", "code default", ">off<")
	if strings.Contains(body, "page-size") {
		t.Error("the filter lets other flags through")
	}
	for query, want := range map[string]string{"kind=operational": "page-size", "stale=1": "new-checkout", "set=shop-flags&q=team": "new-checkout", "q=nothing-like-it": "No flag fits."} {
		b.holds("/flags?"+query, want)
	}
	if strings.Contains(b.holds("/flags"), `action="/flags/new"`) || !strings.Contains(w.as(policy.Admin).holds("/flags"), `action="/flags/new"`) {
		t.Error("a new flag is offered to the wrong people")
	}
}

func TestAFlag(t *testing.T) {
	w := start(t)
	w.apply(shopFlags)
	admin, viewer := w.as(policy.Admin), w.as(policy.Viewer)
	viewer.holds("/flags/shop-flags/new-checkout", "Everyone gets off", "past its expiry", "40 %", "Environments, side by side", "own state", "made it, with its set", "The role viewer may look at it.")
	viewer.holds("/flags/shop-flags/new-checkout?environment=staging", "It is off in staging")
	viewer.holds("/flags/shop-flags/page-size", "whoever is staff", "<b>25 % large</b>", "<b>huge</b>", "otherwise", "&#34;fractional&#34;")
	for path, status := range map[string]int{"/flags/shop-flags/none": 404, "/flags/none/none": 404, "/flags/shop-flags/new-checkout?environment=moon": 404, "/flag-sets/none": 404, "/flags/none/none/edit": 404} {
		if res, _ := viewer.get(path); res.StatusCode != status {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}

	// A variant is brought to the first ring, and what a user gets is told with its reason.
	form := url.Values{"form": {admin.formToken()}, "reason": {"time has come"}, "choice": {"on"}}
	admin.holds("/flags/shop-flags/new-checkout/expose", "plan quick", "40 %", `<option selected>on</option>`)
	if res, body := admin.post("/flags/shop-flags/new-checkout/expose", form); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("expose: %s\n%s", res.Status, body)
	}
	w.until("flag:shop-flags:new-checkout", "baking")
	body := viewer.shows("/flags/shop-flags/new-checkout", "Variant on bakes in ring canary", `href="/rollouts/flag:shop-flags:new-checkout-1"`, `class="side with"`, `stroke-dasharray="60 100"`)
	if strings.Contains(body, "do-off") {
		t.Error("a viewer is offered to switch it off")
	}
	viewer.shows("/flags", "in ring canary", "baking, 7 users")
	viewer.shows("/flags/shop-flags/new-checkout?user=zoe", "<b>ring</b>", "does not have it yet", "decides")
	viewer.shows("/flags/shop-flags/new-checkout?user=alice&context="+url.QueryEscape(`{"seats": 3}`), "in ring canary", "which is in trial")
	viewer.holds("/flags/shop-flags/page-size?user=ann&context="+url.QueryEscape(`{"email":"ann@shop.example"}`), "TARGETING_MATCH", "huge", "<code>1000</code>")
	viewer.holds("/flags/shop-flags/page-size?user=ann&context=%7B", "The attributes:")

	// The rollout's page and lists speak of the flag.
	viewer.holds("/rollouts/flag:shop-flags:new-checkout-1", "shop-flags/new-checkout", `href="/flags/shop-flags/new-checkout"`, "Users with and without the variant in the same ring are compared: 40 %", "Variant on bakes in ring canary")
	for _, path := range []string{"/", "/events", "/approvals", "/calendar", "/rollouts/flag:shop-flags:new-checkout-1", "/flags/shop-flags/new-checkout"} {
		if strings.Contains(viewer.holds(path), "/services/flag:") {
			t.Errorf("%s leads to a service of a flag's name", path)
		}
	}
	viewer.holds("/calendar", "shop-flags/new-checkout on canary")

	// Switching off asks for a reason, and takes it back from everyone.
	if res, body := admin.post("/flags/shop-flags/new-checkout/off", url.Values{"form": form["form"]}); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "expected why") {
		t.Errorf("off without a reason: %s", res.Status)
	}
	form.Set("reason", "carts are lost")
	if res, body := admin.post("/flags/shop-flags/new-checkout/off", form, "HX-Request", "true"); res.StatusCode != http.StatusNoContent {
		t.Fatalf("off: %s\n%s", res.Status, body)
	}
	w.until("flag:shop-flags:new-checkout", "rolledBack")
	viewer.shows("/flags/shop-flags/new-checkout", "Everyone has variant off again", "Rolled back")
}

func TestFlagsAreAuthorisedAsByTheAPI(t *testing.T) {
	w := start(t)
	w.apply(shopFlags)
	viewer, ann, admin := w.as(policy.Viewer), w.person("ann", policy.Operator), w.as(policy.Admin)
	for verb, least := range map[string]policy.Role{"expose": policy.Operator, "off": policy.Operator, "disable": policy.Operator, "enable": policy.Admin, "archive": policy.Admin, "restore": policy.Admin, "undo": policy.Admin, "edit": policy.Admin} {
		for role, b := range map[policy.Role]*browser{policy.Viewer: viewer, policy.Operator: ann} {
			res, _ := b.post("/flags/shop-flags/none/"+verb, url.Values{"form": {b.formToken()}})
			if denied := res.StatusCode == http.StatusForbidden; denied != (role == policy.Viewer || least == policy.Admin) {
				t.Errorf("%s by %s: %s", verb, role, res.Status)
			}
		}
	}
	ann.holds("/flags/shop-flags/page-size", "do-off")
	press := func(verb, path string) {
		t.Helper()
		if res, body := admin.post(path+"/"+verb, url.Values{"form": {admin.formToken()}, "reason": {"because"}}); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %s\n%s", verb, res.Status, body)
		}
	}
	const path = "/flags/shop-flags/page-size"
	press("off", path)
	admin.shows(path, "It is off in production", "do-enable", "do-archive")
	press("enable", path)
	admin.shows(path, "do-off", "do-undo", "ENABLED")
	press("undo", path)
	admin.shows(path, "It is off in production")
	press("archive", path)
	admin.shows(path, "It is archived", "do-restore")
	press("restore", path)
	admin.shows(path, "It is off in production")
}

func (w *world) flagSet(name string) string {
	w.t.Helper()
	r, err := w.opts.Catalog.Get(w.t.Context(), resource.KindFlagSet, name)
	must(w.t, err)
	return string(r.Spec)
}

func TestTheFlagEditorKeepsWhatItDoesNotChange(t *testing.T) {
	w := start(t)
	w.apply(shopFlags)
	before := w.flagSet("shop-flags")
	b := w.as(policy.Admin)
	for _, key := range []string{"new-checkout", "page-size"} {
		path := "/flags/shop-flags/" + key + "/edit"
		form := b.formOf(b.holds(path))
		form.Set("do", "check")
		if _, body := b.post(path, form); !strings.Contains(body, "there is nothing to save") {
			t.Errorf("%s differs when nothing was changed\n%s", key, body)
		}
		form.Set("do", "save")
		if res, body := b.post(path, form); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("save: %s\n%s", res.Status, body)
		}
	}
	if after := w.flagSet("shop-flags"); before != after {
		t.Errorf("before %s\nafter %s", before, after)
	}
}

func TestTheFlagEditor(t *testing.T) {
	w := start(t)
	w.apply(shopFlags)
	b := w.as(policy.Admin)
	const path = "/flags/shop-flags/page-size/edit"
	form := b.formOf(b.holds(path, "<option selected>small</option>", `value="1000"`, "not by rings"))
	post := func(do string) (int, string) {
		t.Helper()
		form.Set("do", do)
		res, body := b.post(path, form)
		return res.StatusCode, html.UnescapeString(body)
	}

	// What is wrong is said where it stands, and what was typed stays.
	good := form.Get("targeting")
	form.Set("targeting", "if:\n- {var: staff}\n- enormous\n")
	form.Set("expires", "soon")
	if code, body := post("save"); code != http.StatusUnprocessableEntity || !strings.Contains(body, "Line 3: if[1]") || !strings.Contains(body, `id="expires-wrong"`) || !strings.Contains(body, "- enormous") || !strings.Contains(body, `value="soon"`) {
		t.Errorf("%d\n%s", code, body)
	}
	form.Set("targeting", "{\n \"if\": [\n")
	if code, body := post("check"); code != http.StatusUnprocessableEntity || !strings.Contains(body, "Line ") {
		t.Errorf("a rule that cannot be read: %d\n%s", code, body)
	}
	form.Set("targeting", good)
	form.Set("expires", "")
	form.Set("variant-0-value", `{"a":`)
	if code, body := post("check"); code != http.StatusUnprocessableEntity || !strings.Contains(body, "cannot be read as JSON") {
		t.Errorf("a value that cannot be read: %d", code)
	}

	// A check compares and saves nothing.
	form.Set("variant-0-value", "2000")
	form.Set("owner", "team-search")
	form.Set("exposure-plan", "quick")
	before := w.flagSet("shop-flags")
	code, body := post("check")
	if code != http.StatusOK || !strings.Contains(body, "It is not saved yet.") || !strings.Contains(body, "+      owner: team-search") || before != w.flagSet("shop-flags") {
		t.Errorf("check: %d\n%s", code, body)
	}
	form = b.formOf(rawOf(b, path, form))
	form.Set("exposure-control", "10")
	if code, body = post("save"); code != http.StatusSeeOther {
		t.Fatalf("save: %d\n%s", code, body)
	}
	for _, want := range []string{`"owner":"team-search"`, `2000`, `"control":10`, `"plan":"quick"`} {
		if got := strings.ReplaceAll(w.flagSet("shop-flags"), " ", ""); !strings.Contains(got, want) {
			t.Errorf("saved %s, lacks %s", got, want)
		}
	}
	b.shows("/flags/shop-flags/page-size", "team-search", "do-undo", "exposure")
	if code, _ = post("save"); code != http.StatusConflict {
		t.Errorf("over what was changed meanwhile: %d", code)
	}
}

// rawOf posts a form again and returns the page as it came.
func rawOf(b *browser, path string, form url.Values) string {
	_, body := b.post(path, form)
	return body
}

func TestTheFlagAsText(t *testing.T) {
	w := start(t)
	w.apply(shopFlags)
	b := w.as(policy.Admin)
	const path = "/flags/shop-flags/new-checkout/edit"
	form := b.formOf(b.holds(path))
	was := form.Get("yaml")
	form.Set("do", "save")
	form.Set("yaml", strings.Replace(was, "control: 40", "control: 400", 1))
	if res, body := b.post(path, form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Line ") || !strings.Contains(body, "exposure.control") {
		t.Errorf("%s\n%s", res.Status, body)
	}
	form.Set("yaml", strings.Replace(was, "control: 40", "control: 30", 1))
	if res, body := b.post(path, form); res.StatusCode != http.StatusSeeOther || !strings.Contains(w.flagSet("shop-flags"), `"control":30`) {
		t.Errorf("%s\n%s", res.Status, body)
	}
}

func TestNewFlagsAndSets(t *testing.T) {
	w := start(t)
	b := w.as(policy.Admin)
	for query, want := range map[string]string{"set=fresh&key=a+b%2Fc": "/flags/fresh/a%20b%2Fc/edit", "set=Fresh&key=a": "", "set=fresh&key=": ""} {
		if res, _ := b.get("/flags/new?" + query); res.Header.Get("Location") != want {
			t.Errorf("%s leads to %q", query, res.Header.Get("Location"))
		}
	}
	for i, key := range []string{"first", "a b/c?d"} {
		path := "/flags/fresh/" + url.PathEscape(key)
		form := b.formOf(b.holds(path+"/edit", "New flag", map[int]string{0: "in a new set", 1: "in fresh"}[i]))
		form.Set("do", "variant-add")
		_, body := b.post(path+"/edit", form)
		form = b.formOf(body)
		form.Set("variant-2-name", "maybe")
		form.Set("do", "save")
		if res, body := b.post(path+"/edit", form, "HX-Request", "true"); res.StatusCode != http.StatusNoContent || res.Header.Get("HX-Redirect") != path {
			t.Fatalf("save: %s to %q\n%s", res.Status, res.Header.Get("HX-Redirect"), body)
		}
		b.shows(path, "maybe")
	}

	form := b.formOf(b.holds("/flag-sets/other", "New set", "new-checkout"))
	form.Set("do", "check")
	form.Set("yaml", strings.Replace(form.Get("yaml"), "kind: release", "kind: rumour", 1))
	if res, body := b.post("/flag-sets/other", form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Line ") {
		t.Errorf("a set that is wrong: %s\n%s", res.Status, body)
	}
	form.Set("yaml", strings.Replace(form.Get("yaml"), "kind: rumour", "kind: permission", 1))
	form.Set("do", "save")
	if res, body := b.post("/flag-sets/other", form); res.StatusCode != http.StatusSeeOther {
		t.Errorf("save: %s\n%s", res.Status, body)
	}
	b.shows("/flag-sets/other", "permission", `href="/flags/other/new-checkout"`)
}

func TestChangeRequests(t *testing.T) {
	w := start(t)
	w.apply(reviewedFlags)
	admin, ann, bob := w.as(policy.Admin), w.person("ann", policy.Operator), w.person("bob", policy.Operator)
	admin.holds("/change-requests", "No change waits for a review.")
	ask := func(variant, why string) string {
		t.Helper()
		form := admin.formOf(admin.holds("/flags/careful/banner/edit", "becomes a change request, as the set has reviewers there"))
		form.Set("defaultVariant", variant)
		form.Set("reason", why)
		form.Set("do", "check")
		if _, body := admin.post("/flags/careful/banner/edit", form); !strings.Contains(body, "Saving asks the reviewers of <b>production</b>") || !strings.Contains(body, "Ask for a review") {
			t.Errorf("a check does not say that it needs a review\n%s", body)
		}
		form.Set("do", "save")
		res, body := admin.post("/flags/careful/banner/edit", form)
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s\n%s", res.Status, body)
		}
		_, id, _ := strings.Cut(res.Header.Get("Location"), "/change-requests#")
		return id
	}
	id := ask("on", evil)
	body := admin.shows("/change-requests", id, "You asked for it and cannot approve it too.", "Take back", "defaultVariant", "Missing: the approval of one of sre", "&lt;script&gt;")
	if strings.Contains(body, "<script>alert") {
		t.Error("what was written became markup")
	}
	bob.holds("/change-requests", "You are no reviewer of production.")
	admin.holds("/approvals", `href="/change-requests"`)
	decide := func(b *browser, verb, id string) int {
		t.Helper()
		res, _ := b.post("/change-requests/"+id+"/"+verb, url.Values{"form": {b.formToken()}, "reason": {"read it"}})
		return res.StatusCode
	}
	if code := decide(bob, "approve", id); code != http.StatusForbidden {
		t.Errorf("approval by somebody who may not: %d", code)
	}
	ann.holds("/change-requests", "do-approve-"+id, "do-refuse-"+id)
	if code := decide(ann, "approve", id); code != http.StatusSeeOther {
		t.Errorf("approval: %d", code)
	}
	ann.shows("/change-requests", "No change waits", "applied", "ann approved")
	admin.shows("/flags/careful/banner", "Everyone gets on")
	if second := ask("off", "never mind"); decide(admin, "refuse", second) != http.StatusSeeOther {
		t.Error("it cannot be taken back")
	}
	ann.shows("/change-requests", "refused")
	ann.holds("/events", fmt.Sprintf("admin asked for a review: %s", id), "ann approved "+id+", which applied it")
}

func TestWithoutABoardThereAreNoFlags(t *testing.T) {
	w := start(t)
	w.opts.Board = nil
	w.url = w.serve()
	b := w.as(policy.Admin)
	for _, path := range []string{"/flags", "/flags/a/b", "/change-requests", "/flag-sets/a"} {
		if res, _ := b.get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
	if strings.Contains(b.holds("/"), `href="/flags"`) {
		t.Error("the navigation leads to flags")
	}
}

// What people write into flags is text, in every page, and no page brings scripts or styles of its own.
func TestWhatPeopleWroteIntoFlagsIsText(t *testing.T) {
	w := start(t)
	key := `k"><script>alert(1)</script>`
	spec := map[string]any{"environments": []string{"production", evil}, "flags": map[string]any{key: map[string]any{"description": evil, "owner": evil, "state": "ENABLED",
		"variants": map[string]any{evil: evil, "plain": "x"}, "defaultVariant": evil, "preview": map[string]any{"title": evil, "variant": evil}, "expires": "2020-01-01",
		"targeting": map[string]any{"if": []any{map[string]any{"==": []any{map[string]any{"var": evil}, evil}}, evil}}},
		"ramped": map[string]any{"state": "ENABLED", "variants": map[string]any{"on": true, "off": false}, "defaultVariant": "off", "exposure": map[string]any{"plan": "quick", "variant": "on"}}}}
	raw, err := json.Marshal(spec)
	must(t, err)
	w.apply(`{"apiVersion":"ringfence.dev/v1","kind":"FlagSet","metadata":{"name":"bad"},"spec":` + string(raw) + `}`)
	w.apply(reviewedFlags)
	b := w.as(policy.Admin)
	form := url.Values{"form": {b.formToken()}, "choice": {"on"}, "reason": {evil}}
	if res, body := b.post("/flags/bad/ramped/expose", form); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("expose: %s\n%s", res.Status, body)
	}
	if res, body := b.post("/flags/careful/banner/archive", form); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/change-requests#") {
		t.Fatalf("archive: %s\n%s", res.Status, body)
	}
	at, q := "/flags/bad/"+url.PathEscape(key), url.QueryEscape(evil)
	for _, path := range []string{"/flags", "/flags?q=" + q + "&set=" + q + "&kind=" + q + "&environment=" + q, at, at + "?user=" + q + "&context=" + q, at + "?environment=" + q, at + "/edit", at + "/off", at + "/archive",
		"/flag-sets/bad", "/change-requests", "/change-requests?set=" + q, "/flags/bad/ramped", "/rollouts/flag:bad:ramped-1", "/flags/new?set=" + q + "&key=" + q, "/approvals", "/events"} {
		res, body := b.get(path)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || res.StatusCode == http.StatusInternalServerError {
			t.Errorf("GET %s: %s, or what was written became markup", path, res.Status)
		}
		b.nothingInline(path)
	}
	b.holds(at, html.EscapeString("<script>alert(1)</script>")[:20], "past its expiry")
}
