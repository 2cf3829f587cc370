package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// TestSlowUpload takes longer to send a body than a response may take to begin: the time of the one is not the other's.
func TestSlowUpload(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				b, err := io.ReadAll(req.Body)
				fmt.Fprint(w, len(b), err)
			})
			r.apply(shop(func(s *fleet.Service) { s.Route.Timeout, s.Route.Protocol = fleet.Dur(60*time.Millisecond), protocol }))
			pr, pw := io.Pipe()
			go func() {
				for range 10 {
					pw.Write([]byte(strings.Repeat("a", 1000)))
					time.Sleep(20 * time.Millisecond) // a slow client
				}
				pw.Close()
			}()
			if res, b := r.do("POST", "/", pr); res.StatusCode != 200 || b != "10000<nil>" && b != "10000 <nil>" {
				t.Errorf("got %d %s", res.StatusCode, b)
			}
		})
	}
}

// TestStalledUpload has the client stop in the middle of a body: the instance must see it cut, in bounded time.
func TestStalledUpload(t *testing.T) {
	bodies := map[string]string{"small": "Content-Length: 100\r\n\r\nabc", "streamed": "Content-Length: 100000\r\n\r\nabc", "chunked": "Transfer-Encoding: chunked\r\n\r\n10\r\nabc"}
	for _, protocol := range []string{"http", "h2c"} {
		for name, body := range bodies {
			t.Run(protocol+" "+name, func(t *testing.T) {
				r := newRig(t, Options{Limits: Limits{BodyIdle: 50 * time.Millisecond}})
				r.backend("v1", func(_ http.ResponseWriter, req *http.Request) {
					if _, err := io.ReadAll(req.Body); err == nil {
						t.Error("the instance took a cut body for a whole one")
					}
				})
				r.apply(shop(func(s *fleet.Service) { s.Route.Protocol = protocol }))
				began := time.Now()
				answer := r.raw("POST / HTTP/1.1\r\nHost: x\r\n" + body)
				if took := time.Since(began); strings.HasPrefix(answer, "HTTP/1.1 2") || took > 3*time.Second {
					t.Errorf("got %q after %s", answer, took)
				}
				eventually(t, "nothing is in flight", func() bool { return r.InFlight("shop", "v1") == 0 })
				if n := r.metric("ringfence_gateway_failures_total"); n != "" {
					t.Errorf("the client's fault is counted as a failure: %s", n)
				}
			})
		}
	}
}

// TestStalledDownload has the client take nothing of a large response.
func TestStalledDownload(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{BodyIdle: 80 * time.Millisecond}})
	r.backend("v1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(64<<20))
		for range 64 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	r.apply(shop(nil))
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "it began", func() bool { return r.InFlight("shop", "v1") == 1 })
	eventually(t, "it ended", func() bool { return r.InFlight("shop", "v1") == 0 })
	if n := r.metric("ringfence_gateway_failures_total"); n != "" {
		t.Errorf("the client's fault is counted as a failure: %s", n)
	}
}
