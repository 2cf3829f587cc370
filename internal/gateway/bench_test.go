package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
)

// BenchmarkProxy is one keep-alive client asking through the whole gateway: both sockets and net/http's part included.
func BenchmarkProxy(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					c.Write(answer)
				}
			}()
		}
	}()
	g := New(Options{})
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{{ID: "1", Address: ln.Addr().String()}})
	if err := g.Apply(context.Background(), []fleet.Service{shop(func(s *fleet.Service) {
		s.Rings = []fleet.Ring{{Name: "canary", Audience: []byte(`{"==": [{"var": "plan"}, "beta"]}`)}, {Name: "early", Percent: 5}, {Name: "broad", Percent: 50}, {Name: "all"}}
		s.Exposure = []string{"v1", "v1", "v1", "v1"}
		s.Route.Attributes = map[string]fleet.Source{"plan": {Header: "X-Plan"}}
		s.SlowOver = []fleet.Dur{300e6}
	})}); err != nil {
		b.Fatal(err)
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := g.Server()
	go srv.Serve(g.guarded(front))
	defer srv.Close()
	c, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReaderSize(c, 8192)
	request := []byte("GET /item/1 HTTP/1.1\r\nHost: shop.example\r\nX-User-ID: ann\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := br.Discard(1024); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadHead compares the response parser with net/http's.
func BenchmarkReadHead(b *testing.B) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 0\r\nCache-Control: no-store\r\nServer: x\r\n\r\n"
	src := strings.NewReader("")
	br := bufio.NewReader(src)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		var h response
		var buf []byte
		for b.Loop() {
			src.Reset(head)
			br.Reset(src)
			var err error
			if buf, err = readHead(br, buf, &h); err != nil {
				b.Fatal(err)
			}
			h.header(http.Header{})
		}
	})
	b.Run("net/http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			src.Reset(head)
			br.Reset(src)
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
		}
	})
}
