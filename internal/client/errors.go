package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
)

// Problems is an error that names every field that is wrong. errors.As finds it in what a method returns.
type Problems []wire.FieldProblem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = Line(p)
	}
	return strings.Join(lines, "\n")
}

// Line is a problem as compilers write theirs: file:line:column: field: what is wrong, expected what.
func Line(p wire.FieldProblem) string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
		}
		b.WriteByte(' ')
	}
	for _, part := range []string{p.Resource, p.Field} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	b.WriteString(p.Message)
	if p.Expected != "" {
		b.WriteString(", expected " + p.Expected)
	}
	return b.String()
}

var kinds = map[string]errs.Kind{
	"invalid": errs.Invalid, "denied": errs.Denied, "conflict": errs.Conflict, "missing": errs.Missing, "frozen": errs.Frozen,
	"unavailable": errs.Unavailable, "internal": errs.Internal,
}

var byStatus = map[int]errs.Kind{
	http.StatusUnauthorized: errs.Denied, http.StatusForbidden: errs.Denied, http.StatusNotFound: errs.Missing, http.StatusConflict: errs.Conflict,
	http.StatusPreconditionFailed: errs.Conflict, http.StatusLocked: errs.Frozen, http.StatusTooManyRequests: errs.Unavailable,
	http.StatusBadGateway: errs.Unavailable, http.StatusServiceUnavailable: errs.Unavailable, http.StatusGatewayTimeout: errs.Unavailable,
}

// problemOf turns an answer that is an error back into one, whoever gave it.
func problemOf(res *http.Response) error {
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	var p wire.Problem
	if err := json.Unmarshal(raw, &p); err != nil || p.Detail == "" {
		var prom promProblem
		if json.Unmarshal(raw, &prom) == nil && prom.ErrorType != "" {
			return prom.err(res.StatusCode)
		}
		kind, ok := byStatus[res.StatusCode]
		if !ok && res.StatusCode >= 400 && res.StatusCode < 500 {
			kind = errs.Invalid
		}
		return errs.E(kind, "%s %s: %s", res.Request.Method, res.Request.URL.Path, res.Status)
	}
	kind, ok := kinds[p.Kind]
	if !ok {
		kind = byStatus[p.Status]
	}
	e := errs.E(kind, "%s", p.Detail)
	if len(p.Problems) > 0 {
		e = errs.Wrap(kind, Problems(p.Problems), "%s", p.Detail)
	}
	if p.Hint != "" {
		e = e.Next("%s", p.Hint)
	}
	return e
}
