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
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", media)
		for k, v := range headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(http.StatusOK)
		out := &flushing{w: w, control: http.NewResponseController(w)}
		_ = out.control.Flush() // the reader learns at once that there is an answer
		if err := write(out); err != nil {
			panic(http.ErrAbortHandler)
		}
	}}
}

// flushing sends every write on its way, within a deadline of its own.
type flushing struct {
	w       io.Writer
	control *http.ResponseController
}

func (f *flushing) Write(b []byte) (int, error) {
	_ = f.control.SetWriteDeadline(time.Now().Add(stall))
	n, err := f.w.Write(b)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}
