package rum

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
)

// packed is the script as it is sent.
var packed = sync.OnceValues(func() (zipped []byte, tag string) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, _ = z.Write(script)                                // memory takes everything
	_ = z.Close()
	sum := sha256.Sum256(script)
	return b.Bytes(), `"` + hex.EncodeToString(sum[:8]) + `"`
})

func serveScript(w http.ResponseWriter, r *http.Request) {
	zipped, tag := packed()
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := script
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = zipped
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
