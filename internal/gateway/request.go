package gateway

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// appendRequest writes the head of the request as the instance is to see it, for an HTTP/1.1 connection.
func (x *exchange) appendRequest(b []byte, upgrade string) []byte {
	r := x.r
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, x.target()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	hop := ""
	for _, v := range r.Header["Connection"] {
		hop += "," + v
	}
	trusted := x.fromTrusted()
	for k, vs := range r.Header {
		if hopByHop(k) || k == "Content-Length" || x.replaced(k, trusted) || hop != "" && hasToken(hop, k) {
			continue
		}
		for _, v := range vs {
			b = appendField(b, k, v)
		}
	}
	b = x.appendForwarded(b, trusted)
	if upgrade != "" {
		b = append(b, "Connection: Upgrade\r\n"...)
		b = appendField(b, "Upgrade", upgrade)
	} else if hasToken(r.Header.Get("Te"), "trailers") {
		b = append(b, "Te: trailers\r\nConnection: TE\r\n"...)
	}
	return append(x.appendFraming(b), "\r\n"...)
}

// appendFraming says how the body is delimited.
func (x *exchange) appendFraming(b []byte) []byte {
	switch n := x.r.ContentLength; {
	case x.body.kind != noBody && n < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(x.r.Trailer) > 0 {
			b = append(b, "Trailer: "...)
			for k := range x.r.Trailer {
				b = append(append(b, k...), ',')
			}
			b = append(b[:len(b)-1], "\r\n"...)
		}
	case x.body.kind != noBody || x.r.Method == "POST" || x.r.Method == "PUT" || x.r.Method == "PATCH":
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, max(n, 0), 10)
		b = append(b, "\r\n"...)
	}
	return b
}

func appendField(b []byte, k, v string) []byte {
	b = append(b, k...)
	b = append(b, ": "...)
	b = append(b, v...)
	return append(b, "\r\n"...)
}

// target is the request target in origin form, as the client wrote it but for a stripped prefix.
func (x *exchange) target() string {
	r := x.r
	t := r.RequestURI
	if t == "*" {
		return t
	}
	if t == "" || t[0] != '/' {
		t = r.URL.RequestURI() // absolute form
	}
	if x.rt.strip && x.rt.prefix != "" {
		t = stripPrefix(t, r.URL.Path, x.rt.prefix)
	}
	return t
}

// stripPrefix takes a matched prefix off a target. decoded is the target's path without escapes; it is used when the
// target spells its prefix in another way, or goes up and down in the tree.
func stripPrefix(target, decoded, prefix string) string {
	p, query := target, ""
	if i := strings.IndexByte(target, '?'); i >= 0 {
		p, query = target[:i], target[i:]
	}
	if hasPrefix(p, prefix) && !strings.Contains(decoded, "/.") {
		p = p[len(prefix):]
	} else {
		u := url.URL{Path: strings.TrimPrefix(path.Clean(decoded), prefix)}
		p = u.EscapedPath()
	}
	if p == "" {
		p = "/"
	}
	return p + query
}

// replaced reports whether a field of the client is not passed on because the gateway sets it, or because only a
// trusted peer may.
func (x *exchange) replaced(key string, trusted bool) bool {
	switch key {
	case "X-Forwarded-For", "X-Request-Id", "Host", callerHeader:
		return true
	case "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip":
		return !trusted
	}
	return !trusted && strings.HasPrefix(key, "X-Forwarded-")
}

// appendForwarded says who asked, how, and by which id the request can be found again.
func (x *exchange) appendForwarded(b []byte, trusted bool) []byte {
	r := x.r
	b = append(b, "X-Forwarded-For: "...)
	if trusted {
		for _, v := range r.Header["X-Forwarded-For"] {
			b = append(append(b, v...), ", "...)
		}
	}
	b = append(append(b, peerHost(r.RemoteAddr)...), "\r\n"...)
	if !trusted || r.Header["X-Forwarded-Host"] == nil {
		b = appendField(b, "X-Forwarded-Host", r.Host)
	}
	if !trusted || r.Header["X-Forwarded-Proto"] == nil {
		b = appendField(b, "X-Forwarded-Proto", x.scheme())
	}
	b = append(b, "X-Request-Id: "...)
	b = x.appendRequestID(b)
	return append(b, "\r\n"...)
}

func (x *exchange) scheme() string {
	if x.r.TLS != nil {
		return "https"
	}
	return "http"
}

// appendID writes a new request id, which need not be secret.
func appendID(b []byte) []byte {
	const digits = "0123456789abcdef"
	for range 2 {
		n := rand.Uint64()
		for i := 60; i >= 0; i -= 4 {
			b = append(b, digits[n>>i&15])
		}
	}
	return b
}

// peerHost is the address of the peer without its port.
func peerHost(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

func (x *exchange) fromTrusted() bool {
	if len(x.g.trusted) == 0 {
		return false
	}
	ap, err := netip.ParseAddrPort(x.r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range x.g.trusted {
		if p.Contains(ap.Addr().Unmap()) {
			return true
		}
	}
	return false
}
