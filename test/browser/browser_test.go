package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

type css = chromedp.CSS

const (
	headline = `document.querySelector("#headline").textContent`
	// how far the innermost ring is filled, in percent; -1 when it is not
	filled = `parseFloat((document.querySelector("#rings-ring-0") || {getAttribute: () => "-1"}).getAttribute("stroke-dasharray"))`
)

// One look at everything, in the order in which a person would: the parts share a running Ringfence.
func TestPagesInABrowser(t *testing.T) {
	r := newRig(t)
	for _, part := range []struct {
		name string
		look func(*rig)
	}{
		{"signing in", signingIn}, {"before the first release", beforeAnything}, {"a ring fills while it is looked at", aRingFills},
		{"pausing and resuming", pausing}, {"every page fits every screen", screens}, {"pages can be read without scripts", withoutScripts},
		{"to everyone", toEveryone}, {"who gets what", whoGetsWhat}, {"a bad release", aBadRelease},
		{"a plan is edited", editingAPlan}, {"the calendar", theCalendar}, {"halting, and an approval by somebody else", approving},
		{"the line is stopped by one and lifted by another", stoppingTheLine},
		{"flags before there is any", flagsBeforeAny}, {"flags: a variant comes to users", aFlagRamps}, {"flags: switched off", aFlagIsSwitchedOff},
		{"flags: an edit", editingAFlag}, {"flags: a review", reviewingAnEdit},
		{"experiments before there is any", experimentsBeforeAny}, {"an experiment: begun and read", anExperiment}, {"an experiment breaks", anExperimentBreaks},
		{"signing out", signingOut},
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

func signingIn(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/events"), chromedp.WaitVisible(css("#token")),
		chromedp.SendKeys(css("#token"), r.token), chromedp.Submit(css("#token")), chromedp.WaitVisible(css(".me")))
	if at := eval[string](r, "location.pathname"); at != "/events" {
		r.t.Errorf("signing in led to %s, expected where one wanted to be", at)
	}
	if kept := eval[string](r, "document.cookie"); kept != "" {
		r.t.Errorf("scripts can read the cookie %q", kept)
	}
}

func beforeAnything(r *rig) {
	r.do(chromedp.Navigate(r.pages + "/"))
	r.sees("a service with nothing released", `document.body.textContent.includes("nothing released yet")`)
	r.release("v1") // the page is not loaded again
	r.sees("that v1 is out", `document.querySelector(".card").textContent.includes("v1 for everyone")`)
}

func aRingFills(r *rig) {
	r.release("v2")
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-2"))
	eval[bool](r, "window.notLoadedAgain = true")
	r.sees("that the innermost ring begins to fill", filled+" > 0 && "+headline+`.includes("v2 bakes in ring canary")`)
	before := eval[float64](r, filled)
	r.sees("that it fills further", fmt.Sprintf("%s > %g", filled, before+10))
	if !eval[bool](r, "window.notLoadedAgain === true") {
		r.t.Error("the page was loaded again")
	}
	r.sees("two charts with both versions", `document.querySelectorAll(".chart canvas").length === 2 && document.querySelectorAll(".u-series").length === 6`)
	r.sees("evidence on its scale", `document.querySelectorAll(".gate .scale .bar").length >= 2`)
	r.sees("users of the ring", `/\d/.test(document.querySelector(".ringtable tbody tr").cells[3].textContent)`)
}

func pausing(r *rig) {
	r.do(press("#do-pause"), chromedp.WaitVisible(css("#ask[open] #reason")),
		chromedp.SendKeys(css("#reason"), "looking at it <b>closely</b>"), press("#ask button.main"))
	r.sees("that it is paused", headline+`.startsWith("Paused in ring")`)
	r.sees("why, as text", `document.querySelector(".timeline").textContent.includes("looking at it <b>closely</b>")`)
	r.sees("no dialog any more", `!document.querySelector("dialog[open]")`)

	// What was opened stays open when the page changes under it.
	r.do(press(".timeline li:last-child summary"))
	opened := eval[string](r, `document.querySelector(".timeline details[open]").id`)
	r.do(chromedp.KeyEvent("?"), chromedp.WaitVisible(css("#help")), chromedp.KeyEvent("\u001b"), chromedp.WaitNotVisible(css("#help")))
	eval[bool](r, `document.querySelector("#live").firstElementChild.dataset.old = "yes", true`)
	r.sees("new content", `!document.querySelector("#live [data-old]")`)
	if !eval[bool](r, `document.getElementById("`+opened+`").open`) {
		r.t.Error("what was opened was closed by an update")
	}
}

var sizes = []struct {
	name          string
	width, height int64
	opts          []chromedp.EmulateViewportOption
}{{"desk", 1280, 900, nil}, {"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch}}}

// screens looks at every page in four ways while the rollout is paused.
func screens(r *rig) {
	for _, page := range []struct{ name, path string }{
		{"overview", "/"}, {"rollout", "/rollouts/shop-2"}, {"service", "/services/shop?user=u3@shop.example"}, {"events", "/events"},
		{"confirm", "/rollouts/shop-2/abort"}, {"not-found", "/rollouts/shop-9"},
	} {
		for _, size := range sizes {
			for _, scheme := range []string{"light", "dark"} {
				r.scheme(scheme)
				r.do(chromedp.EmulateViewport(size.width, size.height, size.opts...), chromedp.Navigate(r.pages+page.path), chromedp.WaitVisible(css("h1, .ask h2")))
				if page.name == "rollout" {
					r.sees("its charts", `document.querySelectorAll(".chart canvas").length === 2`)
				}
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
	r.scheme("light")
	r.do(chromedp.EmulateViewport(1280, 900))
	if said := r.complaints(); slices.ContainsFunc(said, func(s string) bool { return !strings.Contains(s, "404 (Not Found)") }) {
		r.t.Errorf("the browser complains: %s", said)
	}
}

// nameless finds what can be used but says nothing to those who hear pages, and pictures without words.
const nameless = `Array.from(document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary, svg")).filter(e => {
	if (e.closest("[aria-hidden=true], defs, .defs") || e.matches("[aria-hidden=true]")) return false;
	if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName)) return !(e.labels.length || e.getAttribute("aria-label"));
	if (e.tagName === "svg") return !(e.getAttribute("role") === "img" && e.getAttribute("aria-label"));
	return !(e.textContent.trim() || e.getAttribute("aria-label"));
}).map(e => e.outerHTML.slice(0, 120))`

func withoutScripts(r *rig) {
	scripts := func(off bool) {
		_, err := chromedp.Call(r.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		must(r.t, err)
	}
	scripts(true)
	r.do(chromedp.Navigate(r.pages+"/rollouts/shop-2"), chromedp.WaitVisible(css("#headline")), chromedp.WaitVisible(css(".ringtable")),
		chromedp.WaitVisible(css(".gate")), chromedp.Click(css("#do-resume")), chromedp.WaitVisible(css("form.ask")),
		chromedp.Click(css("form.ask button.main")), chromedp.WaitVisible(css("#do-pause")))
	scripts(false)
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-2"))
}

// toEveryone waives bakes by the keyboard until v2 is out.
func toEveryone(r *rig) {
	r.sees("a ring that may be hurried", `document.querySelector("#do-promote")`)
	r.do(chromedp.KeyEvent("m"), chromedp.WaitVisible(css("#ask[open] #reason")), chromedp.KeyEvent("good enough"), chromedp.KeyEvent("\r"))
	r.sees("that the bake was waived", `document.querySelector(".timeline").textContent.includes("admin waived the rest of the bake")`)
	r.sees("that v2 is out to everyone", headline+` === "v2 is out to everyone"`)
	r.sees("four full rings", `document.querySelectorAll(".rings .fill.done").length === 4`)
}

func whoGetsWhat(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/services/shop"), chromedp.SendKeys(css("#user"), "u3@shop.example\r"), chromedp.WaitVisible(css(".answer")))
	if got := eval[string](r, `document.querySelector(".answer").textContent`); !strings.Contains(got, "is in ring canary and gets v2") {
		r.t.Errorf("got %q", got)
	}
	if at := eval[string](r, "location.search"); at != "" {
		r.t.Errorf("the whole page was loaded: %s", at)
	}
}

func aBadRelease(r *rig) {
	r.release("v3")
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-3"))
	r.sees("that it was taken back by itself", headline+` === "Everyone has v2 again"`)
	r.sees("where", `document.querySelector(".rings .edge.failed") && document.querySelector(".gate.fail .scale.reached")`)
	r.sees("the time to mitigate", `document.querySelector(".facts").textContent.includes("Time to mitigate")`)
	r.sees("its charts", `document.querySelectorAll(".chart canvas").length === 2`)
	r.picture("halted-desk-light")
	r.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("o"), chromedp.WaitVisible(css(".cards")))
	r.sees("the overview, healthy again", `document.querySelector(".card").textContent.includes("v2 for everyone")`)
}

// editingAPlan lets ring early wait for an approval.
func editingAPlan(r *rig) {
	r.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("p"), chromedp.WaitVisible(css(".plans a")), press(`.plans a[href="/plans/standard"]`), chromedp.WaitVisible(css("#editor")))
	r.sees("the simulation beside it", `document.querySelector("#sim-said") && document.querySelector(".curve .line")`)
	r.do(chromedp.SetValue(css("#ring-1-bake"), "1s"), press(`button.main[value="save"]`))
	r.sees("what is wrong, at the field", `document.querySelector("#ring-1-bake-wrong").textContent.includes("shorter than in the ring before") && document.querySelector("#ring-1-bake").value === "1s"`)
	r.shootHere("plan-wrong")
	r.do(chromedp.SetValue(css("#ring-1-bake"), "10s"), chromedp.SetValue(css("#ring-1-approval"), "any of"), chromedp.SetValue(css("#ring-1-hours"), "mon tue wed thu fri sat sun 00:00-24:00"),
		press(`button[value="gate-add"]`), chromedp.WaitVisible(css("#gate-2-query")),
		chromedp.SetValue(css("#gate-2-query"), `sum(ringfence_requests_in_flight{service="{service}"})`), chromedp.SetValue(css("#gate-2-max"), "500"), press("[name=gate-2-informing]"),
		press(`button.main[value="save"]`))
	r.sees("that it is saved", `document.querySelector(".saved").textContent.includes("Saved.") && document.querySelector("#yaml").value.includes("informing: true")`)
	if got := r.ringfence("get", "ringplan", "standard", "--json"); !strings.Contains(got, "approval") {
		r.t.Errorf("the catalog has %s", got)
	}
	r.shoot("plan", "/plans/standard", "#sim-said")
	r.shoot("plans", "/plans", ".plans")
}

func theCalendar(r *rig) {
	now := time.Now().UTC()
	form := "2006-01-02T15:04"
	r.declare(fmt.Sprintf("apiVersion: ringfence.dev/v1\nkind: Freeze\nmetadata: {name: release-night}\nspec: {reason: nobody is awake, services: [others], when: {start: %q, end: %q, rule: FREQ=WEEKLY}}\n",
		now.Add(-2*time.Hour).Format(form), now.Add(26*time.Hour).Format(form)))
	r.do(chromedp.KeyEvent("g"), chromedp.KeyEvent("c"), chromedp.WaitVisible(css(".calendar .block.freeze")))
	r.sees("the freeze in words", `document.querySelector(".agenda").textContent.includes("nobody is awake")`)
	r.sees("business hours, and what has baked", `document.querySelector(".calendar rect.hours") && document.querySelector(".calendar .block.past")`)
	r.shoot("calendar", "/calendar", ".calendar")
	r.shoot("calendar-week", "/calendar?view=week", ".calendar.week")
}

func approving(r *rig) {
	r.release("v4")
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-4"))
	r.sees("who has to approve, and that it is not oneself", `document.querySelector(".approval").textContent.includes("Ring early waits for approval") && document.querySelector(".denied").textContent.includes("cannot approve it too")`)
	r.sees("what cannot be done now, and why", `document.querySelector("#do-redeploy:disabled") && document.querySelector("#why-redeploy").textContent.includes("is in flight")`)
	r.do(chromedp.KeyEvent("h"))
	r.answers("a customer called")
	r.sees("that it is halted", headline+` === "Halted in ring canary"`)
	r.sees("why, and that it cannot be promoted", `document.querySelector(".waiting").textContent.includes("a customer called") && document.querySelector("#why-promote").textContent.includes("it is halted")`)
	r.shoot("halted-by-hand", "/rollouts/shop-4", "#do-resume")
	r.do(press("#do-resume"))
	r.answers("it was something else")
	r.sees("that it bakes again, and then waits", `document.querySelector(".waiting").textContent.includes("Ring early waits for approval")`)
	r.sees("the gate that only informs", `Array.from(document.querySelectorAll(".gate")).some(g => g.textContent.includes("informing: decides nothing") && /reading/.test(g.textContent))`)
	r.as(r.second, "/approvals")
	r.sees("the number beside the word", `document.querySelector("#asks .count").textContent === "1"`)
	r.shoot("approvals", "/approvals", ".inbox li .actions")
	r.shoot("waits", "/rollouts/shop-4", ".approval")
	r.do(chromedp.Navigate(r.pages+"/approvals"), chromedp.WaitVisible(css("#do-approve-shop-4")), chromedp.KeyEvent("a"))
	r.answers("seen it in canary")
	r.sees("an empty inbox", `document.querySelector("#live").textContent.includes("Nothing waits for an approval.")`)
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-4"))
	r.sees("that it goes on", headline+`.includes("in ring early")`)
	r.ringfence("rollout", "pause", "shop", "--reason", "so that it is not out before the line is stopped")
	r.sees("who approved it", `document.querySelector(".timeline").textContent.includes("ann approved ring early")`)
}

func stoppingTheLine(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/calendar"), chromedp.WaitVisible(css("#do-stop")))
	r.sees("the bakes to come", `document.querySelector(".calendar .block.soon, .calendar .block.bake")`)
	r.do(chromedp.KeyEvent("s"))
	r.answers("the database burns")
	r.sees("that the line is stopped, without loading the page again", `document.querySelector("#line .stopped").textContent.includes("the database burns")`)
	r.ringfence("rollout", "resume", "shop", "--reason", "the line holds it now")
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-4"))
	r.sees("that the rollout waits for it", `document.querySelector(".waiting").textContent.includes("The line is stopped: the database burns")`)
	r.shoot("line", "/", ".stopped")
	r.do(chromedp.Navigate(r.pages+"/"), press("#do-lift"))
	r.answers("never mind")
	r.sees("that it takes somebody else", `document.querySelector("#ask .alert").textContent.includes("a second person has to lift it")`)
	r.complaints() // the browser notes that it was refused
	r.as(r.token, "/")
	r.do(press("#do-lift"))
	r.answers("the fire is out")
	r.sees("that it is lifted", `!document.querySelector("#line .stopped") && document.querySelector("#do-stop")`)
	r.do(chromedp.Navigate(r.pages + "/rollouts/shop-4"))
	r.sees("that v4 goes to everyone", headline+` === "v4 is out to everyone"`)
	r.sees("what could be brought back", `document.querySelector("#do-redeploy").textContent.includes("Redeploy v2")`)
}

func signingOut(r *rig) {
	r.do(press(`form[action="/sign-out"] button`), chromedp.WaitVisible(css("#token")), chromedp.Navigate(r.pages+"/"), chromedp.WaitVisible(css("#token")))
}
