package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
)

type (
	principalKey struct{}
	peerKey      struct{}
)

// peerOf is the address of who asks.
func peerOf(ctx context.Context) string {
	from, _ := ctx.Value(peerKey{}).(string)
	return from
}

// actorOf returns who asks, as it stands in events.
func actorOf(ctx context.Context) string { return principalOf(ctx).Actor() }

func principalOf(ctx context.Context) policy.Principal {
	p, _ := ctx.Value(principalKey{}).(policy.Principal)
	return p
}

// ServeHTTP passes a request through everything that is asked of it.
func (s *Server) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	w := &tracked{ResponseWriter: answer}
	_, pattern := s.mux.Handler(r)
	rt, known := s.routes[pattern]
	rt.pattern = pattern
	secureHeaders(w, rt)
	if !known {
		writeProblem(w, noRoute(r, nil))
		return
	}
	defer s.survive(w, r)
	who, p := s.admit(r, rt)
	if p != nil {
		refuse(w, r, rt, p)
		return
	}
	ctx, cancel := bounded(context.WithValue(context.WithValue(r.Context(), principalKey{}, who), peerKey{}, peer(r)), w, rt)
	defer cancel()
	if rt.stream && !who.Nobody() {
		defer s.whileSigned(ctx, cancel, r, rt)()
	}
	if rt.restores && s.First != nil {
		ctx = context.WithValue(ctx, restoringKey{}, s.First(r))
	}
	r = r.WithContext(ctx)
	if rt.maxBody == 0 {
		rt.maxBody = maxJSON
	}
	if r.ContentLength > rt.maxBody {
		refuse(w, r, rt, tooLarge(rt.maxBody))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, rt.maxBody)
	if key := r.Header.Get(keyHeader); key != "" && rt.keyed {
		s.once(w, r, who, key)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// admit says who asks and whether they may.
func (s *Server) admit(r *http.Request, rt route) (policy.Principal, *problem) {
	token, ip := access.BearerOf(r), peer(r)
	if rt.action == policy.Anyone {
		return policy.Principal{}, s.limits.take("ip "+ip, s.Now())
	}
	if token == "" {
		return policy.Principal{}, s.unauthenticated(r, rt, policy.Allow(policy.Principal{}, rt.action))
	}
	who, err := s.Access.SignIn(r.Context(), token)
	switch {
	case errs.Is(err, errs.Denied):
		return who, s.unauthenticated(r, rt, err)
	case err != nil:
		return who, s.problemOf(r.Context(), rt.id, err)
	}
	if s.Bait != nil {
		s.Bait(r.Context(), who.Actor())
	}
	if !rt.steady {
		if p := s.limits.take("principal "+who.Name, s.Now()); p != nil {
			return who, p
		}
	}
	return who, s.authorised(r, rt, who)
}

// recheck is how often a stream's caller is looked at again.
const recheck = 5 * time.Second

// whileSigned ends a stream when its caller's token does, or what it may. A store that does not answer ends nothing. It returns
// what to call at the stream's end.
func (s *Server) whileSigned(ctx context.Context, cancel context.CancelFunc, r *http.Request, rt route) func() {
	ctx, stop := context.WithCancel(ctx)
	token := access.BearerOf(r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(recheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			who, err := s.Access.SignIn(ctx, token)
			over := errs.Is(err, errs.Denied)
			if err == nil {
				p := s.authorised(r.WithContext(ctx), rt, who)
				over = p != nil && p.Status == http.StatusForbidden
			}
			if over {
				cancel()
				return
			}
		}
	}()
	return func() { stop(); <-done }
}

func (s *Server) unauthenticated(r *http.Request, rt route, err error) *problem {
	if p := s.limits.take("ip "+peer(r), s.Now()); p != nil {
		return p
	}
	s.denials.record(r, rt, "anonymous", err, s.Now())
	p := newProblem(http.StatusUnauthorized, errs.Denied, err.Error(), errs.HintOf(err))
	p.headers = http.Header{"WWW-Authenticate": {`Bearer realm="ringfence"`}}
	return p
}

// bounded gives the request its deadlines. A stream has none: each write of it sets its own.
func bounded(ctx context.Context, w http.ResponseWriter, rt route) (context.Context, context.CancelFunc) {
	control := http.NewResponseController(w)
	if rt.stream {
		_ = control.SetReadDeadline(time.Time{})
		_ = control.SetWriteDeadline(time.Time{})
		return context.WithCancel(ctx)
	}
	limit := rt.timeout
	if limit == 0 {
		limit = defaultTimeout
	}
	end := time.Now().Add(limit + time.Second)
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end)
	return context.WithTimeout(ctx, limit)
}

func secureHeaders(w http.ResponseWriter, rt route) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if rt.page {
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'")
		return
	}
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
}

// survive keeps a defect in one request from ending the others. An answer that has begun is broken off.
func (s *Server) survive(w *tracked, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.Logger.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", v)
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, newProblem(http.StatusInternalServerError, errs.Internal, "an unforeseen failure; the server's log has the details", ""))
}

// tracked knows whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	begun bool
}

func (t *tracked) WriteHeader(status int) {
	t.begun = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

// Flush is for handlers that look for it, instead of asking a response controller.
func (t *tracked) Flush() { _ = http.NewResponseController(t.ResponseWriter).Flush() }

// Unwrap lets the standard library reach what is below.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func tooLarge(limit int64) *problem {
	return newProblem(http.StatusRequestEntityTooLarge, errs.Invalid, "the body is larger than "+strconv.FormatInt(limit, 10)+" bytes", "")
}
