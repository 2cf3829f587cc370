package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// instanceEnv holds the version of a process that is to be an instance.
const instanceEnv = "RINGFENCE_SOAK_VERSION"

// beat is the time between two messages of a stream.
const beat = 40 * time.Millisecond

// instance serves until it is killed, or until whoever started it is gone. Its address is its first line of output.
func instance(version string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	calls := grpcServer(version)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, r, version) })
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) { events(w, r, version) })
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) { socket(w, r, version) })
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			calls.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})}
	log.Fatal(s.Serve(ln))
}

// answer says its version, and what it was sent. A path /big is answered at length.
func answer(w http.ResponseWriter, r *http.Request, version string) {
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		return
	}
	time.Sleep(rand.N(5 * time.Millisecond)) // the work
	w.Header().Set("X-Version", version)
	fmt.Fprintf(w, "%d %08x\n", n, sum.Sum32())
	if r.URL.Path == "/big" {
		_, _ = io.WriteString(w, strings.Repeat("x", bigAnswer))
	}
}

func events(w http.ResponseWriter, r *http.Request, version string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Version", version)
	rc := http.NewResponseController(w)
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, "data: .\n\n")
		if rc.Flush() != nil {
			return
		}
		time.Sleep(beat)
	}
}

func socket(w http.ResponseWriter, r *http.Request, version string) {
	w.Header().Set("X-Version", version)
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
}

// grpcServer serves health's calls; its stream says something with every beat.
func grpcServer(version string) *grpc.Server {
	h := health.NewServer()
	go func() {
		states := []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING}
		for i := 0; ; i++ {
			h.SetServingStatus("beat", states[i%2])
			time.Sleep(beat)
		}
	}()
	tell := metadata.Pairs("x-version", version)
	s := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			_ = grpc.SetHeader(ctx, tell)
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			_ = ss.SetHeader(tell)
			return next(srv, ss)
		}))
	healthpb.RegisterHealthServer(s, h)
	return s
}
