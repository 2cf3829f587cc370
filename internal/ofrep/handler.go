package ofrep

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

// Paths of the protocol, and of the stream, whose address comes with each bulk answer.
const (
	evaluatePath = "/ofrep/v1/evaluate/flags"
	streamPath   = "/ofrep/v1/sse"
)

// Options of a Handler. What is not set has the default that is named.
type Options struct {
	Gate    *flaggate.Gate
	Origins []string // of pages that may ask; * means all

	MaxBody    int64         // bytes of a request, 64 KiB
	MaxStreams int           // open at one time, 20,000
	KeepAlive  time.Duration // between comments on a silent stream, 15 s
	Inactivity time.Duration // after which a hidden page closes its stream, 120 s

	Asked func(environment, key string) // told of each evaluation of one flag; it must not wait
}

// Handler answers the protocol's requests.
type Handler struct {
	o       Options
	gate    *flaggate.Gate
	cache   cache
	streams chan struct{} // has an item for each open stream
	now     func() int64
	done    chan struct{}
}

// New makes a Handler.
func New(o Options) *Handler {
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 10
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
	return &Handler{o: o, gate: o.Gate, streams: make(chan struct{}, o.MaxStreams),
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
		refuse(w, "", &flaggate.Refusal{Status: http.StatusNotFound, Code: flag.General, Details: "there is nothing at this path"})
	}
}

func (h *Handler) only(w http.ResponseWriter, r *http.Request, method string, do http.HandlerFunc) {
	if r.Method != method {
		w.Header().Set("Allow", method)
		refuse(w, "", &flaggate.Refusal{Status: http.StatusMethodNotAllowed, Code: flag.General, Details: "expected " + method})
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

// who tells whose request it is. A browser's EventSource can send no headers.
func (h *Handler) who(r *http.Request) (flag.Client, *flaggate.Refusal) {
	var address string
	if r.URL.Path == streamPath {
		address = r.URL.Query().Get("key")
	}
	return h.gate.Who(r.Context(), r.Header, address)
}

// view is what a client asks for and may see.
func (h *Handler) view(r *http.Request, c flag.Client) (*flag.View, *flaggate.Refusal) {
	selector := flaggate.Selector(r.Header)
	if selector == "" && r.URL.Path == streamPath {
		selector = r.URL.Query().Get("selector")
	}
	return h.gate.View(c, selector)
}

// flagKey is what stands in the path after the slash.
func flagKey(u *url.URL) (string, bool) {
	rest := strings.TrimPrefix(u.EscapedPath(), evaluatePath+"/")
	key, err := url.PathUnescape(rest)
	return key, err == nil && len(key) <= 1024
}

// refuse writes an error; key is the flag's that was asked for, empty for all.
func refuse(w http.ResponseWriter, key string, r *flaggate.Refusal) {
	for name, value := range refusalHeaders(r) {
		w.Header().Set(name, value)
	}
	write(w, r.Status, refusalBody(key, r))
}

// refusalHeaders are what a refusal says beside its body.
func refusalHeaders(r *flaggate.Refusal) map[string]string {
	switch {
	case r == nil:
		return nil
	case r.Wait > 0:
		return map[string]string{"Retry-After": strconv.Itoa(int((r.Wait + time.Second - 1) / time.Second))}
	case r.Status == http.StatusUnauthorized:
		return map[string]string{"WWW-Authenticate": `Bearer realm="flags"`}
	}
	return nil
}

func refusalBody(key string, r *flaggate.Refusal) []byte {
	switch {
	case r.Status == http.StatusInternalServerError:
		return marshal(struct {
			Details string `json:"errorDetails"`
		}{r.Details})
	case key == "":
		return marshal(struct {
			Code    flag.Code `json:"errorCode"`
			Details string    `json:"errorDetails,omitempty"`
		}{r.Code, r.Details})
	}
	return marshal(failed{Key: key, Code: r.Code, Details: r.Details})
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
