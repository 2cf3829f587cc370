package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/bench/child"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/gateway"
)

// serveBackend answers everything with 1 KiB, as cheaply as can be: what is measured is in front of it.
func serveBackend(address, _ string) error {
	ln, err := child.Listen(address)
	if err != nil {
		return err
	}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: %s\r\nContent-Length: 1024\r\n\r\n%s",
		time.Now().UTC().Format(http.TimeFormat), strings.Repeat("x", 1024))
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			br := bufio.NewReader(c)
			for {
				if err := skipRequest(br); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

func skipRequest(br *bufio.Reader) error {
	length := 0
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err := io.CopyN(io.Discard, br, int64(length))
			return err
		}
		if k, v, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(k, []byte("content-length")) {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
	}
}

// serveRingfence runs the gateway with a four-ring plan whose first ring has a rule, and its slow-request counter.
func serveRingfence(address, backend string) error {
	debug.SetGCPercent(gcPercent)
	g := gateway.New(gateway.Options{})
	g.SetEndpoints("shop", "v1", []fleet.Endpoint{{Service: "shop", Version: "v1", ID: "shop/v1/1", Address: backend}})
	err := g.Apply(context.Background(), []fleet.Service{{
		Name: "shop", Generation: 1, Salt: "bench",
		Route: fleet.Route{
			TargetingKey: fleet.Source{Header: "X-User-ID", Cookie: "uid"},
			Attributes:   map[string]fleet.Source{"plan": {Header: "X-Plan"}},
		},
		Rings: []fleet.Ring{
			{Name: "canary", Audience: []byte(`{"and": [{"==": [{"var": "plan"}, "beta"]}, {"ends_with": [{"var": "targetingKey"}, "@example.com"]}]}`)},
			{Name: "early", Percent: 5}, {Name: "broad", Percent: 50}, {Name: "all"},
		},
		Exposure: []string{"v1", "v1", "v1", "v1"},
		SlowOver: []fleet.Dur{fleet.Dur(300 * time.Millisecond)},
	}})
	if err != nil {
		return err
	}
	ln, err := child.Listen(address)
	if err != nil {
		return err
	}
	return g.Serve(context.Background(), ln)
}

// gcPercent is what the data plane runs with: its live heap is a few megabytes, so collecting half as often costs little.
const gcPercent = 400
