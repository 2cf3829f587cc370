package otlp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ringfence/ringfence/internal/errs"
)

// Request is one export.
type Request struct {
	HTTP *http.Request
	Body []byte // the message, unpacked; good until Take returns
	JSON bool   // its encoding; protobuf when false
}

// Partial is what became of a request that was taken. The zero Partial: all of it was.
type Partial struct {
	Rejected int64  // points, records or spans that will not be taken however often they are sent
	Message  string // why; a warning when nothing was rejected
}

// Take takes one request in. An error refuses the whole: errs.Invalid for what is not as the protocol has it, errs.Unavailable for
// what makes sense to be sent again, ErrBusy for what was too much at once.
type Take func(ctx context.Context, r Request) (Partial, error)

// ErrBusy is the answer when more waits than can be worked off.
var ErrBusy = errs.E(errs.Unavailable, "there is too much to do; try again in a moment")

// Service is one of the protocol's services.
type Service struct {
	Rejected string // JSON name of the count in partial_success: rejectedDataPoints, rejectedLogRecords, rejectedSpans
	Take     Take
	MaxBody  int64    // bytes of a message, before and after unpacking; default 64 MiB
	AtOnce   int      // requests in work; default 32. Others wait for a moment, then are told to come again
	Origins  []string // of browsers that may send, or *
	Logger   *slog.Logger

	busy chan struct{}
}

const (
	defaultBody   = 64 << 20
	defaultAtOnce = 32
	patience      = 2 * time.Second
	requestTime   = 30 * time.Second
	retryAfter    = 1 // seconds
)

// New fills in what a service leaves open.
func New(s Service) *Service {
	if s.MaxBody <= 0 {
		s.MaxBody = defaultBody
	}
	if s.AtOnce <= 0 {
		s.AtOnce = defaultAtOnce
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.busy = make(chan struct{}, s.AtOnce)
	return &s
}

// enter waits until there is room for one more request; false: there was none for too long.
func (s *Service) enter(ctx context.Context) bool {
	select {
	case s.busy <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case s.busy <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

func (s *Service) leave() { <-s.busy }

// take guards against a defect in one request.
func (s *Service) take(ctx context.Context, r Request) (p Partial, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Logger.Error("telemetry: taking a request panicked", "path", r.HTTP.URL.Path, "panic", v)
			p, err = Partial{}, errs.E(errs.Internal, "an unforeseen failure; the server's log has the details")
		}
	}()
	return s.Take(ctx, r)
}

// Decode reads a message in a request's encoding, as OTLP has it: unknown fields are passed over.
func Decode(body []byte, asJSON bool, m proto.Message) error {
	var err error
	if asJSON {
		err = (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m)
	} else {
		err = (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m)
	}
	return Undecodable(err)
}

// Undecodable is the error for a message that cannot be read; nil for none.
func Undecodable(err error) error {
	if err == nil {
		return nil
	}
	return errs.Wrap(errs.Invalid, err, "the body is not as OTLP has it")
}

// The codes of google.rpc.Status that are used.
const (
	codeOK                = 0
	codeInvalid           = 3
	codeDenied            = 7
	codeExhausted         = 8
	codeUnimplemented     = 12
	codeInternal          = 13
	codeUnavailable       = 14
	codeUnauthenticated   = 16
	statusClientCanceled  = 1
	statusDeadlineExceded = 4
)

// statusOf is an error in HTTP's and in gRPC's words, and whether to try again.
func statusOf(err error) (status int, code uint64, retry bool) {
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, codeExhausted, false
	case errors.Is(err, errMedia):
		return http.StatusUnsupportedMediaType, codeInvalid, false
	case errors.Is(err, ErrBusy):
		return http.StatusTooManyRequests, codeUnavailable, true
	}
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Missing, errs.Conflict:
		return http.StatusBadRequest, codeInvalid, false
	case errs.Denied:
		return http.StatusForbidden, codeDenied, false
	case errs.Unavailable:
		return http.StatusServiceUnavailable, codeUnavailable, true
	}
	return http.StatusInternalServerError, codeInternal, false
}

// CodeOf is the code of google.rpc.Status for a status of HTTP.
func CodeOf(status int) uint64 {
	switch status {
	case http.StatusOK:
		return codeOK
	case http.StatusUnauthorized:
		return codeUnauthenticated
	case http.StatusForbidden:
		return codeDenied
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return codeUnimplemented
	case http.StatusRequestEntityTooLarge:
		return codeExhausted
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codeUnavailable
	case http.StatusInternalServerError:
		return codeInternal
	}
	return codeInvalid
}

// told is what a caller may know of an error.
func (s *Service) told(r *http.Request, err error, status int) string {
	if status != http.StatusInternalServerError {
		return err.Error()
	}
	s.Logger.Error("telemetry could not be taken", "path", r.URL.Path, "err", err)
	return "an unforeseen failure; the server's log has the details"
}

func (s *Service) allows(origin string) bool {
	return slices.Contains(s.Origins, "*") || slices.Contains(s.Origins, origin)
}
