package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"

	"github.com/ringfence/ringfence/internal/flag"
)

const (
	answerLimit = 10 * time.Second // for the first message of a stream
	streamAge   = 10 * time.Minute // after which it is opened anew: who is silent may be dead
)

var (
	errSilent = errors.New("the server says nothing")
	errOld    = errors.New("the stream has reached its age")
)

// stream is a server that is followed by flagd's sync protocol.
type stream struct {
	client          syncv1connect.FlagSyncServiceClient
	token, selector string
	log             *slog.Logger
}

func newStream(o Options) *stream {
	client := syncv1connect.NewFlagSyncServiceClient(o.HTTPClient, o.URL, connect.WithReadMaxBytes(2*flag.MaxBytes))
	return &stream{client: client, token: o.Token, selector: o.Selector, log: o.Log}
}

func (s *stream) follow(ctx context.Context, got func(*served)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(answerLimit, func() { cancel(errSilent) })
	defer silent.Stop()
	old := time.AfterFunc(streamAge-rand.N(streamAge/10), func() { cancel(errOld) })
	defer old.Stop()
	request := connect.NewRequest(&syncv1.SyncFlagsRequest{ProviderId: "ringfence", Selector: s.selector})
	if s.token != "" {
		request.Header().Set("Authorization", "Bearer "+s.token)
	}
	if s.selector != "" {
		request.Header().Set("Flagd-Selector", s.selector)
	}
	from, err := s.client.SyncFlags(ctx, request)
	if err != nil {
		return reason(ctx, err)
	}
	defer func() {
		cancel(nil) // closing reads what is left
		_ = from.Close()
	}()
	for from.Receive() {
		silent.Stop()
		next, err := compile(from.Msg().GetFlagConfiguration(), from.Msg().GetSyncContext().AsMap(), s.log)
		if err != nil {
			return err
		}
		got(next)
	}
	return reason(ctx, from.Err())
}

// reason is why a stream ended.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeInvalidArgument:
		return refusedError{err}
	}
	if err == nil {
		return errors.New("the server has ended the stream")
	}
	return err
}

// compile reads a plain document.
func compile(raw string, about map[string]any, log *slog.Logger) (*served, error) {
	snapshot, faults := flag.NewSnapshot(flag.Source{Raw: []byte(raw)})
	if snapshot == nil {
		return nil, fmt.Errorf("what was sent is no set of flags: %s", faults[0].Msg)
	}
	for _, f := range faults {
		log.Warn("flags: something is wrong, and costs only what it is in", "path", f.Path, "problem", f.Msg)
	}
	return &served{View: snapshot.All(), context: about}, nil
}
