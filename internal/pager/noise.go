package pager

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	mostEvents  = 200_000 // that are read for one report
	eventPage   = 5000
	actedWithin = 30 * time.Minute // from an alert's end
)

// Report is how much of what fired was worth it.
type Report struct {
	Since time.Time     `json:"since"`
	Until time.Time     `json:"until"`
	Rules []alert.Noise `json:"rules" doc:"the noisiest first"`
	Cut   bool          `json:"cut,omitempty" doc:"there is more on the record than was read: the time is shorter than was asked for"`
}

// deed is something that somebody did to a service.
type deed struct {
	at      time.Time
	service string
}

// Noise reads from the record what fired since a time, and what people did about it.
func (p *Pager) Noise(ctx context.Context, since time.Time) (Report, error) {
	r := Report{Since: since, Until: p.now()}
	var episodes []alert.Episode
	var deeds []deed
	open := map[string]int{}
	read := 0
	for before := int64(0); ; { // backward, until the beginning of the time: there is no way to ask for a time
		events, err := p.Store.Events(ctx, store.EventQuery{Before: before, Limit: eventPage, Backward: true})
		if err != nil {
			return r, err
		}
		for _, e := range events {
			before = e.Seq
			if read++; e.Time.Before(since) || read > mostEvents {
				r.Cut = read > mostEvents
				events = nil
				break
			}
			back(e, &episodes, &deeds, open)
		}
		if len(events) < eventPage {
			break
		}
	}
	whole := episodes[:0]
	for _, e := range episodes {
		if e.Start.IsZero() { // it began before the time
			continue
		}
		for _, d := range deeds {
			until := e.End
			if until.IsZero() {
				until = r.Until
			}
			if d.service == e.Service && e.Service != "" && !d.at.Before(e.Start) && !d.at.After(until.Add(actedWithin)) {
				e.Acted = true
			}
		}
		whole = append(whole, e)
	}
	r.Rules = alert.Noises(whole, r.Until)
	return r, nil
}

// back takes in an event, the newest first: the end of an episode comes before its beginning.
func back(e audit.Event, episodes *[]alert.Episode, deeds *[]deed, open map[string]int) {
	id, isAlert := strings.CutPrefix(e.Subject, "alert/")
	at := func(id string) *alert.Episode {
		i, there := open[id]
		if !there {
			i = len(*episodes)
			open[id] = i
			*episodes = append(*episodes, alert.Episode{ID: id})
		}
		return &(*episodes)[i]
	}
	switch {
	case e.Type == EvResolved && isAlert:
		delete(open, id)
		at(id).End = e.Time
	case e.Type == EvAcked && isAlert:
		at(id).Acted = true
	case e.Type == EvNotified:
		var n Notified
		if json.Unmarshal(e.Data, &n) == nil && n.Status == alert.Firing {
			for _, id := range n.IDs {
				at(id).Told = true
			}
		}
	case e.Type == EvFired && isAlert:
		var c Change
		if json.Unmarshal(e.Data, &c) != nil {
			return
		}
		ep := at(id)
		ep.Start, ep.Name, ep.Service, ep.Severity = e.Time, c.Labels[alert.Name], c.Labels[alert.Service], c.Labels[alert.Severity]
		delete(open, id)
	case strings.HasPrefix(e.Actor, "user:") && !strings.HasPrefix(e.Type, "alert."):
		if s := serviceOf(e.Subject); s != "" {
			*deeds = append(*deeds, deed{e.Time, s})
		}
	}
}

// serviceOf finds the service that a subject belongs to, "" when it belongs to none.
func serviceOf(subject string) string {
	kind, name, _ := strings.Cut(subject, "/")
	switch kind {
	case "service":
		return name
	case "release", "config":
		service, _, _ := strings.Cut(name, "/")
		return service
	case "rollout":
		if i := strings.LastIndexByte(name, '-'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
			return name[:i]
		}
		return name
	}
	return ""
}
