package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// dialed is a raw connection to the rig's gateway.
func (r *rig) dialed() (net.Conn, *bufio.Reader) {
	r.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c, bufio.NewReader(c)
}

// TestRefusedRequest: what could be read in two ways gets 400 with the reason, its connection is closed, and no instance hears of it. Requests
// that came before it on the connection are answered.
func TestRefusedRequest(t *testing.T) {
	const sound = "GET /sound HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tt := range map[string]struct{ request, reason string }{
		"bare line feed":   {"GET / HTTP/1.1\nHost: x\n\n", "bare_lf"},
		"folded":           {"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n b\r\n\r\n", "folded_header"},
		"length twice":     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "content_length"},
		"length, chunks":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "length_and_chunks"},
		"escaped dots":     {"GET /a/%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", "target_dots"},
		"another host":     {"GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", "host_mismatch"},
		"underscore":       {"GET / HTTP/1.1\r\nHost: x\r\nX_User_ID: ann\r\n\r\n", "header_underscore"},
		"host with a path": {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "host"},
	} {
		for _, before := range []string{"", sound, sound + sound} {
			for _, piece := range []int{1, 7, 4096} {
				t.Run(fmt.Sprintf("%s after %d by %d", name, len(before)/len(sound), piece), func(t *testing.T) {
					r := newRig(t, Options{})
					var seen atomic.Int32
					r.backend("v1", func(http.ResponseWriter, *http.Request) { seen.Add(1) })
					r.apply(shop(nil))
					c, br := r.dialed()
					for all := before + tt.request + sound; all != ""; {
						n := min(piece, len(all))
						if _, err := io.WriteString(c, all[:n]); err != nil {
							break // it has been closed already
						}
						all = all[n:]
					}
					for range len(before) / len(sound) {
						res, err := http.ReadResponse(br, nil)
						if err != nil || res.StatusCode != 200 {
							t.Fatalf("the request before: %v, %v", res, err)
						}
					}
					res, err := http.ReadResponse(br, nil)
					if err != nil {
						t.Fatal(err)
					}
					b, _ := io.ReadAll(res.Body)
					if res.StatusCode != 400 || !res.Close || !strings.Contains(res.Header.Get("Proxy-Status"), tt.reason) || !strings.Contains(string(b), `"status":400`) {
						t.Errorf("got %d, %v, %s", res.StatusCode, res.Header, b)
					}
					if _, err := br.ReadByte(); err == nil {
						t.Error("something follows")
					}
					if n := int(seen.Load()); n != len(before)/len(sound) {
						t.Errorf("the instance saw %d requests", n)
					}
					r.counts("1", "ringfence_gateway_refused_total", tt.reason)
				})
			}
		}
	}
}

// TestRefusedBody: a body whose chunks could be read in two ways does not reach an instance as a whole one.
func TestRefusedBody(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		r := newRig(t, Options{})
		var whole atomic.Int32
		r.backend("v1", func(_ http.ResponseWriter, req *http.Request) {
			if _, err := io.Copy(io.Discard, req.Body); err == nil {
				whole.Add(1)
			}
		})
		s := shop(nil)
		s.Route.Protocol = protocol
		r.apply(s)
		for _, body := range []string{"3\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3;a\nb\r\nabc\r\n0\r\n\r\n", "0\r\nContent-Length: 3\r\n\r\n"} {
			answer := r.raw("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
			if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 400") {
				t.Errorf("%s: %q: got %.80q", protocol, body, answer)
			}
		}
		if whole.Load() != 0 {
			t.Errorf("%s: a broken body arrived as a whole one", protocol)
		}
	}
}

// TestRefusedUpgrade: what follows a request to switch to another protocol is not looked at, so it is not read as a request either.
func TestRefusedUpgrade(t *testing.T) {
	r := newRig(t, Options{})
	var seen atomic.Int32
	r.backend("v1", func(http.ResponseWriter, *http.Request) { seen.Add(1) })
	r.apply(shop(nil))
	answer := r.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\nHost: x\n\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200") || !strings.Contains(answer, "Connection: close") || strings.Count(answer, "HTTP/1.1") != 1 || seen.Load() != 1 {
		t.Errorf("got %q, seen %d", answer, seen.Load())
	}
}

// h2conn is a client of HTTP/2 that says what it likes.
type h2conn struct {
	net.Conn
	*http2.Framer
	t    *testing.T
	enc  *hpack.Encoder
	buf  bytes.Buffer
	seen []string // frames, in a few words
}

func (r *rig) h2() *h2conn {
	nc, _ := r.dialed()
	c := &h2conn{Conn: nc, Framer: http2.NewFramer(nc, nc), t: r.t}
	c.enc = hpack.NewEncoder(&c.buf)
	io.WriteString(nc, http2.ClientPreface)
	if err := c.WriteSettings(); err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (c *h2conn) headers(stream uint32, more ...string) error {
	c.buf.Reset()
	fields := append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x"}, more...)
	for i := 0; i < len(fields); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true})
}

// until reads frames until one is described so, or the connection ends.
func (c *h2conn) until(want string) bool {
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.seen = append(c.seen, err.Error())
			return false
		}
		said := fmt.Sprintf("%s %d", f.Header().Type, f.Header().StreamID)
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			said = fmt.Sprintf("GOAWAY %d %s", f.LastStreamID, f.ErrCode)
		case *http2.RSTStreamFrame:
			said += " " + f.ErrCode.String()
		}
		c.seen = append(c.seen, said)
		if strings.HasPrefix(said, want) {
			return true
		}
	}
}

// TestHTTP2Floods: each is ended soon, with a reason, and few of its requests reach the service.
func TestHTTP2Floods(t *testing.T) {
	for name, tt := range map[string]struct {
		flood  func(c *h2conn, i uint32) error
		reason string
	}{
		"rapid reset": {func(c *h2conn, i uint32) error {
			return errors.Join(c.headers(2*i+1), c.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		}, "reset_flood"},
		"pings":    {func(c *h2conn, i uint32) error { return c.WritePing(false, [8]byte{}) }, "control_flood"},
		"settings": {func(c *h2conn, i uint32) error { return c.WriteSettings(http2.Setting{ID: 1, Val: i}) }, "control_flood"},
		"continuations": {func(c *h2conn, i uint32) error {
			if i == 0 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}
			return c.WriteContinuation(1, false, []byte{0x10, 1, 'a', 1, 'b'})
		}, "continuation_flood"},
		"table bomb": {func(c *h2conn, i uint32) error {
			if i == 0 {
				c.headers(1, "x-a", strings.Repeat("b", 4000))
			}
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 3, BlockFragment: bytes.Repeat([]byte{0xbe}, 16000), EndHeaders: true})
		}, "header_too_large"},
		"connection field": {func(c *h2conn, i uint32) error { return c.headers(2*i+1, "connection", "close") }, "connection_header"},
		"coding":           {func(c *h2conn, i uint32) error { return c.headers(2*i+1, "transfer-encoding", "chunked") }, "connection_header"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			var seen atomic.Int32
			r.backend("v1", func(http.ResponseWriter, *http.Request) { seen.Add(1) })
			r.apply(shop(nil))
			c := r.h2()
			go func() {
				for i := range uint32(20000) {
					if tt.flood(c, i) != nil {
						return
					}
				}
			}()
			c.until("never")
			r.counts("1", "ringfence_gateway_refused_total", tt.reason)
			if n := seen.Load(); n > 1000 {
				t.Errorf("%d requests of the flood were served", n)
			}
			r.others1()
		})
	}
}

// others1 checks that another client is served.
func (r *rig) others1() {
	r.t.Helper()
	if res, _ := r.get("/"); res.StatusCode != 200 {
		r.t.Errorf("another client: %d", res.StatusCode)
	}
}

// TestHTTP2Requests: what HTTP/1 refuses, HTTP/2 refuses for one stream.
func TestHTTP2Requests(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", say("ok"))
	r.apply(shop(nil))
	for name, tt := range map[string]struct {
		path, key, value string
		code             int
	}{
		"sound":        {"/a%2Fb?c=%2e%2e%2f", "X-A", "1", 200},
		"escaped dots": {"/a/%2e%2e/b", "X-A", "1", 400},
		"underscore":   {"/", "X_A", "1", 400},
		"another host": {"/", "Host", "y", 400},
	} {
		c := r.h2()
		c.buf.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", tt.path}, {":authority", "x"}, {strings.ToLower(tt.key), tt.value}} {
			c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true})
		c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			f, err := c.ReadFrame()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if h, ok := f.(*http2.MetaHeadersFrame); ok {
				if got := h.PseudoValue("status"); got != fmt.Sprint(tt.code) {
					t.Errorf("%s: got %s, want %d", name, got, tt.code)
				}
				break
			}
		}
	}
}

// TestGoAwayInTwoSteps: when the gateway ends, an HTTP/2 client is asked to leave first, what it still sends is served, and only then is it
// told how far that went.
func TestGoAwayInTwoSteps(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{LameDuck: time.Second}})
	r.backend("v1", say("ok"))
	r.apply(shop(nil))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served, end := r.serve(ln)
	r.url = "http://" + ln.Addr().String()
	c := r.h2()
	c.headers(1)
	if !c.until("HEADERS 1") {
		t.Fatal(c.seen)
	}
	end()
	if !c.until("GOAWAY 2147483647 NO_ERROR") {
		t.Fatal(c.seen)
	}
	c.headers(3) // it was on its way
	if !c.until("HEADERS 3") || !c.until("GOAWAY 3 NO_ERROR") {
		t.Fatal(c.seen)
	}
	c.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
