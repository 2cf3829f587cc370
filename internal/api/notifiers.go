package api

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/policy"
)

// Telling tells notifiers of what is on the record.
type Telling interface {
	Test(ctx context.Context, actor, name string) (notify.Tested, error)
	Statuses(ctx context.Context) ([]notify.Status, error)
}

func (s *Server) notifiers() {
	register(s, operation{method: http.MethodGet, path: "/v1/notifiers", id: "listNotifiers", tag: "notifiers",
		summary: "Lists the notifiers, with what they are still to be told and whether their receivers take it",
		route:   route{action: policy.Read}}, s.listNotifiers)
	register(s, operation{method: http.MethodPost, path: "/v1/notifiers/{name}/test", id: "testNotifier", tag: "notifiers",
		summary: "Sends a test message, and says what the receiver answers",
		about:   "It is tried once, at once, within the notifier's timeout, and recorded. Who is waiting to be told of something else keeps their turn.",
		route:   route{action: policy.Change, keyed: true, timeout: 75 * time.Second}}, s.testNotifier) // a notifier's timeout is a minute at most
}

func (s *Server) listNotifiers(ctx context.Context, _ *none) (*answered[wire.Notifiers], error) {
	list, err := s.Telling.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	out := wire.Notifiers{Items: make([]wire.NotifierStatus, len(list))}
	for i, n := range list {
		out.Items[i] = wire.NotifierStatus(n)
	}
	return &answered[wire.Notifiers]{out}, nil
}

type notifierInput struct {
	Name string `path:"name" maxLength:"253" doc:"the notifier"`
}

func (s *Server) testNotifier(ctx context.Context, in *notifierInput) (*answered[wire.NotifierTest], error) {
	told, err := s.Telling.Test(ctx, actorOf(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	return &answered[wire.NotifierTest]{wire.NotifierTest{Notifier: in.Name, Channel: told.Channel, Delivered: told.Error == "", Error: told.Error}}, nil
}
