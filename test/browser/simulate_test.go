package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// The page that simulates answers with curves, on every screen, by keyboard, and says what it cannot read.
func TestSimulationInABrowser(t *testing.T) {
	r := newRig(t)
	signingIn(r)
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"wide", 1280, 1700, "light"}, {"phone", 375, 2600, "light"}, {"phone-dark", 375, 2600, "dark"}, {"wide-dark", 1280, 1700, "dark"}} {
		_, err := chromedp.Call(r.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: screen.width, Height: screen.height, DeviceScaleFactor: 1})
		must(t, err)
		r.scheme(screen.scheme)
		r.do(chromedp.Navigate(r.pages+"/simulate"), chromedp.WaitVisible(css("#traffic")))
		r.do(chromedp.SetValue(css("#traffic"), "500/s"), chromedp.SetValue(css("#regression"), "errors=8x"), chromedp.Focus(css("#traffic")), chromedp.KeyEvent("\r")) // Enter is enough
		r.sees("four charts with lines", `document.querySelectorAll(".plot svg[role=img]").length === 4 && document.querySelectorAll(".plot svg[role=img] .line").length >= 6`)
		if wide := eval[int](r, `document.querySelector("main").scrollWidth - document.querySelector("main").clientWidth`); wide > 0 {
			t.Errorf("%s: the page is %d pixels too wide", screen.name, wide)
		}
		if small := eval[int](r, `[...document.querySelectorAll(".simulate input, .simulate select, .simulate button, .plot summary")].filter(e => e.getBoundingClientRect().height < 30).length`); small > 0 {
			t.Errorf("%s: %d things are too small for a finger", screen.name, small)
		}
		if text := eval[string](r, `getComputedStyle(document.querySelector(".plot .c0")).strokeDasharray + getComputedStyle(document.querySelector(".plot .c0")).stroke`); text == "nonenone" {
			t.Errorf("%s: lines have no colour", screen.name)
		}
		r.picture("simulate-" + screen.name)
	}
	r.do(chromedp.Focus(css(".plot summary")), chromedp.KeyEvent("\r"))
	r.sees("numbers in place of the picture", `document.querySelector(".plot details[open] table tbody tr")?.cells.length >= 2`)
	if named := eval[bool](r, `[...document.querySelectorAll(".simulate input, .simulate select")].every(e => e.labels.length === 1)`); !named {
		t.Error("a field has no label")
	}
	r.do(chromedp.Navigate(r.pages+"/simulate?plan=standard&traffic=lots"), chromedp.WaitVisible(css(".alert[role=alert]")))
	r.sees("what was typed is still there", `document.querySelector("#traffic").value === "lots" && document.querySelector(".alert").textContent.includes("500/s")`)
	for _, said := range r.complaints() {
		if said != "" && !expected(said) {
			t.Errorf("the browser complains: %s", said)
		}
	}
}

// expected are the complaints that an answer of 422 brings.
func expected(said string) bool { return strings.Contains(said, "422") }
