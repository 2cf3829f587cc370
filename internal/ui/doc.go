// Package ui is the control plane's pages for people: server-rendered, readable without scripts, kept live by
// server-sent events. What a page can change it changes through the same engines as the API, as the person who signed
// in, authorised by the same policy; nothing can be done here that the API cannot do.
//
// A session is a random cookie. The store holds under its hash the token that it stands for, sealed with a key that only
// the cookie gives, so that a session outlives the process, a stolen store signs nobody in, and a deleted token ends
// its sessions at once. Changes need a same-origin request and the session's own form token.
//
// Pages load their own scripts and styles and nothing else: no inline scripts, no inline styles, no other host.
//
// Charts are declared. A page holds <div id="…" data-charts="URL" hx-preserve="true"><p class="soft nojs">…</p></div>, with data-every="10" when it
// has no live topic but wants news; assets/charts.js asks URL and draws what it answers, which handlers make with sendCharts:
//
//	{"t": [1767000000, …],                         times of all charts of the box, Unix seconds; a chart may have a t of its own
//	 "charts": [{"title": "Share of errors",
//	             "unit": "share",                  rate, share, change, signed, seconds, bytes, or any word; none for plain numbers
//	             "series": [{"name": "v2", "y": [0.1, null, …],      null where nothing is known
//	                         "paint": "new",       new, stable, pass, hold, fail, va to ve; none for the next of a palette
//	                         "low": […], "high": […],                an interval, drawn as a band
//	                         "area": true, "quiet": true, "unit": "users",     quiet: told in the tooltip, not drawn
//	                         "of": "version=v2"}],                   narrows the logs of a chosen time to what the line is of
//	             "low": 0, "high": 1,              what is drawn; without, from 0 (or the least) to the most, and to "least" at least
//	             "limits": [{"y": 0.01, "text": "objective", "tone": "fail"}], "zero": true, "height": 220}],
//	 "marks": [{"t": 1767000000, "text": "v2 canary", "tone": "calm", "href": "/rollouts/shop-2"}],   changes; tone calm, pass, hold or fail
//	 "spans": [{"from": …, "to": …, "tone": "fail", "text": "incident"}],          times that stand out
//	 "logs": "/explore?service=shop",              where the logs of a chosen time are; from and to are appended
//	 "empty": "No traffic was seen in this time."} what is said when there are no charts
//
// Charts of a page share cursor and zoom. A drag zooms, a click or Enter takes a moment, and both offer its logs and what changed then;
// a script hears of it by the event charts:span with {from, to, by}. Arrow keys read values, Escape shows the whole time.
//
// Without the browser libraries that `make assets` brings, pages stand still and have no charts, but say everything.
package ui
