package ui

import (
	"context"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

const (
	watchedLogs   = 8                      // lines on a service's page
	watchedTime   = 500 * time.Millisecond // that a page waits for them
	watchedSLOs   = 4                      // objectives whose budgets are drawn
	customersTime = 24 * time.Hour
)

// watched is what there is to know of a service in production: what hurts it now, its objectives, its customers, what it wrote last.
type watched struct {
	Hurts     []incidentRow
	Alerts    []alertRow
	Alerting  bool // there is something that alerts
	SLOs      []sloRow
	Customers *customersView
	Lines     []logs.Entry
	LogsURL   string
}

// watch gathers it. Logs that do not answer at once are left out: the page is drawn again and again.
func (s *Server) watch(ctx context.Context, service string, now time.Time) (watched, error) {
	w := watched{LogsURL: s.logsOf(service), Alerting: s.Pager != nil}
	if s.Incidents != nil {
		all, err := s.Incidents.List(ctx)
		if err != nil {
			return w, err
		}
		for _, st := range all {
			if st.Service == service && st.Live() {
				w.Hurts = append(w.Hurts, incidentRow{State: st, Tone: hurtTone(st)})
			}
		}
	}
	if s.Pager != nil {
		o, err := s.Pager.Overview(ctx)
		if err != nil {
			return w, err
		}
		for _, a := range o.Alerts {
			if a.Labels["service"] == service && a.Firing() {
				w.Alerts = append(w.Alerts, alertRowOf(a, now))
			}
		}
	}
	var err error
	if w.SLOs, err = s.objectives(ctx, service); err != nil {
		return w, err
	}
	if w.Customers, err = s.customers(ctx, service, customersTime); err != nil {
		return w, err
	}
	if s.LogStore != nil {
		ctx, cancel := context.WithTimeout(ctx, watchedTime)
		defer cancel()
		f := logs.Filter{Service: []string{service}, From: now.Add(-time.Hour), To: now.Add(time.Second), Severity: logs.Warn}
		if page, err := s.LogStore.Find(ctx, logs.Query{Filter: f, Limit: watchedLogs}); err == nil {
			w.Lines = page.Entries
		}
	}
	return w, nil
}

// objectives are those of a service.
func (s *Server) objectives(ctx context.Context, service string) ([]sloRow, error) {
	if s.SLOs == nil {
		return nil, nil
	}
	all, err := s.SLOs.List(ctx)
	if err != nil {
		return nil, err
	}
	var rows []sloRow
	for _, st := range all {
		if st.Service == service {
			rows = append(rows, sloRowOf(st))
		}
	}
	return rows, nil
}

// budgets draws how the error budgets of a service are spent, with its changes.
func (s *Server) budgets(w http.ResponseWriter, r *http.Request, v *visit) error {
	service := r.PathValue("service")
	rows, err := s.objectives(r.Context(), service)
	if err != nil {
		return err
	}
	answer := charts{Empty: "Nothing was counted yet.", Logs: s.logsOf(service)}
	first := v.Now
	for _, row := range rows[:min(len(rows), watchedSLOs)] {
		rep, err := s.SLOs.Read(r.Context(), row.Objective, 150, v.Now)
		if err != nil {
			return err
		}
		if len(rep.Points) < 2 {
			continue
		}
		c := burnDown(rep.Points, "Error budget left: "+row.Objective)
		c.Height = 150
		answer.Charts = append(answer.Charts, c)
		if at := rep.Points[0].At; at.Before(first) {
			first = at
		}
	}
	if len(answer.Charts) > 0 {
		answer.T = answer.Charts[0].T
		if answer.Marks, err = s.changes(r.Context(), service, first); err != nil && !errs.Is(err, errs.Missing) {
			return err
		}
	}
	return sendCharts(w, answer)
}

// young says whether a service was first released so lately that an hour would show hardly anything.
func young(p *servicePage) bool {
	return len(p.Releases) > 0 && p.Now.Sub(p.Releases[len(p.Releases)-1].Created) < healthSpans[0].Long
}
