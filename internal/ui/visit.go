package ui

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/rollout"
)

const (
	pageTime = 20 * time.Second // for making and sending one page
	maxForm  = 64 << 10
)

// visit is one request of someone, and what every page knows.
type visit struct {
	Who     policy.Principal
	Form    string // the session's form token
	Version string
	Path    string
	Now     time.Time
	Title   string
	Live    string                   // topic of the page's live updates; "" for none
	Line    rollout.Line             // whether it is stopped, which every page says
	Asks    int                      // approvals that are waited for
	Changes int                      // change requests that wait for reviewers
	Flags   bool                     // there are pages of flags
	SLOs    bool                     // there are pages of SLOs
	Labs    bool                     // there are pages of experiments
	Hurts   bool                     // there are pages of incidents
	Probing bool                     // there are pages of probes
	Watches bool                     // there are pages of alerts
	Fires   int                      // pages of alerts that nobody has taken
	Logging bool                     // there are logs
	Rests   bool                     // there is a page of units
	Onward  string                   // where one is led when something was done, when not back
	id      string                   // of the session
	may     func(policy.Action) bool // on what the page is about
}

// Waits is how much waits for somebody.
func (v *visit) Waits() int { return v.Asks + v.Changes }

// May says whether the visitor may decide on what the page shows, and so whether it offers that.
func (v *visit) May() bool { return v.may != nil && v.may(policy.Decide) }

// MayChange says whether the visitor may change what is declared.
func (v *visit) MayChange() bool { return v.may != nil && v.may(policy.Change) }

type handler func(w http.ResponseWriter, r *http.Request, v *visit) error

// open serves a page to anyone.
func (s *Server) open(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Now: s.Now(), Path: r.URL.Path, Version: s.Version}
		s.serve(w, r, v, h)
	}
}

// signed serves a page to those who may do a.
func (s *Server) signed(a policy.Action, h handler) http.HandlerFunc {
	return s.open(func(w http.ResponseWriter, r *http.Request, v *visit) error {
		id, who, err := s.sessionOf(r)
		if err != nil {
			if errs.Is(err, errs.Denied) {
				s.forget(w, r)
				return s.toSignIn(w, r)
			}
			return err
		}
		v.id, v.Who, v.Form, v.Flags = id, who, formToken(id), s.Board != nil
		v.Labs, v.Probing = s.Lab != nil, s.Probes != nil
		v.Watches = s.Pager != nil
		v.Logging = s.LogStore != nil
		v.Hurts = s.Incidents != nil
		v.SLOs = s.SLOs != nil
		v.Rests = s.Upkeep != nil
		v.may = s.mayHere(r, who)
		if err := s.authorised(r, who, a); err != nil {
			return err
		}
		if r.Method == http.MethodPost && !s.ownForm(r, v) {
			err := errs.E(errs.Denied, "this form was not sent from a page of this session").Next("Load the page again, then repeat what you did.")
			s.denied(r, who.Actor(), err)
			return err
		}
		if r.URL.Path != livePath && r.Method == http.MethodGet {
			s.notice(r.Context(), v)
		}
		return h(w, r, v)
	})
}

// serve bounds a request in size and time and shows what went wrong.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, v *visit, h handler) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "HX-Request")
	if r.Method == http.MethodPost {
		if err := s.origin.Check(r); err != nil {
			s.fail(w, r, v, errs.E(errs.Denied, "the form came from another site"))
			return
		}
		limit := int64(maxForm)
		if strings.HasPrefix(r.URL.Path, "/plans/") || strings.HasPrefix(r.URL.Path, "/probes/") || strings.HasPrefix(r.URL.Path, "/flags/") || strings.HasPrefix(r.URL.Path, "/flag-sets/") {
			limit = maxPlanForm
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if err := r.ParseForm(); err != nil {
			s.fail(w, r, v, errs.E(errs.Invalid, "the form cannot be read"))
			return
		}
	}
	if r.URL.Path != livePath {
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		r = r.WithContext(ctx)
	}
	if err := h(w, r, v); err != nil {
		s.fail(w, r, v, err)
	}
}

// fragment says that only the moving part of a page is wanted.
func fragment(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// show renders a page whole, or for a script the part of it that changes, and only then begins to answer.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	name := "page"
	if fragment(r) {
		name = "live"
	}
	var b bytes.Buffer
	if err := s.pages[page].ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	if r.Header.Get("HX-Target") == "live" { // what every page says changes with it
		if err := s.pages[page].ExecuteTemplate(&b, "aside", data); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}

var statuses = map[errs.Kind]int{
	errs.Internal: http.StatusInternalServerError, errs.Invalid: http.StatusUnprocessableEntity, errs.Denied: http.StatusForbidden,
	errs.Conflict: http.StatusConflict, errs.Missing: http.StatusNotFound, errs.Frozen: http.StatusLocked,
	errs.Unavailable: http.StatusServiceUnavailable,
}

var headings = map[errs.Kind]string{
	errs.Internal: "Something went wrong here", errs.Invalid: "That cannot be understood", errs.Denied: "You may not do this",
	errs.Conflict: "Not now", errs.Missing: "There is no such page", errs.Frozen: "Frozen", errs.Unavailable: "Not available just now",
}

// trouble is an error as it is shown.
type trouble struct {
	Status             int
	Heading, Msg, Hint string
}

// troubleOf translates an error; what went wrong inside is logged, not told.
func (s *Server) troubleOf(r *http.Request, err error) trouble {
	kind := errs.KindOf(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return trouble{http.StatusServiceUnavailable, headings[errs.Unavailable], "The answer took too long.", "Try again."}
	case kind == errs.Internal:
		s.Logger.Error("page failed", "path", r.URL.Path, "err", err)
		return trouble{http.StatusInternalServerError, headings[kind], "An unforeseen failure; the server's log has the details.", ""}
	}
	return trouble{statuses[kind], headings[kind], sentenceCase(err.Error()), errs.HintOf(err)}
}

type troublePage struct {
	*visit
	trouble
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	t := s.troubleOf(r, err)
	v.Title = t.Heading
	if err := s.show(w, r, t.Status, "error", troublePage{v, t}); err != nil {
		s.Logger.Error("error page failed", "err", err)
		http.Error(w, t.Heading, http.StatusInternalServerError)
	}
}

func (s *Server) nowhere(_ http.ResponseWriter, r *http.Request, _ *visit) error {
	return errs.E(errs.Missing, "there is no page %.200s", r.URL.Path).Next("Begin at the overview.")
}
