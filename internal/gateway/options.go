package gateway

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configure a Gateway; the zero value of each field has a sound default.
type Options struct {
	Unit           string               // label of every metric; default "local"
	Logger         *slog.Logger         // default: discards
	Registry       *prometheus.Registry // where the metrics are registered; default: an own one
	TrustedProxies []netip.Prefix       // peers whose X-Forwarded-* are kept and extended
	CallerNetworks []netip.Prefix       // where instances of other machines call from; those of this one are known
	TLS            *tls.Config          // Serve speaks TLS with it, HTTP/2 included
	Limits         Limits
	Access         AccessLog
	Pages          Pages // nil: pages are told nothing, and tell nothing
}

// Limits bound what comes from outside and how long things may take; zero means the default.
type Limits struct {
	HeaderBytes    int           // request header; default 64 KiB
	HeaderTimeout  time.Duration // time to send the request header; default 10s
	IdleTimeout    time.Duration // idle keep-alive connections of clients; default 75s
	Streams        int           // of one HTTP/2 connection at a time; default 250
	BodyIdle       time.Duration // time between two pieces of a request body; default 60s
	Held           int           // requests waiting for an instance, per gateway; default 4096
	HoldTime       time.Duration // how long one waits; default 10s
	ConnectTimeout time.Duration // one connect; default 2s
	ConnectRetry   time.Duration // how long a request is tried again when every connect fails; default 1s
	PoolIdle       time.Duration // idle connections to an instance; default 4s, below the 5s of common servers
	PoolSize       int           // idle connections kept per instance; default 512
	LameDuck       time.Duration // from the end of accepting to the close of idle connections; default 500ms
	Shutdown       time.Duration // what requests in flight may take at least when Serve ends, and streams at most; default 30s
}

const (
	defaultTimeout       = 60 * time.Second
	defaultMaxBody       = 64 << 20
	defaultStreamTimeout = 5 * time.Minute
)

func (o Options) withDefaults() Options {
	if o.Unit == "" {
		o.Unit = "local"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	l := &o.Limits
	or(&l.HeaderBytes, 64<<10)
	or(&l.HeaderTimeout, 10*time.Second)
	or(&l.IdleTimeout, 75*time.Second)
	or(&l.BodyIdle, 60*time.Second)
	or(&l.Streams, 250)
	or(&l.Held, 4096)
	or(&l.HoldTime, 10*time.Second)
	or(&l.ConnectTimeout, 2*time.Second)
	or(&l.ConnectRetry, time.Second)
	or(&l.PoolIdle, 4*time.Second)
	or(&l.PoolSize, 512)
	or(&l.LameDuck, 500*time.Millisecond)
	or(&l.Shutdown, 30*time.Second)
	return o
}

func or[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
