package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/policy"
)

// maxAlerts bounds a request that brings alerts.
const maxAlerts = 8 << 20

// alertmanager mounts version 2 of Alertmanager's API, with its shapes and status codes.
func (s *Server) alertmanager() {
	if s.Pager == nil {
		return
	}
	for _, r := range []struct {
		pattern string
		action  policy.Action
		do      http.HandlerFunc
	}{
		{"POST /api/v2/alerts", policy.Alert, s.amPostAlerts}, {"GET /api/v2/alerts", policy.Read, s.amAlerts}, {"GET /api/v2/alerts/groups", policy.Read, s.amGroups},
		{"GET /api/v2/silences", policy.Read, s.amSilences}, {"POST /api/v2/silences", policy.Decide, s.amPostSilence},
		{"GET /api/v2/silence/{id}", policy.Read, s.amSilence}, {"DELETE /api/v2/silence/{id}", policy.Decide, s.amDeleteSilence},
		{"GET /api/v2/status", policy.Read, s.amStatus}, {"GET /api/v2/receivers", policy.Read, s.amReceivers},
	} {
		s.mount(r.pattern, route{action: r.action, maxBody: maxAlerts}, r.do)
	}
}

type amAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     amTime            `json:"startsAt"`
	EndsAt       amTime            `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

// amTime is a time that may be left out or empty.
type amTime struct{ time.Time }

// UnmarshalJSON takes what Alertmanager takes.
func (t *amTime) UnmarshalJSON(b []byte) error {
	text := ""
	if err := json.Unmarshal(b, &text); err != nil || text == "" {
		return err
	}
	var err error
	t.Time, err = time.Parse(time.RFC3339Nano, text)
	return err
}

// amAnswer writes JSON; of a problem, a text.
func amAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if v != nil {
		_ = json.NewEncoder(w).Encode(v)
	}
}

// amInvalid is how a body is refused that does not have the form that is described.
func amInvalid(w http.ResponseWriter, status, code int, format string, args ...any) {
	amAnswer(w, status, map[string]any{"code": code, "message": fmt.Sprintf(format, args...)})
}

// amRead reads a body; it answers itself what is no JSON.
func amRead(w http.ResponseWriter, r *http.Request, name string, to any) bool {
	if t := r.Header.Get("Content-Type"); t != "" && !strings.HasPrefix(t, "application/json") {
		amInvalid(w, http.StatusUnsupportedMediaType, 415, "unsupported media type %q, only [application/json] are allowed", t)
		return false
	}
	err := json.NewDecoder(r.Body).Decode(to)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		amInvalid(w, http.StatusRequestEntityTooLarge, 413, "http: request body too large")
	case err != nil:
		amInvalid(w, http.StatusBadRequest, 400, "parsing %s body from \"\" failed, because %v", name, err)
	}
	return err == nil
}

func (s *Server) amPostAlerts(w http.ResponseWriter, r *http.Request) {
	var in []amAlert
	if !amRead(w, r, "alerts", &in) {
		return
	}
	for i, a := range in {
		if a.Labels == nil {
			amInvalid(w, http.StatusUnprocessableEntity, 602, "alerts.%d.labels in body is required", i)
			return
		}
	}
	var good []alert.Alert
	var wrong []string
	for _, a := range in {
		for k, v := range a.Labels {
			if v == "" {
				delete(a.Labels, k)
			}
		}
		delete(a.Annotations, "ringfence_rule") // whose alert it is, is for who evaluates rules to say
		one := alert.Alert{Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.StartsAt.Time, EndsAt: a.EndsAt.Time, GeneratorURL: a.GeneratorURL}
		if one.StartsAt.IsZero() && !one.EndsAt.IsZero() && !one.EndsAt.After(s.Now()) {
			one.StartsAt = one.EndsAt
		}
		if err := one.Check(); err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		good = append(good, one)
	}
	if err := s.Pager.Send(r.Context(), good); err != nil {
		amAnswer(w, http.StatusInternalServerError, err.Error())
		return
	}
	if len(wrong) > 0 {
		amAnswer(w, http.StatusBadRequest, strings.Join(wrong, "\n"))
		return
	}
	w.WriteHeader(http.StatusOK)
}

type amStatus struct {
	State       string   `json:"state"`
	SilencedBy  []string `json:"silencedBy"`
	InhibitedBy []string `json:"inhibitedBy"`
	MutedBy     []string `json:"mutedBy"`
}

type amName struct {
	Name string `json:"name"`
}

type amGettable struct {
	Annotations  map[string]string `json:"annotations"`
	EndsAt       time.Time         `json:"endsAt"`
	Fingerprint  string            `json:"fingerprint"`
	Receivers    []amName          `json:"receivers"`
	StartsAt     time.Time         `json:"startsAt"`
	Status       amStatus          `json:"status"`
	UpdatedAt    time.Time         `json:"updatedAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
	Labels       map[string]string `json:"labels"`
}

func (s *Server) amOf(r *http.Request, a alert.Standing) amGettable {
	g := amGettable{Annotations: a.Annotations, EndsAt: a.Until, Fingerprint: a.ID, StartsAt: a.StartsAt, UpdatedAt: a.Heard, GeneratorURL: a.GeneratorURL, Labels: a.Labels,
		Receivers: []amName{}, Status: amStatus{State: "active", SilencedBy: append([]string{}, a.SilencedBy...), InhibitedBy: []string{}, MutedBy: []string{}}}
	if a.Unheard || g.EndsAt.Before(s.Now()) {
		g.EndsAt = s.Now().Add(5 * time.Minute)
	}
	if a.Cause != "" {
		g.Status.InhibitedBy = append(g.Status.InhibitedBy, a.Cause)
	}
	if a.Muted {
		g.Status.MutedBy = append(g.Status.MutedBy, a.Routes...)
	}
	if a.Suppressed() {
		g.Status.State = "suppressed"
	}
	for _, name := range s.AlertNews.To(r.Context(), a) {
		g.Receivers = append(g.Receivers, amName{name})
	}
	return g
}

// amFilter is what a list of alerts is to hold.
type amFilter struct {
	active, silenced, inhibited, muted bool
	matchers                           alert.Matchers
	receiver                           *regexp.Regexp
}

func (f amFilter) takes(a alert.Standing) bool {
	return a.Firing() && f.matchers.Matches(a.Labels) && (f.active || a.Suppressed()) && (f.silenced || len(a.SilencedBy) == 0) && (f.inhibited || a.Cause == "")
}

func (f amFilter) receives(g amGettable) bool {
	return f.receiver == nil || slices.ContainsFunc(g.Receivers, func(n amName) bool { return f.receiver.MatchString(n.Name) })
}

// amFilterOf reads the parameters; it answers itself what it cannot read.
func amFilterOf(w http.ResponseWriter, r *http.Request) (f amFilter, ok bool) {
	q := r.URL.Query()
	for name, to := range map[string]*bool{"active": &f.active, "silenced": &f.silenced, "inhibited": &f.inhibited, "muted": &f.muted, "unprocessed": new(bool)} {
		*to = true
		if text := q.Get(name); text != "" {
			v, err := strconv.ParseBool(text)
			if err != nil {
				amInvalid(w, http.StatusUnprocessableEntity, 601, "%s in query must be of type boolean: %q", name, text)
				return f, false
			}
			*to = v
		}
	}
	var err error
	if f.matchers, err = alert.ParseMatchers(q["filter"]...); err != nil {
		amAnswer(w, http.StatusBadRequest, err.Error())
		return f, false
	}
	if text := q.Get("receiver"); text != "" {
		if f.receiver, err = regexp.Compile("^(?:" + text + ")$"); err != nil {
			amAnswer(w, http.StatusBadRequest, fmt.Sprintf("failed to parse receiver param: %v", err))
			return f, false
		}
	}
	return f, true
}

func (s *Server) amOverview(w http.ResponseWriter, r *http.Request) (pager.Overview, bool) {
	o, err := s.Pager.Overview(r.Context())
	if err != nil {
		amAnswer(w, http.StatusInternalServerError, err.Error())
	}
	return o, err == nil
}

func (s *Server) amAlerts(w http.ResponseWriter, r *http.Request) {
	f, ok := amFilterOf(w, r)
	if !ok {
		return
	}
	o, ok := s.amOverview(w, r)
	if !ok {
		return
	}
	out := []amGettable{}
	for _, a := range o.Alerts {
		if f.takes(a) {
			if g := s.amOf(r, a); f.receives(g) {
				out = append(out, g)
			}
		}
	}
	slices.SortFunc(out, func(a, b amGettable) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	amAnswer(w, http.StatusOK, out)
}

type amGroup struct {
	Alerts   []amGettable      `json:"alerts"`
	Labels   map[string]string `json:"labels"`
	Receiver amName            `json:"receiver"`
}

func (s *Server) amGroups(w http.ResponseWriter, r *http.Request) {
	f, ok := amFilterOf(w, r)
	if !ok {
		return
	}
	o, ok := s.amOverview(w, r)
	if !ok {
		return
	}
	by := map[string]*amGroup{}
	for _, a := range o.Alerts {
		if !f.takes(a) || !f.muted && a.Suppressed() {
			continue
		}
		g := s.amOf(r, a)
		names := g.Receivers
		if len(names) == 0 {
			names = []amName{{"nobody"}}
		}
		for i, id := range a.Groups {
			for _, name := range names {
				if f.receiver != nil && !f.receiver.MatchString(name.Name) {
					continue
				}
				key := name.Name + " " + id
				if by[key] == nil {
					by[key] = &amGroup{Labels: a.GroupLabels[i], Receiver: name}
				}
				by[key].Alerts = append(by[key].Alerts, g)
			}
		}
	}
	out := []amGroup{}
	for _, g := range by {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b amGroup) int {
		return strings.Compare(fmt.Sprint(a.Labels, a.Receiver), fmt.Sprint(b.Labels, b.Receiver))
	})
	amAnswer(w, http.StatusOK, out)
}

func (s *Server) amStatus(w http.ResponseWriter, _ *http.Request) {
	amAnswer(w, http.StatusOK, map[string]any{
		"cluster": map[string]any{"status": "disabled", "peers": []any{}},
		"config":  map[string]string{"original": "# declared as AlertRouting: ringfence get alertrouting"},
		"uptime":  s.started,
		"versionInfo": map[string]string{"version": alertmanagerVersion, "revision": s.Version, "branch": "ringfence", "buildUser": "ringfence", "buildDate": "",
			"goVersion": "go"},
	})
}

// alertmanagerVersion is that whose API is spoken, by which clients choose what they may ask.
const alertmanagerVersion = "0.28.1"

func (s *Server) amReceivers(w http.ResponseWriter, r *http.Request) {
	names, err := s.AlertNews.Receivers(r.Context())
	if err != nil {
		amAnswer(w, http.StatusInternalServerError, err.Error())
		return
	}
	out := []amName{}
	for _, n := range names {
		out = append(out, amName{n})
	}
	amAnswer(w, http.StatusOK, out)
}

type amSilence struct {
	ID        string            `json:"id,omitempty"`
	Status    map[string]string `json:"status,omitempty"`
	UpdatedAt *time.Time        `json:"updatedAt,omitempty"`
	Comment   *string           `json:"comment"`
	CreatedBy *string           `json:"createdBy"`
	EndsAt    *time.Time        `json:"endsAt"`
	Matchers  []amMatcher       `json:"matchers"`
	StartsAt  *time.Time        `json:"startsAt"`
}

type amMatcher struct {
	IsEqual *bool   `json:"isEqual,omitempty"`
	IsRegex *bool   `json:"isRegex"`
	Name    *string `json:"name"`
	Value   *string `json:"value"`
}

func (s *Server) amSilenceOf(a alert.Silence) amSilence {
	out := amSilence{ID: a.ID, Status: map[string]string{"state": a.State(s.Now())}, UpdatedAt: &a.UpdatedAt, Comment: &a.Comment, CreatedBy: &a.CreatedBy, EndsAt: &a.EndsAt, StartsAt: &a.StartsAt}
	for _, m := range a.Matchers {
		out.Matchers = append(out.Matchers, amMatcher{&m.IsEqual, &m.IsRegex, &m.Name, &m.Value})
	}
	return out
}

func (s *Server) amSilences(w http.ResponseWriter, r *http.Request) {
	matchers, err := alert.ParseMatchers(r.URL.Query()["filter"]...)
	if err != nil {
		amAnswer(w, http.StatusBadRequest, err.Error())
		return
	}
	o, ok := s.amOverview(w, r)
	if !ok {
		return
	}
	out := []amSilence{}
	order := map[string]int{alert.SilenceActive: 1, alert.SilencePending: 2, alert.SilenceExpired: 3}
	now := s.Now()
	slices.SortStableFunc(o.Silences, func(a, b alert.Silence) int {
		x, y := a.State(now), b.State(now)
		switch {
		case x != y:
			return order[x] - order[y]
		case x == alert.SilenceActive:
			return a.EndsAt.Compare(b.EndsAt)
		case x == alert.SilencePending:
			return a.StartsAt.Compare(b.StartsAt)
		}
		return b.EndsAt.Compare(a.EndsAt)
	})
	for _, one := range o.Silences {
		labels := map[string]string{}
		for _, m := range one.Matchers {
			labels[m.Name] = m.Value
		}
		shown := r.URL.Query().Get(one.State(now)) != "false"
		if shown && matchers.Matches(labels) {
			out = append(out, s.amSilenceOf(one))
		}
	}
	amAnswer(w, http.StatusOK, out)
}

func (s *Server) amSilence(w http.ResponseWriter, r *http.Request) {
	o, ok := s.amOverview(w, r)
	if !ok {
		return
	}
	for _, one := range o.Silences {
		if one.ID == r.PathValue("id") {
			amAnswer(w, http.StatusOK, s.amSilenceOf(one))
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (s *Server) amPostSilence(w http.ResponseWriter, r *http.Request) {
	var in amSilence
	if !amRead(w, r, "silence", &in) {
		return
	}
	for _, f := range []struct {
		name string
		is   bool
	}{{"comment", in.Comment != nil}, {"createdBy", in.CreatedBy != nil}, {"endsAt", in.EndsAt != nil}, {"matchers", in.Matchers != nil}, {"startsAt", in.StartsAt != nil}} {
		if !f.is {
			amInvalid(w, http.StatusUnprocessableEntity, 602, "silence.%s in body is required", f.name)
			return
		}
	}
	if len(in.Matchers) == 0 {
		amInvalid(w, http.StatusUnprocessableEntity, 612, "silence.matchers in body should have at least 1 items")
		return
	}
	out := alert.Silence{ID: in.ID, Comment: *in.Comment, CreatedBy: *in.CreatedBy, StartsAt: in.StartsAt.UTC(), EndsAt: in.EndsAt.UTC()}
	for i, m := range in.Matchers {
		if m.Name == nil || m.Value == nil || m.IsRegex == nil {
			amInvalid(w, http.StatusUnprocessableEntity, 602, "silence.matchers.%d: name, value and isRegex in body are required", i)
			return
		}
		out.Matchers = append(out.Matchers, alert.Matcher{Name: *m.Name, Value: *m.Value, IsRegex: *m.IsRegex, IsEqual: m.IsEqual == nil || *m.IsEqual})
	}
	switch {
	case !out.StartsAt.Before(out.EndsAt):
		amAnswer(w, http.StatusBadRequest, "Failed to create silence: start time must be before end time")
		return
	case out.EndsAt.Before(s.Now()):
		amAnswer(w, http.StatusBadRequest, "Failed to create silence: end time can't be in the past")
		return
	}
	id, err := s.Pager.SetSilence(r.Context(), actorOf(r.Context()), out)
	switch {
	case errs.Is(err, errs.Missing):
		amAnswer(w, http.StatusNotFound, err.Error())
	case err != nil:
		amAnswer(w, http.StatusBadRequest, err.Error())
	default:
		amAnswer(w, http.StatusOK, map[string]string{"silenceID": id})
	}
}

func (s *Server) amDeleteSilence(w http.ResponseWriter, r *http.Request) {
	err := s.Pager.ExpireSilence(r.Context(), actorOf(r.Context()), r.PathValue("id"))
	switch {
	case errs.Is(err, errs.Missing):
		w.WriteHeader(http.StatusNotFound)
	case err != nil:
		amAnswer(w, http.StatusInternalServerError, err.Error())
	default:
		w.WriteHeader(http.StatusOK)
	}
}
