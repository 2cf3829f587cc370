package ui_test

import (
	"context"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/clientele"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/objective"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// production has one customer that is hurt, one budget that is overspent and a few lines.
type production struct{}

func (production) Report(_ context.Context, service string, q clientele.Asked) (account.Report, error) {
	if service != "shop" {
		return account.Report{}, errs.E(errs.Missing, "%s counts no accounts", service)
	}
	at := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	return account.Report{Service: service, Since: at, Until: time.Now(), Rule: resource.Customers{Objective: 99.9, BadShare: 5}, SlowOver: "1s", Known: 41, WithBad: 9, Missed: 1, StripStep: 15, Accounts: []account.Fared{
		{Account: evil, Minutes: 30, Bad: 12, Burn: 400, Last: at, Strip: []int{0, 1, 11}, Worst: &account.Worst{At: at, Requests: 64, Bad: 63}, Where: []account.Where{{Place: account.Place{Version: "v2", Ring: "canary"}, Bad: 200}}, Budget: account.Budget{Good: 60}},
		{Account: "globex", Minutes: 30, Strip: []int{0, 0, 0}, Budget: account.Budget{Good: 100, Met: true}},
	}}, nil
}

func (production) List(context.Context) ([]objective.Status, error) {
	left := -78.5
	return []objective.Status{{Objective: "shop-errors", Service: "shop", Target: 0.999, Window: "30d rolling", State: objective.Burning, Remaining: &left, From: time.Now().Add(-30 * 24 * time.Hour),
		Alerts: []objective.Fires{{Severity: "page", Since: time.Now()}}}}, nil
}

func (p production) Read(ctx context.Context, id string, _ int, now time.Time) (objective.Report, error) {
	all, err := p.List(ctx)
	if id != "shop-errors" {
		return objective.Report{}, errs.E(errs.Missing, "there is no SLO %q", id)
	}
	return objective.Report{Status: all[0], Points: []slo.Point{{At: now.Add(-time.Hour), Remaining: 1}, {At: now, Remaining: -78.5, Bad: 80}}}, err
}

func (production) Find(context.Context, logs.Query) (logs.Page, error) {
	return logs.Page{Entries: []logs.Entry{{Seq: 7, Time: time.Now(), Labels: logs.Labels{Service: "shop", Version: "v2", Ring: "canary"}, Severity: logs.Error, Text: "the cart is gone " + evil}}}, nil
}

func (production) Count(_ context.Context, q logs.CountQuery) (logs.Counts, error) {
	if len(q.By) == 2 { // what there is to choose from does not depend on what was chosen
		if q.Version != nil || q.Ring != nil || q.Text != "" {
			return logs.Counts{}, errs.E(errs.Internal, "the choices are narrowed: %+v", q)
		}
		return logs.Counts{All: []logs.Count{{Values: []string{"v1", "all"}, Entries: 9}, {Values: []string{"v2", "canary"}, Entries: 3}, {Entries: 1}}}, nil
	}
	return logs.Counts{}, nil
}

func startProduction(t *testing.T) *world {
	w := start(t)
	p := production{}
	w.opts.Customers, w.opts.SLOs, w.opts.LogStore = p, p, p
	w.url = w.serve()
	return w
}

func TestWhatIsWatchedOfAService(t *testing.T) {
	w := startProduction(t)
	b := w.as(policy.Viewer)
	for path, wants := range map[string][]string{
		"/services/shop":                   {"9 of 41 accounts", "1 miss 99.9 % good minutes", `class="h1"`, `class="h4"`, "v2/canary 200", "63 of 64", "ringfence slo customers shop --since 24h", "8 more had bad minutes", "spent 79.5 ×", "the cart is gone", `data-charts="/ui/budgets/shop"`},
		"/slos/shop-errors":                {"spent 79.5 ×", "Customers hurt", "--since 672h", `data-charts="/slos/shop-errors/series"`},
		"/slos":                            {"1 in trouble", "spent 79.5 ×", "99.9 %"},
		"/slos/shop-errors/series":         {`"low":-1`, `"logs":"/explore?service=shop"`, `"href":"/rollouts/shop-1"`},
		"/ui/budgets/shop":                 {"Error budget left: shop-errors", `"low":-1`, `"logs":"/explore?service=shop"`},
		"/ui/health?service=shop":          {`"of":"version=v1"`, `"of":"version=v2"`},
		"/ui/health?service=shop&by=ring":  {`"of":"ring=all"`},
		"/ui/explore?service=shop&expr=up": {`"of":"ring=all\u0026service=shop\u0026version=v1"`},
	} {
		if body := b.holds(path, wants...); strings.Contains(body, evil) || strings.Contains(body, ">globex<") {
			t.Errorf("%s: it is not escaped, or shows who is well", path)
		}
	}
	w.as(policy.Admin).nothingInline("/services/shop")
	body := b.holds("/services/shop", "Customers hurt")
	if at := strings.Index(body, "/explore?from="); at < 0 || !strings.Contains(html.UnescapeString(body[at:at+200]), "&service=shop&to=") || !strings.Contains(body[at:at+200], "version=v2") {
		t.Error("the worst minute does not lead to its logs")
	}
}

func TestExploreOffersWhatThereIs(t *testing.T) {
	w := startProduction(t)
	b := w.as(policy.Viewer)
	b.holds("/explore?service=shop", `<select id="version"`, "<option>v2</option><option>v1</option>", "<option>all</option><option>canary</option>")
	b.holds("/explore?service=shop&version=v2&ring=canary&text=cart", "<option selected>v2</option><option>v1</option>", "<option selected>canary</option>")
	b.holds("/explore?service=shop&version=v0.9", "<option>v2</option><option>v1</option><option selected>v0.9</option>") // of the address, as it stands
}

func (w *world) probeOf(name string) resource.Probe {
	w.t.Helper()
	r, err := w.opts.Catalog.Get(w.t.Context(), resource.KindProbe, name)
	must(w.t, err)
	probe, err := resource.As[resource.Probe](r)
	must(w.t, err)
	return probe
}

const wholeProbe = `apiVersion: ringfence.dev/v1
kind: Probe
metadata: {name: whole, labels: {tier: "1"}}
spec:
  service: shop
  every: 10s
  secrets: {token: shop.token}
  quiet: {freezes: true}
  alert: {severity: ticket, urgent: 24h}
  steps:
    - {name: look, path: "/products?all=1", headers: {Accept: text/html}, expect: {status: [200, 204], contains: [Mug, "a, b"], json: [{path: "[2].name", equals: Mug}]}, extract: [{name: price, json: "[2].price"}]}
    - {method: POST, path: /cart, body: '{"price": {price}}'}
`

func TestTheProbeEditorKeepsWhatItDoesNotChange(t *testing.T) {
	w := start(t)
	w.opts.Probes = seen{}
	w.url = w.serve()
	w.apply(wholeProbe)
	before := w.probeOf("whole")
	b := w.as(policy.Admin)
	form := b.formOf(b.holds("/probes/whole/edit", "Requests, one after the other"))
	form.Set("do", "save")
	if res, body := b.post("/probes/whole/edit", form); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("save: %s\n%s", res.Status, body)
	}
	if d := cmp.Diff(before, w.probeOf("whole")); d != "" {
		t.Error(d)
	}
	form.Set("do", "step-remove:0")
	_, body := b.post("/probes/whole/edit", form)
	if form = b.formOf(body); form.Get("request-0-path") != "/cart" || form.Get("request-1-path") != "" {
		t.Errorf("a step was not removed: %v", form)
	}
}

func TestTheProbeEditor(t *testing.T) {
	w := start(t)
	w.opts.Probes = seen{}
	w.url = w.serve()
	b := w.as(policy.Admin)
	b.holds("/probes", `action="/probes/new"`)
	if res, _ := b.get("/probes/new?name=cart"); res.Header.Get("Location") != "/probes/cart/edit" {
		t.Error(res.Status)
	}
	if res, _ := b.get("/probes/new?name=No"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Error(res.Status)
	}
	form := b.formOf(b.holds("/probes/cart/edit", "New probe cart"))

	// What is wrong is said at its field, what was typed stays, and nothing is saved.
	form.Set("do", "save")
	form.Set("every", "soon")
	form.Set("request-0-status", "teapot")
	res, body := b.post("/probes/cart/edit", form)
	for _, want := range []string{`value="soon"`, `id="every-wrong"`, `value="teapot"`, `id="request-0-status-wrong"`} {
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("%s, lacks %s", res.Status, want)
		}
	}
	form.Set("every", "15s")
	form.Set("request-0-status", "200, 204")
	form.Set("request-0-matches", "(")
	form.Set("agree", "3")
	res, body = b.post("/probes/cart/edit", form)
	for _, want := range []string{`id="request-0-matches-wrong"`, `id="agree-wrong"`} {
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("%s, lacks %s\n%s", res.Status, want, body)
		}
	}
	if _, err := w.opts.Catalog.Get(t.Context(), resource.KindProbe, "cart"); !errs.Is(err, errs.Missing) {
		t.Fatalf("refused, and saved: %v", err)
	}

	// Of one request become several, and the probe is saved as the person who did it.
	form.Set("agree", "")
	form.Set("request-0-matches", "")
	form.Set("request-0-contains", "Mug")
	form.Set("way", "steps")
	form.Set("do", "check")
	_, body = b.post("/probes/cart/edit", form)
	form = b.formOf(body)
	form.Set("do", "step-add")
	_, body = b.post("/probes/cart/edit", form)
	form = b.formOf(body)
	form.Set("request-1-path", "/cart")
	form.Set("do", "save")
	if res, body = b.post("/probes/cart/edit", form, "HX-Request", "true"); res.Header.Get("HX-Redirect") != "/probes/cart" {
		t.Fatalf("save: %s\n%s", res.Status, body)
	}
	if p := w.probeOf("cart"); len(p.Steps) != 2 || p.Steps[1].Path != "/cart" || p.HTTP != nil || p.Every.String() != "15s" {
		t.Errorf("saved %+v", p)
	}
	b.holds("/events", "probe/cart")
	b.holds("/probes/cart", "nothing was seen yet") // by an engine that has not looked
	if res, body = b.post("/probes/cart/edit", form); res.StatusCode != http.StatusConflict || !strings.Contains(body, "Somebody else has changed probe cart") {
		t.Errorf("over somebody else’s: %s", res.Status)
	}

	// As text; and only who may change what is declared gets there.
	form = b.formOf(b.holds("/probes/cart/edit"))
	form.Set("yaml", "kind: Probe\nmetadata: {name: other}\napiVersion: ringfence.dev/v1\nspec: {service: shop, http: {}}\n")
	form.Set("do", "save")
	if res, body = b.post("/probes/cart/edit", form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Expected one Probe with the name cart.") {
		t.Errorf("another’s text: %s", res.Status)
	}
	operator := w.as(policy.Operator)
	if res, _ = operator.get("/probes/cart/edit"); res.StatusCode != http.StatusForbidden {
		t.Error(res.Status)
	}
	form.Set("form", operator.formToken())
	if res, _ = operator.post("/probes/cart/edit", form); res.StatusCode != http.StatusForbidden {
		t.Error(res.Status)
	}
}
