package browser

import (
	"fmt"
	"strings"

	"github.com/chromedp/chromedp"
)

// manyFlags are flags of all sorts. Those of the shop are judged by its requests; those that are careful are reviewed by ann.
const manyFlags = `apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: swift}
spec:
  rings:
    - {name: staff, purpose: finds what everyone stumbles over, audience: {segment: employees}, bake: 10m}
    - {name: half, audience: {percent: 50}, bake: 30m}
    - {name: all}
---
apiVersion: ringfence.dev/v1
kind: Group
metadata: {name: reviewers}
spec: {members: [ann]}
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: shop}
spec:
  service: shop
  environments: [production, staging]
  $evaluators:
    staff: {ends_with: [{var: email}, "@shop.example"]}
  flags:
    new-checkout:
      description: the whole checkout on one page, with the cart beside it
      owner: team-checkout
      kind: release
      state: ENABLED
      variants: {"on": true, "off": false}
      defaultVariant: "off"
      exposure: {plan: swift, variant: "on", control: 40}
      preview: {title: The new checkout, description: everything on one page, variant: "on"}
      environments:
        staging: {defaultVariant: "on"}
    page-size:
      kind: operational
      owner: team-search
      state: ENABLED
      variants: {small: 10, large: 100, huge: 1000}
      defaultVariant: small
      targeting:
        if:
        - {$ref: staff}
        - huge
        - {and: [{in: [{var: country}, [de, fr]]}, {sem_ver: [{var: app}, ">=", "2.1.0"]}]}
        - {fractional: [[large, 25], [small, 75]]}
    old-banner:
      description: what the spring sale had on top of every page
      owner: team-marketing
      kind: release
      expires: "2024-05-01"
      state: ENABLED
      variants: {spring: "Spring is here", none: ""}
      defaultVariant: none
    theme:
      kind: permission
      owner: team-brand
      state: ENABLED
      variants: {light: {ground: white, ink: black}, dark: {ground: black, ink: white}}
      defaultVariant: light
      prerequisites: [{flag: page-size, variants: [small, large]}]
      schedule: [{from: "2030-01-01T00:00:00Z", until: "2030-02-01T00:00:00Z", variant: dark}]
      environments:
        production: {state: DISABLED}
    retired:
      kind: experiment
      archived: true
      state: ENABLED
      variants: {a: 1, b: 2}
      defaultVariant: a
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: careful}
spec:
  environments: [production, staging]
  reviewers: {production: {from: [reviewers]}}
  flags:
    payment-provider:
      description: who is asked for the money
      owner: team-payments
      kind: operational
      state: ENABLED
      variants: {first: one, second: two}
      defaultVariant: first
`

func flagsBeforeAny(r *rig) {
	r.shoot("flags-none", "/flags", ".blank")
	r.declare(manyFlags)
	r.do(chromedp.Navigate(r.pages+"/"), chromedp.KeyEvent("g"), chromedp.KeyEvent("f"), chromedp.WaitVisible(css(".flagtable")))
	r.sees("flags of two sets, with what is stale", `document.querySelectorAll(".flagtable tbody tr").length === 6 && document.querySelector(".tag.stale")`)
	r.do(chromedp.SetValue(css("#kind"), "release"), chromedp.SendKeys(css("#q"), "checkout\r"), chromedp.WaitVisible(css(".filter a")))
	r.sees("one flag", `document.querySelectorAll(".flagtable tbody tr").length === 1`)
}

// aFlagRamps brings a variant to the first ring from the flag's page, which is not loaded again.
func aFlagRamps(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/flags/shop/new-checkout"), chromedp.WaitVisible(css("#do-expose")))
	eval[bool](r, "window.notLoadedAgain = true")
	r.do(chromedp.KeyEvent("e"), chromedp.WaitVisible(css("#ask[open] #choice")))
	r.answers("time has come")
	r.sees("that staff gets it", headline+` === "Variant on bakes in ring staff"`)
	r.sees("who goes without", `document.querySelector(".rings .side.with").getAttribute("stroke-dasharray") === "60 100"`)
	r.sees("that the ring fills", filled+" > 0")
	r.sees("users of it", `/\d/.test(Array.from(document.querySelectorAll(".facts div")).find(d => d.textContent.includes("Users who got it")).querySelector("dd").textContent)`)
	if !eval[bool](r, "window.notLoadedAgain === true") {
		r.t.Error("the page was loaded again")
	}
	r.do(chromedp.SendKeys(css("#user"), "u3@shop.example"), chromedp.SendKeys(css("#context"), `{"seats": 3}`+"\r"), chromedp.WaitVisible(css(".steps .decides")))
	if got := eval[string](r, `document.querySelector("#who-answer").textContent`); !strings.Contains(got, "u3@shop.example gets") || !strings.Contains(got, "in ring staff") {
		r.t.Errorf("got %q", got)
	}
	if at := eval[string](r, "location.search"); at != "" {
		r.t.Errorf("the whole page was loaded: %s", at)
	}
	r.shoot("flags", "/flags", ".flagtable")
	r.shoot("flag", "/flags/shop/new-checkout?user=u3@shop.example", ".steps")
	r.shoot("flag-rule", "/flags/shop/page-size?user=ann&context=%7B%22country%22%3A%22de%22%7D", ".rule")
	r.shoot("flag-rollout", "/rollouts/flag:shop:new-checkout-1", ".ringtable")
	r.sees("variants in the charts", `document.querySelectorAll(".chart canvas").length === 2`)
	r.shoot("flag-events", "/events", ".timeline")
}

func aFlagIsSwitchedOff(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/flags/shop/new-checkout"), chromedp.WaitVisible(css("#do-off")), press("#do-off"), chromedp.WaitVisible(css("#ask[open] #reason")))
	r.shootHere("flag-off-asked")
	r.answers("carts are lost")
	r.sees("that everyone is back", headline+` === "Everyone has variant off again"`)
	r.sees("its rollout among those before", `document.querySelector("#live").textContent.includes("Rolled back")`)
	r.shoot("flag-off", "/flags/shop/new-checkout", "#do-expose")
}

func editingAFlag(r *rig) {
	write := func(text string) {
		eval[string](r, fmt.Sprintf(`document.querySelector("#targeting").value = %q`, text))
	}
	r.do(chromedp.Navigate(r.pages+"/flags/shop/page-size/edit"), chromedp.WaitVisible(css("#targeting")))
	write("if:\n- {var: staff}\n- enormous\n")
	r.do(chromedp.SetValue(css("#expires"), "soon"), press(`button.main[value="save"]`))
	r.sees("what is wrong, with its line and at its field", `document.querySelector("#targeting-wrong").textContent.includes("Line 3") && document.querySelector("#expires-wrong") && document.querySelector("#expires").value === "soon"`)
	r.shootHere("flag-wrong")
	write("if:\n- {$ref: staff}\n- huge\n")
	r.do(chromedp.SetValue(css("#expires"), "2030-12-31"), press(`button[value="variant-add"]`), chromedp.WaitVisible(css("#variant-3-name")))
	r.do(chromedp.SetValue(css("#variant-3-name"), "giant"), chromedp.SetValue(css("#variant-3-value"), "5000"), press(`.save button[value="check"]`), chromedp.WaitVisible(css("pre.diff .add")))
	r.shootHere("flag-diff")
	r.do(press(`button.main[value="save"]`), chromedp.WaitVisible(css("#do-undo")))
	r.sees("the new variant", `document.querySelector(".variants").textContent.includes("giant")`)
	r.shoot("flag-edit", "/flags/shop/page-size/edit", "#yaml")
	r.shoot("flag-set", "/flag-sets/shop", "#yaml")
}

func reviewingAnEdit(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/flags/careful/payment-provider/edit"), chromedp.WaitVisible(css("#defaultVariant")), chromedp.SetValue(css("#defaultVariant"), "second"),
		chromedp.SetValue(css("#why"), "the first one is slow"), press(`.save button[value="check"]`), chromedp.WaitVisible(css("pre.diff")))
	r.sees("that it needs a review", `document.querySelector(".lane").textContent.includes("reviewers of production") && document.querySelector("button.main[value=save]").textContent === "Ask for a review"`)
	r.do(press(`button.main[value="save"]`), chromedp.WaitVisible(css(".request")))
	r.sees("that one cannot approve it oneself", `document.querySelector(".denied").textContent.includes("cannot approve it too")`)
	r.as(r.second, "/change-requests")
	r.shoot("change-requests", "/change-requests", ".request .actions")
	r.shoot("approvals-and-changes", "/approvals", ".elsewhere")
	r.do(chromedp.Navigate(r.pages+"/change-requests"), chromedp.WaitVisible(css(".request .button.yes")), chromedp.KeyEvent("a"))
	r.answers("so it is")
	r.sees("that nothing waits", `document.querySelector("#live").textContent.includes("No change waits for a review.")`)
	r.do(chromedp.Navigate(r.pages + "/flags/careful/payment-provider"))
	r.sees("that it is applied", headline+` === "Everyone gets second"`)
	r.as(r.token, "/")
}
