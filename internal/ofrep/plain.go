package ofrep

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"time"
)

// plainRequest is a request for one flag, within the buffer it was read into.
type plainRequest struct {
	key  string
	body []byte
	end  int // of the request in the buffer
}

// state is what a buffer holds.
type state uint8

const (
	foreign  state = iota // something that is for others
	part                  // perhaps a plain request, when more of it is there
	complete              // a plain request
)

var (
	start   = []byte("POST " + evaluatePath + "/")
	version = []byte(" HTTP/1.1\r\n")
	newline = []byte("\r\n")
)

// longest is the longest line of a request that is looked at.
const longest = 1200

// parse looks for a plain request. Whatever could be understood in two ways is foreign.
func (f *Front) parse(buf []byte, header http.Header) (r plainRequest, s state) {
	n := min(len(buf), len(start))
	if !bytes.Equal(buf[:n], start[:n]) {
		return r, foreign
	}
	if n < len(start) {
		return r, part
	}
	key := buf[n:]
	length := 0
	for length < len(key) && unreserved[key[length]] {
		length++
	}
	rest := key[length:]
	if n := min(len(rest), len(version)); length == 0 || length > longest || !bytes.Equal(rest[:n], version[:n]) {
		return r, foreign
	} else if n < len(version) {
		return r, part
	}
	rest = rest[len(version):]
	size, hosts := -1, 0
	for {
		line, more, found := bytes.Cut(rest, newline)
		if !found {
			if len(buf) > maxHeaders {
				return r, foreign
			}
			return r, part
		}
		rest = more
		if len(line) == 0 {
			break
		}
		if !f.line(line, header, &size, &hosts) {
			return r, foreign
		}
	}
	if size < 0 || int64(size) > f.h.o.MaxBody || hosts != 1 || len(buf)-len(rest) > maxHeaders {
		return r, foreign
	}
	if len(rest) < size {
		return r, part
	}
	return plainRequest{key: string(key[:length]), body: rest[:size], end: len(buf) - len(rest) + size}, complete
}

// ignored are headers that change nothing here. One that is not among them and does not matter to flags, either, is for others.
var ignored = map[string]bool{
	"accept": true, "accept-encoding": true, "accept-language": true, "content-type": true, "user-agent": true, "traceparent": true, "tracestate": true, "baggage": true,
	"cache-control": true, "pragma": true, "x-request-id": true, "x-forwarded-for": true, "x-forwarded-host": true, "x-forwarded-proto": true, "x-real-ip": true, "forwarded": true, "via": true,
	"b3": true, "x-b3-traceid": true, "x-b3-spanid": true, "x-b3-sampled": true, "sec-fetch-mode": true, "connect-protocol-version": true,
}

// line takes one header; false when it is not for plain requests.
func (f *Front) line(line []byte, header http.Header, size, hosts *int) bool {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || colon > 64 {
		return false
	}
	var small [64]byte
	for i, c := range line[:colon] {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		small[i] = c
	}
	value := line[colon+1:]
	for _, c := range value {
		if c < ' ' && c != '\t' || c > '~' {
			return false
		}
	}
	value = bytes.Trim(value, " \t")
	switch name := small[:colon]; string(name) {
	case "content-length":
		return number(value, size)
	case "host":
		*hosts++
		return len(value) > 0
	case "connection":
		return bytes.EqualFold(value, []byte("keep-alive"))
	default:
		if full, ok := f.relevant[string(name)]; ok {
			header.Add(full, string(value))
			return true
		}
		return ignored[string(name)]
	}
}

// number reads the one Content-Length that there may be.
func number(value []byte, size *int) bool {
	if *size >= 0 || len(value) == 0 || len(value) > 9 {
		return false
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	*size = n
	return true
}

// unreserved are bytes that stand for themselves in a path.
var unreserved = func() (set [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") {
		set[c] = true
	}
	return set
}()

// today is the Date of answers, made once a second.
var today atomic.Pointer[struct {
	second int64
	text   string
}]

func date() string {
	now := time.Now()
	if d := today.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := struct {
		second int64
		text   string
	}{now.Unix(), now.UTC().Format(http.TimeFormat)}
	today.Store(&d)
	return d.text
}
