package ofrep

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/flaggate"
)

// two servers of one handler: one as net/http has it, one behind a Front.
func two(t testing.TB, h *Handler) (whole, front string, passed chan net.Conn) {
	t.Helper()
	passed = make(chan net.Conn, 1000)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	serve := func(l net.Listener, seen func(net.Conn, http.ConnState)) {
		s := &http.Server{Handler: h, ConnState: seen, ReadHeaderTimeout: time.Second}
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(l) }()
		t.Cleanup(func() { s.Close(); <-done })
	}
	a, b := listen(), listen()
	serve(a, nil)
	serve(NewFront(b, h), func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			passed <- c
		}
	})
	return a.Addr().String(), b.Addr().String(), passed
}

// talk writes and returns all that comes back, without the date, once the other side closes or has said enough.
func talk(t testing.TB, address string, parts ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, p := range parts {
		if i > 0 {
			time.Sleep(5 * time.Millisecond) // so that the parts arrive as such; nothing is wrong when they do not
		}
		if _, err := io.WriteString(c, p); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var answers []string
	for r := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(answers, "\n")
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		resp.Header.Del("Connection")
		answers = append(answers, fmt.Sprintln(resp.StatusCode, resp.Header, string(body)))
	}
}

func post(path, body string, headers ...string) string {
	return fmt.Sprintf("POST /ofrep/v1/evaluate/flags/%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, strings.Join(headers, ""), len(body), body)
}

// Whatever is said to a Front, the answer is that of net/http.
func TestFrontAnswersAsNetHTTP(t *testing.T) {
	h := New(Options{MaxBody: 1000, Gate: &flaggate.Gate{Source: newFeed(t, shop), Keys: clients, Headers: map[string]string{"x-mail": "email"}}})
	whole, front, passed := two(t, h)
	const key = "x-api-key: server\r\n"
	for _, c := range []struct {
		name   string
		plain  bool // answered by the Front
		writes []string
	}{
		{"plain", true, []string{post("static", `{}`, key)}},
		{"bearer, many headers", true, []string{post("static", `{}`, "Authorization: Bearer server\r\nAccept: */*\r\nUser-Agent: x/1 (y; z)\r\nConnection: Keep-Alive\r\n")}},
		{"context", true, []string{post("who", `{"context":{"targetingKey":"alice"}}`, key)}},
		{"context by header", true, []string{post("staff", `{}`, key, "X-Mail:x@example.com  \r\n")}},
		{"three at once", true, []string{post("static", `{}`, key) + post("limit", `{"context":{"plan":"half"}}`, key) + post("none", ``, key)}},
		{"in parts", true, []string{"POST /ofr", "ep/v1/evaluate/flags/sta", "tic HTTP/1.1\r\nHost: x\r\nX-API-Key: ser", "ver\r\nContent-Length: 2\r\n\r", "\n{", "}"}},
		{"no key", true, []string{post("static", `{}`)}},
		{"revoked", true, []string{post("static", `{}`, "X-API-Key: revoked\r\n")}},
		{"no environment", true, []string{post("static", `{}`, "X-API-Key: lost\r\n")}},
		{"selector", true, []string{post("static", `{}`, key, "Flagd-Selector: flagSetId=none\r\n")}},
		{"no JSON", true, []string{post("static", `{`, key)}},
		{"breaks off", true, []string{strings.TrimSuffix(post("static", `{"context":{}}`, key), "}")}},
		{"too large", false, []string{post("static", strings.Repeat(" ", 1001), key)}},
		{"then bulk", false, []string{post("static", `{}`, key) + strings.Replace(post("", `{}`, key), "flags/ ", "flags ", 1)}},
		{"another method", false, []string{"GET /ofrep/v1/evaluate/flags/static HTTP/1.1\r\nHost: x\r\n\r\n"}},
		{"escaped", false, []string{post("a%2Fb%20%C3%BC", `{}`, key)}},
		{"query", false, []string{post("static?x=1", `{}`, key)}},
		{"chunked", false, []string{"POST /ofrep/v1/evaluate/flags/static HTTP/1.1\r\nHost: x\r\nX-API-Key: server\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"}},
		{"chunked and a length", false, []string{"POST /ofrep/v1/evaluate/flags/static HTTP/1.1\r\nHost: x\r\nX-API-Key: server\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"}},
		{"two lengths", false, []string{post("static", `{}`, key, "Content-Length: 1\r\n")}},
		{"a length with a sign", false, []string{"POST /ofrep/v1/evaluate/flags/static HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}"}},
		{"no length", false, []string{"POST /ofrep/v1/evaluate/flags/static HTTP/1.1\r\nHost: x\r\nX-API-Key: server\r\n\r\n"}},
		{"no host", false, []string{"POST /ofrep/v1/evaluate/flags/static HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"}},
		{"two hosts", false, []string{post("static", `{}`, key, "Host: y\r\n")}},
		{"folded", false, []string{post("static", `{}`, key, "X-Mail: a\r\n b\r\n")}},
		{"space before the colon", false, []string{post("static", `{}`, "X-API-Key : server\r\n")}},
		{"unknown header", false, []string{post("static", `{}`, key, "X-Other: 1\r\n")}},
		{"wants to go on", false, []string{post("static", `{}`, key, "Expect: 100-continue\r\n")}},
		{"closes", false, []string{post("static", `{}`, key, "Connection: close\r\n")}},
		{"older", false, []string{strings.Replace(post("static", `{}`, key), "HTTP/1.1", "HTTP/1.0", 1)}},
		{"bare newlines", false, []string{strings.ReplaceAll(post("static", `{}`, key), "\r\n", "\n")}},
		{"large header", false, []string{post("static", `{}`, key, "Accept: "+strings.Repeat("x", 9000)+"\r\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, got := talk(t, whole, c.writes...), talk(t, front, c.writes...)
			if c.name == "breaks off" { // who has gone away is not answered
				want = ""
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			select {
			case <-passed:
				if c.plain {
					t.Error("went to net/http")
				}
			default:
				if !c.plain {
					t.Error("was answered by the Front")
				}
			}
		})
	}
}

func TestFrontCloses(t *testing.T) {
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Environment: "prod"}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := NewFront(l, h)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for range 2 {
		if _, err := io.WriteString(c, post("static", `{}`)); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the connection is still open: %v", err)
	}
	if c, err := f.Accept(); err != net.ErrClosed {
		t.Errorf("%v %v", c, err)
	}
}

// What the Front takes for a plain request, net/http reads as the same request.
func FuzzFront(f *testing.F) {
	f.Add(post("static", `{"context":{}}`, "X-API-Key: server\r\n"))
	f.Add(post("static", `{}`, "Accept: x\r\nX-Mail: y\r\n") + "rest")
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(f, shop), Environment: "prod"}})
	front := &Front{h: h, relevant: map[string]string{"x-api-key": "X-Api-Key", "x-mail": "X-Mail"}}
	f.Fuzz(func(t *testing.T, text string) {
		header := http.Header{}
		r, s := front.parse([]byte(text), header)
		if s != complete {
			return
		}
		read := bufio.NewReader(strings.NewReader(text))
		want, err := http.ReadRequest(read)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		body, err := io.ReadAll(want.Body)
		key, ok := flagKey(want.URL)
		if err != nil || want.Method != "POST" || !ok || key != r.key || string(body) != string(r.body) {
			t.Fatalf("%q: %v %s %s %q", text, err, want.Method, want.URL, body)
		}
		for _, name := range front.relevant {
			if header.Get(name) != want.Header.Get(name) {
				t.Errorf("%q: %s is %q", text, name, want.Header.Get(name))
			}
		}
		rest, _ := io.ReadAll(read)
		if string(rest) != text[r.end:] {
			t.Errorf("%q: rest %q", text, rest)
		}
	})
}
