package ui

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

// Pager keeps alerts and tells of them.
type Pager interface {
	Overview(ctx context.Context) (pager.Overview, error)
	Ack(ctx context.Context, actor, word, note string, until time.Time, undo bool) ([]alert.Record, error)
	SetSilence(ctx context.Context, actor string, s alert.Silence) (string, error)
	ExpireSilence(ctx context.Context, actor, id string) error
	Noise(ctx context.Context, since time.Time) (pager.Report, error)
}

// alertRoutes are the pages of alerts. They are authorised as the API is.
func (s *Server) alertRoutes() {
	if s.Pager == nil {
		return
	}
	s.mux.HandleFunc("GET /alerts", s.signed(policy.Read, s.alerts))
	s.mux.HandleFunc("GET /alerts/{alert}", s.signed(policy.Read, s.alert))
	s.mux.HandleFunc("GET /noise", s.signed(policy.Read, s.noise))
	s.deed("/alerts/{alert}/ack", s.ackAlert(false))
	s.deed("/alerts/{alert}/unack", s.ackAlert(true))
	s.deed("/alerts/{alert}/silence", s.silenceAlert())
	s.deed("/silences/{silence}/end", s.endSilence())
}

// pageRow is a page in the list.
type pageRow struct {
	pager.PageStanding
	Tone  string
	Title string
	Mine  []alert.Alert
}

// alertRow is an alert in the list.
type alertRow struct {
	alert.Standing
	Tone, State, Summary string
}

type alertsPage struct {
	*visit
	Pages    []pageRow
	Quiet    []alertRow // that fire, and nobody is told
	Over     []alertRow
	Silences []silenceRow
}

type silenceRow struct {
	alert.Silence
	State string
}

func (s *Server) alerts(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "Alerts", "alerts"
	o, err := s.Pager.Overview(r.Context())
	if err != nil {
		return err
	}
	p := &alertsPage{visit: v}
	for _, one := range o.Pages {
		p.Pages = append(p.Pages, pageRow{PageStanding: one, Tone: gravityOf(one.Severity, one.Ack != nil), Title: titleOf(one.Page)})
	}
	for _, a := range o.Alerts {
		row := alertRowOf(a, v.Now)
		switch {
		case !a.Firing():
			p.Over = append(p.Over, row)
		case a.Suppressed():
			p.Quiet = append(p.Quiet, row)
		}
	}
	for _, one := range o.Silences {
		if state := one.State(v.Now); state != alert.SilenceExpired {
			p.Silences = append(p.Silences, silenceRow{one, state})
		}
	}
	return s.show(w, r, http.StatusOK, "alerts", p)
}

func titleOf(p alert.Page) string {
	if len(p.Alerts) == 0 {
		return p.Key
	}
	return cmp.Or(p.Annotations[alert.Summary], p.Alerts[0].Labels[alert.Name])
}

func gravityOf(severity string, calm bool) string {
	switch {
	case calm:
		return "calm"
	case severity == alert.Paging:
		return "fail"
	case severity == alert.Ticket:
		return "hold"
	}
	return "calm"
}

func alertRowOf(a alert.Standing, now time.Time) alertRow {
	row := alertRow{Standing: a, Summary: cmp.Or(a.Annotations[alert.Summary], a.Annotations[alert.Description]), Tone: "calm"}
	switch {
	case a.Expired:
		row.State = "given up: nobody saw its end"
	case !a.Firing():
		row.State = "over"
	case len(a.SilencedBy) > 0:
		row.State = "silenced"
	case a.Cause != "":
		row.State = "symptom"
	case a.Muted:
		row.State = "at rest"
	case a.Ack.Holds(now):
		row.State = "taken"
	case a.Unheard:
		row.State, row.Tone = "unheard", "hold"
	case a.Flapping:
		row.State, row.Tone = "flapping", gravityOf(alert.Grade(a.Labels[alert.Severity]), false)
	default:
		row.State, row.Tone = "firing", gravityOf(alert.Grade(a.Labels[alert.Severity]), false)
	}
	return row
}

type alertPage struct {
	*visit
	Row    alertRow
	Labels [][2]string
	Cause  *alertRow
	Shown  []view
}

// alert is the page of one alert; of a page's key, that of its gravest alert.
func (s *Server) alert(w http.ResponseWriter, r *http.Request, v *visit) error {
	o, err := s.Pager.Overview(r.Context())
	if err != nil {
		return err
	}
	a, ok := findAlert(o, r.PathValue("alert"))
	if !ok {
		return errs.E(errs.Missing, "there is no such alert; one that is over is kept for an hour, and stays on the record")
	}
	if a.ID != r.PathValue("alert") && !fragment(r) { // who looks at one alert shall not be shown another when the page changes
		http.Redirect(w, r, "/alerts/"+url.PathEscape(a.ID), http.StatusSeeOther)
		return nil
	}
	v.Title, v.Live = a.Labels[alert.Name], "alerts"
	p := &alertPage{visit: v, Row: alertRowOf(a, v.Now)}
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		p.Labels = append(p.Labels, [2]string{k, a.Labels[k]})
	}
	if c, ok := findAlert(o, a.Cause); ok && a.Cause != "" {
		row := alertRowOf(c, v.Now)
		p.Cause = &row
	}
	events, err := s.Store.Events(r.Context(), store.EventQuery{Subject: pager.Subject(a.ID), Limit: 50, Backward: true})
	if err != nil {
		return err
	}
	for _, e := range events {
		p.Shown = append(p.Shown, view{At: e.Time, What: strings.ReplaceAll(e.Type, ".", " "), Who: e.Actor})
	}
	return s.show(w, r, http.StatusOK, "alert", p)
}

// view is one thing that happened to an alert.
type view struct {
	At        time.Time
	What, Who string
}

func findAlert(o pager.Overview, word string) (alert.Standing, bool) {
	for _, p := range o.Pages {
		if p.Key == word && len(p.Alerts) > 0 {
			for _, a := range o.Alerts {
				if slices.Contains(a.Groups, p.Key) && maps.Equal(a.Labels, p.Alerts[0].Labels) {
					return a, true
				}
			}
		}
	}
	for _, a := range o.Alerts {
		if a.ID == word {
			return a, true
		}
	}
	return alert.Standing{}, false
}

func (s *Server) ackAlert(undo bool) deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			if undo {
				return question{Ask: "Give it back?", Button: "Give back", Back: "/alerts", Text: "Others are called again as long as it fires.", Silent: true}, nil
			}
			return question{Ask: "Take it?", Button: "Take", Back: "/alerts", Text: "Nobody else is called for it while it lasts. What joins it later is told all the same."}, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			_, err := s.Pager.Ack(r.Context(), v.Who.Actor(), r.PathValue("alert"), reason, time.Time{}, undo)
			return err
		},
	}
}

// silenceTimes are those that are offered.
var silenceTimes = map[string]time.Duration{"1 hour": time.Hour, "4 hours": 4 * time.Hour, "1 day": 24 * time.Hour, "1 week": 7 * 24 * time.Hour}

func (s *Server) silenceAlert() deed {
	return deed{
		ask: func(r *http.Request, _ *visit) (question, error) {
			o, err := s.Pager.Overview(r.Context())
			if err != nil {
				return question{}, err
			}
			a, ok := findAlert(o, r.PathValue("alert"))
			if !ok {
				return question{}, errs.E(errs.Missing, "there is no such alert any more")
			}
			return question{Ask: "Silence " + a.Labels[alert.Name] + "?", Button: "Silence", Back: "/alerts/" + url.PathEscape(a.ID), Must: true,
				Text:   "Nobody is told of alerts with just these labels. They go on being shown, and others of the service are told.",
				Choose: "For", Choices: []string{"1 hour", "4 hours", "1 day", "1 week"}, Choice: "1 hour"}, nil
		},
		do: func(r *http.Request, v *visit, reason string) error {
			d, ok := silenceTimes[r.PostFormValue("choice")]
			if !ok || reason == "" {
				return errs.E(errs.Invalid, "expected for how long, and why")
			}
			o, err := s.Pager.Overview(r.Context())
			if err != nil {
				return err
			}
			a, ok := findAlert(o, r.PathValue("alert"))
			if !ok {
				return errs.E(errs.Missing, "there is no such alert any more")
			}
			sil := alert.Silence{StartsAt: v.Now, EndsAt: v.Now.Add(d), CreatedBy: v.Who.Name, Comment: reason}
			for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
				sil.Matchers = append(sil.Matchers, alert.Matcher{Name: k, Value: a.Labels[k], IsEqual: true})
			}
			_, err = s.Pager.SetSilence(r.Context(), v.Who.Actor(), sil)
			return err
		},
	}
}

func (s *Server) endSilence() deed {
	return deed{
		ask: func(*http.Request, *visit) (question, error) {
			return question{Ask: "End the silence?", Button: "End it", Back: "/alerts", Silent: true, Text: "What fires is told at once."}, nil
		},
		do: func(r *http.Request, v *visit, _ string) error {
			return s.Pager.ExpireSilence(r.Context(), v.Who.Actor(), r.PathValue("silence"))
		},
	}
}

type noisePage struct {
	*visit
	pager.Report
}

// noiseTime is how far back the page looks.
const noiseTime = 14 * 24 * time.Hour

func (s *Server) noise(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title = "Noise"
	report, err := s.Pager.Noise(r.Context(), v.Now.Add(-noiseTime))
	if err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "noise", &noisePage{v, report})
}

// fires counts the pages that wake people and that nobody has taken.
func (s *Server) fires(ctx context.Context) int {
	if s.Pager == nil {
		return 0
	}
	o, err := s.Pager.Overview(ctx)
	if err != nil {
		return 0
	}
	n := 0
	for _, p := range o.Pages {
		if p.Severity != alert.Info && p.Ack == nil {
			n++
		}
	}
	return n
}
