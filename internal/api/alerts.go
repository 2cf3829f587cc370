package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

// Pager keeps alerts and tells of them.
type Pager interface {
	Send(ctx context.Context, alerts []alert.Alert) error
	Overview(ctx context.Context) (pager.Overview, error)
	Ack(ctx context.Context, actor, word, note string, until time.Time, undo bool) ([]alert.Record, error)
	SetSilence(ctx context.Context, actor string, s alert.Silence) (string, error)
	ExpireSilence(ctx context.Context, actor, id string) error
}

// AlertNews says who is told, and what it was worth.
type AlertNews interface {
	Receivers(ctx context.Context) ([]string, error)
	To(ctx context.Context, st alert.Standing) []string
	Noise(ctx context.Context, since time.Time) (pager.Report, error)
}

func (s *Server) alerts() {
	const path = "/v1/alerts"
	register(s, operation{method: http.MethodGet, path: path, id: "listAlerts", tag: "alerts", summary: "Answers alerts, pages and silences as they stand",
		route: route{action: policy.Read}}, func(ctx context.Context, _ *none) (*answered[pager.Overview], error) {
		o, err := s.Pager.Overview(ctx)
		return &answered[pager.Overview]{o}, err
	})
	register(s, operation{method: http.MethodGet, path: "/v1/noise", id: "alertNoise", tag: "alerts", summary: "Says by rule how much of what fired was worth it",
		about: "It is read from the record.", route: route{action: policy.Read, timeout: 2 * time.Minute}}, s.alertNoise)
	register(s, operation{method: http.MethodGet, path: path + "/{alert}", id: "readAlert", tag: "alerts", summary: "Answers one alert with what is on the record of it",
		route: route{action: policy.Read}}, s.readAlert)
	register(s, operation{method: http.MethodPost, path: path + "/{alert}/ack", id: "ackAlert", tag: "alerts", summary: "Takes an alert, or all of a page: nobody else is called for it",
		route: route{action: policy.Decide, keyed: true}}, s.ackAlert)
	register(s, operation{method: http.MethodPost, path: "/v1/silences", id: "createSilence", tag: "alerts", summary: "Keeps alerts from being told for a while",
		route: route{action: policy.Decide, keyed: true}, status: http.StatusCreated}, s.createSilence)
	register(s, operation{method: http.MethodDelete, path: "/v1/silences/{silence}", id: "endSilence", tag: "alerts", summary: "Ends a silence now",
		route: route{action: policy.Decide, keyed: true}}, s.endSilence)
}

// ByAlert is the part of a path that names an alert.
type ByAlert struct {
	Alert string `path:"alert" maxLength:"40" doc:"its fingerprint or the key of its page, or how that begins"`
}

// AlertDetail is an alert and its past.
type AlertDetail struct {
	alert.Standing
	Told   []string      `json:"told,omitempty" doc:"the notifiers that are told of it"`
	Events []audit.Event `json:"events" doc:"what is on the record of it, the newest first"`
}

func (s *Server) readAlert(ctx context.Context, in *struct{ ByAlert }) (*answered[AlertDetail], error) {
	o, err := s.Pager.Overview(ctx)
	if err != nil {
		return nil, err
	}
	var found []alert.Standing
	for _, a := range o.Alerts {
		if len(in.Alert) >= 4 && strings.HasPrefix(a.ID, in.Alert) {
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return nil, errs.E(errs.Missing, "there is no alert %q", in.Alert).Next("see: ringfence alert list")
	}
	if len(found) > 1 {
		return nil, errs.E(errs.Invalid, "%q may be %d alerts, expected more of its fingerprint", in.Alert, len(found))
	}
	events, err := s.Store.Events(ctx, store.EventQuery{Subject: pager.Subject(found[0].ID), Limit: 50, Backward: true})
	if err != nil {
		return nil, err
	}
	if events == nil {
		events = []audit.Event{}
	}
	return &answered[AlertDetail]{AlertDetail{Standing: found[0], Told: s.AlertNews.To(ctx, found[0]), Events: events}}, nil
}

func (s *Server) ackAlert(ctx context.Context, in *struct {
	ByAlert
	Body *wire.TakeAlert
}) (*answered[wire.AlertRecords], error) {
	b := wire.TakeAlert{}
	if in.Body != nil {
		b = *in.Body
	}
	done, err := s.Pager.Ack(ctx, actorOf(ctx), in.Alert, b.Note, b.Until, b.Undo)
	return &answered[wire.AlertRecords]{wire.AlertRecords{Items: done}}, err
}

func (s *Server) createSilence(ctx context.Context, in *struct{ Body wire.NewSilence }) (*answered[wire.MadeSilence], error) {
	matchers, err := alert.ParseMatchers(in.Body.Matchers...)
	if err != nil {
		return nil, err
	}
	if !in.Body.Until.After(s.Now()) {
		return nil, errs.E(errs.Invalid, "until: expected a time to come")
	}
	if in.Body.Starts.IsZero() {
		in.Body.Starts = s.Now()
	}
	id, err := s.Pager.SetSilence(ctx, actorOf(ctx), alert.Silence{Matchers: matchers, StartsAt: in.Body.Starts, EndsAt: in.Body.Until, CreatedBy: principalOf(ctx).Name, Comment: in.Body.Reason})
	return &answered[wire.MadeSilence]{wire.MadeSilence{ID: id}}, err
}

func (s *Server) endSilence(ctx context.Context, in *struct {
	Silence string `path:"silence" maxLength:"64" doc:"its ID"`
}) (*none, error) {
	return &none{}, s.Pager.ExpireSilence(ctx, actorOf(ctx), in.Silence)
}

func (s *Server) alertNoise(ctx context.Context, in *struct {
	Since string `query:"since" maxLength:"40" doc:"a time, or how long ago, such as 168h; default 168h"`
}) (*answered[pager.Report], error) {
	since := s.Now().Add(-7 * 24 * time.Hour)
	if in.Since != "" {
		if d, err := time.ParseDuration(in.Since); err == nil && d > 0 {
			since = s.Now().Add(-d)
		} else if since, err = time.Parse(time.RFC3339, in.Since); err != nil {
			return nil, errs.E(errs.Invalid, "since %q: expected a time such as 2026-05-04T09:00:00Z or how long ago, such as 168h", in.Since)
		}
	}
	r, err := s.AlertNews.Noise(ctx, since)
	return &answered[pager.Report]{r}, err
}
