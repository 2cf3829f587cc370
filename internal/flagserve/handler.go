package flagserve

import (
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/flagd"
	"github.com/ringfence/ringfence/internal/flaggate"
	"github.com/ringfence/ringfence/internal/ofrep"
)

// Options of what is served. What is not set has the default that is named.
type Options struct {
	Gate           *flaggate.Gate
	Origins        []string      // of pages that may ask; * means all
	MaxBody        int64         // bytes of a request, 64 KiB
	MaxStreams     int           // open at one time and protocol, 20,000
	StreamDeadline time.Duration // of flagd's streams, 0 for none
	NoMetadata     bool          // refuses sync's GetMetadata

	Asked func(environment, key string) // told of each evaluation of one flag; it must not wait
}

// Handlers are the protocols, each for itself.
type Handlers struct {
	Evaluation http.Handler // flagd.evaluation, versions 1 and 2
	Sync       http.Handler // flagd.sync
	OFREP      *ofrep.Handler
	close      func()
}

// New makes the handlers of the protocols. Close ends their streams.
func New(o Options) *Handlers {
	remote := ofrep.New(ofrep.Options{Gate: o.Gate, Origins: o.Origins, MaxBody: o.MaxBody, MaxStreams: o.MaxStreams, Asked: o.Asked})
	service := flagd.New(flagd.Options{Gate: o.Gate, MaxBody: int(o.MaxBody), MaxStreams: o.MaxStreams, StreamDeadline: o.StreamDeadline, NoMetadata: o.NoMetadata, Asked: o.Asked})
	return &Handlers{Evaluation: cors(o.Origins, service.Evaluation()), Sync: service.Sync(), OFREP: remote, close: func() { remote.Close(); service.Close() }}
}

// Close ends all streams.
func (h *Handlers) Close() { h.close() }

// ServeHTTP serves all protocols by their paths. The server that it is put on has to speak HTTP/2, by TLS or by Protocols, for gRPC.
func (h *Handlers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/ofrep/"):
		h.OFREP.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/flagd.evaluation."):
		h.Evaluation.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/flagd.sync."):
		h.Sync.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Paths are the prefixes of everything that Handlers answers, for a server that has other things, too.
func Paths() []string {
	return []string{"/ofrep/", "/flagd.evaluation.v1.Service/", "/flagd.evaluation.v2.Service/", "/flagd.sync.v1.FlagSyncService/"}
}

// cors lets the pages of some origins speak Connect and gRPC-Web.
func cors(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	allowed := map[string]bool{}
	for _, o := range origins {
		allowed[o] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head, origin := w.Header(), r.Header.Get("Origin")
		head.Add("Vary", "Origin")
		if origin == "" || !allowed["*"] && !allowed[origin] {
			next.ServeHTTP(w, r)
			return
		}
		head.Set("Access-Control-Allow-Origin", origin)
		head.Set("Access-Control-Expose-Headers", "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		head.Set("Access-Control-Allow-Methods", "GET, POST")
		head.Set("Access-Control-Allow-Headers", "Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Timeout, X-Grpc-Web, X-User-Agent, "+
			"Authorization, X-API-Key, Flagd-Selector, X-Flag-Set, X-User-Token, traceparent, tracestate")
		head.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
