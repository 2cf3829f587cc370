package health

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
)

// reader reads JSON as it must be written. encoding/json alone takes names in any case, the last of two equal
// names, and 0 for what is left out; where a number left out could pass a release, that is not strict enough.
type reader struct {
	data []byte
	dec  *json.Decoder
}

// field reads the value of one name; path is for messages.
type field func(path string) error

func newReader(data []byte) *reader {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return &reader{data: data, dec: dec}
}

// object reads an object of the given fields, each at most once.
func (r *reader) object(path string, fields map[string]field) error {
	given, err := r.optional(path, fields)
	if err == nil && !given {
		return r.fault(path, "null", "an object")
	}
	return err
}

// optional is object, or null, for which given is false.
func (r *reader) optional(path string, fields map[string]field) (given bool, err error) {
	token, err := r.token(path)
	if err != nil || token == nil {
		return false, err
	}
	if token != json.Delim('{') {
		return false, r.fault(path, show(token), "an object")
	}
	return true, r.inside(path, fields)
}

// inside is object when its brace was read already.
func (r *reader) inside(path string, fields map[string]field) error {
	seen := map[string]bool{}
	for r.dec.More() {
		token, err := r.token(path)
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return r.fault(path, show(token), "a field name")
		}
		read, at := fields[name], join(path, name)
		if read == nil {
			return errs.E(errs.Invalid, "line %d: %s: there is no such field", r.line(), at)
		}
		if seen[name] {
			return errs.E(errs.Invalid, "line %d: %s: given twice", r.line(), at)
		}
		seen[name] = true
		if err := read(at); err != nil {
			return err
		}
	}
	_, err := r.token(path) // the closing brace
	return err
}

// array reads a list of at most limit elements.
func (r *reader) array(path string, limit int, element field) error {
	given, err := r.list(path, limit, element)
	if err == nil && !given {
		return r.fault(path, "null", "a list")
	}
	return err
}

// list is array, or null, for which given is false.
func (r *reader) list(path string, limit int, element field) (given bool, err error) {
	token, err := r.token(path)
	if err != nil || token == nil {
		return false, err
	}
	if token != json.Delim('[') {
		return false, r.fault(path, show(token), "a list")
	}
	for i := 0; r.dec.More(); i++ {
		if i == limit {
			return true, errs.E(errs.Invalid, "line %d: %s: expected at most %d", r.line(), path, limit)
		}
		if err := element(path + "[" + strconv.Itoa(i) + "]"); err != nil {
			return true, err
		}
	}
	_, err = r.token(path) // the closing bracket
	return true, err
}

// text, number and whole read one value; null leaves it as it is, and given is false.
func (r *reader) text(path string, to *string) (given bool, err error) {
	token, err := r.token(path)
	if err != nil || token == nil {
		return false, err
	}
	s, ok := token.(string)
	if !ok {
		return false, r.fault(path, show(token), "a string")
	}
	*to = s
	return true, nil
}

func (r *reader) number(path string, to *float64) (given bool, err error) {
	token, err := r.token(path)
	if err != nil || token == nil {
		return false, err
	}
	n, ok := token.(json.Number)
	if !ok {
		return false, r.fault(path, show(token), "a number")
	}
	v, err := n.Float64()
	if err != nil {
		return false, r.fault(path, show(token), "a number of ordinary size")
	}
	*to = v
	return true, nil
}

func (r *reader) whole(path string, to *int64) (given bool, err error) {
	token, err := r.token(path)
	if err != nil || token == nil {
		return false, err
	}
	n, ok := token.(json.Number)
	v, err := n.Int64()
	if !ok || err != nil {
		return false, r.fault(path, show(token), "a whole number from 0 to "+strconv.FormatInt(MaxCount, 10))
	}
	*to = v
	return true, nil
}

// end makes sure that nothing follows.
func (r *reader) end() error {
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return errs.E(errs.Invalid, "line %d: expected nothing after the case", r.line())
	}
	return nil
}

func (r *reader) token(path string) (json.Token, error) {
	token, err := r.dec.Token()
	switch {
	case err == nil:
		return token, nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errs.E(errs.Invalid, "line %d: %s: the JSON ends too early", r.line(), name(path))
	}
	return nil, errs.E(errs.Invalid, "line %d: %s: not JSON: %v", r.line(), name(path), err)
}

func (r *reader) fault(path, got, want string) error {
	return errs.E(errs.Invalid, "line %d: %s: got %s, expected %s", r.line(), name(path), got, want)
}

// line is where the reader is. It counts from the start, since it is asked for at most once.
func (r *reader) line() int {
	at := min(int(r.dec.InputOffset()), len(r.data))
	return 1 + bytes.Count(r.data[:at], []byte("\n"))
}

func name(path string) string {
	if path == "" {
		return "the case"
	}
	return path
}

func join(path, name string) string {
	name = strings.Trim(quoted(name), `"`)
	if path == "" {
		return name
	}
	return path + "." + name
}

func show(token json.Token) string {
	switch v := token.(type) {
	case nil:
		return "null"
	case json.Delim:
		return map[json.Delim]string{'{': "an object", '[': "a list"}[v]
	case string:
		return quoted(v)
	}
	return fmt.Sprint(token)
}

// quoted keeps what strangers wrote short and printable.
func quoted(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(s)
}
