package ui

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/objective"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/slo"
)

// SLOs watch objectives.
type SLOs interface {
	List(ctx context.Context) ([]objective.Status, error)
	Read(ctx context.Context, id string, points int, now time.Time) (objective.Report, error)
}

// sloRoutes are the pages of SLOs.
func (s *Server) sloRoutes() {
	if s.SLOs == nil {
		return
	}
	s.mux.HandleFunc("GET /slos", s.signed(policy.Read, s.slos))
	s.mux.HandleFunc("GET /slos/{slo}", s.signed(policy.Read, s.slo))
	s.mux.HandleFunc("GET /slos/{slo}/series", s.signed(policy.Read, s.sloSeries))
	s.mux.HandleFunc("GET /ui/budgets/{service}", s.signed(policy.Read, s.budgets))
}

// sloRow is an objective for people.
type sloRow struct {
	objective.Status
	Link, Tone, Word string
	Left             string  // of the budget, or how often it is spent
	Over             bool    // it is more than spent
	X                float64 // of 100, for the bar
}

func sloRowOf(st objective.Status) sloRow {
	r := sloRow{Status: st, Link: "/slos/" + url.PathEscape(st.Objective)}
	words := map[string][2]string{objective.Healthy: {"pass", "healthy"}, objective.Burning: {"fail", "burning"}, objective.Exhausted: {"fail", "budget spent"},
		objective.NoData: {"hold", "no data"}, objective.Unmeasured: {"hold", "not measured"}, objective.Unread: {"wait", "not read yet"}}
	r.Tone, r.Word = words[st.State][0], words[st.State][1]
	if st.Remaining != nil {
		r.Left, r.X, r.Over = leftText(*st.Remaining), 100*min(1, max(0, *st.Remaining)), *st.Remaining < 0
	}
	return r
}

type slosPage struct {
	*visit
	Rows []sloRow
	Bad  int // that burn, or are spent
}

func (s *Server) slos(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "SLOs", "slos"
	all, err := s.SLOs.List(r.Context())
	if err != nil {
		return err
	}
	p := &slosPage{visit: v}
	for _, st := range all {
		row := sloRowOf(st)
		if row.Tone == "fail" {
			p.Bad++
		}
		p.Rows = append(p.Rows, row)
	}
	return s.show(w, r, http.StatusOK, "slos", p)
}

type sloPage struct {
	*visit
	sloRow
	Rates     []sloRate
	Query     []objective.Query
	Customers *customersView
	Logs      string
}

// sloRate is a pair of windows for people.
type sloRate struct {
	objective.Rates
	LongText, ShortText string
}

func (s *Server) slo(w http.ResponseWriter, r *http.Request, v *visit) error {
	rep, err := s.SLOs.Read(r.Context(), r.PathValue("slo"), 10, v.Now)
	if err != nil {
		return err
	}
	v.Title, v.Live = rep.Objective, "slos"
	p := &sloPage{visit: v, sloRow: sloRowOf(rep.Status), Query: rep.Queries}
	for _, x := range rep.Rates {
		p.Rates = append(p.Rates, sloRate{x, burnText(x.LongRate), burnText(x.ShortRate)})
	}
	p.Logs = s.logsOf(rep.Service)
	if p.Customers, err = s.customers(r.Context(), rep.Service, v.Now.Sub(rep.From)); err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "slo", p)
}

// sloSeries is how the budget was spent, and what was counted.
func (s *Server) sloSeries(w http.ResponseWriter, r *http.Request, v *visit) error {
	rep, err := s.SLOs.Read(r.Context(), r.PathValue("slo"), 200, v.Now)
	if err != nil {
		return err
	}
	answer := charts{Empty: "Nothing was counted yet.", Logs: s.logsOf(rep.Service)}
	if len(rep.Points) > 1 {
		left, bad := burnDown(rep.Points, "Error budget left"), chartLine{Name: "bad events", Paint: "fail", Area: true}
		for i := range rep.Points {
			bad.Y = append(bad.Y, &rep.Points[i].Bad)
		}
		answer.T, answer.Charts = left.T, []chart{left, {Title: "Bad events", Zero: true, Series: []chartLine{bad}}}
		if answer.Marks, err = s.changes(r.Context(), rep.Service, rep.Points[0].At); err != nil {
			return err
		}
	}
	return sendCharts(w, answer)
}

// burnDown draws how a budget was spent. What is overspent by more than another budget leaves the picture below: its tooltip and
// the words beside it say how much it is.
func burnDown(points []slo.Point, title string) chart {
	line := chartLine{Name: "budget left", Paint: "new", Area: true}
	c := chart{Title: title, Unit: "share", Zero: true, Limits: []chartLimit{{Y: 0, Text: "spent", Tone: "fail"}}}
	for i := range points {
		c.T = append(c.T, points[i].At.Unix())
		line.Y = append(line.Y, &points[i].Remaining)
		if points[i].Remaining < -1 {
			floor := -1.0
			c.Low = &floor
		}
	}
	c.Series = []chartLine{line}
	return c
}
