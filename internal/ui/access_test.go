package ui_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

var pages = []string{"/", "/services/shop", "/rollouts/shop-2", "/rollouts/shop-1", "/rollouts/shop-2/abort", "/events", "/events?subject=rollout/shop-2", "/nowhere"}

func TestNobodySeesAPageWithoutSigningIn(t *testing.T) {
	w := start(t)
	w.release("v2")
	for _, b := range []*browser{w.browser(), w.withCookie("ringfence", "nonsense"), w.withCookie("ringfence", strings.Repeat("A", 43))} {
		for _, path := range pages {
			res, body := b.get(path)
			to := res.Header.Get("Location")
			if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/sign-in") || strings.Contains(body, "shop-2 ") {
				t.Errorf("GET %s: %s to %q, expected to be sent to the sign-in page", path, res.Status, to)
			}
			if res, _ := b.get(path, "HX-Request", "true"); res.StatusCode != http.StatusUnauthorized || res.Header.Get("HX-Redirect") != "/sign-in" {
				t.Errorf("GET %s by a script: %s, expected 401", path, res.Status)
			}
		}
		for _, path := range []string{"/ui/live?topic=all", "/ui/series?rollout=shop-2", "/ui/health?service=shop"} {
			if res, _ := b.get(path); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("GET %s: %s, expected 401", path, res.Status)
			}
		}
		for _, verb := range rollout.Verbs {
			if res, _ := b.post("/rollouts/shop-2/"+string(verb), url.Values{"form": {"x"}}); res.StatusCode != http.StatusSeeOther {
				t.Errorf("POST %s: %s, expected to be sent to the sign-in page", verb, res.Status)
			}
		}
	}
	w.until("shop-2", "baking")
}

// withCookie is a browser with a cookie of its own making.
func (w *world) withCookie(name, value string) *browser {
	b := w.browser()
	at, err := url.Parse(w.url)
	must(w.t, err)
	b.http.Jar.SetCookies(at, []*http.Cookie{{Name: name + "_" + at.Port(), Value: value}})
	return b
}

func TestSigningIn(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"nothing":        {"", http.StatusForbidden},
		"wrong":          {"rf_" + strings.Repeat("x", 43), http.StatusForbidden},
		"a data plane’s": {w.Tokens[policy.DataPlane], http.StatusForbidden},
		"admin’s":        {w.Tokens[policy.Admin], http.StatusSeeOther},
		"with blanks":    {" " + w.Tokens[policy.Viewer] + "\n", http.StatusSeeOther},
	} {
		res, body := w.browser().post("/sign-in", url.Values{"token": {c.token}})
		if res.StatusCode != c.status || len(res.Cookies()) != map[bool]int{true: 1}[c.status == http.StatusSeeOther] {
			t.Errorf("%s: %s with %d cookies, expected %d", name, res.Status, len(res.Cookies()), c.status)
		}
		if c.token != "" && strings.Contains(body, strings.TrimSpace(c.token)) {
			t.Errorf("%s: the page repeats the token", name)
		}
	}
	res, _ := w.browser().post("/sign-in", url.Values{"token": {w.Tokens[policy.Admin]}})
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge != 12*60*60 {
		t.Errorf("cookie %v: expected HttpOnly, SameSite=Strict, Path=/ for 12 hours", c)
	}
}

func TestSigningInLeadsNowhereElse(t *testing.T) {
	w := start(t)
	for next, want := range map[string]string{
		"/rollouts/shop-1": "/rollouts/shop-1", "/events?type=a": "/events?type=a", "": "/", "//evil.example": "/", "/\\evil.example": "/",
		"https://evil.example": "/", "/a\nb": "/", "events": "/",
	} {
		res, _ := w.browser().post("/sign-in", url.Values{"token": {w.Tokens[policy.Admin]}, "next": {next}})
		if got := res.Header.Get("Location"); got != want {
			t.Errorf("next %q leads to %q, expected %q", next, got, want)
		}
	}
}

func TestASessionEnds(t *testing.T) {
	w := start(t)
	ends := map[string]func(b *browser){
		"when signed out": func(b *browser) { b.post("/sign-out", url.Values{"form": {b.formToken()}}) },
		"after 12 hours":  func(*browser) { w.late.Store(int64(12*time.Hour + time.Second)) },
		"with its token":  func(*browser) { w.forgetToken("viewer") },
	}
	for _, name := range []string{"when signed out", "after 12 hours", "with its token"} {
		b := w.as(policy.Viewer)
		if res, _ := b.get("/"); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s before", name, res.Status)
		}
		at, _ := url.Parse(w.url)
		kept := b.http.Jar.Cookies(at)
		ends[name](b)
		b.http.Jar.SetCookies(at, kept) // whoever kept the cookie gets nothing for it
		if res, _ := b.get("/"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("a session did not end %s: %s", name, res.Status)
		}
		w.late.Store(0)
	}
}

func (w *world) forgetToken(name string) {
	docs, err := w.Store.List(context.Background(), store.Page{Kind: "Token"})
	must(w.t, err)
	for _, d := range docs {
		if strings.Contains(string(d.Body), `"name":"`+name+`"`) {
			_, err := w.Store.Commit(context.Background(), store.Write{Deletes: []store.Doc{{Kind: d.Kind, Name: d.Name, Rev: d.Rev}}})
			must(w.t, err)
		}
	}
}

// A session outlives the process that made it, and what is kept of it signs nobody in.
func TestSessionsAreSealed(t *testing.T) {
	w := start(t)
	b := w.as(policy.Admin)
	at, _ := url.Parse(w.url)
	id := b.http.Jar.Cookies(at)[0].Value
	docs, err := w.Store.List(t.Context(), store.Page{Kind: "Session"})
	must(t, err)
	if len(docs) != 1 {
		t.Fatalf("%d sessions are kept, expected 1", len(docs))
	}
	for _, secret := range []string{id, w.Tokens[policy.Admin]} {
		if kept := docs[0].Name + string(docs[0].Body); strings.Contains(kept, secret) {
			t.Errorf("the store holds %q as it is: %s", secret, kept)
		}
	}
	other := w.serve()
	b.url = other
	otherAt, _ := url.Parse(other)
	b.http.Jar.SetCookies(otherAt, []*http.Cookie{{Name: "ringfence_" + otherAt.Port(), Value: id}})
	if res, _ := b.get("/"); res.StatusCode != http.StatusOK {
		t.Errorf("another process on the same store: %s", res.Status)
	}
	// Sessions that are over are cleared away at the next sign-in.
	w.late.Store(int64(13 * time.Hour))
	w.as(policy.Admin)
	docs, err = w.Store.List(t.Context(), store.Page{Kind: "Session"})
	must(t, err)
	if len(docs) != 1 {
		t.Errorf("%d sessions are kept, expected the one that is not over", len(docs))
	}
}

func TestFormsComeFromTheSessionsOwnPages(t *testing.T) {
	w := start(t)
	w.release("v2")
	b := w.as(policy.Admin)
	form := b.formToken()
	other := w.as(policy.Admin).formToken()
	at, _ := url.Parse(w.url)
	for name, c := range map[string]struct {
		form    url.Values
		headers []string
	}{
		"no token":               {url.Values{}, nil},
		"another session’s":      {url.Values{"form": {other}}, nil},
		"from another site":      {url.Values{"form": {form}}, []string{"Sec-Fetch-Site", "cross-site"}},
		"from a neighbour":       {url.Values{"form": {form}}, []string{"Sec-Fetch-Site", "same-site"}},
		"of another origin":      {url.Values{"form": {form}}, []string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}},
		"token in the address":   {url.Values{"reason": {"x"}}, []string{"X-Query", form}},
		"of another port":        {url.Values{"form": {form}}, []string{"Sec-Fetch-Site", "", "Origin", "http://" + at.Hostname() + ":1"}},
		"sign-out without token": {url.Values{"path": {"/sign-out"}}, nil},
	} {
		path := "/rollouts/shop-2/pause"
		if len(c.headers) == 2 && c.headers[0] == "X-Query" {
			path += "?form=" + c.headers[1]
		}
		if p := c.form.Get("path"); p != "" {
			path = p
		}
		if res, _ := b.post(path, c.form, c.headers...); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s, expected 403", name, res.Status)
		}
	}
	r, err := w.Admin.Rollout(t.Context(), "shop-2")
	must(t, err)
	if r.Rollout.Paused {
		t.Fatal("a form from elsewhere paused the rollout")
	}
	if res, body := b.post("/rollouts/shop-2/pause", url.Values{"form": {form}, "reason": {"lunch"}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("the page’s own form: %s\n%s", res.Status, body)
	}
	events, err := w.Store.Events(t.Context(), store.EventQuery{Type: rollout.EvPaused})
	must(t, err)
	if len(events) != 1 || events[0].Actor != "user:admin" || !strings.Contains(string(events[0].Data), "lunch") {
		t.Errorf("recorded %+v, expected who paused and why", events)
	}
}

func TestAViewerOnlyLooks(t *testing.T) {
	w := start(t)
	w.release("v2")
	b := w.as(policy.Viewer)
	res, body := b.get("/rollouts/shop-2")
	if res.StatusCode != http.StatusOK || strings.Contains(body, `data-key="a"`) {
		t.Errorf("%s; a viewer is offered what they may not do: %v", res.Status, strings.Contains(body, `data-key="a"`))
	}
	for _, verb := range rollout.Verbs {
		path := "/rollouts/shop-2/" + string(verb)
		if res, _ := b.get(path); res.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s: %s, expected 403", path, res.Status)
		}
		if res, _ := b.post(path, url.Values{"form": {b.formToken()}}); res.StatusCode != http.StatusForbidden {
			t.Errorf("POST %s: %s, expected 403", path, res.Status)
		}
	}
	w.until("shop-2", "baking")
	denied, err := w.Store.Events(t.Context(), store.EventQuery{Type: "access.denied"})
	must(t, err)
	if len(denied) == 0 || denied[0].Actor != "user:viewer" {
		t.Errorf("denials recorded: %+v, expected the viewer’s", denied)
	}
}
