package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/chromedp/chromedp"
)

const oneExperiment = `apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: short}
spec: {rings: [{name: all, bake: 1h}]}
---
apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: trials}
spec:
  flags:
    one-page: {state: ENABLED, variants: {"on": true, "off": false}, defaultVariant: "off", exposure: {plan: short, variant: "on"}}
---
apiVersion: ringfence.dev/v1
kind: Experiment
metadata: {name: one-page}
spec:
  flag: trials/one-page
  hypothesis: A checkout on one page loses fewer people on the way, so more of them buy.
  owner: team-checkout
  share: 80
  variants: [{variant: "off"}, {variant: "on"}]
  primary: {name: purchase, event: purchase, minimumEffect: 0.2}
  guardrails: [{name: refunds, event: refund, direction: decrease, margin: 0.3}]
`

// series is what a chart is drawn from after some days.
const series = `{t: [1767000000, 1767050000, 1767100000, 1767150000], charts: [{title: "purchase", unit: "change", low: -0.3, high: 0.5, zero: true, series: [
  {name: "on", paint: "va", y: [null, 0.3, 0.2, 0.15], low: [null, -0.5, -0.1, 0.02], high: [null, 1.1, 0.5, 0.28]}, {name: "Users", quiet: true, y: [10, 200, 400, 600]}]}]}`

func experimentsBeforeAny(r *rig) {
	r.shoot("experiments-none", "/experiments", ".blank")
	r.declare(oneExperiment)
	r.do(chromedp.Navigate(r.pages+"/"), chromedp.KeyEvent("g"), chromedp.KeyEvent("x"), chromedp.WaitVisible(css(".labtable")))
	r.sees("a draft", `document.querySelector(".labtable .badge").textContent === "not begun"`)
	r.shoot("experiment-draft", "/experiments/one-page", ".how")
}

// anExperiment is begun from its page, which is not loaded again, and read while users come.
func anExperiment(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/experiments/one-page"), chromedp.WaitVisible(css("#do-start")))
	eval[bool](r, "window.notLoadedAgain = true")
	r.do(chromedp.KeyEvent("n"), chromedp.WaitVisible(css("#ask[open] #in-baseline")), chromedp.SendKeys(css("#in-baseline"), "many\r"))
	r.sees("that this is no number", `document.querySelector("#ask .alert").textContent.includes("expected one such as 0.12")`)
	r.do(chromedp.SetValue(css("#in-baseline"), "0.2"), press("#ask button.main"))
	r.sees("that it runs", headline+` === "Keep running" && document.querySelector(".amount").textContent.includes("planned")`)
	r.sends(400, "u", "")
	r.sees("its users", `parseInt(document.querySelector(".amount b").textContent) > 250`)
	r.sees("an interval beside the zero", `document.querySelector(".forest .ci")`)
	eval[bool](r, `(window.fetch = async () => new Response(JSON.stringify(`+series+`)), true)`)
	eval[bool](r, `document.dispatchEvent(new CustomEvent("htmx:afterSwap", {detail: {target: document.body}}))`)
	r.sees("the interval over time", `document.querySelector("#intervals canvas").width > 300`)
	if !eval[bool](r, "window.notLoadedAgain === true") {
		r.t.Error("the page was loaded again")
	}
	r.shootHere("experiment-over-time")
	r.shoot("experiment", "/experiments/one-page", ".metrics")
	r.do(chromedp.Navigate(r.pages + "/experiments"))
	r.sees("what it comes to, among the others", `document.querySelector(".labtable .forest .ci")`)
	r.shoot("experiments", "/experiments", ".labtable")
}

// anExperimentBreaks tells of users who were not where they should be, and ends it.
func anExperimentBreaks(r *rig) {
	r.do(chromedp.Navigate(r.pages+"/experiments/one-page"), chromedp.WaitVisible(css("#do-stop")))
	r.sends(300, "w", "on")
	r.sees("that the shares are wrong", headline+` === "Broken" && document.querySelector(".mismatch").textContent.includes("did not land in the shares")`)
	r.shoot("experiment-broken", "/experiments/one-page", ".mismatch")
	r.do(chromedp.KeyEvent("o"))
	r.answers("the senders are wrong")
	r.sees("that it has ended", `document.querySelector(".lane").textContent.includes("the senders are wrong")`)
}

// sends has users ask for the flag and tells of them, or of another variant than they had.
func (r *rig) sends(n int, prefix, told string) {
	r.t.Helper()
	var events []map[string]any
	at := time.Now().Add(6 * time.Second) // until then nothing counts
	for i := range n {
		user := fmt.Sprint(prefix, i)
		var had struct{ Variant string }
		r.posts("/ofrep/v1/evaluate/flags/one-page", map[string]any{"context": map[string]any{"targetingKey": user}}, &had)
		if told != "" {
			had.Variant = told
		}
		events = append(events, map[string]any{"type": "exposure", "targetingKey": user, "flag": "one-page", "variant": had.Variant, "time": at})
		for event, every := range map[string]int{"purchase": 4, "refund": 11} {
			if i%every == 0 {
				events = append(events, map[string]any{"type": "metric", "targetingKey": user, "metric": event, "time": at.Add(time.Second)})
			}
		}
	}
	r.posts("/v1/track", map[string]any{"events": events}, nil)
}

func (r *rig) posts(path string, body, into any) {
	r.t.Helper()
	raw, err := json.Marshal(body)
	must(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.pages+path, bytes.NewReader(raw))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+r.token)
	res, err := http.DefaultClient.Do(req)
	must(r.t, err)
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	must(r.t, err)
	if res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s: %s", path, res.Status, said)
	}
	if into != nil {
		must(r.t, json.Unmarshal(said, into))
	}
}
