package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/record"
	"github.com/ringfence/ringfence/internal/store"
)

const eventsOnPage = 50

// eventFilter is what the record is searched by, as it stands in the address.
type eventFilter struct {
	Actor, Subject, Type, Since, Until string
}

type eventsPage struct {
	*visit
	eventFilter
	Types         []string // of events, to choose from
	Events        []entry
	Older, Newest string // addresses
	Filtered      bool
	Chain         string // what checking the hashes of this page found
	Broken        bool
}

func filterOf(q url.Values) eventFilter {
	text := func(name string, most int) string { return clip(strings.TrimSpace(q.Get(name)), most) }
	return eventFilter{Actor: text("actor", 1024), Subject: text("subject", 1024), Type: text("type", 253), Since: text("since", 40), Until: text("until", 40)}
}

// query reads the filter. Times are as a browser's field for them has them, in UTC, or RFC 3339.
func (f eventFilter) query() (store.EventQuery, error) {
	q := store.EventQuery{Actor: f.Actor, Subject: f.Subject, Type: f.Type, Backward: true, Limit: eventsOnPage}
	if q.Actor != "" && !strings.Contains(q.Actor, ":") {
		q.Actor = "user:" + q.Actor
	}
	var err error
	if q.Since, err = pointInTime("from", f.Since); err == nil {
		q.Until, err = pointInTime("until", f.Until)
	}
	return q, err
}

func pointInTime(what, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly, time.RFC3339Nano} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "%s: got %.40q, expected a time such as 2026-03-01T12:00", what, text)
}

func (s *Server) events(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	p := eventsPage{visit: v, eventFilter: filterOf(q), Types: eventTypes}
	p.Filtered = p.eventFilter != eventFilter{}
	v.Title = "Events"
	ask, err := p.query()
	if err != nil {
		return err
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return errs.E(errs.Invalid, "before: got %.40q, expected the number of an event", text)
		}
		ask.Before, p.Newest = n, p.url(0)
	} else {
		v.Live = "all"
	}
	if err := s.readers.Note(r.Context(), s.Now(), v.Who.Actor(), record.Read{How: "page", Subject: p.Subject, Type: p.Type, Actor: p.Actor}); err != nil {
		return err
	}
	events, err := s.Store.Events(r.Context(), ask)
	if err != nil {
		return err
	}
	p.Events = among(entriesOf(events))
	for i, e := range p.Events {
		p.Events[i].Mark = e.Hash[:min(8, len(e.Hash))]
	}
	if n := len(events); n == eventsOnPage && events[n-1].Seq > 1 {
		p.Older = p.url(events[n-1].Seq)
	}
	if !p.Filtered && len(events) > 0 {
		p.verify(slices.Clone(events))
	}
	return s.show(w, r, http.StatusOK, "events", p)
}

// verify checks that the entries of a page continue one another.
func (p *eventsPage) verify(events []audit.Event) {
	slices.Reverse(events)
	if err := audit.Verify(events[0].Seq-1, events[0].Prev, events); err != nil {
		p.Chain, p.Broken = sentenceCase(err.Error()), true
		return
	}
	p.Chain = "The hashes of these " + plural(int64(len(events)), "entry fits.", "entries fit together.")
}

// url is the address of what comes before an event, of the newest for 0.
func (f eventFilter) url(before int64) string {
	q := url.Values{}
	for name, text := range map[string]string{"actor": f.Actor, "subject": f.Subject, "type": f.Type, "since": f.Since, "until": f.Until} {
		if text != "" {
			q.Set(name, text)
		}
	}
	if before > 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	if len(q) == 0 {
		return "/events"
	}
	return "/events?" + q.Encode()
}

// eventTypes are offered where types are asked for: what people look for most.
var eventTypes = []string{"access.", "breach.", "config.", "detection.", "flag.", "incident.", "policy.", "record.", "release.", "resource.", "rollback.", "rollout.", "schema.", "token.", "unit."}
