package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// streams opens one stream after the other, each until it ends.
func (l *load) streams(kind string, one func() (version string, messages int, err error)) {
	k := l.tally.kind(kind, true)
	for l.going() {
		version, messages, err := one()
		if !l.going() {
			l.tally.stopped(k, messages)
			return
		}
		if err == nil {
			err = io.EOF
		}
		l.tally.stream(k, version, messages, err)
	}
}

func (l *load) eventStream() (version string, messages int, err error) {
	c, err := l.dial()
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	defer context.AfterFunc(l.ctx, func() { c.Close() })()
	if _, err := io.WriteString(c, "GET /events HTTP/1.1\r\nHost: shop.localhost\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		return "", 0, err
	}
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		return "", 0, fmt.Errorf("got %s", res.Status)
	}
	version = res.Header.Get("X-Version")
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		if strings.HasPrefix(s.Text(), "data: ") {
			messages++
		}
	}
	return version, messages, io.ErrUnexpectedEOF
}

func (l *load) webSocket() (version string, messages int, err error) {
	c, res, err := websocket.Dial(l.ctx, "ws://"+l.address+"/socket", &websocket.DialOptions{Host: "shop.localhost"})
	if err != nil {
		return "", 0, err
	}
	defer c.CloseNow()
	version = res.Header.Get("X-Version")
	for {
		want := fmt.Sprint("message ", messages)
		if err := c.Write(l.ctx, websocket.MessageText, []byte(want)); err != nil {
			return version, messages, err
		}
		_, b, err := c.Read(l.ctx)
		if err != nil {
			return version, messages, err
		}
		if string(b) != want {
			return "", messages, fmt.Errorf("got %q, want %q", b, want)
		}
		messages++
		time.Sleep(beat)
	}
}

func (l *load) callStream() (version string, messages int, err error) {
	cc, err := l.dialCalls()
	if err != nil {
		return "", 0, err
	}
	defer cc.Close()
	s, err := healthpb.NewHealthClient(cc).Watch(l.ctx, &healthpb.HealthCheckRequest{Service: "beat"})
	if err != nil {
		return "", 0, err
	}
	h, err := s.Header()
	if err != nil {
		return "", 0, err
	}
	if v := h.Get("x-version"); len(v) == 1 {
		version = v[0]
	} else {
		_, err := s.Recv()
		return "", 0, errors.Join(errors.New("it has no version"), err)
	}
	for {
		if _, err := s.Recv(); err != nil {
			return version, messages, err
		}
		messages++
	}
}
