package ofrep

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

// writeLimit is how long a client may take to receive an event.
const writeLimit = 10 * time.Second

// stream tells a client to ask again whenever the flags that it may see have changed.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	c, bad := h.who(r)
	if bad == nil {
		_, bad = h.view(r, c)
	}
	if bad == nil {
		select {
		case h.streams <- struct{}{}:
			defer func() { <-h.streams }()
		default:
			bad = &flaggate.Refusal{Status: http.StatusTooManyRequests, Code: flag.General, Details: "too many streams are open", Wait: 5 * time.Second}
		}
	}
	if bad != nil {
		refuse(w, "", bad)
		return
	}
	changes, cancel := h.gate.Source.Watch(c.Environment)
	defer cancel()
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-cache, no-transform")
	head.Set("X-Accel-Buffering", "no")
	known := r.Header.Get("Last-Event-ID")
	if known == "" {
		known = r.URL.Query().Get("etag")
	}
	s := events{w: w, to: http.NewResponseController(w), known: known}
	if err := s.begin(); err != nil {
		return
	}
	h.tell(r, c, &s, changes)
}

// tell sends events until the client or the server has enough.
func (h *Handler) tell(r *http.Request, c flag.Client, s *events, changes <-chan struct{}) {
	silent := time.NewTicker(h.o.KeepAlive)
	defer silent.Stop()
	for {
		view, bad := h.view(r, c)
		if bad != nil {
			return // what has become of the environment, the client is told when it comes again
		}
		if err := s.changed(view.Hash, h.cache.of(view, h.now).changed); err != nil {
			return
		}
		select {
		case <-changes:
		case <-silent.C:
			if err := s.send(":\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-h.done:
			return
		}
	}
}

// events is the writing side of a stream.
type events struct {
	w     http.ResponseWriter
	to    *http.ResponseController
	known string // hash of the flags that the client knows
}

func (e *events) send(text string) error {
	_ = e.to.SetWriteDeadline(time.Now().Add(writeLimit)) // where there are no deadlines, the connection's own hold
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.to.Flush()
}

func (e *events) begin() error {
	_ = e.to.SetReadDeadline(time.Time{}) // the server's is for requests; where there is none, nothing is to be lifted
	e.w.WriteHeader(http.StatusOK)
	return e.send("retry: 1000\n\n")
}

// changed sends an event when the client does not know the flags of this hash.
func (e *events) changed(hash string, at int64) error {
	switch e.known {
	case hash:
		return nil
	case "":
		e.known = hash
		return e.send("id: " + hash + "\n\n")
	}
	e.known = hash
	return e.send(fmt.Sprintf("id: %s\nevent: message\ndata: {\"type\":\"refetchEvaluation\",\"etag\":%q,\"lastModified\":%d}\n\n", hash, hash, at))
}
