package strict

import "bytes"

// The limits of a head besides its bytes, and of what comes with chunks.
const (
	maxLines     = 1000
	maxExtension = 256     // bytes of a chunk's extension
	maxExtras    = 8 << 10 // bytes of all extensions of a body
	maxTrailers  = 100
)

type state uint8

const (
	startLine state = iota
	fields
	body       // left bytes by Content-Length
	size       // of a chunk
	extension  // of a chunk
	sizeEnd    // the line feed after a chunk's size
	data       // left bytes of a chunk
	dataEnd    // the carriage return after a chunk
	dataEndEnd // the line feed
	trailers
	opaque // another protocol follows, or nothing
)

// Requests follows the requests of one HTTP/1 connection. The zero value, with Head set, is ready.
type Requests struct {
	Head int // the largest head, in bytes

	state  state
	err    *Violation
	began  bool   // a first request line was seen
	line   []byte // of a line, what came before
	seen   int    // bytes of this head
	lines  int
	left   int64
	digits int
	extras int

	http10, chunked, hosted, connect bool
	length                           int64 // -1: not given
	upgrade, upgrading               bool
	authority                        []byte // of a target in absolute form
}

// Idle reports whether the connection is between two requests.
func (s *Requests) Idle() bool { return s.state == startLine && s.seen == 0 }

// InBody reports whether a violation was in a body, whose request the server has then.
func (s *Requests) InBody() bool { return s.state > fields && s.state < opaque }

// Scan takes the next bytes and returns how many of them may be passed on, and why not all. It keeps nothing of p.
func (s *Requests) Scan(p []byte) (int, *Violation) {
	if s.err != nil {
		return 0, s.err
	}
	for i := 0; i < len(p); {
		var n int
		switch s.state {
		case body, data:
			n = int(min(int64(len(p)-i), s.left))
			s.left -= int64(n)
			switch {
			case s.left > 0:
			case s.state == body:
				s.next()
			default:
				s.state = dataEnd
			}
		case size, extension, sizeEnd, dataEnd, dataEndEnd:
			n, s.err = s.chunk(p[i:])
		case opaque:
			if s.connect {
				s.err = afterLast
				return i, s.err
			}
			return len(p), nil
		default:
			n, s.err = s.read(p[i:])
		}
		if i += n; s.err != nil {
			return i, s.err
		}
	}
	return len(p), nil
}

// next begins a new request.
func (s *Requests) next() {
	s.state, s.seen, s.lines, s.line = startLine, 0, 0, s.line[:0]
}

// read takes one line, or what there is of it. On a violation it takes nothing.
func (s *Requests) read(p []byte) (int, *Violation) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		if s.seen += len(p); s.seen > s.Head {
			return 0, headTooLarge
		}
		if s.state == startLine && !s.began && !plausible(s.line, p) {
			return 0, notHTTP
		}
		s.line = append(s.line, p...)
		return len(p), nil
	}
	if s.seen += i + 1; s.seen > s.Head {
		return 0, headTooLarge
	}
	line := p[:i]
	if len(s.line) > 0 {
		s.line = append(s.line, line...)
		line = s.line
	}
	n := len(line)
	if n == 0 || line[n-1] != '\r' {
		if s.state == startLine && !s.began && !bytes.Contains(line, []byte(" HTTP/")) {
			return 0, notHTTP
		}
		return 0, bareLF
	}
	v := s.take(line[:n-1])
	s.line = s.line[:0]
	if cap(s.line) > 4096 {
		s.line = nil
	}
	if v != nil {
		return 0, v
	}
	return i + 1, nil
}

// plausible reports whether what begins a connection may become a request line: TLS, for one, may not.
func plausible(before, p []byte) bool {
	if len(before) > 0 || len(p) == 0 {
		return true
	}
	return class[p[0]]&token != 0 || p[0] == '\r'
}

func (s *Requests) take(line []byte) *Violation {
	switch {
	case s.state == startLine:
		return s.takeStart(line)
	case len(line) == 0:
		return s.end()
	}
	if s.lines++; s.lines > maxLines {
		return headTooLarge
	}
	if line[0] == ' ' || line[0] == '\t' {
		return folded
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return badName
	}
	name, value := line[:colon], trim(line[colon+1:])
	for _, c := range name {
		if class[c]&token == 0 {
			return badName
		}
		if c == '_' {
			return underscore
		}
	}
	for _, c := range value {
		if class[c]&text == 0 {
			if c == '\r' {
				return bareCR
			}
			return control
		}
	}
	if s.state == trailers {
		return s.trailer(name)
	}
	return s.field(name, value)
}

func (s *Requests) takeStart(line []byte) *Violation {
	first := !s.began
	if len(line) == 0 {
		return emptyLine
	}
	a := bytes.IndexByte(line, ' ')
	z := bytes.LastIndexByte(line, ' ')
	version := line[z+1:]
	if first && (len(version) < 5 || string(version[:5]) != "HTTP/") {
		return notHTTP
	}
	s.began = true
	if a <= 0 || a == z || !all(line[:a], token) || string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		return requestLine
	}
	method, t := line[:a], line[a+1:z]
	s.http10 = version[7] == '0'
	s.connect = string(method) == "CONNECT"
	s.chunked, s.hosted, s.upgrade, s.upgrading, s.length, s.authority = false, false, false, false, -1, nil
	s.state = fields
	switch {
	case len(t) == 0:
		return requestLine
	case s.connect:
		if !all(t, target) || !Host(t) {
			return badTarget
		}
	case t[0] == '/':
		return Target(t)
	case len(t) == 1 && t[0] == '*':
		if string(method) != "OPTIONS" {
			return badTarget
		}
	default:
		return s.absolute(t)
	}
	return nil
}

// absolute reads a target that is a URL.
func (s *Requests) absolute(t []byte) *Violation {
	i := bytes.Index(t, []byte("://"))
	if i < 0 || !equal(t[:i], "http") && !equal(t[:i], "https") {
		return badTarget
	}
	rest := t[i+3:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if !Host(rest[:end]) {
		return badTarget
	}
	s.authority = bytes.Clone(rest[:end])
	return Target(rest[end:])
}

func (s *Requests) field(name, value []byte) *Violation {
	switch len(name) {
	case 4:
		if equal(name, "host") {
			if s.hosted || !Host(value) {
				return badHost
			}
			s.hosted = true
			if s.authority != nil && !equal(value, string(bytes.ToLower(s.authority))) {
				return hostMismatch
			}
		}
	case 7:
		if equal(name, "upgrade") {
			s.upgrade = s.upgrade || !listed(value, "h2c")
		}
	case 10:
		if equal(name, "connection") {
			s.upgrading = s.upgrading || listed(value, "upgrade")
			if listed(value, "host") || listed(value, "content-length") || listed(value, "transfer-encoding") || listed(value, "cookie") || listed(value, "authorization") {
				return emptyConnName
			}
		}
	case 14:
		if equal(name, "content-length") {
			return s.takeLength(value)
		}
	case 17:
		if equal(name, "transfer-encoding") {
			return s.takeCoding(value)
		}
	}
	return nil
}

func (s *Requests) takeLength(value []byte) *Violation {
	if s.length >= 0 || len(value) == 0 || len(value) > 18 {
		return badLength
	}
	s.length = 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return badLength
		}
		s.length = 10*s.length + int64(c-'0')
	}
	return nil
}

func (s *Requests) takeCoding(value []byte) *Violation {
	switch {
	case s.chunked || s.http10 || len(value) == 0:
		return badTE
	case equal(value, "chunked"):
		s.chunked = true
		return nil
	case all(bytes.ReplaceAll(value, []byte(", "), nil), token):
		return unknownTE
	}
	return badTE
}

// end is the empty line after the fields of a head or of a trailer.
func (s *Requests) end() *Violation {
	if s.state == trailers {
		s.next()
		return nil
	}
	switch {
	case !s.hosted && !s.http10:
		return badHost
	case s.chunked && s.length >= 0:
		return lengthAndTE
	}
	s.next()
	switch {
	case s.connect:
		s.state = opaque
	case s.chunked:
		s.state, s.left, s.digits, s.extras = size, 0, 0, 0
	case s.length > 0:
		s.state, s.left = body, s.length
	case s.upgrade && s.upgrading:
		s.state = opaque
	}
	return nil
}
