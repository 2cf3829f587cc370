package openfeature

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
)

// envoy stands in for the proxy that the testbed has beside its server: one port forwards by the name that was asked for, the other forbids everything.
type envoy struct{ port, forbidden int }

func newEnvoy(t *testing.T, l *launchpad) envoy {
	t.Helper()
	clear := new(http.Protocols)
	clear.SetUnencryptedHTTP2(true)
	forward := &httputil.ReverseProxy{
		Transport:     &http.Transport{Protocols: clear},
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			port := l.ports[0]
			if strings.Contains(r.In.Host, "sync") {
				port = l.ports[2]
			}
			r.Out.URL.Scheme, r.Out.URL.Host = "http", fmt.Sprintf("127.0.0.1:%d", port)
		},
		ErrorLog:     log.New(io.Discard, "", 0), // the server goes away on purpose
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusServiceUnavailable) },
	}
	listen := func(h http.Handler) int {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		server := &http.Server{Handler: h, Protocols: protocols}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
		return listener.Addr().(*net.TCPAddr).Port
	}
	return envoy{
		port: listen(forward),
		forbidden: listen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "PERMISSION_DENIED", http.StatusForbidden)
		})),
	}
}
