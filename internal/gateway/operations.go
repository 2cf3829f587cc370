package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/fleet"
)

// operation is one that requests are counted for.
type operation struct {
	name       string
	deprecated []string // what its answers say of it (RFC 9745, RFC 8594); nil when it is not deprecated
	sunset     []string
}

// What requests are counted for that no interface names: of a version without one, and of one with.
var (
	anyOperation   = &operation{}
	otherOperation = &operation{name: "other"}
)

// operations finds a version's operation of a request.
type operations struct {
	all    []fleet.Operation
	exact  map[string]*operation // by a path without parameters, such as one of gRPC
	byVerb map[string]*segment
}

// segment is a part of templates of paths.
type segment struct {
	literal map[string]*segment
	param   *segment
	op      *operation
}

func newOperations(all []fleet.Operation) *operations {
	o := &operations{all: all, exact: map[string]*operation{}, byVerb: map[string]*segment{}}
	for _, a := range all {
		op := &operation{name: a.Name}
		if !a.Deprecated.IsZero() {
			op.deprecated = []string{"@" + strconv.FormatInt(a.Deprecated.Unix(), 10)}
		}
		if !a.Sunset.IsZero() {
			op.sunset = []string{a.Sunset.UTC().Format(http.TimeFormat)}
		}
		verb, path, ok := strings.Cut(a.Name, " ")
		if !ok {
			o.exact["/"+a.Name] = op
			continue
		}
		at := o.byVerb[verb]
		if at == nil {
			at = new(segment)
			o.byVerb[verb] = at
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
			at = at.next(part)
		}
		at.op = op
	}
	return o
}

// next is the segment below, made when it is not there.
func (s *segment) next(part string) *segment {
	if strings.Contains(part, "{") {
		if s.param == nil {
			s.param = new(segment)
		}
		return s.param
	}
	if s.literal == nil {
		s.literal = map[string]*segment{}
	}
	if s.literal[part] == nil {
		s.literal[part] = new(segment)
	}
	return s.literal[part]
}

// find is the operation of a path; what is literal comes before what is a parameter.
func (s *segment) find(path string) *operation {
	part, rest, more := strings.Cut(path, "/")
	for _, below := range [2]*segment{s.literal[part], s.param} {
		if below == nil || below == s.param && part == "" {
			continue
		}
		if !more {
			if below.op != nil {
				return below.op
			}
			continue
		}
		if op := below.find(rest); op != nil {
			return op
		}
	}
	return nil
}

// of finds the operation of a request whose path is as the service sees it.
func (o *operations) of(method, path string) *operation {
	if len(o.all) == 0 {
		return anyOperation
	}
	if op := o.exact[path]; op != nil {
		return op
	}
	if len(path) > 0 && path[0] == '/' {
		if s := o.byVerb[method]; s != nil {
			if op := s.find(path[1:]); op != nil {
				return op
			}
		}
		if method == http.MethodHead {
			return o.of(http.MethodGet, path)
		}
	}
	return otherOperation
}

// deprecated says in the answer that its operation shall be left, unless the service says so itself.
func (x *exchange) deprecated(dst http.Header) {
	if x.last == nil || x.last.calls == nil {
		return
	}
	op := x.operation()
	if op.deprecated != nil && dst["Deprecation"] == nil {
		dst["Deprecation"] = op.deprecated
	}
	if op.sunset != nil && dst["Sunset"] == nil {
		dst["Sunset"] = op.sunset
	}
}

// operation is what the request is for.
func (x *exchange) operation() *operation {
	path := x.r.URL.Path
	if x.rt.strip && x.rt.prefix != "" && strings.HasPrefix(path, x.rt.prefix) {
		path = path[len(x.rt.prefix):]
	}
	return x.last.calls.operations.Load().of(x.r.Method, path)
}
