package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

type signInView struct {
	*visit
	Next    string
	Trouble *trouble
	Ways    []access.Choice // identity providers
}

// ways are the identity providers that the page offers.
func (s *Server) ways(ctx context.Context) []access.Choice {
	if s.Identity == nil {
		return nil
	}
	ways, err := s.Identity.Choices(ctx)
	if err != nil {
		s.Logger.Error("identity providers cannot be listed", "err", err)
	}
	return ways
}

// unsigned shows the sign-in page with what went wrong.
func (s *Server) unsigned(w http.ResponseWriter, r *http.Request, v *visit, next string, err error) error {
	if errs.Is(err, errs.Denied) {
		s.denied(r, "anonymous", err)
	}
	t := s.troubleOf(r, err)
	v.Title = "Sign in"
	return s.show(w, r, t.Status, "signin", signInView{visit: v, Next: next, Trouble: &t, Ways: s.ways(r.Context())})
}

// toSignIn sends a person to the sign-in page and back; a script or a form is told that the session is over.
func (s *Server) toSignIn(w http.ResponseWriter, r *http.Request) error {
	to := "/sign-in"
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	switch {
	case fragment(r) || strings.HasPrefix(r.URL.Path, "/ui/"):
		w.Header().Set("HX-Redirect", "/sign-in")
		http.Error(w, "not signed in", http.StatusUnauthorized)
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
	return nil
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	next := localPath(r.URL.Query().Get("next"))
	if _, _, err := s.sessionOf(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	v.Title = "Sign in"
	return s.show(w, r, http.StatusOK, "signin", signInView{visit: v, Next: next, Ways: s.ways(r.Context())})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request, v *visit) error {
	token, next := strings.TrimSpace(r.PostFormValue("token")), localPath(r.PostFormValue("next"))
	who, err := s.Access.SignIn(r.Context(), token)
	if err == nil {
		err = s.authorised(r, who, policy.Read)
	}
	if err != nil {
		return s.unsigned(w, r, v, next, err)
	}
	id, err := s.begin(r.Context(), r, token, who)
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(r, id, sessionTime))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.end(r.Context(), v); err != nil {
		return err
	}
	s.forget(w, r)
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	return nil
}

// How many denials are recorded, so that who may do nothing cannot fill the record: a burst, then one a second.
const (
	denialRate  = 1
	denialBurst = 20
)

// limiter is a bucket of tokens.
type limiter struct {
	mu     sync.Mutex
	level  float64
	at     time.Time
	silent int
}

// take says whether there is room, and how many were turned away since it last was.
func (l *limiter) take(now time.Time) (bool, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() {
		l.level = min(denialBurst, l.level+denialRate*max(0, now.Sub(l.at).Seconds()))
	}
	l.at = now
	if l.level < 1 {
		l.silent++
		return false, 0
	}
	silent := l.silent
	l.level, l.silent = l.level-1, 0
	return true, silent
}

// denied records who was refused what.
func (s *Server) denied(r *http.Request, actor string, why error) {
	ok, silent := s.denials.take(s.Now())
	if !ok {
		return
	}
	data := map[string]any{"method": r.Method, "path": clip(r.URL.Path, 200), "from": peer(r), "why": why.Error()}
	if silent > 0 {
		data["unrecorded"] = silent
	}
	e, err := audit.New(s.Now(), "access.denied", actor, "ui/page", data)
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		_, err = s.Store.Commit(ctx, store.Write{Events: []audit.Event{e}})
	}
	if err != nil {
		s.Logger.Error("a denial could not be recorded", "err", err)
	}
}
