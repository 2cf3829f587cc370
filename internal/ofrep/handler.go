package ofrep

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

// Paths of the protocol, and of the stream, whose address comes with each bulk answer.
const (
	evaluatePath = "/ofrep/v1/evaluate/flags"
	streamPath   = "/ofrep/v1/sse"
)

// Options of a Handler. What is not set has the default that is named.
type Options struct {
	Source      Source
	Environment string // of clients without a key
	Keys        Keys   // nil lets everyone ask, for Environment
	Users       Users  // nil where no client's users have to be proved

	RequireKey bool              // demand a targeting key of everyone
	Context    map[string]any    // attributes that win over those that are sent
	Headers    map[string]string // headers whose values become attributes of these names, and win over both
	Origins    []string          // of pages that may ask; * means all

	MaxBody    int64         // bytes of a request, 64 KiB
	Rate       float64       // requests per second and key, 0 for no limit
	Burst      int           // requests at once and key, twice the Rate
	MaxStreams int           // open at one time, 20,000
	KeepAlive  time.Duration // between comments on a silent stream, 15 s
	Inactivity time.Duration // after which a hidden page closes its stream, 120 s

	Asked func(environment, key string) // told of each evaluation of one flag; it must not wait
	Log   *slog.Logger
}

// Handler answers the protocol's requests.
type Handler struct {
	o       Options
	cache   cache
	limits  limits
	streams chan struct{} // has an item for each open stream
	now     func() int64
	done    chan struct{}
}

// New makes a Handler.
func New(o Options) *Handler {
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 10
	}
	if o.Burst <= 0 {
		o.Burst = max(1, int(2*o.Rate))
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 20_000
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = 15 * time.Second
	}
	if o.Inactivity < time.Second {
		o.Inactivity = 120 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{o: o, limits: limits{rate: o.Rate, burst: o.Burst}, streams: make(chan struct{}, o.MaxStreams),
		now: func() int64 { return time.Now().Unix() }, done: make(chan struct{})}
}

// Close ends the streams, which otherwise keep a server from stopping.
func (h *Handler) Close() { close(h.done) }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(h.o.Origins) > 0 && h.cors(w, r) {
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, evaluatePath)
	switch {
	case ok && (rest == "" || rest == "/"):
		h.only(w, r, http.MethodPost, h.bulk)
	case ok && rest[0] == '/':
		h.only(w, r, http.MethodPost, h.single)
	case r.URL.Path == streamPath:
		h.only(w, r, http.MethodGet, h.stream)
	default:
		refuse(w, "", &refusal{status: http.StatusNotFound, code: flag.General, details: "there is nothing at this path"})
	}
}

func (h *Handler) only(w http.ResponseWriter, r *http.Request, method string, do http.HandlerFunc) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		refuse(w, "", &refusal{status: http.StatusMethodNotAllowed, code: flag.General, details: "expected " + method})
		return
	}
	do(w, r)
}

const (
	allowHeaders  = "Content-Type, Authorization, X-API-Key, If-None-Match, Flagd-Selector, X-Flag-Set, X-User-Token, Last-Event-ID, Cache-Control, traceparent, tracestate"
	exposeHeaders = "ETag, Retry-After"
)

// cors tells browsers what pages may do, and whether the request was only to ask for that.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request) (asked bool) {
	origin := r.Header.Get("Origin")
	head := w.Header()
	head.Add("Vary", "Origin")
	if origin == "" || !slices.Contains(h.o.Origins, "*") && !slices.Contains(h.o.Origins, origin) {
		return false
	}
	head.Set("Access-Control-Allow-Origin", origin)
	head.Set("Access-Control-Expose-Headers", exposeHeaders)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	head.Set("Access-Control-Allow-Methods", "POST, GET")
	head.Set("Access-Control-Allow-Headers", allowHeaders)
	head.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// who tells whose request it is.
func (h *Handler) who(r *http.Request) (flag.Client, *refusal) {
	c := flag.Client{Environment: h.o.Environment}
	if h.o.Keys != nil {
		key := r.Header.Get("X-API-Key")
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && key == "" {
			key = strings.TrimSpace(token)
		}
		inAddress := key == "" && r.URL.Path == streamPath
		if inAddress {
			key = r.URL.Query().Get("key")
		}
		if key == "" || len(key) > 4096 {
			return c, &refusal{status: http.StatusUnauthorized, code: flag.General, details: "a key is needed, in X-API-Key or as a Bearer token"}
		}
		var err error
		if c, err = h.o.Keys.Check(r.Context(), key); err != nil {
			return c, unwelcome(err)
		}
		if inAddress && c.Scope != flag.Browser {
			return c, &refusal{status: http.StatusForbidden, code: flag.General, details: "only a browser's key may stand in an address"}
		}
	}
	return c, h.limits.take(c.Name)
}

func unwelcome(err error) *refusal {
	switch errs.KindOf(err) {
	case errs.Missing, errs.Invalid:
		return &refusal{status: http.StatusUnauthorized, code: flag.General, details: "nobody has this key"}
	case errs.Denied:
		return &refusal{status: http.StatusForbidden, code: flag.General, details: err.Error()}
	}
	return &refusal{status: http.StatusInternalServerError, details: "the key could not be checked", code: flag.General}
}

// view is what a client asks for and may see.
func (h *Handler) view(r *http.Request, c flag.Client) (*flag.View, *refusal) {
	selector := r.Header.Get("Flagd-Selector")
	if id := r.Header.Get("X-Flag-Set"); id != "" && selector == "" {
		selector = "flagSetId=" + id
	}
	if selector == "" && r.URL.Path == streamPath {
		selector = r.URL.Query().Get("selector")
	}
	if c.Selector != "" {
		if selector != "" && selector != c.Selector {
			return nil, &refusal{status: http.StatusForbidden, code: flag.General, details: "the key is not for these flags"}
		}
		selector = c.Selector
	}
	snapshot, err := h.o.Source.Current(c.Environment)
	if err != nil {
		h.o.Log.Error("flags: there is nothing to answer from", "environment", c.Environment, "err", err)
		return nil, &refusal{status: http.StatusInternalServerError, code: flag.General, details: "there are no flags to answer from"}
	}
	view, err := snapshot.Select(selector)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, code: flag.General, details: err.Error()}
	}
	return view, nil
}

// user settles who the user is and what is known of them beyond what they said.
func (h *Handler) user(r *http.Request, c flag.Client, a *asked) *refusal {
	for name, v := range h.o.Context {
		a.set(name, v)
	}
	for header, name := range h.o.Headers {
		if v := r.Header.Get(header); v != "" {
			a.set(name, v)
		}
	}
	if c.SignedUser {
		if bad := h.prove(r, c, a); bad != nil {
			return bad
		}
	}
	if a.ctx.TargetingKey == "" && (h.o.RequireKey || c.SignedUser) {
		return &refusal{status: http.StatusBadRequest, code: flag.TargetingKeyMissing, details: "the context has no targetingKey"}
	}
	a.ctx.Timestamp = h.now()
	return nil
}

func (a *asked) set(name string, v any) {
	if text, ok := v.(string); ok && name == keyField {
		a.ctx.TargetingKey = text
		return
	}
	a.ctx.Attributes[name] = v
}

func (h *Handler) prove(r *http.Request, c flag.Client, a *asked) *refusal {
	token := r.Header.Get("X-User-Token")
	if token == "" {
		token = a.token
	}
	switch {
	case h.o.Users == nil:
		return &refusal{status: http.StatusForbidden, code: flag.General, details: "users cannot be proved here"}
	case token == "":
		return &refusal{status: http.StatusUnauthorized, code: flag.General, details: "the user has to be proved by a token, in X-User-Token or as targetingToken"}
	}
	subject, err := h.o.Users.Subject(r.Context(), c, token)
	switch {
	case errs.KindOf(err) == errs.Denied || err == nil && subject == "":
		return &refusal{status: http.StatusForbidden, code: flag.General, details: "the token does not prove the user"}
	case err != nil:
		return &refusal{status: http.StatusInternalServerError, code: flag.General, details: "the token could not be checked"}
	case a.ctx.TargetingKey != "" && a.ctx.TargetingKey != subject:
		return &refusal{status: http.StatusForbidden, code: flag.General, details: "the token is another user's"}
	}
	a.ctx.TargetingKey = subject
	return nil
}

// flagKey is what stands in the path after the slash.
func flagKey(u *url.URL) (string, bool) {
	rest := strings.TrimPrefix(u.EscapedPath(), evaluatePath+"/")
	key, err := url.PathUnescape(rest)
	return key, err == nil && len(key) <= 1024
}

// refuse writes an error; key is the flag's that was asked for, empty for all.
func refuse(w http.ResponseWriter, key string, r *refusal) {
	head := w.Header()
	if r.wait > 0 {
		head.Set("Retry-After", strconv.Itoa(int((r.wait+time.Second-1)/time.Second)))
	}
	if r.status == http.StatusUnauthorized {
		head.Set("WWW-Authenticate", `Bearer realm="flags"`)
	}
	var body any = failed{Key: key, Code: r.code, Details: r.details}
	switch {
	case r.status == http.StatusInternalServerError:
		body = struct {
			Details string `json:"errorDetails"`
		}{r.details}
	case key == "":
		body = struct {
			Code    flag.Code `json:"errorCode"`
			Details string    `json:"errorDetails,omitempty"`
		}{r.code, r.details}
	}
	write(w, r.status, marshal(body))
}

var jsonType = []string{"application/json"}

func write(w http.ResponseWriter, status int, body []byte) {
	head := w.Header()
	head["Content-Type"] = jsonType
	if len(body) > 1024 {
		head.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	_, _ = w.Write(body) // who no longer listens is not told
}
