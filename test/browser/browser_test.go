package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
		{"to everyone", toEveryone}, {"who gets what", whoGetsWhat}, {"a bad release", aBadRelease}, {"signing out", signingOut},
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
	r.do(chromedp.Click(css("#do-pause")), chromedp.WaitVisible(css("#ask[open] #reason")),
		chromedp.SendKeys(css("#reason"), "looking at it <b>closely</b>"), chromedp.Click(css("#ask button.main")))
	r.sees("that it is paused", headline+`.startsWith("Paused in ring")`)
	r.sees("why, as text", `document.querySelector(".timeline").textContent.includes("looking at it <b>closely</b>")`)
	r.sees("no dialog any more", `!document.querySelector("dialog[open]")`)

	// What was opened stays open when the page changes under it.
	r.do(chromedp.Click(css(".timeline li:last-child summary")))
	opened := eval[string](r, `document.querySelector(".timeline details[open]").id`)
	r.do(chromedp.KeyEvent("?"), chromedp.WaitVisible(css("#help")), chromedp.KeyEvent("\u001b"), chromedp.WaitNotVisible(css("#help")))
	eval[bool](r, `document.querySelector("#live").firstElementChild.dataset.old = "yes", true`)
	r.sees("new content", `!document.querySelector("#live [data-old]")`)
	if !eval[bool](r, `document.getElementById("`+opened+`").open`) {
		r.t.Error("what was opened was closed by an update")
	}
}

// screens looks at every page in four ways while the rollout is paused.
func screens(r *rig) {
	for _, page := range []struct{ name, path string }{
		{"overview", "/"}, {"rollout", "/rollouts/shop-2"}, {"service", "/services/shop?user=u3@shop.example"}, {"events", "/events"},
		{"confirm", "/rollouts/shop-2/abort"}, {"not-found", "/rollouts/shop-9"},
	} {
		for _, size := range []struct {
			name          string
			width, height int64
			opts          []chromedp.EmulateViewportOption
		}{{"desk", 1280, 900, nil}, {"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch}}} {
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
const nameless = `Array.from(document.querySelectorAll("a, button, input:not([type=hidden]), summary, svg")).filter(e => {
	if (e.closest("[aria-hidden=true], defs, .defs") || e.matches("[aria-hidden=true]")) return false;
	if (e.tagName === "INPUT") return !(e.labels.length || e.getAttribute("aria-label"));
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

func signingOut(r *rig) {
	r.do(chromedp.Click(css(`form[action="/sign-out"] button`)), chromedp.WaitVisible(css("#token")), chromedp.Navigate(r.pages+"/"), chromedp.WaitVisible(css("#token")))
}
