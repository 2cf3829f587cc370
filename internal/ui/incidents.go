package ui

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/responder"
)

// Incidents are kept, and people called for them.
type Incidents interface {
	IncidentDeeds
	IncidentReports
}

// IncidentDeeds are what people do with incidents.
type IncidentDeeds interface {
	List(ctx context.Context) ([]incident.State, error)
	View(ctx context.Context, id string) (responder.View, error)
	Open(ctx context.Context, actor string, d responder.Draft) (incident.State, error)
	Do(ctx context.Context, id string, a incident.Ask) (incident.State, error)
	Remedy(ctx context.Context, actor, id, kind, ref, reason string) (responder.Remedied, error)
}

// IncidentReports are what is learned from incidents.
type IncidentReports interface {
	Postmortem(ctx context.Context, id string) (string, error)
	Trends(ctx context.Context, service string, span time.Duration, n int) ([]incident.Trend, error)
	Actions(ctx context.Context) ([]responder.OpenAction, error)
	Dora(ctx context.Context, days int) ([]incident.Measures, error)
	OnCall(ctx context.Context, rotation string, ahead time.Duration) ([]responder.OnCall, error)
}

// incidentRoutes are the pages of incidents. They are authorised as the API is.
func (s *Server) incidentRoutes() {
	if s.Incidents == nil {
		return
	}
	s.mux.HandleFunc("GET /incidents", s.signed(policy.Read, s.incidents))
	s.mux.HandleFunc("GET /incidents/trends", s.signed(policy.Read, s.incidentTrends))
	s.mux.HandleFunc("GET /incidents/trends/series", s.signed(policy.Read, s.trendSeries))
	s.mux.HandleFunc("GET /incidents/{incident}", s.signed(policy.Read, s.incident))
	s.mux.HandleFunc("GET /incidents/{incident}/series", s.signed(policy.Read, s.incidentSeries))
	s.mux.HandleFunc("GET /incidents/{incident}/postmortem", s.signed(policy.Read, s.postmortem))
	s.mux.HandleFunc("GET /incidents/{incident}/postmortem.md", s.signed(policy.Read, s.postmortemFile))
	s.deed("/incidents/open", s.openIncident())
	s.deed("/incidents/{incident}/remedy", s.remedyIncident())
	s.enter("/incidents/{incident}/impact", impactSlip)
	s.enter("/incidents/{incident}/cause", causeSlip)
	s.enter("/incidents/{incident}/learn", learnSlip)
	s.enter("/incidents/{incident}/action", actionSlip)
	s.enter("/incidents/{incident}/action/{item}", actionSlip)
	s.deed("/incidents/{incident}/action/{item}/done", s.doneAction())
	for _, d := range incidentDeeds {
		s.deed("/incidents/{incident}/"+string(d.verb), s.incidentDeed(d))
	}
}

// incidentRow is an incident in the list.
type incidentRow struct {
	incident.State
	Tone                      string
	Detect, Mitigate, Restore string
}

type incidentsPage struct {
	*visit
	Rows    []incidentRow
	Hurting int
	OnCall  []responder.OnCall
	Actions []responder.OpenAction
}

func (s *Server) incidents(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "Incidents", "all"
	ctx := r.Context()
	all, err := s.Incidents.List(ctx)
	if err != nil {
		return err
	}
	p := &incidentsPage{visit: v}
	for _, st := range all[:min(len(all), 200)] {
		t := st.Times()
		p.Rows = append(p.Rows, incidentRow{st, hurtTone(st), lasted(t.Detect), lasted(t.Mitigate), lasted(t.Remediate)})
		if st.Live() {
			p.Hurting++
		}
	}
	slices.SortStableFunc(p.Rows, func(a, b incidentRow) int { return cmp.Compare(min(1, len(a.Mitigate)), min(1, len(b.Mitigate))) })
	if p.OnCall, err = s.Incidents.OnCall(ctx, "", 14*24*time.Hour); err != nil {
		return err
	}
	if p.Actions, err = s.Incidents.Actions(ctx); err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "incidents", p)
}

func hurtTone(s incident.State) string {
	switch s.Phase {
	case incident.Open:
		return "fail"
	case incident.Acknowledged:
		return "hold"
	case incident.Mitigated, incident.Resolved:
		return "wait"
	}
	return "pass"
}

// lasted is a duration in words, "" when it is not known.
func lasted(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return incident.Span(time.Duration(*seconds * float64(time.Second)))
}

// measureView is one of the times of an incident.
type measureView struct{ Name, Title, Text string }

// splitRow is a part of the traffic in the split chart.
type splitRow struct {
	Name               string
	Before, Since      string // shares
	Bad, Requests      string
	WidthBefore, Width float64 // of 100, relative to the worst part
	Worst              bool
}

// causeView is a candidate.
type causeView struct {
	incident.Candidate
	Odds  string
	Link  string
	Width float64
}

type incidentPage struct {
	*visit
	responder.View
	S        incident.State
	Tone     string
	Measures []measureView
	First    *responder.Remedy // the first button
	Others   []responder.Remedy
	Causes   []causeView
	Split    []splitRow
	Buttons  []incidentButton
	Chart    bool
	Steps    []closingStep
	Closable bool
	Items    []itemRow // action items
	Add      *slip
	People   []string // who could own one
}

// incidentButton is something that a person can do with the incident.
type incidentButton struct {
	Verb, Label, Key string
	Loud             bool
}

func (s *Server) incident(w http.ResponseWriter, r *http.Request, v *visit) error {
	view, err := s.Incidents.View(r.Context(), r.PathValue("incident"))
	if err != nil {
		return err
	}
	st := view.Incident
	v.Title, v.Live = st.ID+" "+st.Title, "all"
	p := &incidentPage{visit: v, View: view, S: st, Tone: hurtTone(st), Chart: s.Metrics != nil && st.Service != "", Buttons: buttonsOf(st)}
	t := view.Times
	for _, m := range []struct {
		name, title string
		v           *float64
	}{{"TTD", "from the first bad event until it was noticed", t.Detect}, {"Taken after", "from when it was noticed", t.Acknowledge}, {"TTN", "from the first bad event until everyone was told", t.Tell},
		{"TTM", "from the first bad event until users were not hurt any more", t.Mitigate}, {"TTR", "from the first bad event until what was wrong was put right", t.Remediate}} {
		p.Measures = append(p.Measures, measureView{m.name, m.title, cmp.Or(lasted(m.v), "–")})
	}
	for i, re := range view.Remedies {
		if i == 0 && re.Why == "" {
			p.First = &view.Remedies[0]
			continue
		}
		p.Others = append(p.Others, re)
	}
	for _, c := range view.Causes.Candidates[:min(8, len(view.Causes.Candidates))] {
		p.Causes = append(p.Causes, causeView{c, incident.Odds(c.Share), linkOfCause(c.Ref), 100 * c.Share})
	}
	p.Split = splitOf(view.Causes.Parts)
	slices.Reverse(p.View.Timeline)
	if err := s.closing(r, p); err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "incident", p)
}

func linkOfCause(ref string) string {
	kind, name, _ := strings.Cut(ref, "/")
	switch kind {
	case "rollout":
		return "/rollouts/" + name
	case "service":
		return "/services/" + name
	case "ringplan":
		return "/plans/" + name
	}
	return ""
}

func splitOf(parts []responder.Part) []splitRow {
	worst := 0.0
	for _, p := range parts {
		worst = max(worst, p.Since.Rate(), p.Before.Rate())
	}
	var rows []splitRow
	for i, p := range parts {
		if i == 12 {
			break
		}
		name := cmp.Or(p.Version, "any version")
		if p.Ring != "" {
			name += ", ring " + p.Ring
		}
		row := splitRow{Name: name, Before: incident.Percent(p.Before.Rate()), Since: incident.Percent(p.Since.Rate()), Bad: incident.Number(p.Since.Bad), Requests: incident.Number(p.Since.Requests), Worst: i == 0 && p.Since.Bad > 0}
		if worst > 0 {
			row.Width, row.WidthBefore = 100*p.Since.Rate()/worst, 100*p.Before.Rate()/worst
		}
		rows = append(rows, row)
	}
	return rows
}

func buttonsOf(s incident.State) []incidentButton {
	var all []incidentButton
	add := func(verb incident.Verb, label, key string, loud bool) {
		all = append(all, incidentButton{string(verb), label, key, loud})
	}
	switch s.Phase {
	case incident.Open:
		add(incident.Ack, "Take it", "a", false)
	case incident.Acknowledged:
		add(incident.Mitigate, "Users are safe", "m", false)
	case incident.Mitigated:
		add(incident.Resolve, "Resolve", "r", false)
	case incident.Resolved:
		add(incident.Close, "Close", "x", false)
	}
	if s.Phase != incident.Closed {
		add(incident.Update, "Tell everyone", "t", false)
	}
	add(incident.Note, "Note", "n", false)
	if !s.Live() {
		add(incident.Reopen, "It is back", "", true)
	}
	return all
}

// incidentSeries answers with the share of errors by version around an incident, with its moments as marks.
func (s *Server) incidentSeries(w http.ResponseWriter, r *http.Request, v *visit) error {
	view, err := s.Incidents.View(r.Context(), r.PathValue("incident"))
	if err != nil {
		return err
	}
	st := view.Incident
	start := cmp.Or(st.Impact.Start.UnixNano(), 0)
	from := st.Detected
	if !st.Impact.Start.IsZero() && start < from.UnixNano() {
		from = st.Impact.Start
	}
	end := v.Now
	for _, t := range []time.Time{st.Impact.End, st.Resolved} {
		if !t.IsZero() && t.Add(30*time.Minute).Before(end) {
			end = t.Add(30 * time.Minute)
		}
	}
	from = from.Add(-20 * time.Minute)
	step := max(time.Second, s.Scrape/2, end.Sub(from)/seriesPoints).Round(time.Second)
	from = from.Truncate(step)
	answer := charts{T: chartTimes(from, end, step), Empty: noTraffic}
	if s.Metrics == nil || st.Service == "" {
		return sendCharts(w, answer)
	}
	pairs, err := s.rates(r.Context(), "version", st.Service, from, end, step, s.window(step))
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	answer.Charts, answer.Logs = narrowed(trafficCharts(pairs, "", ""), "version"), s.logsOf(st.Service)
	samePaint(answer.Charts)
	for _, e := range view.Timeline {
		if tone := markTone(e); tone != "" {
			answer.Marks = append(answer.Marks, markView{T: float64(e.At.UnixMilli()) / 1000, Text: e.Text, Tone: tone})
		}
	}
	if !st.Impact.Start.IsZero() {
		until := end
		if !st.Impact.End.IsZero() {
			until = st.Impact.End
		}
		answer.Spans = []spanView{{From: float64(st.Impact.Start.Unix()), To: float64(until.Unix()), Tone: "fail", Text: "users are hurt"}}
	}
	return sendCharts(w, answer)
}

// markTone says how a line of a timeline stands in a chart; "" for not at all.
func markTone(e incident.Entry) string {
	switch {
	case e.Mark == "onset", e.Type == "rollout.halted", e.Type == incident.EvOpened:
		return "fail"
	case e.Mark == "end", e.Type == incident.EvMitigated, e.Type == "rollback.completed":
		return "pass"
	case e.Type == "stage.exposed", e.Type == "rollout.aborted", e.Type == incident.EvActed, e.Type == "resource.applied":
		return "calm"
	}
	return ""
}

// trendRow is one span of time.
type trendRow struct {
	incident.Trend
	Detects, Takes, Tells, Mitigates, Remediates string
}

// doraRow is a service's four measures.
type doraRow struct {
	incident.Measures
	Frequency, LeadTime, Failure, Restores string
}

type trendsPage struct {
	*visit
	Service  string
	Services []string
	Rows     []trendRow
	Dora     []doraRow
	Any      bool
}

func (s *Server) incidentTrends(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title = "Trends"
	p := &trendsPage{visit: v, Service: clip(r.URL.Query().Get("service"), 253)}
	trends, err := s.Incidents.Trends(r.Context(), p.Service, 7*24*time.Hour, 12)
	if err != nil {
		return err
	}
	slices.Reverse(trends)
	for _, t := range trends {
		p.Any = p.Any || t.Incidents > 0
		p.Rows = append(p.Rows, trendRow{t, lasted(t.Detect), lasted(t.Acknowledge), lasted(t.Tell), lasted(t.Mitigate), lasted(t.Remediate)})
	}
	dora, err := s.Incidents.Dora(r.Context(), 30)
	if err != nil {
		return err
	}
	for _, m := range dora {
		if m.Service != "" {
			p.Services = append(p.Services, m.Service)
		}
		row := doraRow{Measures: m, Frequency: strconv.FormatFloat(math.Round(m.PerDay*100)/100, 'f', -1, 64) + " a day", LeadTime: lasted(m.Lead), Restores: lasted(m.Restore)}
		if m.FailureRate != nil {
			row.Failure = fmt.Sprintf("%s, %d of %d", incident.Percent(*m.FailureRate), m.Failed, m.Reached)
		}
		p.Dora = append(p.Dora, row)
	}
	return s.show(w, r, http.StatusOK, "incidenttrends", p)
}

// trendSeries answers with the trends as charts.
func (s *Server) trendSeries(w http.ResponseWriter, r *http.Request, _ *visit) error {
	trends, err := s.Incidents.Trends(r.Context(), r.URL.Query().Get("service"), 7*24*time.Hour, 12)
	if err != nil {
		return err
	}
	answer := charts{Empty: "There was no incident in twelve weeks."}
	how, many := chart{Title: "How fast, week by week (medians)", Unit: "seconds", Zero: true}, chart{Title: "Incidents a week", Zero: true}
	lines := []chartLine{{Name: "TTD", Paint: "va"}, {Name: "TTM", Paint: "vb"}, {Name: "TTR", Paint: "vc"}}
	number := chartLine{Name: "incidents", Paint: "vd", Area: true}
	seen := false
	for _, t := range trends {
		answer.T = append(answer.T, t.To.Unix())
		for i, x := range []*float64{t.Detect, t.Mitigate, t.Remediate} {
			lines[i].Y = append(lines[i].Y, x)
		}
		n := float64(t.Incidents)
		number.Y = append(number.Y, &n)
		seen = seen || t.Incidents > 0
	}
	if seen {
		how.Series, many.Series = lines, []chartLine{number}
		answer.Charts = []chart{how, many}
	}
	return sendCharts(w, answer)
}
