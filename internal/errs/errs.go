package errs

import (
	"errors"
	"fmt"
)

// Kind says what sort of trouble an error is, so that an edge can translate it once.
type Kind uint8

const (
	Internal    Kind = iota // a defect or an unforeseen failure; HTTP 500, exit 1
	Invalid                 // the input is wrong; HTTP 400 or 422, exit 2
	Denied                  // the caller may not do this; HTTP 403
	Conflict                // the state forbids this now; HTTP 409
	Missing                 // there is no such thing; HTTP 404
	Frozen                  // a freeze or a stop-the-line forbids it; HTTP 423
	Unavailable             // something needed does not answer, try again; HTTP 503
)

func (k Kind) String() string {
	return [...]string{"internal", "invalid", "denied", "conflict", "missing", "frozen", "unavailable"}[k]
}

// Error carries a kind, a message for people and, when there is one, the next thing to do.
type Error struct {
	Kind Kind
	Msg  string
	Hint string
	err  error
}

func (e *Error) Error() string {
	if e.err != nil {
		return e.Msg + ": " + e.err.Error()
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.err }

// E makes an error of kind k. The message says what is wrong and what was expected.
func E(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an error of kind k around err.
func Wrap(k Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...), err: err}
}

// Next adds what to do about the error, in one imperative sentence.
func (e *Error) Next(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// KindOf returns the kind of the first Error in err's chain, Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// HintOf returns the hint of the first Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.err
	}
	return ""
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
