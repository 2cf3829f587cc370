package ui

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

// kindAttempt is the kind of the documents that keep sign-ins which have begun, under a hash of their state.
const kindAttempt = "SignInAttempt"

const attemptTime = 10 * time.Minute

// attempt is a sign-in that has begun: it ends once, in the browser that began it, and leads where it was begun.
type attempt struct {
	access.Attempt
	Provider string    `json:"provider"`
	Browser  string    `json:"browser"` // hash of its cookie
	Next     string    `json:"next"`
	Until    time.Time `json:"until"`
}

// attemptCookie has to come back with a navigation from another site, so it is Lax; it signs nobody in.
func attemptCookie(r *http.Request, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{Name: cookieName(r) + "_attempt", Value: value, Path: "/sign-in", MaxAge: int(age.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil}
}

// backTo is where an identity provider sends browsers back to.
func backTo(r *http.Request, provider string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host, Path: "/sign-in/" + provider + "/back"}).String()
}

func (s *Server) goToProvider(w http.ResponseWriter, r *http.Request, v *visit) error {
	provider, next := r.PathValue("provider"), localPath(r.URL.Query().Get("next"))
	a, err := s.Identity.Begin(r.Context(), provider, backTo(r, provider))
	if err != nil {
		return s.unsigned(w, r, v, next, err)
	}
	browser := newID()
	body, err := json.Marshal(attempt{Attempt: a, Provider: provider, Browser: docName(browser), Next: next, Until: v.Now.Add(attemptTime).UTC()})
	if err != nil {
		return err
	}
	change := s.lapsed(r, v.Now)
	change.Puts = []store.Doc{{Kind: kindAttempt, Name: docName(a.State), Updated: v.Now, Body: body}}
	if _, err := s.Store.Commit(r.Context(), change); err != nil {
		return err
	}
	http.SetCookie(w, attemptCookie(r, browser, attemptTime))
	http.Redirect(w, r, a.URL, http.StatusSeeOther)
	return nil
}

// lapsed removes sign-ins that were never ended.
func (s *Server) lapsed(r *http.Request, now time.Time) store.Write {
	var w store.Write
	docs, err := s.Store.List(r.Context(), store.Page{Kind: kindAttempt})
	if err != nil {
		return w // the next one clears them away
	}
	for _, d := range docs {
		var old attempt
		if json.Unmarshal(d.Body, &old) != nil || now.After(old.Until) {
			w.Deletes = append(w.Deletes, store.Doc{Kind: d.Kind, Name: d.Name, Rev: d.Rev})
		}
	}
	return w
}

// backFromProvider ends a sign-in. Whoever makes a browser come here with a code of their own has not begun it there.
func (s *Server) backFromProvider(w http.ResponseWriter, r *http.Request, v *visit) error {
	q, provider := r.URL.Query(), r.PathValue("provider")
	begun, err := s.begun(r, v.Now, provider, q.Get("state"))
	http.SetCookie(w, attemptCookie(r, "", -time.Second))
	if err == nil && q.Get("error") != "" {
		err = errs.E(errs.Denied, "the identity provider says: %.80q", q.Get("error")).Next("Sign in again.")
	}
	if err != nil {
		return s.unsigned(w, r, v, begun.Next, err)
	}
	token, made, err := s.Identity.Finish(r.Context(), provider, backTo(r, provider), q.Get("code"), peer(r), begun.Attempt, v.Now)
	if err != nil {
		return s.unsigned(w, r, v, begun.Next, err)
	}
	id, err := s.begin(r.Context(), r, token, policy.Principal{Name: made.Name, Role: made.Role, Via: made.Via})
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(r, id, sessionTime))
	// Not a redirect: a browser that comes from another site would not send the cookie along.
	v.Title = "Signed in"
	w.Header().Set("Refresh", "0; url="+localPath(begun.Next))
	return s.show(w, r, http.StatusOK, "signedin", signInView{visit: v, Next: localPath(begun.Next)})
}

// begun finds the sign-in of a state, once.
func (s *Server) begun(r *http.Request, now time.Time, provider, state string) (attempt, error) {
	lost := errs.E(errs.Denied, "this sign-in was not begun in this browser, or took too long").Next("Sign in again.")
	c, err := r.Cookie(cookieName(r) + "_attempt")
	if err != nil || !idRE.MatchString(state) {
		return attempt{}, lost
	}
	doc, err := s.Store.Get(r.Context(), kindAttempt, docName(state))
	if errs.Is(err, errs.Missing) {
		return attempt{}, lost
	}
	if err != nil {
		return attempt{}, err
	}
	var a attempt
	if err := json.Unmarshal(doc.Body, &a); err != nil {
		return attempt{}, errs.Wrap(errs.Internal, err, "a stored sign-in is damaged")
	}
	if a.Provider != provider || a.Browser != docName(c.Value) || now.After(a.Until) {
		return attempt{}, lost
	}
	_, err = s.Store.Commit(r.Context(), store.Write{Deletes: []store.Doc{{Kind: doc.Kind, Name: doc.Name, Rev: doc.Rev}}})
	if errs.Is(err, errs.Conflict) || errs.Is(err, errs.Missing) {
		return attempt{}, lost
	}
	return a, err
}
