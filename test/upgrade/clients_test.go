package upgrade

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// beat is the time between two messages of a stream.
const beat = 20 * time.Millisecond

// serve is the service that is served: it echoes, tells of itself for as long as somebody listens, and answers messages.
func serve(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil {
			fmt.Fprintf(w, "%d %s", os.Getpid(), b)
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for n := 0; r.Context().Err() == nil; n++ {
			_, err := fmt.Fprintf(w, "data: %d\n\n", n)
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			<-tick.C
		}
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	})
	return http.ListenAndServe(addr, mux)
}

// client is one kind of use: what it got and what it lost.
type client struct {
	gateway string
	got     atomic.Int64
	mu      sync.Mutex
	lost    []error
}

func (c *client) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = append(c.lost, err)
}

func (c *client) report(t *testing.T, name string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%-20s %7d requests or messages, %d lost", name, c.got.Load(), len(c.lost))
	if len(c.lost) > 0 || c.got.Load() < 10 {
		t.Errorf("%s: %v", name, c.lost)
	}
}

// errLeft is that a connection said that it takes no more before anything of a request was sent on it.
var errLeft = errors.New("the connection takes no more requests")

// http2 asks on connections of HTTP/2, several at a time. It repeats nothing: a connection that says that it takes no more is left, and
// whatever was sent before that must be answered.
func (c *client) http2(ctx context.Context) {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	for ctx.Err() == nil {
		cc, err := (&http.Transport{Protocols: p}).NewClientConn(ctx, "http", c.gateway)
		if err != nil {
			if ctx.Err() == nil {
				c.lose(fmt.Errorf("connect: %w", err))
			}
			return
		}
		var asking sync.WaitGroup
		for range 3 {
			asking.Go(func() {
				for ctx.Err() == nil && cc.Reserve() == nil {
					err := ask(cc)
					if errors.Is(err, errLeft) {
						return
					}
					if err != nil {
						c.lose(err)
						return
					}
					c.got.Add(1)
					<-time.After(rand.N(10 * time.Millisecond))
				}
			})
		}
		asking.Wait()
		_ = cc.Close()
	}
}

func ask(cc *http.ClientConn) error {
	body := bytes.Repeat([]byte("order"), rand.IntN(4000))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { sent.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://shop.localhost/", io.MultiReader(bytes.NewReader(body)))
	if err != nil {
		return err
	}
	res, err := cc.RoundTrip(req)
	if err != nil && !sent.Load() && cc.Available() == 0 {
		return errLeft
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !bytes.HasSuffix(said, body)) {
		err = fmt.Errorf("%s, %d bytes of %d", res.Status, len(said), len(body))
	}
	return err
}

// events listens to one stream for as long as it is let, and misses no message of it.
func (c *client) events(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.gateway+"/events", nil)
	if err != nil {
		c.lose(err)
		return
	}
	req.Host = "shop.localhost"
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.lose(err)
		return
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for n := 0; lines.Scan(); {
		if lines.Text() == "" {
			continue
		}
		if want := fmt.Sprintf("data: %d", n); lines.Text() != want {
			c.lose(fmt.Errorf("got %q, expected %q", lines.Text(), want))
		}
		n++
		c.got.Add(1)
	}
	if ctx.Err() == nil {
		c.lose(fmt.Errorf("the stream ended: %v", lines.Err()))
	}
}

// socket talks on one WebSocket for as long as it is let.
func (c *client) socket(ctx context.Context) {
	ws, _, err := websocket.Dial(ctx, "ws://"+c.gateway+"/socket", &websocket.DialOptions{Host: "shop.localhost"})
	if err != nil {
		c.lose(err)
		return
	}
	defer ws.CloseNow()
	for n := 0; ; n++ {
		said := fmt.Sprint("message ", n)
		err := ws.Write(ctx, websocket.MessageText, []byte(said))
		var heard []byte
		if err == nil {
			_, heard, err = ws.Read(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil || string(heard) != said {
			c.lose(fmt.Errorf("after %d messages: %w, heard %q", n, err, heard))
			return
		}
		c.got.Add(1)
		<-time.After(beat)
	}
}
