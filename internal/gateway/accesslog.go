package gateway

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringfence/ringfence/internal/strict"
)

// AccessLog takes a line of JSON for each request, or for some.
type AccessLog struct {
	// Write takes a line with its end, which it must not keep. It must not wait.
	Write func(line []byte)
	// Sample is the share of the requests that is written, above 0 and at most 1; failed and refused ones always are. 0 means all.
	Sample float64
}

// maxLogged bounds what of a client's text a line holds.
const maxLogged = 300

// accessed is what a line says besides what the exchange knows anyway.
type accessed struct {
	id       [32]byte // of the request, when it is the gateway's own
	own      bool
	tries    int
	in, out  int64     // bytes of bodies
	sent     time.Time // when the last try began
	answered time.Time // when the head of its answer was there
	instance string
}

// appendRequestID writes the client's, or one that is made once for all tries.
func (x *exchange) appendRequestID(b []byte) []byte {
	if id := x.r.Header["X-Request-Id"]; len(id) > 0 && id[0] != "" && len(id[0]) <= 128 {
		return append(b, id[0]...)
	}
	if !x.log.own {
		x.log.own = true
		appendID(x.log.id[:0])
	}
	return append(b, x.log.id[:]...)
}

// access writes the exchange's line. Values of the query and of headers are left out, as they may be secrets.
func (x *exchange) access() {
	a := x.g.opts.Access
	if a.Write == nil || x.code == 0 {
		return
	}
	failed := x.code >= 500 || x.cut || x.failure != ""
	if !failed && a.Sample > 0 && a.Sample < 1 && rand.Float64() >= a.Sample {
		return
	}
	buf := buffers.Get().(*[32 << 10]byte)
	b := x.appendAccess(buf[:0], failed, a.Sample)
	a.Write(b)
	buffers.Put(buf)
}

func (x *exchange) appendAccess(b []byte, failed bool, sample float64) []byte {
	r, now := x.r, time.Now()
	b = append(b, `{"time":"`...)
	b = x.start.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","id":`...)
	var id [128]byte
	b = appendJSON(b, string(x.appendRequestID(id[:0])))
	if x.last != nil {
		k := x.last.series.key
		b = appendText(b, "service", k.service)
		b = appendText(b, "version", k.version)
		b = appendText(b, "ring", k.ring)
	} else if x.rt != nil {
		b = appendText(b, "service", x.rt.service)
	}
	b = appendText(b, "instance", x.log.instance)
	b = appendText(b, "peer", peerHost(r.RemoteAddr))
	b = appendText(b, "protocol", r.Proto)
	b = appendText(b, "method", r.Method)
	b = appendText(b, "host", r.Host)
	b = appendText(b, "path", r.URL.Path)
	if r.URL.RawQuery != "" {
		b = append(b, `,"query":`...)
		var names [maxLogged]byte
		b = appendJSON(b, string(appendQueryNames(names[:0], r.URL.RawQuery)))
	}
	b = appendText(b, "agent", r.Header.Get("User-Agent"))
	b = appendNumber(b, "status", int64(x.code))
	b = appendNumber(b, "bytes_in", x.log.in)
	b = appendNumber(b, "bytes_out", x.log.out)
	b = appendMillis(b, "ms", now.Sub(x.start))
	if !x.log.answered.IsZero() {
		b = appendMillis(b, "upstream_ms", x.log.answered.Sub(x.log.sent))
	}
	b = appendNumber(b, "tries", int64(x.log.tries))
	if parent := r.Header["Traceparent"]; len(parent) > 0 {
		trace, _ := traceOf(parent[0])
		b = appendText(b, "trace", trace)
	}
	b = appendText(b, "failure", x.failure)
	if x.stream != nil {
		b = append(b, `,"stream":true`...)
	}
	if x.cut {
		b = append(b, `,"cut":true`...)
	}
	if !failed && sample > 0 && sample < 1 {
		b = append(b, `,"sample":`...)
		b = strconv.AppendFloat(b, sample, 'g', -1, 64)
	}
	return append(b, "}\n"...)
}

// accessRefused writes a line for what no request could be made of.
func (g *Gateway) accessRefused(peer net.Addr, v *strict.Violation) {
	if g.opts.Access.Write == nil {
		return
	}
	b := append(make([]byte, 0, 256), `{"time":"`...)
	b = time.Now().UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '"')
	b = appendText(b, "peer", peerHost(peer.String()))
	b = appendNumber(b, "status", int64(v.Status))
	b = appendText(b, "refused", v.Reason)
	g.opts.Access.Write(append(b, "}\n"...))
}

// appendQueryNames writes a query without its values, about as much as is shown of it.
func appendQueryNames(b []byte, q string) []byte {
	for q != "" && len(b) < maxLogged {
		var part string
		part, q, _ = strings.Cut(q, "&")
		name, _, valued := strings.Cut(part, "=")
		if !valued { // it may be a secret by itself
			name = ""
		}
		if len(b) > 0 {
			b = append(b, '&')
		}
		b = append(append(b, name...), "=-"...)
	}
	return b
}

func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendJSON(b, value)
}

func appendNumber(b []byte, name string, n int64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, n, 10)
}

func appendMillis(b []byte, name string, d time.Duration) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// appendJSON writes text as a string of JSON, at most maxLogged bytes of it.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	cut := len(s) > maxLogged
	if cut {
		s = s[:maxLogged]
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r) // what is no UTF-8 becomes the sign for that
			i += n
		}
	}
	if cut {
		b = append(b, "…"...)
	}
	return append(b, '"')
}
