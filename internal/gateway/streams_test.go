package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringfence/ringfence/internal/fleet"
)

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func echoSocket(w http.ResponseWriter, req *http.Request) {
	c, err := websocket.Accept(w, req, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, b, err := c.Read(req.Context())
		if err != nil {
			return
		}
		if err := c.Write(req.Context(), kind, b); err != nil {
			return
		}
	}
}

func TestWebSocket(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", echoSocket)
	r.backend("v2", say("two"))
	deadline := fleet.Dur(200 * time.Millisecond)
	r.apply(shop(func(s *fleet.Service) { s.Route.StreamTimeout = deadline }))
	c, res, err := websocket.Dial(within(t), "ws"+strings.TrimPrefix(r.url, "http")+"/chat", &websocket.DialOptions{Subprotocols: []string{"echo"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.Subprotocol() != "echo" || len(res.Cookies()) != 1 {
		t.Errorf("subprotocol %q, cookies %v", c.Subprotocol(), res.Cookies())
	}
	echo := func(text string) error {
		if err := c.Write(within(t), websocket.MessageText, []byte(text)); err != nil {
			return err
		}
		_, b, err := c.Read(within(t))
		if err == nil && string(b) != text {
			err = fmt.Errorf("got %q", b)
		}
		return err
	}
	if err := echo(strings.Repeat("long ", 5000)); err != nil {
		t.Fatal(err)
	}
	if n := r.InFlight("shop", "v1"); n != 1 {
		t.Errorf("%d in flight, want the stream", n)
	}
	began := time.Now()
	r.apply(shop(func(s *fleet.Service) { s.Route.StreamTimeout, s.Exposure = deadline, []string{"v2"} }))
	<-r.Drained("shop", "v1") // streams do not hold up the drain of requests
	if _, b := r.get("/"); b != "two" {
		t.Errorf("got %q, want two", b)
	}
	if err := echo("still here"); err != nil {
		t.Errorf("cut before its time: %v", err)
	}
	if err := r.Drain(within(t), "shop", "v1", time.Millisecond); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < time.Duration(deadline) {
		t.Errorf("streams were ended after %s, before their time", took)
	}
	if _, _, err := c.Read(within(t)); err == nil {
		t.Error("still open after its time")
	}
	if n := r.metric("ringfence_gateway_failures_total"); n != "" {
		t.Errorf("failures: %s", n)
	}
	eventually(t, "counted as 101", func() bool { return r.metric("ringfence_requests_total", `code="101"`) == "1" })
}

// TestUpgradeHalfClose checks that the end of one direction leaves the other open.
func TestUpgradeHalfClose(t *testing.T) {
	r := newRig(t, Options{})
	r.scripted("v1", func(c net.Conn, br *bufio.Reader) {
		readRequest(br)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\nhello\n")
		b, _ := io.ReadAll(br) // until the client's end
		fmt.Fprintf(c, "got %s", b)
	})
	r.apply(shop(nil))
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: lines\r\n\r\nearly ")
	br := bufio.NewReader(c)
	for line := ""; line != "hello\n"; {
		if line, err = br.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(c, "late")
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(br); err != nil || string(b) != "got early late" {
		t.Errorf("got %q, %v", b, err)
	}
	eventually(t, "nothing is in flight", func() bool { return r.InFlight("shop", "v1") == 0 })
}

func TestEventStream(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			r := newRig(t, Options{})
			next := make(chan string)
			r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				http.NewResponseController(w).Flush()
				for {
					select {
					case s := <-next:
						fmt.Fprintf(w, "data: %s\n\n", s)
						http.NewResponseController(w).Flush()
					case <-req.Context().Done():
						return
					}
				}
			})
			r.backend("v2", say("two"))
			change := func(to string) fleet.Service {
				return shop(func(s *fleet.Service) {
					s.Exposure, s.Route.StreamTimeout, s.Route.Protocol = []string{to}, fleet.Dur(100*time.Millisecond), protocol
				})
			}
			r.apply(change("v1"))
			req, _ := http.NewRequestWithContext(within(t), "GET", r.url, nil)
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			br := bufio.NewReader(res.Body)
			for _, s := range []string{"one", "two"} { // each arrives before the next is sent
				next <- s
				line, err := br.ReadString('\n')
				if err != nil || line != "data: "+s+"\n" {
					t.Fatalf("got %q, %v", line, err)
				}
				br.ReadString('\n')
			}
			r.apply(change("v2"))
			if err := r.Drain(within(t), "shop", "v1", time.Second); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(br); err != nil || len(rest) != 0 {
				t.Errorf("the stream should end cleanly, got %q, %v", rest, err)
			}
			if n := r.metric("ringfence_gateway_failures_total"); n != "" {
				t.Errorf("failures: %s", n)
			}
		})
	}
}

// TestStreamsStayWhenVersionReturns takes a version out and in again before its streams' time is over.
func TestStreamsStayWhenVersionReturns(t *testing.T) {
	r := newRig(t, Options{})
	r.backend("v1", echoSocket)
	to := func(v string) {
		r.apply(shop(func(s *fleet.Service) {
			s.Exposure, s.Route.StreamTimeout = []string{v}, fleet.Dur(60*time.Millisecond)
		}))
	}
	to("v1")
	c, _, err := websocket.Dial(within(t), "ws"+strings.TrimPrefix(r.url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	to("v2")
	to("v1")
	select {
	case <-r.versions[versionKey{"shop", "v1"}].streams.none():
		t.Error("ended although its version is back")
	case <-time.After(150 * time.Millisecond):
	}
	if err := c.Write(within(t), websocket.MessageText, []byte("x")); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Read(within(t)); err != nil {
		t.Error(err)
	}
}

// grpcServer starts a health service and makes it the version's instance.
func (r *rig) grpcServer(version string) *health.Server {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	hs := health.NewServer()
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, hs)
	go s.Serve(ln)
	r.t.Cleanup(s.Stop)
	r.ready(version, ln.Addr().String())
	return hs
}

func TestGRPC(t *testing.T) {
	r := newRig(t, Options{})
	hs := r.grpcServer("v1")
	hs.SetServingStatus("a", healthpb.HealthCheckResponse_SERVING)
	to := func(v string) {
		r.apply(shop(func(s *fleet.Service) {
			s.Exposure, s.Route.Protocol, s.Route.StreamTimeout = []string{v}, "h2c", fleet.Dur(100*time.Millisecond)
		}))
	}
	to("v1")
	cc, err := grpc.NewClient(strings.TrimPrefix(r.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	client := healthpb.NewHealthClient(cc)
	ctx := metadata.AppendToOutgoingContext(within(t), "x-user-id", "ann")

	res, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "a"})
	if err != nil || res.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v", res, err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nope"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v, want NotFound, which is in the trailers", err)
	}
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		hs.SetServingStatus("a", want)
		if m, err := stream.Recv(); err != nil || m.Status != want {
			t.Fatalf("got %v, %v; want %s", m, err, want)
		}
	}
	r.grpcServer("v2")
	to("v2")
	<-r.Drained("shop", "v1")
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("new version: %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v, want Unavailable", err)
	}
	if err := r.Drain(within(t), "shop", "v1", time.Second); err != nil {
		t.Error(err)
	}
	if n := r.metric("ringfence_gateway_failures_total"); n != "" {
		t.Errorf("failures: %s", n)
	}
	if u := r.Users("shop"); len(u) != 2 || u[0].Users != 1 || u[1].Users != 1 {
		t.Errorf("users %v, want ann with each version", u)
	}
}
