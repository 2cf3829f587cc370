package flagd

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/flaggate"
)

// question is a request for one flag, of either version.
type question interface {
	GetFlagKey() string
	GetContext() *structpb.Struct
}

// reply is what all answers have.
type reply struct {
	flag.Result
	metadata *structpb.Struct
}

// text is a field that the answers of version 2 may lack.
func (r reply) variant() *string {
	if !r.HasValue() {
		return nil
	}
	return &r.Variant
}

// answer evaluates one flag.
func (s *Service) answer(ctx context.Context, h http.Header, q question, want flag.Type) (reply, error) {
	c, err := s.enter(ctx, h, "")
	if err != nil {
		return reply{}, err
	}
	about, err := s.about(ctx, h, c.client, q.GetContext())
	if err != nil {
		return reply{}, err
	}
	if s.o.Asked != nil {
		s.o.Asked(c.client.Environment, q.GetFlagKey())
	}
	r := c.view.EvaluateAs(q.GetFlagKey(), want, about)
	if r.Code != "" {
		return reply{}, failed(r, c.client.Scope == flag.Browser)
	}
	return reply{Result: r, metadata: structOf(r.Metadata)}, nil
}

// about is the context that a request came with, and what the server knows.
func (s *Service) about(ctx context.Context, h http.Header, c flag.Client, sent *structpb.Struct) (*exposure.Context, error) {
	attributes := sent.AsMap()
	about := &exposure.Context{Attributes: attributes}
	about.TargetingKey, _ = attributes[flaggate.TargetingKey].(string)
	token, _ := attributes["targetingToken"].(string)
	delete(attributes, flaggate.TargetingKey)
	if bad := s.gate.User(ctx, h, c, about, token); bad != nil {
		return nil, refused(bad)
	}
	return about, nil
}

// failed is a flag's error in flagd's codes. Browsers are not told what stands in a definition.
func failed(r flag.Result, browser bool) error {
	code, plain := connect.CodeUnknown, "the rule chose no variant"
	switch r.Code {
	case flag.NotFound:
		code, plain = connect.CodeNotFound, r.Details
	case flag.TypeMismatch:
		code, plain = connect.CodeInvalidArgument, "the flag is of another type"
	case flag.ParseError:
		code, plain = connect.CodeDataLoss, "the flag cannot be evaluated"
	}
	if !browser {
		plain = r.Details
	}
	return connect.NewError(code, errors.New(string(r.Code)+": "+plain))
}

// structOf is what was read from JSON. What JSON cannot say is not in there.
func structOf(m map[string]any) *structpb.Struct {
	s, err := structpb.NewStruct(m)
	if err != nil {
		return &structpb.Struct{}
	}
	return s
}
