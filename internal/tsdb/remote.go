package tsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ringfence/ringfence/internal/errs"
)

// RemoteOptions name a Prometheus-compatible server that keeps the metrics. Only URL is needed.
type RemoteOptions struct {
	URL       string // below which /api/v1/query is
	Write     string // where remote write is taken; default /api/v1/write below URL
	Token     string // sent as a Bearer token
	Logger    *slog.Logger
	Transport http.RoundTripper // for scrapes, and for the server; default a plain one that uses no proxy
}

// remote is a Prometheus-compatible server as a place for samples.
type remote struct {
	base, write string
	token       string
	client      *http.Client
	log         *slog.Logger
}

const (
	remoteAnswer = 256 << 20 // bytes of an answer at most
	remoteTime   = 30 * time.Second
)

// OpenRemote is Open for metrics that another server keeps: what is scraped and written goes there by remote write, and
// what is asked is asked there. The evidence for verdicts is read as raw samples, so it is as exact as here.
func OpenRemote(o RemoteOptions) (*DB, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, s := range []string{o.URL, o.Write} {
		u, err := url.Parse(s)
		if s != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "") {
			return nil, errs.E(errs.Invalid, "metrics: expected the address of a Prometheus-compatible server, such as http://prometheus:9090, without user or query")
		}
	}
	if o.URL == "" {
		return nil, errs.E(errs.Invalid, "metrics: no address given")
	}
	r := &remote{base: strings.TrimRight(o.URL, "/"), write: o.Write, token: o.Token, log: o.Logger, client: &http.Client{Transport: o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if o.Transport == nil {
		r.client.Transport = &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: maxTimeout, ForceAttemptHTTP2: true}
	}
	if r.write == "" {
		r.write = r.base + "/api/v1/write"
	}
	p := parser.NewParser(parser.Options{})
	db := &DB{
		log: o.Logger, kept: r, remote: r, parser: p, census: newCensus(defaultServiceSeries),
		engine: promql.NewEngine(promql.EngineOpts{Logger: o.Logger, Parser: p, MaxSamples: maxQuerySamples, Timeout: queryTimeout,
			EnableAtModifier: true, EnableNegativeOffset: true,
			NoStepSubqueryIntervalFn: func(int64) int64 { return defaultStep.Milliseconds() }}),
		client:  newClient(o.Transport),
		space:   space{free: func() (uint64, error) { return math.MaxUint64, nil }}, // the other server's disk is its own matter
		queries: make(chan struct{}, maxConcurrentQueries),
		stop:    func() {}, done: make(chan struct{}),
	}
	close(db.done) // there is nothing to maintain
	return db, nil
}

// get asks the server and reads the data of its answer.
func (r *remote) get(ctx context.Context, path string, form url.Values, data any) error {
	ctx, cancel := context.WithTimeout(ctx, remoteTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/api/v1/"+path, strings.NewReader(form.Encode()))
	if path == "labels" && err == nil || strings.HasPrefix(path, "label/") { // which some take by GET alone
		req, err = http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/v1/"+path+"?"+form.Encode(), nil)
	}
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.sign(req)
	resp, err := r.client.Do(req)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "the metrics server does not answer")
	}
	defer resp.Body.Close()
	var answer struct {
		Status, ErrorType, Error string
		Data                     json.RawMessage
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, remoteAnswer+1))
	switch {
	case err != nil:
		return errs.Wrap(errs.Unavailable, err, "the metrics server's answer")
	case len(raw) > remoteAnswer:
		return errs.E(errs.Invalid, "the metrics server's answer is larger than %d MiB", remoteAnswer>>20)
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Status != "success" {
		return remoteError(resp, answer.ErrorType, answer.Error)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return errs.Wrap(errs.Unavailable, err, "the metrics server's answer")
	}
	return nil
}

func remoteError(resp *http.Response, kind, msg string) error {
	switch {
	case kind == "bad_data" || kind == "execution" || msg != "" && resp.StatusCode/100 == 4:
		return errs.E(errs.Invalid, "%s", msg)
	case msg == "":
		msg = resp.Status
	}
	return errs.E(errs.Unavailable, "the metrics server: %s", msg)
}

func (r *remote) sign(req *http.Request) {
	req.Header.Set("User-Agent", "ringfence")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
}

// remoteSeries is one series of an answer.
type remoteSeries struct {
	Metric     map[string]string
	Value      *remotePoint
	Values     []remotePoint
	Histogram  json.RawMessage
	Histograms []remoteHistogram
}

type remotePoint struct {
	at int64
	v  float64
}

func (p *remotePoint) UnmarshalJSON(raw []byte) error {
	var at, v json.Number
	if err := json.Unmarshal(raw, &[]any{&at, &v}); err != nil {
		return err
	}
	t, err := at.Float64()
	if err != nil {
		return err
	}
	p.at = int64(math.Round(t * 1000))
	p.v, err = parseFloat(string(v))
	return err
}

func (r *remote) query(ctx context.Context, path string, form url.Values) (kind string, all []remoteSeries, err error) {
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := r.get(ctx, path, form, &data); err != nil {
		return "", nil, err
	}
	switch data.ResultType {
	case "scalar":
		var p remotePoint
		err = json.Unmarshal(data.Result, &p)
		all = []remoteSeries{{Value: &p}}
	case "vector", "matrix":
		err = json.Unmarshal(data.Result, &all)
	}
	if err != nil {
		err = errs.Wrap(errs.Unavailable, err, "the metrics server's answer")
	}
	return data.ResultType, all, err
}

func (r *remote) instant(ctx context.Context, expr string, at time.Time) ([]Value, error) {
	kind, all, err := r.query(ctx, "query", url.Values{"query": {expr}, "time": {secondsOf(at.UnixMilli())}})
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), err, "query %q", expr)
	}
	if kind != "scalar" && kind != "vector" {
		return nil, errs.E(errs.Invalid, "query %q gives a %s, expected a vector or a scalar", expr, kind)
	}
	out := make([]Value, 0, len(all))
	for _, s := range all {
		if s.Value == nil {
			return nil, errs.E(errs.Invalid, "query %q gives histograms, expected numbers", expr)
		}
		out = append(out, Value{s.Metric, s.Value.v})
	}
	return out, nil
}

func (r *remote) lines(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Line, error) {
	_, all, err := r.query(ctx, "query_range", url.Values{"query": {expr}, "start": {secondsOf(from.UnixMilli())}, "end": {secondsOf(to.UnixMilli())},
		"step": {secondsOf(max(step.Milliseconds(), 1))}})
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), err, "query %q", expr)
	}
	out := make([]Line, 0, len(all))
	for _, s := range all {
		if len(s.Histograms) > 0 {
			return nil, errs.E(errs.Invalid, "query %q gives histograms, expected numbers", expr)
		}
		l := Line{s.Metric, make([][2]float64, 0, len(s.Values))}
		for _, p := range s.Values {
			if !math.IsNaN(p.v) && !math.IsInf(p.v, 0) {
				l.Points = append(l.Points, [2]float64{float64(p.at) / 1000, p.v})
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func secondsOf(ms int64) string { return string(appendTime(nil, ms)) }

// handler passes on what may be asked, with the server's token in place of the caller's.
func (r *remote) handler(own http.Handler) http.Handler {
	to, _ := url.Parse(r.base)
	proxy := &httputil.ReverseProxy{
		Transport: r.client.Transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Header.Del("Authorization")
			p.Out.Header.Del("Cookie")
			p.Out.Header.Del("X-Api-Key")
			r.sign(p.Out)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				r.log.Warn("the metrics server does not answer", "err", err)
			}
			writeAnswer(w, answer{errType: "unavailable", err: fmt.Errorf("the metrics server does not answer")})
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", own)
	for _, path := range []string{"query", "query_range", "query_exemplars", "format_query", "series", "labels"} {
		mux.Handle("GET /api/v1/"+path, proxy)
		mux.Handle("POST /api/v1/"+path, proxy)
	}
	for _, path := range []string{"label/{name}/values", "metadata", "status/buildinfo"} {
		mux.Handle("GET /api/v1/"+path, proxy)
	}
	return mux
}
