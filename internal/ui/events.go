package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

const eventsOnPage = 50

type eventsPage struct {
	*visit
	Subject, Type string
	Events        []entry
	Older, Newest string // addresses
	Filtered      bool
	Chain         string // what checking the hashes of this page found
	Broken        bool
}

func (s *Server) events(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	p := eventsPage{visit: v, Subject: clip(strings.TrimSpace(q.Get("subject")), 1024), Type: clip(strings.TrimSpace(q.Get("type")), 253)}
	p.Filtered = p.Subject != "" || p.Type != ""
	v.Title = "Events"
	ask := store.EventQuery{Subject: p.Subject, Type: p.Type, Backward: true, Limit: eventsOnPage}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return errs.E(errs.Invalid, "before: got %.40q, expected the number of an event", text)
		}
		ask.Before, p.Newest = n, eventsURL(p.Subject, p.Type, 0)
	} else {
		v.Live = "all"
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
		p.Older = eventsURL(p.Subject, p.Type, events[n-1].Seq)
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

func eventsURL(subject, typ string, before int64) string {
	q := url.Values{}
	if subject != "" {
		q.Set("subject", subject)
	}
	if typ != "" {
		q.Set("type", typ)
	}
	if before > 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	if len(q) == 0 {
		return "/events"
	}
	return "/events?" + q.Encode()
}
