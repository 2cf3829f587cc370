package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// scripted starts an instance that is spoken for by a function per connection.
func (r *rig) scripted(version string, talk func(c net.Conn, br *bufio.Reader)) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				talk(c, bufio.NewReader(c))
			}()
		}
	}()
	r.ready(version, ln.Addr().String())
	return ln
}

// readRequest reads a request and its body.
func readRequest(br *bufio.Reader) (*http.Request, []byte, error) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(req.Body)
	return req, b, err
}

// answers sends the same bytes to each request.
func answers(raw string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		for {
			if _, _, err := readRequest(br); err != nil {
				return
			}
			if _, err := io.WriteString(c, raw); err != nil {
				return
			}
		}
	}
}

// raw sends bytes to the gateway and returns all it says until it closes or the client half-closes and it is done.
func (r *rig) raw(request string) string {
	r.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, request)
	b, _ := io.ReadAll(c)
	return string(b)
}

// responses are what a service may answer, and what becomes of it.
var responses = []struct {
	name, method, answer string
	code                 int
	body                 string
	header               map[string]string
	failure              string
}{
	{name: "length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nhi", code: 200, body: "hi", header: map[string]string{"X-A": "1"}},
	{name: "no type is guessed", answer: "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", code: 200, body: "<html>", header: map[string]string{"Content-Type": ""}},
	{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", code: 200, body: "hi"},
	{name: "until close", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", code: 200, body: "hi", header: map[string]string{"Connection": ""}},
	{name: "http 1.0", answer: "HTTP/1.0 200 OK\r\n\r\nhi", code: 200, body: "hi"},
	{name: "no content", answer: "HTTP/1.1 204 No Content\r\n\r\n", code: 204},
	{name: "not modified", answer: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\n", code: 304, header: map[string]string{"Etag": `"x"`}},
	{name: "head", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", code: 200, header: map[string]string{"Content-Length": "7"}},
	{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", code: 200, body: "hi"},
	{name: "hop by hop", answer: "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n", code: 200,
		header: map[string]string{"X-Hop": "", "Keep-Alive": "", "X-End": "2"}},
	{name: "the service's own failure", answer: "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", code: 503, body: "no", header: map[string]string{"Proxy-Status": ""}},
	{name: "long header", answer: "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("a", 20000) + "\r\nContent-Length: 0\r\n\r\n", code: 200, header: map[string]string{"X-Long": strings.Repeat("a", 20000)}},
	{name: "large body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("b", 200000), code: 200, body: strings.Repeat("b", 200000)},

	{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", code: 502, failure: protocolError},
	{name: "the same length twice", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", code: 200, body: "hi", header: map[string]string{"Content-Length": "2"}},
	{name: "negative length", answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi", code: 502, failure: protocolError},
	{name: "signed length", answer: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", code: 502, failure: protocolError},
	{name: "empty length", answer: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhi", code: 502, failure: protocolError},
	{name: "folded line", answer: "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", code: 502, failure: protocolError},
	{name: "space before colon", answer: "HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n", code: 502, failure: protocolError},
	{name: "control character", answer: "HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n", code: 502, failure: protocolError},
	{name: "unknown coding", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", code: 502, failure: protocolError},
	{name: "not http", answer: "SSH-2.0-OpenSSH_9.2\r\n\r\n", code: 502, failure: protocolError},
	{name: "endless header", answer: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 300) + "\r\n", code: 502, failure: headerTooLarge},
	{name: "uninvited switch", answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", code: 502, failure: upgradeFailed},
	{name: "cut header", answer: "HTTP/1.1 200 OK\r\nConte", code: 502, failure: incomplete},
}

func TestResponses(t *testing.T) {
	for _, tt := range responses {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Options{})
			ends := strings.Contains(tt.answer, "close") || strings.HasPrefix(tt.answer, "HTTP/1.0") || tt.failure == incomplete
			r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
				if ends {
					readRequest(br)
					io.WriteString(c, tt.answer)
					return
				}
				answers(tt.answer)(c, br)
			})
			r.apply(shop(nil))
			method := tt.method
			if method == "" {
				method = "GET"
			}
			for range 2 { // the second is on a used connection, when the first was left sound
				res, body := r.do(method, "/", nil, "X-User-ID", "a")
				if res.StatusCode != tt.code || tt.failure == "" && body != tt.body {
					t.Fatalf("got %d %.100q, want %d %.100q", res.StatusCode, body, tt.code, tt.body)
				}
				for k, v := range tt.header {
					if got := res.Header.Get(k); got != v {
						t.Errorf("%s: got %.100q, want %.100q", k, got, v)
					}
				}
				if want := "ringfence; error=" + tt.failure; tt.failure != "" && res.Header.Get("Proxy-Status") != want {
					t.Errorf("Proxy-Status %q, want %q", res.Header.Get("Proxy-Status"), want)
				}
			}
			if tt.failure != "" {
				r.counts("2", "ringfence_gateway_failures_total", `reason="`+tt.failure+`"`)
			} else if n := r.metric("ringfence_gateway_failures_total"); n != "" {
				t.Errorf("failures %q, want none", n)
			}
			r.counts("2", "ringfence_requests_total", fmt.Sprintf(`code="%d"`, tt.code))
			eventually(t, "nothing is in flight", func() bool { return r.InFlight("shop", "v1") == 0 })
		})
	}
}

func TestCutResponse(t *testing.T) {
	for name, answer := range map[string]string{
		"length":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunked":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"in a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf",
		"bad chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
				readRequest(br)
				io.WriteString(c, answer)
			})
			r.apply(shop(nil))
			res, err := http.Get(r.url)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if err == nil {
				t.Error("the client did not see the cut")
			}
			eventually(t, "the failure is counted", func() bool {
				return r.metric("ringfence_gateway_failures_total", `reason="http_response_incomplete"`) == "1" &&
					r.metric("ringfence_requests_total", `code="502"`) == "1"
			})
		})
	}
}

func TestRequestAsSent(t *testing.T) {
	r := newRig(t, Options{})
	got := make(chan *http.Request, 1)
	r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
		for {
			req, body, err := readRequest(br)
			if err != nil {
				return
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			got <- req
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	r.apply(shop(func(s *fleet.Service) { s.Route.Path, s.Route.StripPath = "/shop", true }))
	r.raw("POST /shop/a%2Fb//c?q=%20&x HTTP/1.1\r\nHost: Shop.Example:80\r\nContent-Length: 2\r\nX-Forwarded-For: 6.6.6.6\r\n" +
		"X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-ID: abc\r\n" +
		"Connection: close, X-Hop\r\nX-Hop: 1\r\nProxy-Authorization: p\r\nX-Multi: 1\r\nX-Multi: 2\r\n\r\nhi")
	req := <-got
	if req.RequestURI != "/a%2Fb//c?q=%20&x" || req.Host != "Shop.Example:80" || req.Method != "POST" {
		t.Errorf("got %s %s of %s", req.Method, req.RequestURI, req.Host)
	}
	if b, _ := io.ReadAll(req.Body); string(b) != "hi" {
		t.Errorf("body %q", b)
	}
	for k, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "Shop.Example:80", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "",
		"Forwarded": "", "X-Real-Ip": "", "X-Request-Id": "abc", "X-Hop": "", "Connection": "", "Proxy-Authorization": "", "X-Multi": "1,2",
	} {
		if v := strings.Join(req.Header[k], ","); v != want {
			t.Errorf("%s: got %q, want %q", k, v, want)
		}
	}
	r.raw("GET /shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	req = <-got
	if req.RequestURI != "/" || len(req.Header.Get("X-Request-Id")) != 32 || req.ContentLength != 0 {
		t.Errorf("got %s, id %q, length %d", req.RequestURI, req.Header.Get("X-Request-Id"), req.ContentLength)
	}
}

// TestBodies sends bodies of all kinds and sizes through, and compares what comes back.
func TestBodies(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				b, err := io.ReadAll(req.Body)
				if err != nil {
					http.Error(w, err.Error(), 400)
					return
				}
				w.Header().Set("X-Length", fmt.Sprint(req.ContentLength))
				w.Header().Set("X-Trailer", req.Trailer.Get("X-Sum"))
				w.Header().Set("Trailer", "X-After")
				fmt.Fprintf(w, "%x", sha256.Sum256(b))
				w.Header().Set("X-After", "yes")
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
			for _, n := range []int{0, 1, smallBody, smallBody + 1, 1 << 20} {
				for _, chunked := range []bool{false, true} {
					data := bytes.Repeat([]byte("z"), n)
					req, _ := http.NewRequest("POST", r.url, bytes.NewReader(data))
					if chunked {
						req, _ = http.NewRequest("POST", r.url, io.MultiReader(bytes.NewReader(data)))
						req.Trailer = http.Header{"X-Sum": {"s"}}
					}
					res, err := http.DefaultTransport.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					b, _ := io.ReadAll(res.Body)
					if want := fmt.Sprintf("%x", sha256.Sum256(data)); string(b) != want {
						t.Errorf("%d bytes, chunked %v: got %d %.80s", n, chunked, res.StatusCode, b)
					}
					if got := res.Header.Get("X-Trailer"); chunked && got != "s" {
						t.Errorf("%d bytes: request trailer %q", n, got)
					}
					if got := res.Trailer.Get("X-After"); got != "yes" {
						t.Errorf("%d bytes, chunked %v: response trailer %q", n, chunked, got)
					}
					if want := fmt.Sprint(n); !chunked && res.Header.Get("X-Length") != want {
						t.Errorf("length %s, want %s", res.Header.Get("X-Length"), want)
					}
				}
			}
		})
	}
}

// TestEarlyAnswer has a service answer before, and while, it reads the body.
func TestEarlyAnswer(t *testing.T) {
	r := newRig(t, Options{})
	r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if req.URL.Path == "/echo" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			buf := make([]byte, 100)
			for {
				n, err := req.Body.Read(buf)
				if n > 0 {
					fmt.Fprintf(c, "%x\r\n%s\r\n", n, buf[:n])
				}
				if err != nil {
					io.WriteString(c, "0\r\n\r\n")
					return
				}
			}
		}
		io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
	})
	r.apply(shop(nil))

	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", r.url+"/echo", pr)
	go pw.Write([]byte("one"))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	for _, word := range []string{"one", "two"} {
		if word == "two" {
			pw.Write([]byte(word))
		}
		if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != word {
			t.Fatalf("echo %q, %v; want %q", buf, err, word)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
}

// TestDenied has the service answer without reading a body that its client never ends.
func TestDenied(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			r.backend("v1", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "2")
				w.WriteHeader(401)
				io.WriteString(w, "no")
				http.NewResponseController(w).Flush()
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
			c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(c, "POST /deny HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly a little of it")
			b, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 401") || !strings.HasSuffix(string(b), "\r\n\r\nno") || !strings.Contains(string(b), "Connection: close") {
				t.Errorf("got %q, %v", b, err)
			}
			eventually(t, "nothing is in flight", func() bool { return r.InFlight("shop", "v1") == 0 })
		})
	}
}

func TestExpectContinue(t *testing.T) {
	r := newRig(t, Options{})
	r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if req.URL.Path == "/deny" {
				io.WriteString(c, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
				return
			}
			if req.Header.Get("Expect") != "100-continue" {
				io.WriteString(c, "HTTP/1.1 500 Expect\r\nContent-Length: 0\r\n\r\n")
				return
			}
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			b, _ := io.ReadAll(req.Body)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		}
	})
	r.apply(shop(nil))
	for path, want := range map[string]string{"/deny": "HTTP/1.1 417", "/take": "HTTP/1.1 100 Continue\r\n\r\n"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", path)
		head := make([]byte, len(want))
		if _, err := io.ReadFull(c, head); err != nil || string(head) != want {
			t.Fatalf("%s: got %q, %v", path, head, err)
		}
		io.WriteString(c, "hi")
		rest, _ := io.ReadAll(c)
		if path == "/take" && !strings.HasSuffix(string(rest), "\r\n\r\nhi") {
			t.Errorf("rest %q", rest)
		}
		c.Close()
	}
}

func TestEarlyHints(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			r.backend("v1", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Link", "</a.css>")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				io.WriteString(w, "page")
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
			var hints []string
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					hints = append(hints, fmt.Sprint(code, h.Get("Link"), h.Get("Set-Cookie")))
					return nil
				}})
			req, _ := http.NewRequestWithContext(ctx, "GET", r.url, nil)
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			if len(hints) != 1 || hints[0] != "103</a.css>" || string(b) != "page" || res.Header.Get("Link") != "" {
				t.Errorf("hints %v, body %q, Link %q", hints, b, res.Header.Get("Link"))
			}
		})
	}
}
