package flagd

//lint:file-ignore SA1019 providers that are older than the deprecation are still to be answered

import (
	"context"
	"errors"

	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"

	"github.com/ringfence/ringfence/internal/flag"
)

// syncing is flagd.sync.v1.
type syncing struct{ *Service }

// enter is for those that may have definitions.
func (s syncing) enter(ctx context.Context, r connect.AnyRequest, selector string) (chosen, error) {
	c, err := s.Service.enter(ctx, r.Header(), selector)
	if err == nil && c.client.Scope == flag.Browser {
		err = connect.NewError(connect.CodePermissionDenied, errors.New("a browser's key gets values, not definitions"))
	}
	return c, err
}

// SyncFlags sends the flags that the client chose, and again whenever they have changed.
func (s syncing) SyncFlags(ctx context.Context, r *connect.Request[syncv1.SyncFlagsRequest], stream *connect.ServerStream[syncv1.SyncFlagsResponse]) error {
	c, err := s.enter(ctx, r, r.Msg.GetSelector())
	if err != nil {
		return err
	}
	ctx, leave, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer leave()
	changes, cancel := s.gate.Source.Watch(c.client.Environment)
	defer cancel()
	about := structOf(s.gate.Context)
	known := ""
	for {
		view, bad := s.gate.View(c.client, c.selector)
		if bad != nil {
			return refused(bad)
		}
		if view.Hash != known {
			if err := stream.Send(&syncv1.SyncFlagsResponse{FlagConfiguration: string(view.Raw), SyncContext: about}); err != nil {
				return err
			}
			known = view.Hash
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return ended(ctx)
		case <-s.done:
			return closing()
		}
	}
}

// FetchAllFlags answers with the flags that the client chose.
func (s syncing) FetchAllFlags(ctx context.Context, r *connect.Request[syncv1.FetchAllFlagsRequest]) (*connect.Response[syncv1.FetchAllFlagsResponse], error) {
	c, err := s.enter(ctx, r, r.Msg.GetSelector())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&syncv1.FetchAllFlagsResponse{FlagConfiguration: string(c.view.Raw)}), nil
}

// GetMetadata answers with the context that the server adds; streams bring it since it is deprecated.
func (s syncing) GetMetadata(ctx context.Context, r *connect.Request[syncv1.GetMetadataRequest]) (*connect.Response[syncv1.GetMetadataResponse], error) {
	if s.o.NoMetadata {
		return nil, connect.NewError(connect.CodeUnimplemented, errors.New("metadata is switched off"))
	}
	if _, err := s.enter(ctx, r, ""); err != nil {
		return nil, err
	}
	return connect.NewResponse(&syncv1.GetMetadataResponse{Metadata: structOf(s.gate.Context)}), nil
}
