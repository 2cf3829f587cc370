package ofrep

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
)

const (
	keyField   = "targetingKey"
	tokenField = "targetingToken"
)

// asked is a request that was read. It is used again for another when it was answered.
type asked struct {
	ctx   exposure.Context
	token string // targetingToken of the context
	body  []byte
	out   []byte
}

var pool = sync.Pool{New: func() any { return &asked{ctx: exposure.Context{Attributes: map[string]any{}}} }}

// largest is what is kept for the next request.
const largest = 1 << 20

func (a *asked) release() {
	if cap(a.body) > largest || cap(a.out) > largest || len(a.ctx.Attributes) > 1000 {
		return
	}
	clear(a.ctx.Attributes)
	a.ctx = exposure.Context{Attributes: a.ctx.Attributes}
	a.token, a.body, a.out = "", a.body[:0], a.out[:0]
	pool.Put(a)
}

// refusal is why a request is not answered.
type refusal struct {
	status  int
	code    flag.Code
	details string
	wait    time.Duration // until it makes sense to try again
}

// codes that only requests can have.
const invalidContext flag.Code = "INVALID_CONTEXT"

func tooLarge() *refusal {
	return &refusal{status: http.StatusRequestEntityTooLarge, code: invalidContext, details: "the request is too large"}
}

// read reads the body.
func (a *asked) read(r *http.Request, limit int64) *refusal {
	if r.ContentLength > limit {
		return tooLarge()
	}
	body := io.LimitReader(r.Body, limit+1)
	for {
		if len(a.body) == cap(a.body) {
			a.body = append(a.body, make([]byte, 512)...)[:len(a.body)]
		}
		n, err := body.Read(a.body[len(a.body):cap(a.body)])
		a.body = a.body[:len(a.body)+n]
		if int64(len(a.body)) > limit {
			return tooLarge()
		}
		var beyond *http.MaxBytesError
		switch {
		case err == io.EOF:
			return a.parse(string(a.body))
		case errors.As(err, &beyond):
			return tooLarge()
		case err != nil:
			return &refusal{status: http.StatusBadRequest, code: flag.ParseError, details: "the request broke off"}
		}
	}
}

// parse reads {"context": {…}}. What else stands in the body is for others.
func (a *asked) parse(body string) *refusal {
	r := reader{text: body}
	if r.next() == 0 && r.at == len(body) {
		return nil
	}
	var wrong *refusal
	err := r.object(0, func(name string) error {
		if name != "context" {
			_, err := r.value(1)
			return err
		}
		clear(a.ctx.Attributes)
		a.ctx.TargetingKey, a.token, wrong = "", "", nil
		switch r.next() {
		case 'n':
			return r.word("null")
		case '{':
			return r.object(1, func(name string) error {
				v, err := r.value(2)
				if bad := a.attribute(name, v); bad != nil {
					wrong = bad
				}
				return err
			})
		}
		wrong = &refusal{status: http.StatusBadRequest, code: invalidContext, details: "the context is not an object"}
		_, err := r.value(1)
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return &refusal{status: http.StatusBadRequest, code: flag.ParseError, details: "the body is " + err.Error()}
	}
	return wrong
}

func (a *asked) attribute(name string, v any) *refusal {
	switch name {
	case keyField:
		text, ok := v.(string)
		if !ok && v != nil {
			return &refusal{status: http.StatusBadRequest, code: invalidContext, details: "targetingKey is not text"}
		}
		a.ctx.TargetingKey = text
	case tokenField:
		if text, ok := v.(string); ok {
			a.token = text
			return nil
		}
		a.ctx.Attributes[name] = v
	default:
		a.ctx.Attributes[name] = v
	}
	return nil
}
