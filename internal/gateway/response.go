package gateway

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxResponseHeader bounds the header of a response, its trailers, and the number of lines in either.
const (
	maxResponseHeader = 256 << 10
	maxHeaderLines    = 1000
)

var (
	errMalformed   = errors.New("malformed response")
	errHeaderLarge = errors.New("response header too large")
)

// response is the head of an HTTP/1 response. What a lenient reading could take in two ways is refused.
type response struct {
	code     int
	reason   string
	fields   []field
	length   int64 // -1: unknown
	chunked  bool
	close    bool // the connection ends with this response
	noLength bool // neither length nor chunks are stated
	hop      string
	upgrade  string
}

type field struct{ key, value string }

// readHead reads a head into h; buf is scratch space. An error with nothing read is io.EOF or the network's.
func readHead(br *bufio.Reader, buf []byte, h *response) ([]byte, error) {
	buf, err := readBlock(br, buf[:0])
	if err != nil {
		return buf, err
	}
	return buf, h.parse(string(buf))
}

// readBlock reads lines up to and with an empty one.
func readBlock(br *bufio.Reader, buf []byte) ([]byte, error) {
	line := 0 // where the current line begins
	for {
		part, err := br.ReadSlice('\n')
		buf = append(buf, part...)
		if len(buf) > maxResponseHeader {
			return buf, errHeaderLarge
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			if err == io.EOF && len(buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return buf, err
		}
		if n := len(buf) - line; n == 1 || n == 2 && buf[line] == '\r' {
			return buf, nil
		}
		line = len(buf)
	}
}

// parse reads a whole head, whose strings the fields share.
func (h *response) parse(s string) error {
	*h = response{fields: h.fields[:0], length: -1}
	line, s := cutLine(s)
	// "HTTP/1.1 200 OK"
	if len(line) < 12 || line[:7] != "HTTP/1." || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || !validValue(line) {
		return errMalformed
	}
	for _, d := range []byte(line[9:12]) {
		if d < '0' || d > '9' {
			return errMalformed
		}
		h.code = 10*h.code + int(d-'0')
	}
	if h.code < 100 {
		return errMalformed
	}
	if len(line) > 13 {
		h.reason = line[13:]
	}
	old := line[7] == '0'
	fields, err := parseFields(h.fields, s)
	if h.fields = fields; err != nil {
		return err
	}
	return h.frame(old)
}

// frame reads from the fields how the response is delimited.
func (h *response) frame(http10 bool) error {
	keepAlive := false
	for i := range h.fields {
		f := &h.fields[i]
		switch f.key {
		case "Content-Length":
			n, err := strconv.ParseUint(f.value, 10, 63)
			if err != nil || f.value[0] == '+' || h.length >= 0 && h.length != int64(n) {
				return errMalformed
			}
			h.length = int64(n)
		case "Transfer-Encoding":
			if h.chunked || http10 || !strings.EqualFold(f.value, "chunked") {
				return errMalformed
			}
			h.chunked = true
		case "Connection":
			h.hop += "," + f.value
			h.close = h.close || hasToken(f.value, "close")
			keepAlive = keepAlive || hasToken(f.value, "keep-alive")
		case "Upgrade":
			h.upgrade = f.value
		}
	}
	if h.chunked && h.length >= 0 { // chunks win, and the connection is not trusted further
		h.length, h.close = -1, true
	}
	if http10 && !keepAlive {
		h.close = true
	}
	h.noLength = h.length < 0 && !h.chunked
	return nil
}

// parseFields appends the fields of lines up to the empty one to fs.
func parseFields(fs []field, s string) ([]field, error) {
	for s != "" {
		var line string
		line, s = cutLine(s)
		if line == "" {
			return fs, nil
		}
		colon := strings.IndexByte(line, ':')
		if colon <= 0 || !validName(line[:colon]) || len(fs) >= maxHeaderLines {
			return fs, errMalformed // also a line that is folded onto the one before
		}
		value := trimSpace(line[colon+1:])
		if !validValue(value) {
			return fs, errMalformed
		}
		fs = append(fs, field{http.CanonicalHeaderKey(line[:colon]), value})
	}
	return fs, nil
}

func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return s, ""
	}
	line, rest = s[:i], s[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// trimSpace takes off what a field's value may be surrounded by, which is less than what Go calls space.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// tokenChar holds the characters of a field name.
var tokenChar = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()

func validName(s string) bool {
	for i := range len(s) {
		if !tokenChar[s[i]] {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hasToken reports whether a comma-separated list has a token, whatever its case.
func hasToken(list, token string) bool {
	for list != "" {
		var t string
		t, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(trimSpace(t), token) {
			return true
		}
	}
	return false
}

// header puts the fields that concern the client into dst.
func (h *response) header(dst http.Header) {
	values := make([]string, len(h.fields))
	for i := range h.fields {
		f := &h.fields[i]
		if hopByHop(f.key) || h.hop != "" && hasToken(h.hop, f.key) {
			continue
		}
		if f.key == "Content-Length" {
			if h.chunked || len(dst[f.key]) > 0 {
				continue
			}
		}
		if vs := dst[f.key]; vs != nil {
			dst[f.key] = append(vs, f.value)
			continue
		}
		values[i] = f.value
		dst[f.key] = values[i : i+1 : i+1]
	}
	if _, ok := dst["Content-Type"]; !ok {
		dst["Content-Type"] = nil // net/http is not to guess one
	}
}

// hopByHop reports whether a field, by canonical name, concerns one connection only.
func hopByHop(key string) bool {
	switch key {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}
