package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/issuer"
)

// TestSignInByAnIdentityProvider: a person goes to the issuer and comes back, makes a token for the command line, and is out at
// once when an admin ends the session.
func TestSignInByAnIdentityProvider(t *testing.T) {
	path := browserPath(t)
	r := &rig{t: t, dir: t.TempDir(), shots: os.Getenv("RINGFENCE_SHOTS")}
	if r.shots == "" {
		r.shots = t.TempDir()
	}
	r.binary = r.build("ringfence", "./cmd/ringfence", "")
	r.ann()
	r.up()
	r.open(path)
	var local *issuer.Issuer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { local.ServeHTTP(w, req) }))
	t.Cleanup(server.Close)
	var err error
	local, err = issuer.New(server.URL, issuer.Config{
		People:  []issuer.Person{{Email: "eve@example.com", Groups: []string{"sales"}}, {Email: "mia@example.com", Groups: []string{"developers"}, Strong: true}},
		Clients: []issuer.Client{{ID: "ringfence", Redirect: r.pages + "/sign-in/company/back"}},
	}, time.Now)
	must(t, err)
	r.declare(`apiVersion: ringfence.dev/v1
kind: IdentityProvider
metadata: {name: company}
spec:
  issuer: ` + server.URL + `
  people: {title: Company account, clientID: ringfence, roles: [{group: developers, role: operator}]}
`)

	// Who belongs to no group with a role is told so, on the sign-in page.
	r.do(chromedp.Navigate(r.pages+"/events"), chromedp.WaitVisible(css(`a[href^="/sign-in/company"]`)))
	r.shootHere("sign-in")
	r.do(chromedp.Click(css(`a[href^="/sign-in/company"]`)), chromedp.WaitVisible(css(`button[value="0"]`)), chromedp.Click(css(`button[value="0"]`)), chromedp.WaitVisible(css(`[role="alert"]`)))
	if said := eval[string](r, `document.querySelector('[role="alert"]').textContent`); !strings.Contains(said, "he account eve@example.com belongs to no group that has a role here") {
		t.Errorf("eve is told: %s", said)
	}

	r.complaints() // of the refusal

	// Who does is led to where they wanted to be.
	r.do(chromedp.Navigate(r.pages+"/events"), chromedp.WaitVisible(css(`a[href^="/sign-in/company"]`)), chromedp.Click(css(`a[href^="/sign-in/company"]`)),
		chromedp.WaitVisible(css(`button[value="1"]`)), chromedp.Click(css(`button[value="1"]`)), chromedp.WaitVisible(css(".me")))
	if at := eval[string](r, "location.pathname"); at != "/events" {
		t.Errorf("signing in led to %s, expected where one wanted to be", at)
	}
	if kept := eval[string](r, "document.cookie"); kept != "" {
		t.Errorf("scripts can read the cookie %q", kept)
	}
	r.do(chromedp.Click(css(`.me a.name`)), chromedp.WaitVisible(css(`form[action="/account/token"] button`)))
	r.shoot("account", "/account", `form[action="/account/token"] button`)
	r.do(chromedp.Click(css(`form[action="/account/token"] button`)), chromedp.WaitVisible(css("#secret")))
	r.shootHere("account-token")
	token := eval[string](r, `document.querySelector("#secret").value`)
	me := client.New(client.Options{URL: r.pages, Token: token})
	if who, err := me.WhoAmI(t.Context()); err != nil || who.Name != "mia@example.com" || !who.Strong {
		t.Errorf("the token for the command line is of %+v: %v", who, err)
	}

	// Ended, it is over for the page and for the command line.
	r.ringfence("session", "end", "mia@example.com")
	r.do(chromedp.Navigate(r.pages+"/events"), chromedp.WaitVisible(css("#token")))
	if _, err := me.WhoAmI(t.Context()); err == nil {
		t.Error("the session was ended, and its token signs in")
	}

	// A way back that was not begun in this browser leads nowhere.
	r.do(chromedp.Navigate(r.pages+"/sign-in/company/back?code=stolen&state="+strings.Repeat("x", 43)), chromedp.WaitVisible(css(`[role="alert"]`)))
	if said := eval[string](r, `document.querySelector('[role="alert"]').textContent`); !strings.Contains(said, "not begun in this browser") {
		t.Errorf("a code of somebody else: %s", said)
	}
}
