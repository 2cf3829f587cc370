package api

import (
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// stream answers with what write writes, for as long as the reader keeps up. When write fails the connection is
// broken off, so that nobody takes a part for the whole.
func stream(media string, headers map[string]string, write func(io.Writer) error) *huma.StreamResponse {
	return streamed(media, headers, true, write)
}

// transfer is a stream of content that somebody waits for as a whole: it is not flushed bit by bit.
func transfer(headers map[string]string, write func(io.Writer) error) *huma.StreamResponse {
	return streamed(binary, headers, false, write)
}

func streamed(media string, headers map[string]string, flush bool, write func(io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", media)
		for k, v := range headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(http.StatusOK)
		out := &paced{w: w, control: http.NewResponseController(w), flush: flush}
		if flush {
			_ = out.control.Flush() // the reader learns at once that there is an answer
		}
		if err := write(out); err != nil {
			panic(http.ErrAbortHandler)
		}
	}}
}

// paced gives every write a deadline of its own, and sends it on its way at once if that is wanted.
type paced struct {
	w       io.Writer
	control *http.ResponseController
	flush   bool
}

func (p *paced) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(stall))
	n, err := p.w.Write(b)
	if err == nil && p.flush {
		err = p.control.Flush()
	}
	return n, err
}
