package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	lookEvery  = time.Second      // for events that other processes recorded
	heartbeat  = 15 * time.Second // a comment, so that both ends notice a dead connection
	streamPage = 500
)

func (s *Server) events() {
	register(s, operation{method: http.MethodGet, path: "/v1/events", id: "listEvents", tag: "events", summary: "Lists entries of the record",
		route: route{action: policy.Read}}, s.listEvents)
	register(s, operation{method: http.MethodGet, path: "/v1/events/stream", id: "streamEvents", tag: "events", media: "text/event-stream",
		summary: "Streams entries of the record as server-sent events",
		about:   "The id of each is its number in the record. Without after and Last-Event-ID the stream begins with what comes next.",
		route:   route{action: policy.Read, stream: true}}, s.streamEvents)
}

// EventFilter is what events are chosen by.
type EventFilter struct {
	Subject string `query:"subject" maxLength:"1024" doc:"only of this subject, as kind/name"`
	Type    string `query:"type" maxLength:"253" doc:"only types that begin with this"`
}

// EventSpan chooses among events that are listed.
type EventSpan struct {
	Actor string    `query:"actor" maxLength:"1024" doc:"only by this actor, as user:NAME or system:NAME"`
	Since time.Time `query:"since" doc:"only at or after this time"`
	Until time.Time `query:"until" doc:"only before this time"`
}

type eventsInput struct {
	EventFilter
	EventSpan
	After  int64 `query:"after" minimum:"0" doc:"only with a greater number"`
	Before int64 `query:"before" minimum:"0" doc:"only with a smaller number"`
	Limit  int   `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"at most so many"`
	Newest bool  `query:"newest" doc:"newest first"`
}

func (s *Server) listEvents(ctx context.Context, in *eventsInput) (*answered[wire.Events], error) {
	items, err := s.Store.Events(ctx, store.EventQuery{
		After: in.After, Before: in.Before, Subject: in.Subject, Type: in.Type, Limit: in.Limit, Backward: in.Newest,
		Actor: in.Actor, Since: in.Since, Until: in.Until,
	})
	if err != nil {
		return nil, err
	}
	if err := s.reads(ctx, "list", in.EventFilter, in.Actor); err != nil {
		return nil, err
	}
	out := wire.Events{Items: items}
	if out.Items == nil {
		out.Items = []audit.Event{}
	}
	if len(items) == in.Limit {
		out.Next = items[len(items)-1].Seq
	}
	return &answered[wire.Events]{out}, nil
}

type followInput struct {
	EventFilter
	After int64 `query:"after" minimum:"-1" default:"-1" doc:"begin after this number; -1 for now"`
	Last  int64 `header:"Last-Event-ID" minimum:"0" doc:"the number of the last one received"`
}

func (s *Server) streamEvents(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
	after := max(in.After, in.Last)
	if in.After < 0 && in.Last == 0 {
		newest, err := s.Store.Events(ctx, store.EventQuery{Backward: true, Limit: 1})
		if err != nil {
			return nil, err
		}
		after = 0
		if len(newest) > 0 {
			after = newest[0].Seq
		}
	}
	if err := s.reads(ctx, "follow", in.EventFilter, ""); err != nil {
		return nil, err
	}
	headers := map[string]string{"X-Accel-Buffering": "no"}
	return stream("text/event-stream", headers, func(w io.Writer) error {
		if _, err := io.WriteString(w, "retry: 1000\n\n"); err != nil {
			return nil
		}
		s.follow(ctx, w, in.EventFilter, after)
		return nil
	}), nil
}

// follow writes events until either side ends. Whoever lost the connection goes on from the last number.
func (s *Server) follow(ctx context.Context, w io.Writer, f EventFilter, after int64) {
	look, beat := time.NewTicker(lookEvery), time.NewTicker(heartbeat)
	defer look.Stop()
	defer beat.Stop()
	for {
		changed := s.changed()
		var err error
		if after, err = s.catchUp(ctx, w, f, after); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-look.C:
		case <-beat.C:
			if _, err := io.WriteString(w, ": still here\n\n"); err != nil {
				return
			}
		}
	}
}

// changed is asked before looking: what comes between the two is not missed.
func (s *Server) changed() <-chan struct{} {
	if s.Notifier == nil {
		return nil
	}
	return s.Notifier.Changed()
}

func (s *Server) catchUp(ctx context.Context, w io.Writer, f EventFilter, after int64) (int64, error) {
	for {
		events, err := s.Store.Events(ctx, store.EventQuery{After: after, Subject: f.Subject, Type: f.Type, Limit: streamPage})
		if err != nil {
			return after, err
		}
		for _, e := range events {
			body, err := json.Marshal(e)
			if err != nil {
				return after, err
			}
			if _, err := fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Type, body); err != nil {
				return after, err
			}
			after = e.Seq
		}
		if len(events) < streamPage {
			return after, nil
		}
	}
}
