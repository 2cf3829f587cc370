package track

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/murmur3"

	"github.com/ringfence/ringfence/internal/errs"
	entries "github.com/ringfence/ringfence/internal/logs"
)

// Keys says to which environment a caller's events belong. errs.Denied refuses the caller.
type Keys interface {
	Check(r *http.Request) (environment string, err error)
}

// KeysFunc is a function as Keys.
type KeysFunc func(r *http.Request) (environment string, err error)

// Check calls f.
func (f KeysFunc) Check(r *http.Request) (string, error) { return f(r) }

// requestTime is how long a request may take, its body included.
const requestTime = 20 * time.Second

// maxRequests is how many requests are read and taken apart at once, which bounds the memory that they hold. Others wait.
const (
	maxRequests = 64
	patience    = 2 * time.Second
)

const trackPath = "/v1/track"

type handler struct {
	store *Store
	keys  Keys
	rest  Rest
	busy  chan struct{}
}

// Rest takes the log records that are no events; nil: they are refused one by one. An error refuses the request, which is sent again: its
// events are then known already.
type Rest func(ctx context.Context, all []entries.Entry) error

// Handler serves POST /v1/track, /v1/logs and /v1/traces.
func (s *Store) Handler(keys Keys, rest Rest) http.Handler {
	h := &handler{store: s, keys: keys, rest: rest, busy: make(chan struct{}, maxRequests)}
	mux := http.NewServeMux()
	mux.Handle("POST "+trackPath, h.serve(h.track))
	mux.Handle("POST /v1/logs", h.serve(h.otlp(logsReader(rest != nil))))
	mux.Handle("POST /v1/traces", h.serve(h.otlp(readTraces)))
	return mux
}

// request is what an endpoint works on.
type request struct {
	*http.Request
	environment string
	body        []byte // good until the answer
}

// answer is what it comes to. An error becomes a problem document, or OpenTelemetry's status.
type answer struct {
	status int
	media  string
	body   []byte
	retry  bool // in a second
}

func (h *handler) serve(f func(request) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		end := time.Now().Add(requestTime)
		_ = control.SetReadDeadline(end)
		_ = control.SetWriteDeadline(end.Add(time.Second))
		ctx, cancel := context.WithDeadline(r.Context(), end)
		defer cancel()
		r = r.WithContext(ctx)
		a := h.answer(w, r, f)
		if a.retry {
			w.Header().Set("Retry-After", "1")
		}
		w.Header().Set("Content-Type", a.media)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body)
	})
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, f func(request) answer) answer {
	environment, err := h.keys.Check(r)
	if err != nil {
		if errs.Is(err, errs.Denied) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="ringfence"`)
		}
		return h.problem(r, err)
	}
	if !h.enter(r.Context()) {
		return h.problem(r, ErrBusy)
	}
	defer func() { <-h.busy }()
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 1<<20 {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	limit := int64(maxTrackBody)
	if r.URL.Path != trackPath {
		limit = MaxBody
	}
	if err := readBody(w, r, buf, limit); err != nil {
		return h.problem(r, err)
	}
	return f(request{r, environment, buf.Bytes()})
}

// enter waits until there is room for one more request; false: there was none for too long.
func (h *handler) enter(ctx context.Context) bool {
	select {
	case h.busy <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case h.busy <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

var errTooLarge = errs.E(errs.Invalid, "the body is too large, expected at most %d bytes, unpacked, of JSON and %d of OpenTelemetry's", maxTrackBody, MaxBody).
	Next("Send it in several requests.")

// readBody reads and unpacks a body, of at most limit bytes before and after.
func readBody(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer, limit int64) error {
	if r.ContentLength > limit {
		return errTooLarge
	}
	body := io.Reader(http.MaxBytesReader(w, r.Body, limit))
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z := gunzips.Get().(*gzip.Reader)
		defer gunzips.Put(z)
		if err := z.Reset(body); err != nil {
			return unreadable(err)
		}
		body = z
	default:
		return errs.E(errs.Invalid, "Content-Encoding %.20q: expected gzip or none", encoding)
	}
	n, err := buf.ReadFrom(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return unreadable(err)
	case n > limit:
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

// track serves our own JSON.
func (h *handler) track(r request) answer {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return h.problem(r.Request, errs.E(errs.Invalid, "Content-Type %.60q: expected application/json", r.Header.Get("Content-Type")))
	}
	events, err := parseTrack(r.body, h.store.now())
	if err != nil {
		return h.problem(r.Request, err)
	}
	b := Batch{Environment: r.environment, Key: r.Header.Get("Idempotency-Key"), Events: events}
	if b.Key != "" {
		b.Print = murmur3.Sum64(r.body)
	}
	taken, err := h.store.Append(r.Context(), b)
	if err != nil {
		return h.problem(r.Request, err)
	}
	return answer{status: http.StatusOK, media: "application/json", body: fmt.Appendf(nil, "{\"accepted\":%d,\"duplicates\":%d}\n", taken.Accepted, taken.Duplicates)}
}

// fieldProblem and problem are as the API's other errors.
type fieldProblem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

type problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Kind     string         `json:"kind"`
	Detail   string         `json:"detail"`
	Hint     string         `json:"hint,omitempty"`
	Problems []fieldProblem `json:"problems,omitempty"`
}

// statusOf translates an error's kind; it says whether the caller should try again, too.
func statusOf(err error) (status int, retry bool) {
	switch {
	case errors.Is(err, ErrBusy):
		return http.StatusTooManyRequests, true
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, false
	}
	switch errs.KindOf(err) {
	case errs.Invalid:
		return http.StatusBadRequest, false
	case errs.Denied:
		return http.StatusUnauthorized, false
	case errs.Missing:
		return http.StatusNotFound, false
	case errs.Unavailable:
		return http.StatusServiceUnavailable, true
	}
	return http.StatusInternalServerError, false
}

// told is what a caller may know of an error.
func (h *handler) told(r *http.Request, err error, status int) string {
	if status != http.StatusInternalServerError {
		return err.Error()
	}
	h.store.logger.LogAttrs(r.Context(), slog.LevelError, "events could not be taken", slog.String("path", r.URL.Path), slog.Any("err", err))
	return "an unforeseen failure; the server's log has the details"
}

func (h *handler) problem(r *http.Request, err error) answer {
	if r.URL.Path != trackPath {
		return h.otlpError(r, err)
	}
	status, retry := statusOf(err)
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Kind: errs.KindOf(err).String(),
		Detail: h.told(r, err, status), Hint: errs.HintOf(err)}
	var field *refused
	if errors.As(err, &field) {
		p.Detail = "nothing of the batch was taken: " + field.Error()
		p.Problems = []fieldProblem{{strings.TrimSuffix(field.field, "."), field.msg}}
	}
	body, _ := json.Marshal(p)
	return answer{status: status, media: "application/problem+json", body: append(body, '\n'), retry: retry}
}
