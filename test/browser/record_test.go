package browser

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The record is searched and an event proved, by the browser itself, on every screen; what was changed is not proved.
func TestRecordInABrowser(t *testing.T) {
	r := newRig(t)
	signingIn(r)
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"wide", 1280, 1500, "light"}, {"phone-dark", 390, 2200, "dark"}} {
		_, err := chromedp.Call(r.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: screen.width, Height: screen.height, DeviceScaleFactor: 1})
		must(t, err)
		r.scheme(screen.scheme)
		r.do(chromedp.Navigate(r.pages+"/events?type=token.&actor=system:start"), chromedp.WaitVisible(css("#actor")))
		r.sees("the events that fit", `document.querySelectorAll(".timeline li details").length >= 1 && !document.querySelector(".timeline").textContent.includes("rollout")`)
		r.picture("record-" + screen.name)
		r.do(chromedp.Navigate(r.pages+"/events/1"), chromedp.WaitVisible(css("#proof-verdict")))
		r.sees("a proof that holds", `document.querySelector("#proof-verdict").dataset.proved === "true" && document.querySelectorAll("#proof code.good").length === 1`)
		if wide := eval[int](r, `document.querySelector("main").scrollWidth - document.querySelector("main").clientWidth`); wide > 0 {
			t.Errorf("%s: the page is %d pixels too wide", screen.name, wide)
		}
		r.picture("event-" + screen.name)
	}
	// A server that says something else of the event than the record does is found out.
	eval[bool](r, `window.fetchBefore = window.fetch; window.fetch = async function () {
	  var answer = await fetchBefore.apply(this, arguments), p = await answer.json();
	  p.event.actor = "user:mallory";
	  return new Response(JSON.stringify(p), { status: 200 });
	}; document.querySelector("#proof").textContent = "";
	var again = document.createElement("script"); again.src = document.querySelector("script[src*='record']").src; document.head.appendChild(again); true`)
	r.sees("a proof that does not hold", `document.querySelector("#proof-verdict").dataset.proved === "false"`)
}
