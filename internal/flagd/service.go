package flagd

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v1/evaluationv1connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	"connectrpc.com/connect"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

// Options of a Service. What is not set has the default that is named.
type Options struct {
	Gate *flaggate.Gate

	StreamDeadline time.Duration // after which streams end, 0 for never
	KeepAlive      time.Duration // between signs of life on a silent stream of events, 20 s
	MaxBody        int           // bytes of a request, 64 KiB
	MaxStreams     int           // open at one time, 20,000
	NoMetadata     bool          // refuses GetMetadata, which is deprecated

	Asked func(environment, key string) // told of each evaluation of one flag; it must not wait
}

// Service answers the protocols' requests.
type Service struct {
	o       Options
	gate    *flaggate.Gate
	streams chan struct{} // has an item for each open stream
	done    chan struct{}
	diffs   diffs
}

// New makes a Service.
func New(o Options) *Service {
	if o.KeepAlive <= 0 {
		o.KeepAlive = 20 * time.Second
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 10
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 20_000
	}
	return &Service{o: o, gate: o.Gate, streams: make(chan struct{}, o.MaxStreams), done: make(chan struct{})}
}

// Close ends the streams, which otherwise keep a server from stopping.
func (s *Service) Close() { close(s.done) }

// Evaluation serves flagd.evaluation, versions 1 and 2.
func (s *Service) Evaluation() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(evaluationv1connect.NewServiceHandler(v1{s}, s.options(worthwhile)...))
	mux.Handle(evaluationv2connect.NewServiceHandler(v2{s}, s.options(worthwhile)...))
	return endless(mux)
}

// Sync serves flagd.sync.
func (s *Service) Sync() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(syncv1connect.NewFlagSyncServiceHandler(syncing{s}, s.options(never)...))
	return endless(mux)
}

// endless takes the limit for reading a request from streams: in HTTP/1 it would end them, too.
func endless(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/EventStream") || strings.HasSuffix(r.URL.Path, "/SyncFlags") {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // where there is none, nothing is to be lifted
		}
		next.ServeHTTP(w, r)
	})
}

// Compressing takes longer than all else that a change costs, and every stream would do it for itself.
const (
	worthwhile = 16 << 10 // bytes of an answer
	never      = math.MaxInt32
)

func (s *Service) options(compressFrom int) []connect.HandlerOption {
	return []connect.HandlerOption{connect.WithReadMaxBytes(s.o.MaxBody), connect.WithCompressMinBytes(compressFrom), connect.WithCodec(codec{"json"}), connect.WithCodec(codec{"json; charset=utf-8"})}
}

// codes are what a refusal is in gRPC.
var codes = map[int]connect.Code{
	http.StatusBadRequest: connect.CodeInvalidArgument, http.StatusUnauthorized: connect.CodeUnauthenticated,
	http.StatusForbidden: connect.CodePermissionDenied, http.StatusTooManyRequests: connect.CodeResourceExhausted,
}

func refused(r *flaggate.Refusal) error {
	code, ok := codes[r.Status]
	if !ok {
		code = connect.CodeInternal
	}
	return connect.NewError(code, errors.New(r.Details))
}

// chosen is what a request is for.
type chosen struct {
	client   flag.Client
	selector string
	view     *flag.View
}

// enter lets a request in. old is the selector of its body, which its header's beats.
func (s *Service) enter(ctx context.Context, h http.Header, old string) (chosen, error) {
	c := chosen{selector: flaggate.Selector(h)}
	if c.selector == "" {
		c.selector = old
	}
	var bad *flaggate.Refusal
	if c.client, bad = s.gate.Who(ctx, h, ""); bad == nil {
		c.view, bad = s.gate.View(c.client, c.selector)
	}
	if bad != nil {
		return c, refused(bad)
	}
	return c, nil
}

// open counts a stream, until leave is called.
func (s *Service) open(ctx context.Context) (limited context.Context, leave func(), err error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, nil, connect.NewError(connect.CodeResourceExhausted, errors.New("too many streams are open"))
	}
	cancel := func() {}
	if s.o.StreamDeadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.o.StreamDeadline)
	}
	return ctx, func() { cancel(); <-s.streams }, nil
}

// ended is what a client is told when its stream's context is done.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the stream has reached its deadline; come again"))
	}
	return nil
}

// closing is what a client is told when the server stops.
func closing() error {
	return connect.NewError(connect.CodeUnavailable, errors.New("the server stops; come again"))
}
