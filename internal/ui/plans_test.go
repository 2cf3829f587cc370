package ui_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	xhtml "golang.org/x/net/html"

	"github.com/google/go-cmp/cmp"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// formOf reads the editor's form as a browser would send it.
func (b *browser) formOf(body string) url.Values {
	b.t.Helper()
	doc, err := xhtml.Parse(strings.NewReader(body))
	must(b.t, err)
	form := url.Values{}
	attr := func(n *xhtml.Node, key string) (string, bool) {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val, true
			}
		}
		return "", false
	}
	for n := range doc.Descendants() {
		name, named := attr(n, "name")
		if n.Type != xhtml.ElementNode || !named {
			continue
		}
		value, _ := attr(n, "value")
		kind, _ := attr(n, "type")
		switch n.Data {
		case "input":
			if _, on := attr(n, "checked"); kind == "checkbox" && !on {
				continue
			}
			if kind == "checkbox" {
				value = "on"
			}
			form.Set(name, value)
		case "select":
			for o := range n.Descendants() {
				if _, on := attr(o, "selected"); on {
					form.Set(name, o.FirstChild.Data)
				}
			}
		case "textarea":
			form.Set(name, "")
			if n.FirstChild != nil {
				form.Set(name, strings.ReplaceAll(n.FirstChild.Data, "\n", "\r\n")) // as browsers send it
			}
		}
	}
	return form
}

// whole is a plan with every setting that the editor knows, and some that it does not.
const whole = `apiVersion: ringfence.dev/v1
kind: Group
metadata: {name: sre}
spec: {members: [ann]}
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: whole, labels: {tier: "1"}}
spec:
  standby: 1h
  rings:
    - {name: staff, purpose: finds most, risk: small, audience: {any: [{users: [a]}, {tenants: [b]}]}, bake: 1h, hotfixBake: 1m, coverPeak: true, minUsers: 3}
    - {name: hit, units: [eu], audience: {regions: [de, fr]}, bake: 90m, hours: {days: [mon, tue], from: "08:00", to: "12:00", zone: Europe/Berlin}}
    - {name: broad, audience: {percent: 12.5}, bake: 24h, approval: {from: [sre], need: each, own: true}, minRequests: 1000}
    - {name: wide, audience: {percent: 50}, button: green, hours: {}}
    - {name: all}
  gates:
    - {signal: errors, maxRatio: 1.2, alpha: 0.02}
    - {signal: latency, over: 300ms, rings: [staff]}
    - {signal: quantile, max: 0.5}
    - {signal: query, name: queue, query: sum(queue), max: 5, min: -1, informing: true, every: 1m}
    - {signal: series, name: cpu, series: {canary: a, stable: b, maxRatio: 2, direction: increase}, onFail: hold}
    - {signal: webhook, name: desk, webhook: {url: "https://desk.example/ok", secretFile: /key, retries: 3}, when: before, noData: pass}
    - {signal: command, name: smoke, command: {name: smoke, args: ["{version}"]}}
    - {signal: probe, name: page, probe: {path: /, contains: tea}, failures: 2}
`

func (w *world) planOf(name string) resource.RingPlan {
	w.t.Helper()
	r, err := w.opts.Catalog.Get(w.t.Context(), resource.KindRingPlan, name)
	must(w.t, err)
	plan, err := resource.As[resource.RingPlan](r)
	must(w.t, err)
	return plan
}

func TestThePlanEditorKeepsWhatItDoesNotChange(t *testing.T) {
	w := start(t)
	w.apply(whole)
	before := w.planOf("whole")
	b := w.as(policy.Admin)
	form := b.formOf(b.holds("/plans/whole"))
	form.Set("do", "save")
	if res, body := b.post("/plans/whole", form); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("save: %s\n%s", res.Status, body)
	}
	if d := cmp.Diff(before, w.planOf("whole")); d != "" {
		t.Error(d)
	}
}

func TestThePlanEditor(t *testing.T) {
	w := start(t)
	b := w.as(policy.Admin)
	b.holds("/plans", `href="/plans/quick"`, "shop")
	body := b.holds("/plans/quick", "If a release is bad", "simulated releases", `name="do" value="save"`)
	form := b.formOf(body)

	// What is wrong is said at its field, what was typed stays, and nothing is saved.
	form.Set("do", "save")
	form.Set("ring-1-bake", "5m")
	form.Set("ring-0-audience", "five percent")
	form.Set("ring-0-bake", "soon")
	res, body := b.post("/plans/quick", form)
	for _, want := range []string{`value="five percent"`, `value="soon"`, `id="ring-0-audience-wrong"`, `id="ring-0-bake-wrong"`, "expected a duration such as"} {
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("%s, lacks %s", res.Status, want)
		}
	}
	form.Set("ring-0-audience", "users alice")
	form.Set("ring-0-bake", "1h")
	if res, body = b.post("/plans/quick", form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, `id="ring-1-bake-wrong">5m is shorter`) {
		t.Errorf("%s: a bake that is shorter is not refused at its field", res.Status)
	}
	if got := w.planOf("quick").Rings[1].Bake.String(); got != "1h" {
		t.Fatalf("refused, and saved as %s", got)
	}

	// A ring between, an approval, a gate of another signal.
	form.Set("ring-1-bake", "2h")
	form.Set("do", "ring-add")
	_, body = b.post("/plans/quick", form)
	form = b.formOf(body)
	form.Set("ring-1-name", "broad")
	form.Set("ring-1-audience", "50%")
	form.Set("ring-1-approval", "any of")
	form.Set("ring-1-hours", "mon tue 09:00-17:00 Europe/Berlin")
	form.Set("do", "gate-add")
	_, body = b.post("/plans/quick", form)
	form = b.formOf(body)
	form.Set("gate-0-query", "vector(1)")
	form.Set("gate-0-max", "2")
	form.Set("do", "check")
	if res, body = b.post("/plans/quick", form); res.StatusCode != http.StatusOK || !strings.Contains(body, "It is not saved yet.") || !strings.Contains(html.UnescapeString(body), "max: 2") {
		t.Errorf("check: %s\n%s", res.Status, body)
	}
	form = b.formOf(body)
	form.Set("do", "save")
	if res, body = b.post("/plans/quick", form, "HX-Request", "true"); res.StatusCode != http.StatusOK || !strings.Contains(body, "Saved.") {
		t.Errorf("save: %s\n%s", res.Status, body)
	}
	plan := w.planOf("quick")
	if len(plan.Rings) != 3 || *plan.Rings[1].Audience.Percent != 50 || plan.Rings[1].Approval == nil || plan.Rings[1].Hours.Zone != "Europe/Berlin" || len(plan.Gates) != 1 || *plan.Gates[0].Max != 2 {
		t.Errorf("saved %+v", plan)
	}
	if res, body = b.post("/plans/quick", form); res.StatusCode != http.StatusConflict || !strings.Contains(body, "Somebody else has changed plan quick") {
		t.Errorf("over somebody else’s: %s", res.Status)
	}
}

func TestThePlanAsText(t *testing.T) {
	w := start(t)
	b := w.as(policy.Admin)
	form := b.formOf(b.holds("/plans/quick"))
	was := form.Get("yaml")
	form.Set("do", "check")
	form.Set("yaml", strings.Replace(was, "bake: 1h", "bake: 3 h", 1))
	if res, body := b.post("/plans/quick", form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Line 10: spec.rings[0].bake") || !strings.Contains(body, "bake: 3 h") {
		t.Errorf("a text that cannot be read: %s\n%s", res.Status, body)
	}
	form.Set("yaml", strings.ReplaceAll(was, "bake: 1h", "bake: 3h"))
	form.Set("do", "save")
	if res, body := b.post("/plans/quick", form); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the text: %s\n%s", res.Status, body)
	}
	if got := w.planOf("quick").Rings[0].Bake.String(); got != "3h" {
		t.Errorf("saved %s", got)
	}
}

func TestPlansOfOthers(t *testing.T) {
	w := start(t)
	for _, b := range []*browser{w.as(policy.Viewer), w.person("ann", policy.Operator)} {
		body := b.holds("/plans/quick?traffic=50/s&regression=errors%3D100%25", "only an admin may change it", "fieldset disabled", "simulated releases", `value="50/s"`)
		if strings.Contains(body, `value="save"`) {
			t.Error("they are offered to save it")
		}
		form := b.formOf(body)
		form.Set("do", "save")
		if res, _ := b.post("/plans/quick", form); res.StatusCode != http.StatusForbidden {
			t.Errorf("saved: %s", res.Status)
		}
		if res, _ := b.get("/plans/none"); res.StatusCode != http.StatusNotFound {
			t.Errorf("a plan that is not there: %s", res.Status)
		}
	}
	b := w.as(policy.Admin)
	if res, _ := b.get("/plans/new?name=later"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/plans/later" {
		t.Errorf("a new plan: %s", res.Status)
	}
	form := b.formOf(b.holds("/plans/later", "New plan later"))
	form.Set("do", "save")
	if res, body := b.post("/plans/later", form); res.StatusCode != http.StatusSeeOther {
		t.Errorf("save a new plan: %s\n%s", res.Status, body)
	}
	b.holds("/plans", `href="/plans/later"`, "no service goes through it")
	b.holds("/plans/quick?traffic=lots", "Traffic &#34;lots&#34;: expected requests by time")
}
