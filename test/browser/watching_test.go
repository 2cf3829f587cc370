package browser

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// production is the shop with everything that watches it. Its gate only tells, so that a bad release stays until somebody takes it back.
const production = `apiVersion: ringfence.dev/v1
kind: Service
metadata: {name: shop}
spec:
  owner: team-shop
  run: {command: ["{artifact}", "--listen", "{address}"]}
  ready: {http: /readyz, within: 60s}
  route: {host: shop.localhost, targetingKey: {header: X-User-ID}, account: {header: X-User-ID}, rum: {pages: ["/app/product/{id}"], events: true}}
  customers: {minRequests: 3, minBad: 1}
  plan: telling
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: telling}
spec:
  rings:
    - {name: half, audience: {percent: 50}, bake: 1h}
    - {name: all, bake: 1h}
  gates:
    - {signal: errors, onFail: notify, minRequests: 1000000}
---
apiVersion: ringfence.dev/v1
kind: SLO
metadata: {name: shop-errors}
spec: {service: shop, signal: errors, target: 99.9, window: 1d}
---
apiVersion: ringfence.dev/v1
kind: Probe
metadata: {name: nowhere}
spec: {service: shop, every: 1s, http: {path: /nowhere}}
---
apiVersion: ringfence.dev/v1
kind: Notifier
metadata: {name: phone}
spec: {to: {webhook: {url: "http://127.0.0.1:9/", secretFile: phone}}, events: [incident.called]}
---
apiVersion: ringfence.dev/v1
kind: Rotation
metadata: {name: shop-oncall}
spec:
  services: [shop]
  people: [{name: ann, notifiers: [phone]}, {name: admin, notifiers: [phone]}]
  layers: [{name: first, people: [ann, admin], start: 2026-01-05T09:00, zone: Europe/Berlin}]
  steps: [{call: [first], wait: 5m}]
`

// Production as it is watched: one bad release, from the spike to the postmortem.
func TestWatchingInABrowser(t *testing.T) {
	r := newRig(t)
	r.declare(production)
	r.ringfence("release", "shop", "--version", "v1", "--artifact", filepath.Join(r.dir, "shop-v1"), "--watch")
	r.users()
	r.ringfence("release", "shop", "--version", "v3", "--artifact", filepath.Join(r.dir, "shop-v3"))
	for _, part := range []struct {
		name string
		look func(*rig)
	}{
		{"signing in", signingIn}, {"a spike leads to its logs", spikeToLogs}, {"charts are read together", chartsTogether}, {"objectives", objectives},
		{"alerts are taken and silenced", takingAlerts}, {"on call", onCall}, {"an incident", anIncident}, {"a probe is made", makingAProbe}, {"real users", realUsers}, {"customers are hurt", hurtCustomers},
		{"every page of it fits every screen", watchedScreens},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			r.t = t
			part.look(r)
			for _, said := range r.complaints() {
				t.Errorf("the browser complains: %s", said)
			}
		})
		r.t = t
		if !ok {
			return
		}
	}
}

// users tell how the shop's pages were for them.
func (r *rig) users() {
	r.t.Helper()
	for i := range 20 {
		body := fmt.Sprintf(`{"p":"/app/product/%d","n":1,"v":"v1","r":"all","m":{"lcp":900,"ttfb":80,"cls":0.02},"c":[{"n":"purchase"}],"e":[{"k":"error","m":"x is not a function","s":"/app.js:10:5","n":2}]}`, i)
		req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.gateway+"/.ringfence/rum", strings.NewReader(body))
		must(r.t, err)
		req.Host = "shop.localhost"
		req.Header.Set("X-User-ID", fmt.Sprintf("u%d", i))
		res, err := http.DefaultClient.Do(req)
		must(r.t, err)
		must(r.t, res.Body.Close())
		if res.StatusCode/100 != 2 {
			r.t.Fatalf("what a page tells is answered with %s", res.Status)
		}
	}
}

// over is where the lines of a chart with a title are drawn.
func over(title string) string {
	return fmt.Sprintf(`Array.from(document.querySelectorAll(".chart")).find(c => c.querySelector("h3").textContent.startsWith(%q)).querySelector(".u-over")`, title)
}

type point struct{ X, Y float64 }

// mouse moves, presses or releases it.
func (r *rig) mouse(what input.DispatchMouseEventType, p point) {
	r.t.Helper()
	e := input.DispatchMouseEventParams{Type: what, X: p.X, Y: p.Y}
	if what != "mouseMoved" {
		e.Button, e.ClickCount = "left", 1
	}
	_, err := chromedp.Call(r.ctx, input.DispatchMouseEvent, e)
	must(r.t, err)
}

// at is a point of a chart in the window, from its left and top as parts of the whole.
func (r *rig) at(title string, x, y float64) point {
	r.t.Helper()
	return eval[point](r, fmt.Sprintf(`(() => { const o = %s; o.scrollIntoView({block: "center"}); const b = o.getBoundingClientRect(); return {X: b.left + b.width * %g, Y: b.top + b.height * %g} })()`, over(title), x, y))
}

// drag draws the mouse over a chart.
func (r *rig) drag(title string, from, to float64) {
	r.t.Helper()
	a, b := r.at(title, from, 0.5), r.at(title, to, 0.5)
	r.mouse("mouseMoved", a)
	r.mouse("mousePressed", a)
	r.mouse("mouseMoved", point{(a.X + b.X) / 2, a.Y})
	r.mouse("mouseMoved", b)
	r.mouse("mouseReleased", b)
}

func spikeToLogs(r *rig) {
	r.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(r.pages+"/services/shop?span=15m"))
	r.sees("errors of v3, by themselves", `Array.from(document.querySelectorAll(".logs li.error")).some(l => l.textContent.includes("v3"))`)
	r.do(chromedp.Navigate(r.pages + "/services/shop?span=15m"))
	r.sees("the spike", `/v3 (?!0 %)[0-9.]+ %/.test(`+over("Share of errors")+`.getAttribute("aria-label"))`)
	r.drag("Share of errors", 0.5, 0.999) // one
	r.sees("a way to the logs of the worst line", `document.querySelector(".chart-bar:not([hidden]) a:nth-of-type(2)").textContent === "of v3"`)
	r.do(press(".chart-bar:not([hidden]) a:nth-of-type(2)")) // two
	r.sees("the logs of that time and version", `location.pathname === "/explore" && document.querySelector("#version").value === "v3" && document.querySelector(".chosen") && document.querySelector(".logs li.error")`)
	if !eval[bool](r, `Array.from(document.querySelectorAll(".logs .whose")).every(w => w.textContent.includes("v3"))`) {
		r.t.Error("logs of other versions are shown, too")
	}
	if got := eval[string](r, `Array.from(document.querySelectorAll("#version option, #ring option"), o => o.value).sort().join()`); got != ",,all,half,v1,v3" {
		r.t.Errorf("versions and rings to choose from are %s", got)
	}
	r.do(chromedp.KeyEvent("j"))
	r.sees("that keys go from line to line", `document.activeElement.matches(".logs summary")`)
	r.do(chromedp.SetValue(css("#version"), "v1"), press(".explore button.main"))
	r.sees("another version", `new URL(location.href).searchParams.get("version") === "v1" && document.querySelector("#version").value === "v1"`)
}

func chartsTogether(r *rig) {
	r.do(chromedp.Navigate(r.pages + "/services/shop?span=15m"))
	r.sees("charts", `document.querySelectorAll("#health-charts .u-over").length >= 3`)
	p := r.at("Requests per second", 0.97, 0.4)
	r.await("a tooltip with the versions", func() bool {
		r.mouse("mouseMoved", point{p.X - 1, p.Y})
		r.mouse("mouseMoved", p)
		return eval[bool](r, `Array.from(document.querySelectorAll(".chart-tip:not([hidden])")).some(t => t.textContent.includes("v1"))`)
	})
	r.sees("a cursor at the same time in another chart", `Math.abs(new DOMMatrix(getComputedStyle(`+over("Share of errors")+`.querySelector(".u-cursor-x")).transform).e - new DOMMatrix(getComputedStyle(`+over("Requests per second")+`.querySelector(".u-cursor-x")).transform).e) < 3`)
	r.drag("Requests per second", 0.6, 0.9)
	r.sees("that it can be left again", `Array.from(document.querySelectorAll(".chart-bar:not([hidden]) button")).some(b => b.textContent === "Whole time")`)
	r.do(press(".chart-bar:not([hidden]) button"))
	r.sees("the whole time", `!document.querySelector(".chart-bar:not([hidden])")`)
	eval[bool](r, over("Share of errors")+".focus(), true")
	r.do(chromedp.KeyEvent(kb.ArrowLeft))
	r.sees("values, said", `Array.from(document.querySelectorAll(".chart .unseen")).some(s => s.textContent.includes("v1"))`)
}

func objectives(r *rig) {
	r.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("s"), chromedp.WaitVisible(css(".labtable")))
	r.sees("that the objective is missed", `document.querySelector("#headline").textContent.includes("1 in trouble") && document.querySelector(".labtable .badge.fail")`)
	r.do(chromedp.KeyEvent("j"))
	r.sees("that keys go from one to the next", `document.activeElement.matches(".labtable h2 a")`)
	r.do(press(".labtable h2 a"), chromedp.WaitVisible(css("#slo-charts .u-over")))
	r.sees("what is left, and how fast it burns", `document.querySelector(".facts").textContent.includes("spent") && document.querySelectorAll(".rates tbody tr").length === 4`)
}

func hurtCustomers(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/slos/shop-errors"), chromedp.WaitVisible(css("#customers")))
	r.sees("who is hurt, when, and where, once the minute is over", `document.querySelector(".hurt .heat rect:not(.h0)") && document.querySelector(".hurt").textContent.includes("v3/half")`)
	r.do(chromedp.Navigate(r.pages+"/services/shop"), chromedp.WaitVisible(css(".hurt td a")), chromedp.WaitVisible(css("#budget-charts .u-over")), press(".hurt td a"))
	r.sees("the logs of the worst minute", `location.pathname === "/explore" && new URL(location.href).searchParams.get("service") === "shop" && document.querySelector(".chosen")`)
}

func takingAlerts(r *rig) {
	r.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("l"), chromedp.WaitVisible(css(".firing > li")))
	r.do(press(`.firing .actions a[href$="/ack"]`))
	r.answers("looking at it")
	r.sees("who took it", `document.querySelector(".firing").textContent.includes("Taken by admin: looking at it")`)
	r.do(press(".firing h2 a"), chromedp.WaitVisible(css(`.actions a[href$="/silence"]`)), press(`.actions a[href$="/silence"]`), chromedp.WaitVisible(css("#ask[open] #choice")),
		chromedp.SetValue(css("#choice"), "4 hours"))
	r.answers("we know of it")
	r.sees("that it is silent", `document.querySelector("#live .badge").textContent.includes("silenced")`)
	r.do(chromedp.Navigate(r.pages + "/alerts"))
	r.sees("the silence, and until when", `Array.from(document.querySelectorAll("h2")).some(h => h.textContent === "Silences") && document.body.textContent.includes("we know of it")`)
	r.do(press(`a[href$="/end"]`), press("#ask button.main"))
	r.sees("that it is over", `!document.querySelector('a[href$="/end"]')`)
}

func onCall(r *rig) {
	r.do(chromedp.Navigate(r.pages + "/incidents"))
	r.sees("who is on call, and who cannot take anything", `/ann|admin/.test(document.querySelector(".oncall li").textContent)`)
	r.do(press(".oncall summary"))
	r.sees("the turns to come", `document.querySelectorAll(".oncall details[open] tbody tr").length >= 2`)
}

func anIncident(r *rig) {
	said := r.ringfence("incident", "open", "checkout fails", "--service", "shop", "--severity", "1", "--impact", "orders are lost")
	id, _, _ := strings.Cut(said, " ")
	r.do(chromedp.Navigate(r.pages + "/incidents/" + id))
	r.sees("that taking back is the first button", `document.querySelector(".actions.first a").textContent.startsWith("Roll back shop v3 to v1")`)
	r.do(chromedp.KeyEvent("a"))
	r.answers("on it")
	r.sees("that somebody has it", `document.querySelector("#live .badge").textContent.includes("acknowledged")`)
	r.do(chromedp.Navigate(r.pages+"/incidents/"+id+"/close"), chromedp.SendKeys(css("#reason"), "enough of it"), press(".ask button.main"))
	r.sees("what has to be answered before it is closed", `document.querySelector(".ask .alert").textContent.includes("the cause is confirmed, or named unknown")`)
	r.complaints() // the browser notes that it was refused
	r.do(chromedp.Navigate(r.pages+"/incidents/"+id), chromedp.WaitVisible(css(".actions.first a")), chromedp.KeyEvent("b"))
	r.answers("orders are lost")
	r.sees("that it is taken back", `document.querySelector(".happened").textContent.includes("everyone has the version before again")`)
	closeIt(r, id)
	r.do(chromedp.Navigate(r.pages + "/incidents/trends"))
	r.sees("the four measures", `document.querySelector(".dora").textContent.includes("shop") && document.querySelectorAll("#trend-charts .u-over").length === 2`)
}

// closeIt takes an incident from there to its end, by the forms of its page alone.
func closeIt(r *rig, id string) {
	done := func(point string) string {
		return fmt.Sprintf(`Array.from(document.querySelectorAll(".checklist li.done")).some(l => l.textContent.includes(%q)) && !document.querySelector("details.entry[open]")`, point)
	}
	open := func(form string) {
		r.do(press("#do-"+form+" > summary"), chromedp.WaitVisible(css("#do-"+form+"[open] form")))
	}
	set := func(field, value string) { r.do(chromedp.SetValue(css("#"+field), value)) }
	if eval[bool](r, `!document.querySelector("#live .badge").textContent.includes("mitigated")`) { // Ringfence may have seen it already
		r.do(chromedp.Navigate(r.pages + "/incidents/" + id + "/mitigate"))
		r.do(chromedp.SendKeys(css("#reason"), "v1 is back"), press(".ask button.main"))
	}
	r.sees("that users are safe", `document.querySelector("#live .badge").textContent.includes("mitigated")`)
	open("impact")
	set("impact-start", "2030-01-01T00:00:01")
	r.do(press("#do-impact button.main"))
	r.sees("what is wrong, at the form", `document.querySelector("#do-impact[open] .alert").textContent.includes("expected times until now")`)
	r.complaints()                                                  // the browser notes that it was refused
	now := time.Now().UTC().Truncate(time.Minute).Add(-time.Second) // the browser leaves out seconds that are none
	set("impact-start", now.Add(-time.Minute).Format("2006-01-02T15:04:05"))
	set("impact-end", now.Format("2006-01-02T15:04:05"))
	r.do(press("#do-impact button.main"))
	r.sees("when users were hurt", done("start and end of the impact"))
	r.do(chromedp.KeyEvent("c"))
	r.sees("that what is to be chosen has the focus", `document.activeElement.matches("#cause-choice")`)
	set("cause-choice", "other")
	set("cause-text", "v3 cannot pay")
	r.do(press("#do-cause button.main"))
	r.sees("the cause", done("the cause is confirmed"))
	open("learn")
	set("learn-well", "it was taken back in a minute")
	set("learn-badly", "- no test pays\n- nobody looked")
	r.do(press("#do-learn button.main"))
	r.sees("what is learned", done("wants a postmortem"))
	open("action")
	set("action-what", "a test that pays")
	r.do(press("#do-action button.main"))
	r.sees("an item without an owner", `document.querySelector(".items .badge").textContent.includes("without an owner")`)
	open("action-1")
	set("action-1-owner", "ann")
	set("action-1-due", now.AddDate(0, 0, 7).Format("2006-01-02"))
	r.do(press("#do-action-1 button.main"))
	r.sees("an item that is open", done("every open action item has an owner")+` && document.querySelector(".items .badge").textContent === "open"`)
	r.do(press(`.checklist a[href$="/resolve"]`))
	r.answers("its alerts are of before")
	r.sees("that nothing is left", `document.querySelector('.left a[href$="/close"]')`)
	r.do(press(`.left a[href$="/close"]`))
	r.answers("learned")
	r.sees("that it is closed", `document.querySelector("#live .badge").textContent.includes("closed")`)
	r.do(press(`.items a[href$="/done"]`), press("#ask button.main"))
	r.sees("an item that is done, later", `document.querySelector(".items .badge").textContent === "done"`)
	r.do(press(`a[href$="/postmortem"]`))
	r.sees("the postmortem as a page", `location.pathname.endsWith("/postmortem") && document.querySelectorAll(".postmortem #badly-title + ul > li").length === 2 && document.body.textContent.includes("v3 cannot pay") && document.querySelectorAll(".postmortem .happened li").length > 5`)
}

func makingAProbe(r *rig) {
	r.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("b"), chromedp.WaitVisible(css(".probetable")), chromedp.SendKeys(css("#name"), "shelf"), press(`form[action="/probes/new"] button`), chromedp.WaitVisible(css("#editor")),
		chromedp.SetValue(css("#request-0-path"), "/products"), chromedp.SetValue(css("#request-0-contains"), "Mug"), chromedp.SetValue(css("#every"), "soon"), press(`button.main[value="save"]`))
	r.sees("what is wrong, at the field", `document.querySelector("#every-wrong").textContent.includes("expected a duration") && document.querySelector("#every").value === "soon"`)
	r.complaints() // the browser notes that it was refused
	r.do(chromedp.SetValue(css("#every"), "1s"), press(`button.main[value="save"]`))
	r.sees("what it sees", `location.pathname === "/probes/shelf" && document.querySelector(".probetable .badge.pass")`)
	if got := r.ringfence("get", "probe", "shelf", "-o", "yaml"); !strings.Contains(got, "contains: [Mug]") {
		r.t.Errorf("declared is %s", got)
	}
	r.sees("how long it took", `document.querySelectorAll("#probe-charts .u-over").length === 2`)
}

func realUsers(r *rig) {
	r.do(chromedp.Navigate(r.pages + "/services/shop/users"))
	r.sees("pages, errors of scripts and use", `document.body.textContent.includes("/app/product/{id}") && document.body.textContent.includes("x is not a function") && document.body.textContent.includes("Use by version and ring")`)
	r.do(press(`.choices a[href="?window=6h"]`))
	r.sees("another time", `document.querySelector(".choices a[aria-current]").textContent === "6h"`)
}

func watchedScreens(r *rig) {
	for _, page := range []struct{ name, path, ready string }{
		{"watched-service", "/services/shop", ".u-over"}, {"explore", "/explore?service=shop", ".u-over"}, {"slos", "/slos", ".labtable"}, {"slo", "/slos/shop-errors", ".u-over"}, {"alerts", "/alerts", "h1"},
		{"noise", "/noise", "h1"}, {"incidents", "/incidents", ".oncall"}, {"incident", "/incidents/inc-1", ".checklist"}, {"postmortem", "/incidents/inc-1/postmortem", ".postmortem"}, {"trends", "/incidents/trends", ".dora"}, {"probes", "/probes", ".probetable"},
		{"probe", "/probes/shelf", ".probetable"}, {"probe-form", "/probes/shelf/edit", "#editor"}, {"users", "/services/shop/users", "table"},
	} {
		for _, size := range sizes {
			scheme := map[string]string{"desk": "light", "phone": "dark"}[size.name]
			r.scheme(scheme)
			r.do(chromedp.EmulateViewport(size.width, size.height, size.opts...), chromedp.Navigate(r.pages+page.path), chromedp.WaitVisible(css(page.ready)))
			where := page.name + "-" + size.name + "-" + scheme
			if wide := eval[int](r, "document.documentElement.scrollWidth"); wide > int(size.width) {
				r.t.Errorf("%s is %d wide", where, wide)
			}
			for _, fault := range eval[[]string](r, nameless) {
				r.t.Errorf("%s: %s has no name", where, fault)
			}
			r.picture(where)
		}
	}
}
