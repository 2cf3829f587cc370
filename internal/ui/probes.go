package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	became "github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// Probes say what probers saw.
type Probes interface {
	List() []probing.Status
	Show(name string) (probing.Status, error)
	Compare(name, newer, stable string, gate resource.ProbeGate) (synthetic.Comparison, error)
	Probers() []probing.Prober
}

// Usage says how services are for their users, and what became of what was expected of releases.
type Usage interface {
	RUM(ctx context.Context, service string, window time.Duration, now time.Time) (wire.RUM, error)
	Outcome(ctx context.Context, s rollout.State, now time.Time) (*became.Report, error)
}

// probeRoutes are the pages of probes, and of what users see of a service.
func (s *Server) probeRoutes() {
	if s.Probes != nil {
		s.mux.HandleFunc("GET /probes", s.signed(policy.Read, s.probes))
		s.mux.HandleFunc("GET /probes/new", s.signed(policy.Change, s.newProbe))
		s.mux.HandleFunc("GET /probes/{probe}/edit", s.signed(policy.Change, s.probeEditor))
		s.mux.HandleFunc("POST /probes/{probe}/edit", s.signed(policy.Change, s.editProbe))
		s.mux.HandleFunc("GET /probes/{probe}", s.signed(policy.Read, s.probe))
		s.mux.HandleFunc("GET /ui/probes/{probe}", s.signed(policy.Read, s.probeCharts))
	}
	if s.Usage != nil {
		s.mux.HandleFunc("GET /services/{service}/users", s.signed(policy.Read, s.users))
	}
}

const barHours = 48

// bar is one hour of an uptime bar.
type bar struct {
	X     int
	Tone  string // pass, hold, fail or none
	Title string
}

// barsOf are the last hours of a version.
func barsOf(hours []synthetic.Hour, now time.Time) []bar {
	by := map[time.Time]synthetic.Hour{}
	for _, h := range hours {
		by[h.Start] = h
	}
	first := now.Truncate(time.Hour).Add(-(barHours - 1) * time.Hour)
	out := make([]bar, barHours)
	for i := range out {
		at := first.Add(time.Duration(i) * time.Hour)
		h := by[at.UTC()]
		out[i] = bar{X: i * 5, Tone: "none", Title: at.UTC().Format("2 Jan 15:04") + ": no rounds"}
		if n := h.Good + h.Bad; n > 0 {
			out[i].Title = fmt.Sprintf("%s: %d of %d rounds good", at.UTC().Format("2 Jan 15:04"), h.Good, n)
			switch {
			case h.Bad == 0:
				out[i].Tone = "pass"
			case h.Good == 0 || h.Bad*10 >= n:
				out[i].Tone = "fail"
			default:
				out[i].Tone = "hold"
			}
		}
	}
	return out
}

// versionRow is one version of a probe.
type versionRow struct {
	probing.VersionStatus
	Tone, Word, Says string
	Bars             []bar
	Took             string
	Good             string
}

func versionRowOf(v probing.VersionStatus, now time.Time) versionRow {
	r := versionRow{VersionStatus: v, Says: sentenceCase(v.Vote.Says()), Bars: barsOf(v.Hours, now)}
	r.Tone, r.Word = stateTone(v.State)
	if !v.Looked {
		r.Tone, r.Word, r.Says = "calm", "gone", "It runs no more"
	}
	if v.Median > 0 {
		r.Took = synthetic.Millis(v.Median)
	}
	if v.Rounds > 0 {
		r.Good = percent(v.Availability)
	}
	return r
}

func stateTone(s synthetic.State) (tone, word string) {
	switch s {
	case synthetic.Up:
		return "pass", "up"
	case synthetic.Down:
		return "fail", "down"
	}
	return "hold", "unknown"
}

// probeRow is a probe in the list.
type probeRow struct {
	probing.Status
	Tone, Word string
	Aim        string
	Rows       []versionRow
}

type probesPage struct {
	*visit
	Rows    []probeRow
	Down    int
	Probers []probing.Prober
}

func (s *Server) probes(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "Probes", "probes"
	p := &probesPage{visit: v, Probers: s.Probes.Probers()}
	for _, st := range s.Probes.List() {
		row := probeRowOf(st, v.Now, true)
		if st.State == synthetic.Down {
			p.Down++
		}
		p.Rows = append(p.Rows, row)
	}
	slices.SortStableFunc(p.Rows, func(a, b probeRow) int { return strings.Compare(order(a.State), order(b.State)) })
	return s.show(w, r, http.StatusOK, "probes", p)
}

// order puts what is down first.
func order(s synthetic.State) string {
	return map[synthetic.State]string{synthetic.Down: "0", synthetic.Unknown: "1", synthetic.Up: "2"}[s]
}

func probeRowOf(st probing.Status, now time.Time, running bool) probeRow {
	row := probeRow{Status: st, Aim: aimOf(st)}
	row.Tone, row.Word = stateTone(st.State)
	for _, v := range st.Versions {
		if v.Looked || !running {
			row.Rows = append(row.Rows, versionRowOf(v, now))
		}
	}
	return row
}

func aimOf(st probing.Status) string {
	switch {
	case st.Target == resource.AtVersions:
		return "every version"
	case st.Target == resource.AtGateway:
		return "through the gateway"
	case st.Spec.DNS != nil:
		return st.Spec.DNS.Name
	}
	return st.Spec.Address
}

type probePage struct {
	*visit
	probeRow
	Compared *synthetic.Comparison
	Verdict  string
	Sees     []seenRow
	Charts   bool
}

// seenRow is what one prober sees of one version.
type seenRow struct {
	Version string
	probing.ProberStatus
	Took, DNS, Connect, TLS, First string
	Said                           string
}

func (s *Server) probe(w http.ResponseWriter, r *http.Request, v *visit) error {
	st, err := s.seenOf(r.Context(), r.PathValue("probe"))
	if err != nil {
		return err
	}
	v.Title, v.Live = st.Name, "probes"
	p := &probePage{visit: v, probeRow: probeRowOf(st, v.Now, false), Charts: s.Metrics != nil}
	if st.Target == resource.AtVersions && st.Pairs[1] != "" {
		if c, err := s.Probes.Compare(st.Name, st.Pairs[0], st.Pairs[1], resource.ProbeGate{}); err == nil && c.Paired > 0 {
			p.Compared, p.Verdict = &c, map[health.Verdict]string{health.Pass: "pass", health.Fail: "fail", health.Hold: "hold"}[c.Verdict]
		}
	}
	for _, ver := range st.Versions {
		for _, one := range ver.Probers {
			p.Sees = append(p.Sees, seenRowOf(ver.Version, one))
		}
	}
	return s.show(w, r, http.StatusOK, "probe", p)
}

// seenOf is what was seen of a probe; of one that was declared just now, nothing yet.
func (s *Server) seenOf(ctx context.Context, name string) (probing.Status, error) {
	st, err := s.Probes.Show(name)
	if !errs.Is(err, errs.Missing) {
		return st, err
	}
	one, gone := s.Catalog.Get(ctx, resource.KindProbe, name)
	if gone != nil {
		return st, err
	}
	spec, err := resource.As[resource.Probe](one)
	if err != nil {
		return st, err
	}
	spec = spec.Defaults()
	return probing.Status{Name: name, Service: spec.Service, Way: spec.Way(), Target: spec.Target, Spec: spec, State: synthetic.Unknown}, nil
}

func seenRowOf(version string, one probing.ProberStatus) seenRow {
	phase := func(s float64) string {
		if s == 0 {
			return "–"
		}
		return synthetic.Millis(s)
	}
	last := one.Last
	row := seenRow{Version: version, ProberStatus: one, Took: phase(last.Seconds), DNS: phase(last.Phases.DNS), Connect: phase(last.Phases.Connect), TLS: phase(last.Phases.TLS),
		First: phase(last.Phases.FirstByte), Said: "as expected"}
	if !last.OK {
		row.Said = last.Reason
		if last.Step != "" {
			row.Said = last.Step + ": " + last.Reason
		}
	}
	return row
}

// probeCharts is how long rounds took, by version and prober.
func (s *Server) probeCharts(w http.ResponseWriter, r *http.Request, v *visit) error {
	st, err := s.seenOf(r.Context(), r.PathValue("probe"))
	if err != nil {
		return err
	}
	span := seenSince(st, v.Now)
	step := max(5*time.Second, time.Duration(st.Spec.Every), (span / 360).Round(time.Second))
	from := v.Now.Add(-span).Truncate(step)
	answer := charts{Empty: "Nothing was seen in this time.", T: chartTimes(from, v.Now, step)}
	took := chart{Title: "How long it took", Unit: "seconds"}
	good := chart{Title: "Share of good rounds", Unit: "share", Least: 1}
	for _, c := range []struct {
		to   *chart
		expr string
	}{
		{&took, fmt.Sprintf(`avg by (version, prober) (avg_over_time(ringfence_probe_duration_seconds{probe=%q}[%ds]))`, st.Name, int(2*step.Seconds()))},
		{&good, fmt.Sprintf(`avg by (version, prober) (avg_over_time(ringfence_probe_success{probe=%q}[%ds]))`, st.Name, int(2*step.Seconds()))},
	} {
		lines, err := s.Metrics.QueryRange(r.Context(), c.expr, from, v.Now, step)
		if err != nil {
			return err
		}
		for _, l := range lines {
			c.to.Series = append(c.to.Series, probeLine(l, st, answer.T, step))
		}
	}
	if len(took.Series) > 0 {
		answer.Charts = []chart{took, good}
	}
	if st.Service != "" {
		answer.Logs = s.logsOf(st.Service)
		if answer.Marks, err = s.changes(r.Context(), st.Service, from); err != nil && !errs.Is(err, errs.Missing) {
			return err
		}
	}
	return sendCharts(w, answer)
}

// seenSince is how far back a chart goes: not beyond what was seen, and six hours at most.
func seenSince(st probing.Status, now time.Time) time.Duration {
	span := 10 * time.Minute
	for _, v := range st.Versions {
		for _, p := range v.Probers {
			if len(p.Points) > 0 {
				span = max(span, now.Sub(p.Points[0].At)*11/10)
			}
		}
	}
	return min(span, 6*time.Hour)
}

func probeLine(l Line, st probing.Status, times []int64, step time.Duration) chartLine {
	version, prober := l.Labels["version"], l.Labels["prober"]
	out := chartLine{Name: strings.TrimSpace(version + " " + prober), Y: make([]*float64, len(times))}
	if version == "" {
		out.Name = prober
	} else {
		out.Of = url.Values{"version": {version}}.Encode()
	}
	if len(st.Spec.From) == 1 && version != "" {
		out.Name = version
		if version == st.Pairs[0] {
			out.Paint = "new"
		} else if version == st.Pairs[1] {
			out.Paint = "stable"
		}
	}
	for _, p := range l.Points {
		if i := (int64(p[0]) - times[0]) / int64(step.Seconds()); i >= 0 && i < int64(len(times)) {
			value := p[1]
			out.Y[i] = &value
		}
	}
	return out
}

// toldOfProbe tells of what probers saw.
func toldOfProbe(out *entry, name string) string {
	var d probing.Changed
	_ = json.Unmarshal(out.Data, &d) // what cannot be read is told without
	of := ""
	if d.Version != "" {
		of = " of " + d.Version
	}
	switch out.Type {
	case probing.EvDown:
		out.Tone, out.Reason = "fail", sentenceCase(d.Vote.Says())
		return "Probe " + name + of + " is down"
	case probing.EvUp:
		out.Tone = "pass"
		if !d.Since.IsZero() {
			out.Reason = "It was down for " + span(out.Time.Sub(d.Since).Round(time.Second)) + "."
		}
		return "Probe " + name + of + " is up again"
	case probing.EvExpiry:
		out.Tone = "hold"
		return "The certificate that probe " + name + " sees expires on " + d.Expires.UTC().Format("2 Jan 2006")
	}
	return ""
}
