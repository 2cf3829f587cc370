package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/ringfence/ringfence/internal/errs"
)

// The messages that are understood.
const (
	message1 = "prometheus.WriteRequest"
	message2 = "io.prometheus.write.v2.Request"
)

const (
	protobufMedia = "application/x-protobuf"
	patience      = 2 * time.Second
	writeTime     = 30 * time.Second
	writtenHeader = "X-Prometheus-Remote-Write-"
)

// refusal is an answer other than success.
type refusal struct {
	status int
	msg    string
}

func (r *refusal) Error() string { return r.msg }

// RemoteWrite serves POST of Prometheus' remote write protocol.
func (t *Intake) RemoteWrite() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, status := time.Now(), http.StatusNoContent
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(began.Add(writeTime))
		_ = control.SetWriteDeadline(began.Add(writeTime + 5*time.Second))
		ctx, cancel := context.WithDeadline(r.Context(), began.Add(writeTime))
		defer cancel()
		got, err := t.remoteWrite(ctx, w, r)
		got.header(w.Header())
		if err != nil {
			status = t.refuse(w, r, err)
		} else {
			w.WriteHeader(status)
		}
		t.seconds.WithLabelValues("remote-write", strconv.Itoa(status)).Observe(time.Since(began).Seconds())
	})
}

func (t *Intake) refuse(w http.ResponseWriter, r *http.Request, err error) int {
	status, msg := http.StatusInternalServerError, err.Error()
	var no *refusal
	switch {
	case errors.As(err, &no):
		status = no.status
	case errs.Is(err, errs.Invalid):
		status = http.StatusBadRequest
	case errs.Is(err, errs.Unavailable):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	default:
		t.Logger.Error("metrics could not be taken", "path", r.URL.Path, "err", err)
		msg = "an unforeseen failure; the server's log has the details"
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, msg, status)
	return status
}

func (t *Intake) remoteWrite(ctx context.Context, w http.ResponseWriter, r *http.Request) (got written, err error) {
	defer func() {
		if v := recover(); v != nil { // what is sent must not end this process
			t.Logger.Error("taking metrics panicked", "panic", v)
			got, err = written{}, errs.E(errs.Internal, "panic")
		}
	}()
	second, err := messageOf(r.Header)
	if err != nil {
		return got, err
	}
	got.told = second
	if !t.enter(ctx) {
		return got, errs.E(errs.Unavailable, "too many requests at once")
	}
	defer func() { <-t.busy }()
	packed := bodies.Get().(*bytes.Buffer)
	defer giveBack(packed)
	body, err := t.unpack(w, r, packed)
	if err != nil {
		return got, err
	}
	defer plains.Put(&body)
	if second {
		got, err = t.write2(ctx, body)
	} else {
		got, err = t.write1(ctx, body)
	}
	got.told = second
	t.samples.WithLabelValues("remote-write").Add(float64(got.samples + got.histograms))
	return got, err
}

// messageOf says by the headers whether the message is of version 2. Senders of the first days name neither type nor packing.
func messageOf(h http.Header) (second bool, err error) {
	if media := h.Get("Content-Type"); media != "" {
		kind, params, err := mime.ParseMediaType(media)
		if err != nil || kind != protobufMedia {
			return false, &refusal{http.StatusUnsupportedMediaType, "Content-Type: expected " + protobufMedia}
		}
		switch params["proto"] {
		case "", message1:
		case message2:
			second = true
		default:
			return false, &refusal{http.StatusUnsupportedMediaType, "Content-Type: expected proto=" + message2 + " or proto=" + message1}
		}
	}
	if packing := h.Get("Content-Encoding"); packing != "" && !strings.EqualFold(packing, "snappy") {
		return second, &refusal{http.StatusUnsupportedMediaType, "Content-Encoding: expected snappy"}
	}
	return second, nil
}

func (t *Intake) enter(ctx context.Context) bool {
	select {
	case t.busy <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case t.busy <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

var (
	bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	plains = sync.Pool{New: func() any { return new([]byte) }}
)

// maxKept is how large a buffer may be that is kept for the next request.
const maxKept = 4 << 20

func giveBack(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		bodies.Put(b)
	}
}

// unpack reads the body and unpacks it, each of at most MaxBody bytes.
func (t *Intake) unpack(w http.ResponseWriter, r *http.Request, packed *bytes.Buffer) ([]byte, error) {
	large := &refusal{http.StatusRequestEntityTooLarge, "the body is too large, expected at most " + strconv.FormatInt(t.MaxBody, 10) + " bytes, unpacked"}
	if r.ContentLength > t.MaxBody {
		return nil, large
	}
	if _, err := packed.ReadFrom(http.MaxBytesReader(w, r.Body, t.MaxBody)); err != nil {
		var over *http.MaxBytesError
		if errors.As(err, &over) {
			return nil, large
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errs.Wrap(errs.Invalid, err, "the body ends early")
		}
		return nil, errs.Wrap(errs.Invalid, err, "the body cannot be read")
	}
	n, err := snappy.DecodedLen(packed.Bytes())
	switch {
	case err != nil:
		return nil, errs.Wrap(errs.Invalid, err, "the body is not packed by snappy")
	case int64(n) > t.MaxBody:
		return nil, large
	}
	into := *plains.Get().(*[]byte)
	if cap(into) > maxKept || cap(into) < n {
		into = make([]byte, n)
	}
	body, err := snappy.Decode(into[:cap(into)], packed.Bytes())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the body is not packed by snappy")
	}
	return body, nil
}

// written is what was stored of a request.
type written struct {
	samples, histograms, exemplars int
	told                           bool // the sender wants to know
}

func (g written) header(h http.Header) {
	if !g.told {
		return
	}
	h.Set(writtenHeader+"Samples-Written", strconv.Itoa(g.samples))
	h.Set(writtenHeader+"Histograms-Written", strconv.Itoa(g.histograms))
	h.Set(writtenHeader+"Exemplars-Written", strconv.Itoa(g.exemplars))
}
