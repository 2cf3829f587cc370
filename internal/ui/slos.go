package ui

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/ringfence/ringfence/internal/objective"
	"github.com/ringfence/ringfence/internal/policy"
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
}

// sloRow is an objective for people.
type sloRow struct {
	objective.Status
	Link, Tone, Word string
	Left             string
	X                float64 // of 100, for the bar
}

func sloRowOf(st objective.Status) sloRow {
	r := sloRow{Status: st, Link: "/slos/" + url.PathEscape(st.Objective)}
	words := map[string][2]string{objective.Healthy: {"pass", "healthy"}, objective.Burning: {"fail", "burning"}, objective.Exhausted: {"fail", "budget spent"},
		objective.NoData: {"hold", "no data"}, objective.Unmeasured: {"hold", "not measured"}, objective.Unread: {"wait", "not read yet"}}
	r.Tone, r.Word = words[st.State][0], words[st.State][1]
	if st.Remaining != nil {
		r.Left, r.X = percentText(*st.Remaining), 100*min(1, max(0, *st.Remaining))
	}
	return r
}

type slosPage struct {
	*visit
	Rows []sloRow
}

func (s *Server) slos(w http.ResponseWriter, r *http.Request, v *visit) error {
	v.Title, v.Live = "SLOs", "slos"
	all, err := s.SLOs.List(r.Context())
	if err != nil {
		return err
	}
	p := &slosPage{visit: v}
	for _, st := range all {
		p.Rows = append(p.Rows, sloRowOf(st))
	}
	return s.show(w, r, http.StatusOK, "slos", p)
}

type sloPage struct {
	*visit
	sloRow
	Rates []sloRate
	Query []objective.Query
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
	return s.show(w, r, http.StatusOK, "slo", p)
}

// sloSeries is how the budget was spent, and what was counted.
func (s *Server) sloSeries(w http.ResponseWriter, r *http.Request, v *visit) error {
	rep, err := s.SLOs.Read(r.Context(), r.PathValue("slo"), 200, v.Now)
	if err != nil {
		return err
	}
	answer := charts{Empty: "Nothing was counted yet."}
	if len(rep.Points) > 1 {
		remaining, bad := chartLine{Name: "budget left", Paint: "new", Area: true}, chartLine{Name: "bad events", Paint: "fail", Area: true}
		for _, p := range rep.Points {
			answer.T = append(answer.T, p.At.Unix())
			remaining.Y, bad.Y = append(remaining.Y, &p.Remaining), append(bad.Y, &p.Bad)
		}
		answer.Charts = []chart{
			{Title: "Error budget left", Unit: "share", Zero: true, Series: []chartLine{remaining}, Limits: []chartLimit{{Y: 0, Text: "spent", Tone: "fail"}}},
			{Title: "Bad events", Zero: true, Series: []chartLine{bad}, Height: 120},
		}
	}
	return sendCharts(w, answer)
}
