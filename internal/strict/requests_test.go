package strict

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const rest = "\r\nHost: x\r\n\r\n"

// refusals are requests, each with what it is refused for; none for those that are not.
var refusals = []struct{ name, request, reason string }{
	{"plain", "GET / HTTP/1.1" + rest, ""},
	{"old", "GET / HTTP/1.0\r\n\r\n", ""},
	{"body", "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", ""},
	{"chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n", ""},
	{"two requests", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1" + rest, ""},
	{"absolute", "GET http://X.example:80/a HTTP/1.1\r\nHost: x.EXAMPLE:80\r\n\r\n", ""},
	{"asterisk", "OPTIONS * HTTP/1.1" + rest, ""},
	{"address", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", ""},
	{"escaped slash", "GET /a%2Fb HTTP/1.1" + rest, ""},
	{"dots as written", "GET /a/../b/./c... HTTP/1.1" + rest, ""},
	{"dots in a query", "GET /a?b=%2e%2e%2f HTTP/1.1" + rest, ""},
	{"a name with escaped dots", "GET /a%2eb/%2e%2e%2e HTTP/1.1" + rest, ""},
	{"h2c offered", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1" + rest, ""},
	{"after an upgrade", "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00\x00\n", ""},

	{"length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "length_and_chunks"},
	{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", "content_length"},
	{"the same length twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", "content_length"},
	{"list of lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nabcde", "content_length"},
	{"signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde", "content_length"},
	{"hexadecimal length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nabcde", "content_length"},
	{"empty length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", "content_length"},
	{"huge length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n", "content_length"},
	{"folded", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n b\r\n\r\n", "folded_header"},
	{"folded by a tab", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n\tb\r\n\r\n", "folded_header"},
	{"line feeds", "GET / HTTP/1.1\nHost: x\n\n", "bare_lf"},
	{"one line feed", "GET / HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n", "bare_lf"},
	{"the last line feed", "GET / HTTP/1.1\r\nHost: x\r\n\n", "bare_lf"},
	{"carriage return", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\rX-B: 2\r\n\r\n", "bare_cr"},
	{"null", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\x00\r\n\r\n", "control_character"},
	{"null in a name", "GET / HTTP/1.1\r\nHost: x\r\nX\x00A: 1\r\n\r\n", "header_name"},
	{"delete", "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\x7f\r\n\r\n", "control_character"},
	{"space before colon", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", "header_name"},
	{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nX-A\r\n\r\n", "header_name"},
	{"no name", "GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n", "header_name"},
	{"underscore", "GET / HTTP/1.1\r\nHost: x\r\nX_User_ID: 1\r\n\r\n", "header_underscore"},
	{"coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "transfer_encoding"},
	{"codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer_encoding"},
	{"chunked twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer_encoding"},
	{"coding and parameter", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;a=b\r\n\r\n", "transfer_encoding"},
	{"coding with a vertical tab", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", "control_character"},
	{"chunks of old", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer_encoding"},
	{"no host", "GET / HTTP/1.1\r\n\r\n", "host"},
	{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "host"},
	{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "host"},
	{"host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "host"},
	{"host with a user", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", "host"},
	{"host with a space", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", "host"},
	{"host with an odd port", "GET / HTTP/1.1\r\nHost: x:80a\r\n\r\n", "host"},
	{"target of another host", "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", "host_mismatch"},
	{"target of another port", "GET http://x:81/ HTTP/1.1\r\nHost: x\r\n\r\n", "host_mismatch"},
	{"target of a file", "GET file:///etc/passwd HTTP/1.1" + rest, "target"},
	{"target without slash", "GET a HTTP/1.1" + rest, "target"},
	{"target with a fragment", "GET /a#b HTTP/1.1" + rest, "target"},
	{"target with a backslash", "GET /a\\..\\b HTTP/1.1" + rest, "target"},
	{"target with a tab", "GET /a\tb HTTP/1.1" + rest, "target"},
	{"asterisk for GET", "GET * HTTP/1.1" + rest, "target"},
	{"escaped dots", "GET /a/%2e%2e/b HTTP/1.1" + rest, "target_dots"},
	{"one escaped dot", "GET /a/.%2E/b HTTP/1.1" + rest, "target_dots"},
	{"escaped dot at the end", "GET /a/%2e HTTP/1.1" + rest, "target_dots"},
	{"escaped slash after dots", "GET /a/..%2fb HTTP/1.1" + rest, "target_dots"},
	{"escaped slash before dots", "GET /a%2f../b HTTP/1.1" + rest, "target_dots"},
	{"escaped backslashes", "GET /a/..%5Cb HTTP/1.1" + rest, "target_dots"},
	{"broken escape", "GET /a%2 HTTP/1.1" + rest, "target_escape"},
	{"no escape", "GET /a%zz HTTP/1.1" + rest, "target_escape"},
	{"escaped null", "GET /a%00 HTTP/1.1" + rest, "target_escape"},
	{"two spaces", "GET  / HTTP/1.1" + rest, "target"},
	{"space in the target", "GET /a b HTTP/1.1" + rest, "target"},
	{"odd method", "G(T / HTTP/1.1" + rest, "request_line"},
	{"odd version", "GET / HTTP/1.10" + rest, "request_line"},
	{"newer version", "GET / HTTP/3.0" + rest, "request_line"},
	{"no target", "GET HTTP/1.1" + rest, "request_line"},
	{"empty line first", "\r\nGET / HTTP/1.1" + rest, "empty_line"},
	{"too short a length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nabc\r\n", "request_line"},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "not_http"},
	{"TLS", "\x16\x03\x01\x02\x00", "not_http"},
	{"the first version", "GET /\r\n", "not_http"},
	{"after CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\nGET / HTTP/1.1" + rest, "after_last"},
	{"Connection names Host", "GET / HTTP/1.1\r\nHost: x\r\nConnection: host\r\n\r\n", "connection_option"},

	{"chunk with a sign", chunked + "+0\r\n\r\n", "chunk_size"},
	{"chunk in hexadecimal", chunked + "0x0\r\n\r\n", "chunk_size"},
	{"chunk without size", chunked + "\r\n\r\n", "chunk_size"},
	{"huge chunk", chunked + "1000000000000000\r\n\r\n", "chunk_size"},
	{"space after the size", chunked + "3 \r\nabc\r\n0\r\n\r\n", "chunk_size"},
	{"line feed after the size", chunked + "3\nabc\r\n0\r\n\r\n", "bare_lf"},
	{"line feed in an extension", chunked + "3;a\nabc\r\n0\r\n\r\n", "bare_lf"},
	{"carriage return in an extension", chunked + "3;a\rb\r\nabc\r\n0\r\n\r\n", "bare_cr"},
	{"null in an extension", chunked + "3;\x00\r\nabc\r\n0\r\n\r\n", "chunk_extension"},
	{"long extension", chunked + "3;" + strings.Repeat("a", 300) + "\r\nabc\r\n0\r\n\r\n", "chunk_extension"},
	{"many extensions", chunked + strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 50) + "0\r\n\r\n", "chunk_extension"},
	{"short chunk", chunked + "5\r\nabc\r\n0\r\n\r\n", "chunk_end"},
	{"long chunk", chunked + "2\r\nabc\r\n0\r\n\r\n", "chunk_end"},
	{"line feed after a chunk", chunked + "3\r\nabc\n0\r\n\r\n", "chunk_end"},
	{"length as a trailer", chunked + "0\r\nContent-Length: 5\r\n\r\n", "trailer"},
	{"folded trailer", chunked + "0\r\nX-A: b\r\n c\r\n\r\n", "folded_header"},
	{"many trailers", chunked + "0\r\n" + strings.Repeat("X-A: b\r\n", 200) + "\r\n", "trailer"},
	{"large head", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 70000) + "\r\n\r\n", "head_too_large"},
	{"many lines", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A:\r\n", 2000) + "\r\n", "head_too_large"},
}

const chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			s := Requests{Head: 64 << 10}
			passed, v := s.Scan([]byte(tt.request))
			if got := reason(v); got != tt.reason {
				t.Fatalf("refused for %q, want %q", got, tt.reason)
			}
			if v == nil {
				return
			}
			if n, again := s.Scan([]byte("GET / HTTP/1.1" + rest)); n != 0 || again != v {
				t.Error("something is passed on after a violation")
			}
			if s.InBody() {
				return
			}
			// Whatever is passed on is no whole request to the most lenient of readers.
			br := bufio.NewReader(strings.NewReader(tt.request[:passed]))
			for {
				req, err := http.ReadRequest(br)
				if err != nil {
					break
				}
				if strings.HasPrefix(tt.request, chunked) || req.Method == "CONNECT" || strings.HasPrefix(tt.name, "too short") {
					break // a sound head, and then something else
				}
				t.Fatalf("a server would take a request of %q", tt.request[:passed])
			}
		})
	}
}

func reason(v *Violation) string {
	if v == nil {
		return ""
	}
	return v.Reason
}

// TestPieces: however the network cuts what comes, it is read in the same way, and nothing is passed on that was not whole.
func TestPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tt := refusals[rapid.IntRange(0, len(refusals)-1).Draw(t, "case")]
		s := Requests{Head: 64 << 10}
		var v *Violation
		left := []byte(tt.request)
		for len(left) > 0 && v == nil {
			n := min(len(left), rapid.IntRange(1, 30).Draw(t, "piece"))
			if len(left) > 2000 {
				n = 1000
			}
			_, v = s.Scan(left[:n])
			left = left[n:]
		}
		want := tt.reason
		if got := reason(v); got != want {
			t.Fatalf("%s: refused for %q, want %q", tt.name, got, want)
		}
	})
}

// FuzzRequests holds the scanner against net/http: what it lets through, net/http reads, with the same body, and leaves the same rest.
func FuzzRequests(f *testing.F) {
	for _, tt := range refusals {
		f.Add([]byte(tt.request))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Requests{Head: 64 << 10}
		if n, v := s.Scan(b); v != nil || n != len(b) || !s.Idle() || len(b) == 0 {
			return
		}
		br := bufio.NewReader(bytes.NewReader(b))
		for {
			if _, err := br.Peek(1); err == io.EOF {
				return
			}
			req, err := http.ReadRequest(br)
			if err != nil {
				if strings.Contains(err.Error(), "malformed Host") || strings.Contains(err.Error(), "parse ") || errors.Is(err, strconv.ErrRange) {
					return // stricter than we are, which is as well
				}
				t.Fatalf("net/http does not read %q: %v", b, err)
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				t.Fatalf("net/http does not read the body of %q: %v", b, err)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	head := []byte("GET /item/1?colour=green HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\r\nAccept: text/html,application/xhtml+xml\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef; theme=dark\r\nX-User-ID: ann\r\n\r\n")
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	s := Requests{Head: 64 << 10}
	for b.Loop() {
		if _, v := s.Scan(head); v != nil {
			b.Fatal(v)
		}
	}
}
