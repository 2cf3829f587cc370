package tsdb

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	maxConcurrentQueries = 4
	maxForm              = 1 << 20
	maxSeries            = 50_000 // listed by one request
	maxAPITimeout        = 2 * time.Minute
	statusClientGone     = 499
)

// answer is what an endpoint has to say: data already encoded, or an error of one of Prometheus' types.
type answer struct {
	data     []byte
	notes    annotations.Annotations
	query    string // positions in notes refer to it
	errType  string
	err      error
	warnings []string
}

var statusOf = map[string]int{
	"bad_data": http.StatusBadRequest, "execution": http.StatusUnprocessableEntity, "timeout": http.StatusServiceUnavailable,
	"canceled": statusClientGone, "internal": http.StatusInternalServerError, "unavailable": http.StatusServiceUnavailable,
}

// Handler serves Prometheus' HTTP API for queries below /api/v1/, as Grafana's Prometheus data source uses it. Who may
// ask is the caller's business.
func (db *DB) Handler() http.Handler {
	mux := http.NewServeMux()
	both := func(path string, f func(*http.Request) answer) {
		mux.Handle("GET /api/v1/"+path, db.serve(f))
		mux.Handle("POST /api/v1/"+path, db.serve(f))
	}
	get := func(path string, f func(*http.Request) answer) { mux.Handle("GET /api/v1/"+path, db.serve(f)) }
	fixed := func(data string) func(*http.Request) answer {
		return func(*http.Request) answer { return answer{data: []byte(data)} }
	}
	both("query", db.serveQuery)
	both("query_range", db.serveQueryRange)
	both("query_exemplars", db.serveExemplars)
	both("format_query", db.serveFormat)
	both("series", db.serveSeries)
	both("labels", db.serveLabels)
	get("label/{name}/values", db.serveLabelValues)
	get("metadata", db.serveMetadata)
	get("rules", db.serveRules)
	get("alerts", db.serveAlerts)
	get("status/buildinfo", fixed(`{"version":"`+prometheusVersion+`","revision":"","branch":"","buildUser":"ringfence","buildDate":"","goVersion":"`+runtime.Version()+`"}`))
	if db.remote != nil {
		return db.remote.handler(mux)
	}
	return mux
}

// prometheusVersion is that of the embedded engine, by which clients choose what they may ask.
const prometheusVersion = "3.12.0"

// serve bounds a request in size, time and company, and writes the answer in Prometheus' envelope.
func (db *DB) serve(f func(*http.Request) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			writeAnswer(w, badData("parse form: %v", err))
			return
		}
		timeout, err := timeoutParam(r)
		if err != nil {
			writeAnswer(w, badParam("timeout", err))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		select {
		case db.queries <- struct{}{}:
			defer func() { <-db.queries }()
		case <-ctx.Done():
			writeAnswer(w, failed(ctx.Err()))
			return
		}
		writeAnswer(w, f(r.WithContext(ctx)))
	})
}

// failed translates an error of evaluation into Prometheus' types.
func failed(err error) answer {
	var storage promql.ErrStorage
	typ := "execution"
	switch {
	case isCanceled(err):
		typ = "canceled"
	case isTimeout(err):
		typ = "timeout"
	case errors.As(err, &storage):
		typ = "internal"
	}
	return answer{errType: typ, err: err}
}

func (db *DB) serveQuery(r *http.Request) answer {
	at, err := timeParam(r, "time", time.Now().UnixMilli())
	if err != nil {
		return badParam("time", err)
	}
	limit, err := limitParam(r)
	if err != nil {
		return badParam("limit", err)
	}
	expr := r.Form.Get("query")
	if err := db.checkQuery(expr, time.UnixMilli(at), time.UnixMilli(at), 0); err != nil {
		return badParam("query", err)
	}
	q, err := db.engine.NewInstantQuery(r.Context(), db.kept, nil, expr, time.UnixMilli(at))
	if err != nil {
		return badParam("query", err)
	}
	defer q.Close()
	return resultOf(q.Exec(r.Context()), expr, limit)
}

func (db *DB) serveQueryRange(r *http.Request) answer {
	limit, err := limitParam(r)
	if err != nil {
		return badParam("limit", err)
	}
	from, to, step, refused := rangeParams(r)
	if refused != nil {
		return *refused
	}
	expr := r.Form.Get("query")
	if err := db.checkQuery(expr, time.UnixMilli(from), time.UnixMilli(to), step); err != nil {
		return badParam("query", err)
	}
	q, err := db.engine.NewRangeQuery(r.Context(), db.kept, nil, expr, time.UnixMilli(from), time.UnixMilli(to), step)
	if err != nil {
		return badParam("query", err)
	}
	defer q.Close()
	return resultOf(q.Exec(r.Context()), expr, limit)
}

func resultOf(res *promql.Result, expr string, limit int) answer {
	if res.Err != nil {
		a := failed(res.Err)
		a.notes, a.query = res.Warnings, expr
		return a
	}
	a := answer{notes: res.Warnings, query: expr}
	switch v := res.Value.(type) {
	case promql.Vector:
		if limit > 0 && len(v) > limit {
			res.Value = v[:limit]
			a.warnings = append(a.warnings, truncated)
		}
	case promql.Matrix:
		if limit > 0 && len(v) > limit {
			res.Value = v[:limit]
			a.warnings = append(a.warnings, truncated)
		}
	}
	a.data = appendResult(nil, res.Value)
	return a
}

const truncated = "results truncated due to limit"

func (db *DB) serveFormat(r *http.Request) answer {
	expr, err := db.parse(r.Form.Get("query"))
	if err != nil {
		return badParam("query", err)
	}
	return answer{data: appendString(nil, expr.Pretty(0))}
}
