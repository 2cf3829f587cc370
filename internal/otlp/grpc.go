package otlp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// The paths of the services' only calls.
const (
	MetricsCall = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
	LogsCall    = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	TracesCall  = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
)

func isGRPC(r *http.Request) bool {
	media := r.Header.Get("Content-Type")
	return media == "application/grpc" || strings.HasPrefix(media, "application/grpc+") || strings.HasPrefix(media, "application/grpc;")
}

// GRPC serves the service's call by gRPC. It wants HTTP/2.
func (s *Service) GRPC() http.Handler { return http.HandlerFunc(s.serveGRPC) }

func (s *Service) serveGRPC(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 || r.Method != http.MethodPost || !isGRPC(r) {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	if codec := r.Header.Get("Content-Type"); codec != "application/grpc" && !strings.HasPrefix(codec, "application/grpc+proto") {
		refuseGRPC(w, codeUnimplemented, "expected protobuf messages")
		return
	}
	limit := requestTime
	if t, ok := grpcTimeout(r.Header.Get("Grpc-Timeout")); ok {
		limit = min(limit, t)
	}
	end := time.Now().Add(limit)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end.Add(5 * time.Second))
	ctx, cancel := context.WithDeadline(r.Context(), end)
	defer cancel()
	partial, err := s.answerGRPC(ctx, w, r)
	if err == nil {
		finishGRPC(w, response(partial))
		return
	}
	status, code, retry := statusOf(err)
	switch {
	case status == http.StatusUnsupportedMediaType:
		code = codeUnimplemented
	case ctx.Err() == context.DeadlineExceeded:
		code = statusDeadlineExceded
	case ctx.Err() != nil:
		code = statusClientCanceled
	}
	msg := s.told(r, err, status)
	if retry {
		details := rpcStatus(code, msg, retryAfter*time.Second)
		w.Header().Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	}
	refuseGRPC(w, code, msg)
}

func (s *Service) answerGRPC(ctx context.Context, w http.ResponseWriter, r *http.Request) (Partial, error) {
	if !s.enter(ctx) {
		return Partial{}, ErrBusy
	}
	defer s.leave()
	body := http.MaxBytesReader(w, r.Body, s.MaxBody+5)
	var head [5]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return Partial{}, unreadable(err)
	}
	n := int64(binary.BigEndian.Uint32(head[1:]))
	if n > s.MaxBody {
		return Partial{}, errTooLarge
	}
	packed := ""
	if head[0] == 1 {
		if packed = r.Header.Get("Grpc-Encoding"); packed == "" || packed == "identity" {
			return Partial{}, errs.E(errs.Invalid, "a packed message without grpc-encoding")
		}
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer giveBack(buf)
	message := &counted{r: io.LimitReader(body, n)}
	if err := s.read(message, n, packed, buf); err != nil {
		return Partial{}, err
	}
	if message.n < n && packed == "" {
		return Partial{}, errs.E(errs.Invalid, "the message ends early")
	}
	return s.take(ctx, Request{HTTP: r.WithContext(ctx), Body: buf.Bytes()})
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// finishGRPC answers with a message and the status OK in the trailers.
func finishGRPC(w http.ResponseWriter, message []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc+proto")
	h.Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	frame := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(frame[1:], uint32(len(message)))
	_, _ = w.Write(append(frame, message...))
	h.Set("Grpc-Status", "0")
}

// refuseGRPC answers without a message: the status stands in the headers.
func refuseGRPC(w http.ResponseWriter, code uint64, msg string) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc+proto")
	h.Set("Grpc-Status", strconv.FormatUint(code, 10))
	h.Set("Grpc-Message", percent(msg))
	w.WriteHeader(http.StatusOK)
}

// percent writes what may stand in a header as it is and the rest by its bytes.
func percent(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range min(len(s), 1<<10) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// grpcTimeout reads such as 500m: at most eight digits and a unit.
func grpcTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if !ok || err != nil {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
