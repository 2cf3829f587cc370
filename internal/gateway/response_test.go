package gateway

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

// FuzzReadHead holds the response parser to net/http's: what it takes, net/http takes too and reads to the same end.
func FuzzReadHead(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.0 404 \r\nconnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200\nA: b\n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"HTTP/1.0 100 0\n00:0\r \n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h response
		br := bufio.NewReader(bytes.NewReader(data))
		if _, err := readHead(br, nil, &h); err != nil {
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(data))
		res, err := http.ReadResponse(theirs, &http.Request{Method: "GET"})
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data, err)
		}
		if res.StatusCode != h.code {
			t.Errorf("code %d, net/http says %d", h.code, res.StatusCode)
		}
		if !h.bodyless("GET") && h.code >= 200 && res.ContentLength != h.length {
			t.Errorf("length %d, net/http says %d: %q", h.length, res.ContentLength, data)
		}
		if br.Buffered() != theirs.Buffered() {
			t.Errorf("%d bytes follow, net/http says %d: %q", br.Buffered(), theirs.Buffered(), data)
		}
		dst := http.Header{}
		h.header(dst)
		for k, vs := range dst {
			if len(vs) > 0 && k != "Content-Length" && len(res.Header[k]) != len(vs) {
				t.Errorf("%s: %q, net/http says %q", k, vs, res.Header[k])
			}
		}
	})
}
