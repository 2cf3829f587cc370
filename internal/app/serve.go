package app

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"
)

// newHTTP is a server for one of Ringfence's own pages, and what serves a listener with it. With secure it speaks TLS.
func newHTTP(ctx context.Context, h http.Handler, secure *tls.Config) (*http.Server, func(*http.Server, net.Listener) error) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS, on loopback
	return server, func(s *http.Server, l net.Listener) error {
		if secure != nil {
			secure.NextProtos = []string{"h2", "http/1.1"}
			l = tls.NewListener(l, secure)
		}
		return s.Serve(l)
	}
}

// serveHTTP serves one of Ringfence's own pages until ctx ends, then lets requests in flight finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, secure *tls.Config) error {
	server, serve := newHTTP(ctx, h, secure)
	failed := make(chan error, 1)
	go func() { failed <- serve(server, l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := server.Shutdown(end); errors.Is(err, context.DeadlineExceeded) {
			return server.Close()
		}
		return nil
	}
}
