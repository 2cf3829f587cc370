package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ringfence/ringfence/internal/errs"
)

const (
	protobufMedia = "application/x-protobuf"
	jsonMedia     = "application/json"
)

var (
	errTooLarge = errs.E(errs.Invalid, "the body is too large; send it in several requests")
	errMedia    = errs.E(errs.Invalid, "Content-Type: expected application/x-protobuf or application/json; Content-Encoding: gzip or none")
)

var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

// encoding is that of a request: JSON or protobuf; false: neither.
func encoding(h http.Header) (asJSON, known bool) {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return media == jsonMedia, err == nil && (media == jsonMedia || media == protobufMedia)
}

// ServeHTTP answers POST, and the questions that browsers ask before.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Preflight(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		WriteStatus(w, r, http.StatusMethodNotAllowed, "expected POST")
		return
	}
	end := time.Now().Add(requestTime)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end.Add(5 * time.Second))
	ctx, cancel := context.WithDeadline(r.Context(), end)
	defer cancel()
	partial, err := s.answer(ctx, w, r)
	if err != nil {
		status, _, retry := statusOf(err)
		if retry {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		WriteStatus(w, r, status, s.told(r, err, status))
		return
	}
	asJSON, _ := encoding(r.Header)
	if asJSON {
		w.Header().Set("Content-Type", jsonMedia)
		_, _ = w.Write(s.jsonResponse(partial))
		return
	}
	w.Header().Set("Content-Type", protobufMedia)
	_, _ = w.Write(response(partial))
}

func (s *Service) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) (Partial, error) {
	asJSON, known := encoding(r.Header)
	if !known {
		return Partial{}, errMedia
	}
	if !s.enter(ctx) {
		return Partial{}, ErrBusy
	}
	defer s.leave()
	buf := buffers.Get().(*bytes.Buffer)
	defer giveBack(buf)
	if err := s.read(http.MaxBytesReader(w, r.Body, s.MaxBody), r.ContentLength, r.Header.Get("Content-Encoding"), buf); err != nil {
		return Partial{}, err
	}
	return s.take(ctx, Request{HTTP: r.WithContext(ctx), Body: buf.Bytes(), JSON: asJSON})
}

// giveBack keeps a buffer for the next request, unless it is a large one.
func giveBack(buf *bytes.Buffer) {
	if buf.Cap() <= 1<<20 {
		buf.Reset()
		buffers.Put(buf)
	}
}

// read unpacks a body, of at most MaxBody bytes before and after.
func (s *Service) read(body io.Reader, length int64, packed string, buf *bytes.Buffer) error {
	if length > s.MaxBody {
		return errTooLarge
	}
	switch strings.ToLower(packed) {
	case "", "identity":
	case "gzip":
		z := gunzips.Get().(*gzip.Reader)
		defer gunzips.Put(z)
		if err := z.Reset(body); err != nil {
			return unreadable(err)
		}
		body = z
	default:
		return errMedia
	}
	n, err := buf.ReadFrom(io.LimitReader(body, s.MaxBody+1))
	switch {
	case err != nil:
		return unreadable(err)
	case n > s.MaxBody:
		return errTooLarge
	}
	return nil
}

func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errTooLarge
	}
	return errs.Wrap(errs.Invalid, err, "the body cannot be read")
}

// Preflight lets browsers send from the origins that are allowed, and answers what they ask before; then there is no more to do.
func (s *Service) Preflight(w http.ResponseWriter, r *http.Request) (done bool) {
	s.cors(w, r)
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Allow", "POST, OPTIONS")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// cors lets browsers send from the origins that are allowed. A token is sent by the page itself, never by the browser.
func (s *Service) cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !s.allows(origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, X-API-Key, Content-Type, Content-Encoding, Ringfence-Environment, User-Agent")
		h.Set("Access-Control-Max-Age", "7200")
	}
}

// WriteStatus answers with google.rpc.Status in the request's encoding; in JSON when that is unknown.
func WriteStatus(w http.ResponseWriter, r *http.Request, status int, msg string) {
	if isGRPC(r) {
		refuseGRPC(w, CodeOf(status), msg)
		return
	}
	if asJSON, known := encoding(r.Header); known && !asJSON {
		w.Header().Set("Content-Type", protobufMedia)
		w.WriteHeader(status)
		_, _ = w.Write(rpcStatus(CodeOf(status), msg, 0))
		return
	}
	body, _ := json.Marshal(map[string]any{"code": CodeOf(status), "message": msg})
	w.Header().Set("Content-Type", jsonMedia)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// rpcStatus is google.rpc.Status, with google.rpc.RetryInfo when wait is not 0.
func rpcStatus(code uint64, msg string, wait time.Duration) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), code)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), msg)
	if wait == 0 {
		return b
	}
	d := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(wait/time.Second))
	info := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), d)
	detail := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "type.googleapis.com/google.rpc.RetryInfo")
	detail = protowire.AppendBytes(protowire.AppendTag(detail, 2, protowire.BytesType), info)
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), detail)
}

// response is the export response, which all services have alike.
func response(p Partial) []byte {
	if p == (Partial{}) {
		return nil
	}
	var m []byte
	if p.Rejected != 0 {
		m = protowire.AppendVarint(protowire.AppendTag(m, 1, protowire.VarintType), uint64(p.Rejected))
	}
	m = protowire.AppendString(protowire.AppendTag(m, 2, protowire.BytesType), p.Message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), m)
}

func (s *Service) jsonResponse(p Partial) []byte {
	if p == (Partial{}) {
		return []byte("{}")
	}
	fields := map[string]string{"errorMessage": p.Message}
	if p.Rejected != 0 {
		fields[s.Rejected] = strconv.FormatInt(p.Rejected, 10)
	}
	b, _ := json.Marshal(map[string]any{"partialSuccess": fields})
	return b
}
