package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// served runs Serve; end ends it and returns what it returned and how long that took.
func served(t *testing.T, r *rig) (addr string, end func() (time.Duration, error)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, ln) }()
	return ln.Addr().String(), func() (time.Duration, error) {
		began := time.Now()
		cancel()
		err := <-ended
		return time.Since(began), err
	}
}

// Streams never end by themselves: nobody may wait for them while the next process could take users.
func TestStreamsDoNotHoldUpTheEnd(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{LameDuck: 10 * time.Millisecond}})
	r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/chat" {
			echoSocket(w, req)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: one\n\n")
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
	})
	r.apply(shop(func(s *fleet.Service) { s.Slots[0].Drain = fleet.Dur(time.Hour) }))
	addr, end := served(t, r)
	socket, _, err := websocket.Dial(within(t), "ws://"+addr+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	res, err := http.Get("http://" + addr + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	if line, err := events.ReadString('\n'); err != nil {
		t.Fatalf("%q %v", line, err)
	}
	if took, err := end(); err != nil || took > 3*time.Second {
		t.Errorf("ended after %s with %v", took, err)
	}
	if rest, err := io.ReadAll(events); err != nil || string(rest) != "\n" {
		t.Errorf("the event stream should end cleanly, got %q, %v", rest, err)
	}
	if _, _, err := socket.Read(within(t)); err == nil {
		t.Errorf("the socket: %v", err)
	}
	eventually(t, "no stream is open", func() bool { return r.InFlight("shop", "v1") == 0 })
}

func TestRequestsInFlightHaveTheTimeThatTheirServiceGivesThem(t *testing.T) {
	for name, c := range map[string]struct {
		drain time.Duration
		cut   bool
	}{"long enough": {10 * time.Second, false}, "too short": {200 * time.Millisecond, true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Limits: Limits{LameDuck: 10 * time.Millisecond, Shutdown: 100 * time.Millisecond}})
			arrived := make(chan struct{})
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				close(arrived)
				select {
				case <-time.After(600 * time.Millisecond):
				case <-req.Context().Done():
				}
				io.WriteString(w, "done")
			})
			r.apply(shop(func(s *fleet.Service) { s.Slots[0].Drain = fleet.Dur(c.drain) }))
			addr, end := served(t, r)
			got := make(chan string, 1)
			go func() {
				res, err := http.Get("http://" + addr)
				if err != nil {
					got <- "cut"
					return
				}
				defer res.Body.Close()
				b, _ := io.ReadAll(res.Body)
				got <- string(b)
			}()
			<-arrived
			took, err := end()
			if text := <-got; (text != "done") != c.cut || errs.Is(err, errs.Unavailable) != c.cut || took > 5*time.Second {
				t.Errorf("got %q, ended after %s with %v", text, took, err)
			}
		})
	}
}
