package flagd

import (
	"context"
	"errors"

	v1pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v1"
	"connectrpc.com/connect"

	"github.com/ringfence/ringfence/internal/flag"
)

// v1 is flagd.evaluation.v1, in which every answer has a value.
type v1 struct{ *Service }

// answer refuses what version 1 cannot say: that the flag leaves the choice to the caller's default.
func (s v1) answer(ctx context.Context, r connect.AnyRequest, q question, want flag.Type) (reply, error) {
	a, err := s.Service.answer(ctx, r.Header(), q, want)
	if err == nil && !a.HasValue() && a.Reason == flag.Default {
		err = connect.NewError(connect.CodeNotFound, errors.New(string(flag.NotFound)+": the flag has no default variant"))
	}
	return a, err
}

func valueOr[T any](a reply) T {
	v, _ := a.Value.(T)
	return v
}

func (s v1) ResolveBoolean(ctx context.Context, r *connect.Request[v1pb.ResolveBooleanRequest]) (*connect.Response[v1pb.ResolveBooleanResponse], error) {
	a, err := s.answer(ctx, r, r.Msg, flag.Boolean)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1pb.ResolveBooleanResponse{Value: valueOr[bool](a), Reason: string(a.Reason), Variant: a.Variant, Metadata: a.metadata}), nil
}

func (s v1) ResolveString(ctx context.Context, r *connect.Request[v1pb.ResolveStringRequest]) (*connect.Response[v1pb.ResolveStringResponse], error) {
	a, err := s.answer(ctx, r, r.Msg, flag.String)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1pb.ResolveStringResponse{Value: valueOr[string](a), Reason: string(a.Reason), Variant: a.Variant, Metadata: a.metadata}), nil
}

func (s v1) ResolveFloat(ctx context.Context, r *connect.Request[v1pb.ResolveFloatRequest]) (*connect.Response[v1pb.ResolveFloatResponse], error) {
	a, err := s.answer(ctx, r, r.Msg, flag.Number)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1pb.ResolveFloatResponse{Value: valueOr[float64](a), Reason: string(a.Reason), Variant: a.Variant, Metadata: a.metadata}), nil
}

func (s v1) ResolveInt(ctx context.Context, r *connect.Request[v1pb.ResolveIntRequest]) (*connect.Response[v1pb.ResolveIntResponse], error) {
	a, err := s.answer(ctx, r, r.Msg, flag.Number)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1pb.ResolveIntResponse{Value: int64(valueOr[float64](a)), Reason: string(a.Reason), Variant: a.Variant, Metadata: a.metadata}), nil
}

func (s v1) ResolveObject(ctx context.Context, r *connect.Request[v1pb.ResolveObjectRequest]) (*connect.Response[v1pb.ResolveObjectResponse], error) {
	a, err := s.answer(ctx, r, r.Msg, flag.Object)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1pb.ResolveObjectResponse{Value: structOf(valueOr[map[string]any](a)), Reason: string(a.Reason), Variant: a.Variant, Metadata: a.metadata}), nil
}

// ResolveAll answers for all flags that have a value for this context.
func (s v1) ResolveAll(ctx context.Context, r *connect.Request[v1pb.ResolveAllRequest]) (*connect.Response[v1pb.ResolveAllResponse], error) {
	c, err := s.enter(ctx, r.Header(), "")
	if err != nil {
		return nil, err
	}
	about, err := s.about(ctx, r.Header(), c.client, r.Msg.GetContext())
	if err != nil {
		return nil, err
	}
	all := &v1pb.ResolveAllResponse{Flags: map[string]*v1pb.AnyFlag{}, Metadata: structOf(c.view.Metadata)}
	for _, key := range c.view.Keys() {
		if one := anyFlag(c.view.Evaluate(key, about)); one != nil {
			all.Flags[key] = one
		}
	}
	return connect.NewResponse(all), nil
}

func anyFlag(r flag.Result) *v1pb.AnyFlag {
	one := &v1pb.AnyFlag{Reason: string(r.Reason), Variant: r.Variant}
	if !r.HasValue() {
		return nil
	}
	switch v := r.Value.(type) {
	case bool:
		one.Value = &v1pb.AnyFlag_BoolValue{BoolValue: v}
	case string:
		one.Value = &v1pb.AnyFlag_StringValue{StringValue: v}
	case float64:
		one.Value = &v1pb.AnyFlag_DoubleValue{DoubleValue: v}
	case map[string]any:
		one.Value = &v1pb.AnyFlag_ObjectValue{ObjectValue: structOf(v)}
	default:
		return nil
	}
	one.Metadata = structOf(r.Metadata)
	return one
}

func (s v1) EventStream(ctx context.Context, r *connect.Request[v1pb.EventStreamRequest], stream *connect.ServerStream[v1pb.EventStreamResponse]) error {
	return s.events(ctx, r.Header(), func(e event) error {
		return stream.Send(&v1pb.EventStreamResponse{Type: e.kind, Data: e.data})
	})
}
