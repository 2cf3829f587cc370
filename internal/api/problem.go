package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

// problem is an error on its way out.
type problem struct {
	wire.Problem
	headers http.Header
}

func (p *problem) Error() string               { return p.Detail }
func (p *problem) GetStatus() int              { return p.Status }
func (p *problem) GetHeaders() http.Header     { return p.headers }
func (p *problem) ContentType(_ string) string { return "application/problem+json" }

var statuses = map[errs.Kind]int{
	errs.Internal: http.StatusInternalServerError, errs.Invalid: http.StatusUnprocessableEntity, errs.Denied: http.StatusForbidden,
	errs.Conflict: http.StatusConflict, errs.Missing: http.StatusNotFound, errs.Frozen: http.StatusLocked,
	errs.Unavailable: http.StatusServiceUnavailable,
}

func newProblem(status int, kind errs.Kind, detail, hint string) *problem {
	return &problem{Problem: wire.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Kind: kind.String(), Detail: detail, Hint: hint,
	}}
}

// problemOf translates an engine's error; what went wrong inside is logged, not told.
func (s *Server) problemOf(ctx context.Context, id string, err error) *problem {
	var done *problem
	if errors.As(err, &done) {
		return done
	}
	kind := errs.KindOf(err)
	switch {
	case ctx.Err() != nil:
		return newProblem(http.StatusServiceUnavailable, errs.Unavailable, "the request took too long or was given up", "Try again.")
	case kind == errs.Internal:
		s.Logger.Error("request failed", "operation", id, "err", err)
		return newProblem(http.StatusInternalServerError, kind, "an unforeseen failure; the server's log has the details", "")
	}
	p := newProblem(statuses[kind], kind, err.Error(), errs.HintOf(err))
	if kind == errs.Unavailable {
		p.headers = http.Header{"Retry-After": {"1"}}
	}
	var fields resource.Problems
	if errors.As(err, &fields) {
		for _, f := range fields {
			p.Problems = append(p.Problems, wire.FieldProblem{Resource: resource.Key(f.Kind, f.Name), Field: f.Path, Message: f.Msg, Expected: f.Expected})
		}
		p.summarise()
	}
	return p
}

func (p *problem) summarise() {
	p.Detail = "refused, nothing was changed"
	if n := len(p.Problems); n > 1 {
		p.Detail = fmt.Sprintf("refused for %d problems, nothing was changed", n)
	}
}

// refused tells of all that is wrong in files.
func refused(problems []manifest.Problem) error {
	p := newProblem(http.StatusUnprocessableEntity, errs.Invalid, "", "")
	for _, f := range problems {
		p.Problems = append(p.Problems, wire.FieldProblem{File: f.File, Line: f.Line, Column: f.Column, Field: f.Field, Message: f.Msg, Expected: f.Expected})
	}
	p.summarise()
	return p
}

func noRoute(r *http.Request, allow []string) *problem {
	if len(allow) == 0 {
		return newProblem(http.StatusNotFound, errs.Missing, fmt.Sprintf("there is no %.200s", r.URL.Path), "See /openapi.json for what there is.")
	}
	p := newProblem(http.StatusMethodNotAllowed, errs.Invalid, fmt.Sprintf("%.20s is not for %.200s, expected %s", r.Method, r.URL.Path, strings.Join(allow, " or ")), "")
	p.headers = http.Header{"Allow": {strings.Join(allow, ", ")}}
	return p
}

// writeProblem answers with p outside of an operation.
func writeProblem(w http.ResponseWriter, p *problem) {
	for k, v := range p.headers {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// The library's own errors take our form: wrong parameters, wrong bodies.
func init() {
	huma.NewError = func(status int, msg string, causes ...error) huma.StatusError {
		kind := errs.Invalid
		if status >= http.StatusInternalServerError {
			kind = errs.Internal
		}
		p := newProblem(status, kind, msg, "")
		for _, cause := range causes {
			var detail huma.ErrorDetailer
			if !errors.As(cause, &detail) {
				p.Problems = append(p.Problems, wire.FieldProblem{Message: cause.Error()})
				continue
			}
			d := detail.ErrorDetail() // its value is not repeated: it may be a secret
			p.Problems = append(p.Problems, wire.FieldProblem{Field: d.Location, Message: d.Message})
		}
		switch n := len(p.Problems); {
		case n == 1 && kind == errs.Invalid:
			p.Detail = strings.TrimPrefix(p.Problems[0].Field+": "+p.Problems[0].Message, ": ")
		case n > 1:
			p.Detail = fmt.Sprintf("the request has %d problems", n)
		}
		return p
	}
}
