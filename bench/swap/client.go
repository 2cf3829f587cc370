package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a client waits for an answer.
const patience = 30 * time.Second

// tally is what clients saw in a while.
type tally struct {
	requests int
	lost     map[string]int // by kind
	took     []time.Duration
}

func (t tally) losses() (n int) {
	for _, k := range t.lost {
		n += k
	}
	return n
}

// percentile of the answered requests' times, p between 0 and 1.
func (t tally) percentile(p float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	slices.Sort(t.took)
	return t.took[int(p*float64(len(t.took)-1))]
}

// load is a number of strict clients.
type load struct {
	address string
	think   time.Duration
	mu      sync.Mutex
	now     tally
	quit    chan struct{}
	clients sync.WaitGroup
}

func startLoad(address string, clients int, think time.Duration) *load {
	l := &load{address: address, think: think, quit: make(chan struct{}), now: tally{lost: map[string]int{}}}
	for range clients {
		l.clients.Go(l.client)
	}
	return l
}

// mark returns what was seen since the last mark.
func (l *load) mark() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.now
	l.now = tally{lost: map[string]int{}}
	return t
}

func (l *load) stop() {
	close(l.quit)
	l.clients.Wait()
}

// client sends one request after the other, and none twice.
func (l *load) client() {
	var c *connection
	for {
		select {
		case <-l.quit:
			if c != nil {
				c.Close()
			}
			return
		case <-time.After(l.think):
		}
		if c != nil && c.ended() {
			c.Close()
			c = nil // noticed in time: nothing was lost
		}
		began := time.Now()
		kind := ""
		if c == nil {
			raw, err := net.DialTimeout("tcp", l.address, patience)
			if err != nil {
				l.count("no connection", 0)
				continue
			}
			c = &connection{Conn: raw, read: bufio.NewReader(raw)}
		}
		if kind = c.exchange(); kind != "" || c.last {
			c.Close()
			c = nil
		}
		l.count(kind, time.Since(began))
	}
}

func (l *load) count(kind string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.requests++
	if kind != "" {
		l.now.lost[kind]++
		return
	}
	l.now.took = append(l.now.took, took)
}

type connection struct {
	net.Conn
	read *bufio.Reader
	last bool // the answer said that the connection ends with it
}

// ended reports whether the other side has closed, as far as can be seen now.
func (c *connection) ended() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && err != syscall.EAGAIN
		return true
	})
	return ended || err != nil
}

// exchange sends a request and reads its answer; it returns how it was lost, if it was.
func (c *connection) exchange() string {
	method, body := http.MethodGet, ""
	if rand.IntN(10) < 3 {
		method, body = http.MethodPost, "order-"+strconv.FormatUint(rand.Uint64(), 36)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "reset"
	}
	if _, err := fmt.Fprintf(c, "%s /item HTTP/1.1\r\nHost: swap\r\nX-User-ID: u%d\r\nContent-Length: %d\r\n\r\n%s", method, rand.IntN(1000), len(body), body); err != nil {
		return "cut while sending"
	}
	res, err := http.ReadResponse(c.read, &http.Request{Method: method})
	if err != nil {
		return "no answer"
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	c.last = res.Close
	switch {
	case res.StatusCode != http.StatusOK:
		return strconv.Itoa(res.StatusCode)
	case err != nil:
		return "cut answer"
	case body != "" && string(got) != body, body == "" && strings.Trim(string(got), "x") != "", body == "" && len(got) != 1024:
		return "wrong answer"
	}
	return ""
}
