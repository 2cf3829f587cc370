package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	patience  = time.Minute // for one answer
	bigAnswer = 256 << 10
	upload    = 4 << 20
)

// load is all clients.
type load struct {
	ctx     context.Context
	address string
	tally   *tally
	over    context.CancelFunc
	clients sync.WaitGroup
}

func startLoad(ctx context.Context, address string, t *tally, each int) *load {
	l := &load{address: address, tally: t}
	l.ctx, l.over = context.WithCancel(ctx)
	for range each {
		for range 2 {
			l.clients.Go(l.keepAlive)
		}
		l.clients.Go(l.http2)
		l.clients.Go(l.uploads)
		l.clients.Go(l.slow)
		l.clients.Go(l.calls)
		l.clients.Go(func() { l.streams("event stream", l.eventStream) })
		l.clients.Go(func() { l.streams("WebSocket", l.webSocket) })
		l.clients.Go(func() { l.streams("gRPC stream", l.callStream) })
	}
	return l
}

// stop lets every client end what it has begun.
func (l *load) stop() {
	l.over()
	l.clients.Wait()
}

func (l *load) going() bool { return l.ctx.Err() == nil }

// repeat asks over and over, on a connection that dial makes whenever there is none.
func (l *load) repeat(kind string, think time.Duration, ask func(c *conn) error) {
	k := l.tally.kind(kind, false)
	var c *conn
	for l.going() {
		began := time.Now()
		var err error
		if c == nil {
			c, err = l.dial()
		}
		if err == nil {
			err = ask(c)
		}
		l.tally.request(k, time.Since(began), err)
		if err != nil && c != nil {
			c.Close()
			c = nil
		}
		if think > 0 {
			time.Sleep(rand.N(think))
		}
	}
	if c != nil {
		c.Close()
	}
}

type conn struct {
	net.Conn
	br *bufio.Reader
}

func (l *load) dial() (*conn, error) {
	nc, err := net.Dial("tcp", l.address)
	if err != nil {
		return nil, err
	}
	return &conn{nc, bufio.NewReader(nc)}, nc.SetDeadline(time.Now().Add(time.Hour))
}

// expect reads the answer to a request with a body.
func expect(res *http.Response, body []byte, more int) error {
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("the answer was cut: %w", err)
	}
	line, rest, _ := strings.Cut(string(b), "\n")
	if want := fmt.Sprintf("%d %08x", len(body), crc32.ChecksumIEEE(body)); res.StatusCode != 200 || line != want || len(rest) != more {
		return fmt.Errorf("got %d, %.200q with %d bytes more; want %q with %d", res.StatusCode, line, len(rest), want, more)
	}
	return nil
}

// read reads the answer on an HTTP/1.1 connection, which must not end with it.
func (c *conn) read(body []byte, more int) error {
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return err
	}
	if err := expect(res, body, more); err != nil {
		return err
	}
	if res.Close {
		return errors.New("the connection is to be left, and nothing ends")
	}
	return nil
}

func (l *load) keepAlive() {
	l.repeat("HTTP/1.1", 4*time.Millisecond, func(c *conn) error {
		method, body := "GET", []byte(nil)
		if rand.IntN(10) < 3 {
			method, body = "POST", bytes.Repeat([]byte("order"), rand.IntN(200))
		}
		if _, err := fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body); err != nil {
			return err
		}
		return c.read(body, 0)
	})
}

// http2 asks on one connection of HTTP/2, several at a time; this client repeats nothing by itself.
func (l *load) http2() {
	k := l.tally.kind("HTTP/2", false)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	cc, err := (&http.Transport{Protocols: p}).NewClientConn(l.ctx, "http", l.address)
	if err != nil {
		l.tally.request(k, 0, err)
		return
	}
	defer cc.Close()
	var asking sync.WaitGroup
	for range 3 {
		asking.Go(func() {
			for l.going() {
				began := time.Now()
				err := ask2(cc)
				l.tally.request(k, time.Since(began), err)
				time.Sleep(rand.N(8 * time.Millisecond))
			}
		})
	}
	asking.Wait()
}

func ask2(cc *http.ClientConn) error {
	method, body := "GET", []byte(nil)
	if rand.IntN(2) == 0 {
		method, body = "POST", bytes.Repeat([]byte("order"), rand.IntN(20000))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://shop.localhost/", io.MultiReader(bytes.NewReader(body)))
	if err != nil {
		return err
	}
	res, err := cc.RoundTrip(req)
	if err != nil {
		return err
	}
	return expect(res, body, 0)
}

// uploads sends megabytes, by length and in chunks.
func (l *load) uploads() {
	body := make([]byte, upload)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	l.repeat("uploads", 100*time.Millisecond, func(c *conn) error {
		b := body[:1+rand.IntN(len(body))]
		req, err := http.NewRequest("PUT", "http://shop.localhost/", bytes.NewReader(b))
		if err != nil {
			return err
		}
		if rand.IntN(2) == 0 {
			req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b)), -1
		}
		if err := req.Write(c); err != nil {
			return err
		}
		return c.read(b, 0)
	})
}

// slow sends its body a little at a time, and takes a large answer so, too.
func (l *load) slow() {
	l.repeat("slow clients", 20*time.Millisecond, func(c *conn) error {
		body := bytes.Repeat([]byte("slow "), 20)
		if _, err := fmt.Fprintf(c, "POST /big HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: %d\r\n\r\n", len(body)); err != nil {
			return err
		}
		for i := range 10 {
			time.Sleep(rand.N(40 * time.Millisecond))
			if _, err := c.Write(body[i*10 : i*10+10]); err != nil {
				return err
			}
		}
		res, err := http.ReadResponse(c.br, nil)
		if err != nil {
			return err
		}
		res.Body = io.NopCloser(&sip{r: res.Body})
		return expect(res, body, bigAnswer)
	})
}

// sip reads with pauses.
type sip struct {
	r io.Reader
	n int
}

func (s *sip) Read(p []byte) (int, error) {
	if s.n++; s.n%8 == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	return s.r.Read(p[:min(len(p), 16<<10)])
}

// calls makes gRPC calls, which are not repeated either.
func (l *load) calls() {
	k := l.tally.kind("gRPC calls", false)
	cc, err := l.dialCalls()
	if err != nil {
		l.tally.request(k, 0, err)
		return
	}
	defer cc.Close()
	client := healthpb.NewHealthClient(cc)
	for l.going() {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		cancel()
		l.tally.request(k, time.Since(began), err)
		time.Sleep(rand.N(10 * time.Millisecond))
	}
}

func (l *load) dialCalls() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+l.address, grpc.WithAuthority("calls.localhost"), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
}
