package strict

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Load is clients that send to one address until they are stopped.
type Load struct {
	Addr, Host string
	Clients    int
	Fresh      float64       // share of requests that have a connection of their own
	Posts      float64       // share of requests that are POSTs with a body
	Think      time.Duration // at most, between the requests of a client
	Path       string        // which answers the body that it is sent, after anything else
	Header     string        // more of the request's header, lines with their ends

	Requests, Connections atomic.Int64
	mu                    sync.Mutex
	losses                map[string]int
	first                 string
}

// Losses is how many requests were lost.
func (l *Load) Losses() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.losses {
		n += k
	}
	return n
}

// Why says what was lost, and what of it first.
func (l *Load) Why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == "" {
		return "nothing"
	}
	return fmt.Sprintf("%v; first: %s", l.losses, l.first)
}

func (l *Load) lose(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.losses == nil {
		l.losses = map[string]int{}
	}
	l.losses[what]++
	if l.first == "" {
		l.first = fmt.Sprintf("%s: %s: %v", time.Now().Format("15:04:05.000"), what, err)
	}
}

// Run sends until ctx ends, and returns when the last request is answered.
func (l *Load) Run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range l.Clients {
		all.Go(func() { l.client(ctx, fmt.Sprint("user-", i)) })
	}
	all.Wait()
}

// answerLimit is how long an answer may take.
const answerLimit = 30 * time.Second

func (l *Load) client(ctx context.Context, user string) {
	var c net.Conn
	var br *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		fresh := rand.Float64() < l.Fresh
		if c != nil && (fresh || closed(c)) {
			c.Close()
			c = nil
		}
		if c == nil {
			var err error
			if c, err = net.DialTimeout("tcp", l.Addr, answerLimit); err != nil {
				l.lose("dial", err)
				time.Sleep(10 * time.Millisecond)
				continue
			}
			l.Connections.Add(1)
			br = bufio.NewReader(c)
		}
		l.Requests.Add(1)
		leave, what, err := l.one(c, br, user, n)
		if err != nil {
			l.lose(what, err)
		}
		if leave || err != nil {
			c.Close()
			c = nil
		}
		if l.Think > 0 {
			time.Sleep(rand.N(l.Think))
		}
	}
}

// closed reports that the other side has closed a connection on which nothing is asked.
func closed(c net.Conn) bool {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	_ = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
	})
	return gone
}

// one asks once. leave says that the connection is not to be used again.
func (l *Load) one(c net.Conn, br *bufio.Reader, user string, n int) (leave bool, what string, err error) {
	method, body := http.MethodGet, ""
	if rand.Float64() < l.Posts {
		method, body = http.MethodPost, strings.Repeat("x", rand.IntN(4096))+fmt.Sprint(" of ", user, " ", n)
	}
	_ = c.SetDeadline(time.Now().Add(answerLimit))
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nX-User-ID: %s\r\n%s", method, l.Path, l.Host, user, l.Header)
	if method == http.MethodPost {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(c, head+"\r\n"+body); err != nil {
		return true, "write", err
	}
	res, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return true, "no answer", err
	}
	got, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return true, "answer cut", err
	case res.StatusCode != http.StatusOK:
		return true, fmt.Sprint("status ", res.StatusCode), errors.New(res.Header.Get("Proxy-Status") + " " + strings.TrimSpace(string(got[:min(len(got), 200)])))
	case !strings.HasSuffix(string(got), body):
		return true, "another's answer", fmt.Errorf("%d bytes", len(got))
	}
	return res.Close, "", nil
}
