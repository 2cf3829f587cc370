package ui

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	livePath  = "/ui/live"
	liveTick  = time.Second            // while a rollout is in flight, and to find events of other processes
	liveCalm  = 10 * time.Second       // else: numbers age too, and both ends notice a dead connection
	liveGap   = 250 * time.Millisecond // between two signals: events come in bursts
	liveStall = 15 * time.Second       // how long a browser may not take what is sent
)

// live signals that a page has changed; the page then fetches its moving part. One stream serves one page, and
// ends with its session.
func (s *Server) live(w http.ResponseWriter, r *http.Request, _ *visit) error {
	topic, err := topicOf(r.URL.Query().Get("topic"))
	if err != nil {
		return err
	}
	seq, err := s.lastOf(r.Context(), topic)
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	send := func(text string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(liveStall))
		_, err := fmt.Fprint(w, text)
		return err == nil && control.Flush() == nil
	}
	if !send("retry: 2000\n\n") {
		return nil
	}
	s.follow(r, topic, seq, send)
	return nil
}

type topic struct{ kind, name string }

func topicOf(s string) (topic, error) {
	kind, name, _ := strings.Cut(s, "/")
	if (kind == "all" || kind == "flags" || kind == "experiments" || kind == "slos" || kind == "probes" || kind == "alerts" || kind == "units") && name == "" || (kind == "rollout" || kind == "service" || kind == "flag" || kind == "experiment") && name != "" && len(name) <= 1400 {
		return topic{kind, name}, nil
	}
	return topic{}, errs.E(errs.Invalid, "topic: expected all, flags, experiments, slos, probes, alerts, units, rollout/…, service/…, flag/… or experiment/…")
}

// subject is which events change a page; "" for all, also for a service, whose rollouts have subjects of their own.
func (t topic) subject() string {
	if t.kind == "rollout" || t.kind == "experiment" {
		return t.kind + "/" + t.name
	}
	return ""
}

func (s *Server) lastOf(ctx context.Context, t topic) (int64, error) {
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: t.subject(), Backward: true, Limit: 1})
	if err != nil || len(events) == 0 {
		return 0, err
	}
	return events[0].Seq, nil
}

// follow signals each change until either side ends or the session does.
func (s *Server) follow(r *http.Request, t topic, seq int64, send func(string) bool) {
	ctx := r.Context()
	tick := time.NewTicker(liveTick)
	defer tick.Stop()
	signalled, checked := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed():
			if !pause(ctx, liveGap) {
				return
			}
		case <-tick.C:
		}
		if time.Since(checked) > liveCalm {
			if _, _, err := s.sessionOf(r); err != nil {
				return
			}
			checked = time.Now()
		}
		now, err := s.lastOf(ctx, t)
		if err != nil {
			continue // it is looked at again
		}
		every := liveCalm
		if s.moving(ctx, t) {
			every = liveTick - liveTick/20
		}
		if now == seq && time.Since(signalled) < every {
			continue
		}
		seq, signalled = now, time.Now()
		if !send(fmt.Sprintf("id: %d\nevent: changed\ndata: %d\n\n", seq, seq)) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (s *Server) changed() <-chan struct{} {
	if s.Notifier == nil {
		return nil
	}
	return s.Notifier.Changed()
}

// moving says whether a rollout that the page shows is in flight.
func (s *Server) moving(ctx context.Context, t topic) bool {
	switch t.kind {
	case "flags":
		return s.movingFlag(ctx)
	case "experiment", "experiments", "slos", "alerts": // read now and then
		return false
	case "probes": // somebody looks all the time
		return true
	}
	if t.kind != "all" {
		state, err := s.Rollouts.Find(ctx, t.name)
		return err == nil && !state.Phase.Ended()
	}
	for after := ""; ; {
		services, err := s.Catalog.List(ctx, resource.KindService, after, 0)
		if err != nil || len(services) == 0 {
			return false
		}
		for _, one := range services {
			after = one.Metadata.Name
			if state, err := s.newest(ctx, after); err == nil && state != nil && !state.Phase.Ended() {
				return true
			}
		}
	}
}

// flights remembers for a moment whether the rollout of a flag is in flight, so that many open pages do not look at all rollouts.
type flights struct {
	sync.Mutex
	at  time.Time
	any bool
}

// movingFlag says whether a rollout of a flag is in flight.
func (s *Server) movingFlag(ctx context.Context) bool {
	if s.Board == nil {
		return false
	}
	s.flying.Lock()
	defer s.flying.Unlock()
	if now := time.Now(); now.Sub(s.flying.at) > liveTick {
		all, err := s.Rollouts.List(ctx, "")
		if err != nil {
			return false
		}
		s.flying.at = now
		s.flying.any = slices.ContainsFunc(all, func(st rollout.State) bool { return ofFlag(st.Service) && !st.Phase.Ended() })
	}
	return s.flying.any
}
