package flagd

import (
	"context"

	v2pb "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/ringfence/ringfence/internal/flag"
)

// v2 is flagd.evaluation.v2, whose answers may be without a value.
type v2 struct{ *Service }

// value is the value of a reply that is of type T, nil when there is none.
func value[T any](r reply) *T {
	if v, ok := r.Value.(T); ok && r.HasValue() {
		return &v
	}
	return nil
}

func (s v2) ResolveBoolean(ctx context.Context, r *connect.Request[v2pb.ResolveBooleanRequest]) (*connect.Response[v2pb.ResolveBooleanResponse], error) {
	a, err := s.answer(ctx, r.Header(), r.Msg, flag.Boolean)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v2pb.ResolveBooleanResponse{Value: value[bool](a), Reason: string(a.Reason), Variant: a.variant(), Metadata: a.metadata}), nil
}

func (s v2) ResolveString(ctx context.Context, r *connect.Request[v2pb.ResolveStringRequest]) (*connect.Response[v2pb.ResolveStringResponse], error) {
	a, err := s.answer(ctx, r.Header(), r.Msg, flag.String)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v2pb.ResolveStringResponse{Value: value[string](a), Reason: string(a.Reason), Variant: a.variant(), Metadata: a.metadata}), nil
}

func (s v2) ResolveFloat(ctx context.Context, r *connect.Request[v2pb.ResolveFloatRequest]) (*connect.Response[v2pb.ResolveFloatResponse], error) {
	a, err := s.answer(ctx, r.Header(), r.Msg, flag.Number)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v2pb.ResolveFloatResponse{Value: value[float64](a), Reason: string(a.Reason), Variant: a.variant(), Metadata: a.metadata}), nil
}

func (s v2) ResolveInt(ctx context.Context, r *connect.Request[v2pb.ResolveIntRequest]) (*connect.Response[v2pb.ResolveIntResponse], error) {
	a, err := s.answer(ctx, r.Header(), r.Msg, flag.Number)
	if err != nil {
		return nil, err
	}
	var whole *int64
	if v := value[float64](a); v != nil {
		whole = new(int64)
		*whole = int64(*v)
	}
	return connect.NewResponse(&v2pb.ResolveIntResponse{Value: whole, Reason: string(a.Reason), Variant: a.variant(), Metadata: a.metadata}), nil
}

func (s v2) ResolveObject(ctx context.Context, r *connect.Request[v2pb.ResolveObjectRequest]) (*connect.Response[v2pb.ResolveObjectResponse], error) {
	a, err := s.answer(ctx, r.Header(), r.Msg, flag.Object)
	if err != nil {
		return nil, err
	}
	var object *structpb.Struct
	if v := value[map[string]any](a); v != nil {
		object = structOf(*v)
	}
	return connect.NewResponse(&v2pb.ResolveObjectResponse{Value: object, Reason: string(a.Reason), Variant: a.variant(), Metadata: a.metadata}), nil
}

func (s v2) EventStream(ctx context.Context, r *connect.Request[v2pb.EventStreamRequest], stream *connect.ServerStream[v2pb.EventStreamResponse]) error {
	return s.events(ctx, r.Header(), func(e event) error {
		return stream.Send(&v2pb.EventStreamResponse{Type: e.kind, Data: e.data})
	})
}
