package ofrep

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

const tokenField = "targetingToken"

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

func tooLarge() *flaggate.Refusal {
	return &flaggate.Refusal{Status: http.StatusRequestEntityTooLarge, Code: flaggate.InvalidContext, Details: "the request is too large"}
}

func malformed(code flag.Code, details string) *flaggate.Refusal {
	return &flaggate.Refusal{Status: http.StatusBadRequest, Code: code, Details: details}
}

// read reads the body.
func (a *asked) read(r *http.Request, limit int64) *flaggate.Refusal {
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
			return malformed(flag.ParseError, "the request broke off")
		}
	}
}

// parse reads {"context": {…}}. What else stands in the body is for others.
func (a *asked) parse(body string) *flaggate.Refusal {
	r := reader{text: body}
	if r.next() == 0 && r.at == len(body) {
		return nil
	}
	var wrong *flaggate.Refusal
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
		wrong = malformed(flaggate.InvalidContext, "the context is not an object")
		_, err := r.value(1)
		return err
	})
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return malformed(flag.ParseError, "the body is "+err.Error())
	}
	return wrong
}

func (a *asked) attribute(name string, v any) *flaggate.Refusal {
	switch name {
	case flaggate.TargetingKey:
		text, ok := v.(string)
		if !ok && v != nil {
			return malformed(flaggate.InvalidContext, "targetingKey is not text")
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
