package ui_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/ui"
)

// evilWorld has markup wherever people can put text.
func evilWorld(t *testing.T) (*world, *browser) {
	w := start(t)
	w.release("v2")
	_, err := w.Admin.Command(t.Context(), "shop-2", rollout.Pause, evil)
	must(t, err)
	e, err := audit.New(time.Now(), "thing.happened"+evil, "user:"+evil, "rollout/"+evil, map[string]string{"reason": evil})
	must(t, err)
	_, err = w.Store.Commit(t.Context(), store.Write{Events: []audit.Event{e}})
	must(t, err)
	return w, w.as(policy.Admin)
}

func TestWhatPeopleWroteIsText(t *testing.T) {
	_, b := evilWorld(t)
	q := url.QueryEscape(evil)
	for _, path := range append([]string{"/services/shop?user=" + q + "&attributes=" + q, "/services/shop?user=x&attributes=" + url.QueryEscape("a="+evil),
		"/events?subject=" + q + "&type=" + q, "/rollouts/" + url.PathEscape(evil), "/sign-in?next=" + q, "/events?before=" + q}, pages...) {
		res, body := b.get(path)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") {
			t.Errorf("GET %s: what was written became markup", path)
		}
		if res.StatusCode == http.StatusInternalServerError {
			t.Errorf("GET %s: %s\n%s", path, res.Status, body)
		}
	}
	_, body := b.get("/services/shop")
	if !strings.Contains(body, html.EscapeString("<script>alert(1)</script>")[:20]) {
		t.Error("the owner is not on the service’s page, so nothing was tried")
	}
	_, body = b.get("/rollouts/shop-2")
	if n := strings.Count(body, "&lt;script&gt;"); n < 2 {
		t.Errorf("the reason is %d times on the rollout’s page, expected in its state and its timeline", n)
	}
	_, body = b.post("/rollouts/shop-2/promote", url.Values{"form": {b.formToken()}, "reason": {evil}})
	if strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;") {
		t.Error("a refused form repeats the reason as markup, or not at all")
	}
}

// Pages run no script and take no style but their own files.
func TestNothingIsInline(t *testing.T) {
	w, b := evilWorld(t)
	visitor := w.browser()
	for _, c := range []struct {
		by   *browser
		path string
	}{{visitor, "/sign-in"}, {b, "/"}, {b, "/services/shop?user=alice"}, {b, "/rollouts/shop-2"}, {b, "/rollouts/shop-1"}, {b, "/rollouts/shop-2/abort"}, {b, "/events"}, {b, "/nowhere"}} {
		c.by.nothingInline(c.path)
	}
}

// nothingInline looks at what a page brings with it.
func (b *browser) nothingInline(path string) {
	b.t.Helper()
	t := b.t
	res, body := b.get(path)
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("GET %s: Content-Security-Policy %q", path, policy)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("GET %s: Cache-Control %q", path, got)
	}
	doc, err := html.Parse(strings.NewReader(body))
	must(t, err)
	ids := map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
			t.Errorf("GET %s: inline %s", path, n.Data)
		}
		for _, a := range n.Attr {
			local := strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "#")
			switch {
			case a.Key == "style", strings.HasPrefix(a.Key, "on"), strings.HasPrefix(a.Key, "hx-on"):
				t.Errorf("GET %s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
			case (a.Key == "src" || a.Key == "href" || a.Key == "action") && !local:
				t.Errorf("GET %s: <%s %s=%q> is not of this host", path, n.Data, a.Key, a.Val)
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("GET %s: two elements have the id %q", path, a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			}
		}
	}
}

func TestPagesSayWhatTheyAreFor(t *testing.T) {
	w := start(t)
	w.release("v2")
	b := w.as(policy.Admin)
	for path, want := range map[string][]string{
		"/":                                  {"shop", "v1", "v2", "in ring canary", " of 1 ready", "admin began shop-2: from v1 to v2"},
		"/rollouts/shop-2":                   {"v2 bakes in ring canary", "Pause", "Promote", "Halt", "Ring canary is switched to v2", "shop-2"},
		"/rollouts/shop-1":                   {"v1 is out to everyone", "the first release"},
		"/services/shop":                     {"4711", "127.0.0.1:9", "Plan quick", "1 named user", "shop-1", "everyone"},
		"/services/shop?user=alice":          {"is in ring <b>canary</b> and gets <b>v2</b>", "is listed"},
		"/services/shop?user=bob":            {"is in ring <b>all</b> and gets <b>v1</b>"},
		"/services/shop?user=":               {"A user without a key", "gets <b>v1</b>"},
		"/services/shop?user=a&attributes=x": {"written as name=value"},
		"/rollouts/shop-2/abort":             {"Everyone who has v2 is returned to v1."},
		"/events?type=stage.exposed":         {"Ring canary is switched to v2"},
		"/events":                            {"intact"},
	} {
		res, body := b.get(path)
		if res.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", path, res.Status)
		}
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("GET %s lacks %q", path, text)
			}
		}
		if _, part := b.get(path, "HX-Request", "true"); strings.Contains(part, "<html") || len(part) >= len(body) {
			t.Errorf("GET %s: a script gets the whole page", path)
		}
	}
	if _, body := b.get("/events?type=stage.exposed"); strings.Contains(body, "signed in") {
		t.Error("the filter lets other events through")
	}
	for path, status := range map[string]int{
		"/rollouts/shop-9": http.StatusNotFound, "/services/none": http.StatusNotFound, "/nowhere": http.StatusNotFound,
		"/events?before=x": http.StatusUnprocessableEntity, "/rollouts/shop": http.StatusSeeOther, "/ui/assets/none.js": http.StatusNotFound,
		"/ui/live?topic=x": http.StatusUnprocessableEntity,
	} {
		if res, _ := b.get(path); res.StatusCode != status {
			t.Errorf("GET %s: %s, expected %d", path, res.Status, status)
		}
	}
}

func TestCommandsFromPages(t *testing.T) {
	w := start(t)
	w.release("v2")
	b := w.as(policy.Admin)
	form := b.formToken()
	press := func(verb string, headers ...string) (*http.Response, string) {
		return b.post("/rollouts/shop-2/"+verb, url.Values{"form": {form}, "reason": {"because of " + verb}}, headers...)
	}
	if res, _ := press("pause", "HX-Request", "true"); res.StatusCode != http.StatusNoContent || res.Header.Get("HX-Trigger") != "done" {
		t.Errorf("pause by a script: %s", res.Status)
	}
	if _, body := b.get("/rollouts/shop-2"); !strings.Contains(body, "Paused in ring canary") || !strings.Contains(body, "Resume") || !strings.Contains(body, `disabled aria-describedby="why-promote">Promote</button><span id="why-promote">Cannot promote shop-2: it is paused.`) {
		t.Error("a paused rollout does not look like one")
	}
	res, body := press("promote")
	if res.StatusCode != http.StatusConflict || !strings.Contains(body, "it is paused") || !strings.Contains(body, "ringfence rollout resume shop") || !strings.Contains(body, "because of promote") {
		t.Errorf("promote while paused: %s, expected why not, what to do, and the reason kept\n%s", res.Status, body)
	}
	for _, verb := range []string{"resume", "promote", "abort"} {
		if res, body := press(verb); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/rollouts/shop-2" {
			t.Errorf("%s: %s\n%s", verb, res.Status, body)
		}
	}
	w.until("shop-2", "rolledBack")
	if _, body := b.get("/rollouts/shop-2"); !strings.Contains(body, "Everyone has v1 again") || strings.Contains(body, `data-key="`) {
		t.Error("a rollout that was taken back does not look like one")
	}
	if res, _ := b.post("/rollouts/shop-2/pause", url.Values{"form": {form}, "reason": {strings.Repeat("x", 501)}}); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a reason of 501 bytes: %s", res.Status)
	}
	if res, _ := b.post("/rollouts/shop-1/rollback", url.Values{"form": {form}}); res.StatusCode != http.StatusConflict {
		t.Errorf("rollback of an older rollout: %s", res.Status)
	}
}

func TestTheRecordInPages(t *testing.T) {
	w := start(t)
	for i := range 60 {
		e, err := audit.New(time.Now(), "test.counted", "user:test", fmt.Sprintf("thing/%02d", i), nil)
		must(t, err)
		_, err = w.Store.Commit(t.Context(), store.Write{Events: []audit.Event{e}})
		must(t, err)
	}
	b := w.as(policy.Viewer)
	_, first := b.get("/events?type=test.")
	if strings.Count(first, "<details id=") != 50 || !strings.Contains(first, "thing/59") || strings.Contains(first, "thing/09") {
		t.Fatal("the first page does not hold the newest 50")
	}
	at := strings.Index(first, `href="/events?before=`)
	if at < 0 {
		t.Fatal("no way to older events")
	}
	older, _, _ := strings.Cut(first[at+len(`href="`):], `"`)
	_, second := b.get(html.UnescapeString(older))
	if strings.Count(second, "<details id=") != 10 || !strings.Contains(second, "thing/09") || strings.Contains(second, "thing/10") {
		t.Errorf("the second page, %s, does not hold the other 10", older)
	}
}

func TestSeries(t *testing.T) {
	w := start(t)
	w.release("v2")
	res, body := w.as(policy.Viewer).get("/ui/series?rollout=shop-2")
	var got ui.Charts
	must(t, json.Unmarshal([]byte(body), &got))
	if res.StatusCode != http.StatusOK || len(got.T) < 10 || len(got.Charts) != 2 || len(got.Charts[0].Series) != 2 || len(got.Marks) != 1 || got.Marks[0].Text != "canary" {
		t.Fatalf("%s\n%s", res.Status, body)
	}
	requests, errors := got.Charts[0].Series, got.Charts[1].Series
	if requests[0].Name != "v2" || requests[0].Paint != "new" || requests[1].Paint != "stable" {
		t.Errorf("the new version comes first, then stable: %s", body)
	}
	for i, v := range requests {
		if len(v.Y) != len(got.T) || len(errors[i].Y) != len(got.T) || *v.Y[3] != 5 || *errors[i].Y[3] != 1 {
			t.Errorf("%s: %s", v.Name, body)
		}
	}
}

func TestHealthOfAService(t *testing.T) {
	w := start(t)
	w.release("v2")
	b := w.as(policy.Viewer)
	if page := b.holds("/services/shop?by=ring&span=6h"); !strings.Contains(page, `data-charts="/ui/health?service=shop&amp;by=ring&amp;span=6h"`) {
		t.Error("the page has no charts by ring")
	}
	res, body := b.get("/ui/health?service=shop&span=15m")
	var got ui.Charts
	must(t, json.Unmarshal([]byte(body), &got))
	if res.StatusCode != http.StatusOK || len(got.Charts) < 3 || len(got.T) < 10 {
		t.Fatalf("%s\n%s", res.Status, body)
	}
	if m := got.Marks; len(m) == 0 || m[len(m)-1].Text != "v2 canary" || m[len(m)-1].Href != "/rollouts/shop-2" {
		t.Errorf("changes are %v, expected v2 in canary at the end", got.Marks)
	}
	for path, want := range map[string]int{"/ui/health?service=shop&by=user": 422, "/ui/health?service=shop&span=1y": 422, "/ui/health?service=none": 404, "/services/shop?span=x": 422} {
		if res, _ := b.get(path); res.StatusCode != want {
			t.Errorf("GET %s: %s, expected %d", path, res.Status, want)
		}
	}
}

func TestManyPagesAskTheMetricsOnce(t *testing.T) {
	w := start(t)
	b := w.as(policy.Viewer)
	asked := &w.opts.Metrics.(*metrics).asked
	before := asked.Load()
	for range 20 {
		b.get("/")
	}
	if n := asked.Load() - before; n > 4 {
		t.Errorf("20 looks at the overview asked the metrics %d times", n)
	}
}

func TestFilesAreKeptForEver(t *testing.T) {
	w := start(t)
	b := w.browser()
	_, body := b.get("/sign-in")
	doc, err := html.Parse(strings.NewReader(body))
	must(t, err)
	n := 0
	for e := range doc.Descendants() {
		for _, a := range e.Attr {
			if (a.Key != "src" && a.Key != "href") || !strings.HasPrefix(a.Val, "/ui/assets/") {
				continue
			}
			n++
			res, plain := b.get(a.Val, "Accept-Encoding", "identity")
			if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("GET %s: %s, Cache-Control %q", a.Val, res.Status, res.Header.Get("Cache-Control"))
			}
			if small, packed := b.get(a.Val, "Accept-Encoding", "gzip"); small.Header.Get("Content-Encoding") != "gzip" || len(packed) >= len(plain) && len(plain) > 1000 {
				t.Errorf("GET %s: %d bytes packed of %d", a.Val, len(packed), len(plain))
			}
			if res, _ := b.get(a.Val, "If-None-Match", res.Header.Get("ETag")); res.StatusCode != http.StatusNotModified {
				t.Errorf("GET %s again: %s", a.Val, res.Status)
			}
			path, _, _ := strings.Cut(a.Val, "?")
			if res, _ := b.get(path + "?v=0000"); strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("GET %s of another version is kept for ever", path)
			}
		}
	}
	if n < 3 {
		t.Errorf("the page names %d files", n)
	}
}
