package ui

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

const seriesPoints = 300

func (s *Server) series(w http.ResponseWriter, r *http.Request, _ *visit) error {
	state, err := s.Rollouts.Find(r.Context(), r.URL.Query().Get("rollout"))
	if err != nil {
		return err
	}
	if s.Metrics == nil {
		return errs.E(errs.Unavailable, "there are no metrics")
	}
	now := s.Now()
	end := now
	lead := max(30*time.Second, min(10*time.Minute, now.Sub(state.Created)/10))
	if state.Phase.Ended() {
		end = state.Ended.Add(max(30*time.Second, state.Ended.Sub(state.Created)/10))
		if end.After(now) {
			end = now
		}
	}
	from := state.Created.Add(-lead)
	step := max(time.Second, s.Scrape/2, end.Sub(from)/seriesPoints).Round(time.Second)
	from = from.Truncate(step) // so that points stay where they are from one answer to the next
	by, err := s.rates(r.Context(), "version", state.Service, from, end, step, s.window(step))
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	return sendCharts(w, charts{T: chartTimes(from, end, step), Charts: narrowed(trafficCharts(by, state.To, state.From), "version"), Marks: marksOf(state), Empty: noTraffic, Logs: s.logsOf(state.Service)})
}

const noTraffic = "No traffic was seen in this time."

// trafficCharts puts the new version first, then the one before, then what else there was.
func trafficCharts(by map[string]pair, to, from string) []chart {
	requests := chart{Title: "Requests per second", Unit: "rate", Least: 1, Series: []chartLine{}}
	errors := chart{Title: "Share of errors", Unit: "share", Least: 0.01, Series: []chartLine{}}
	rank := func(version string) int { return map[string]int{to: -2, from: -1}[version] }
	for _, version := range slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(b, a))
	}) {
		p, paint := by[version], ""
		switch rank(version) {
		case -2:
			paint = "new"
		case -1:
			paint = "stable"
		default:
			if !slices.ContainsFunc(p.requests, func(v float64) bool { return v > 0 }) {
				continue
			}
		}
		requests.Series = append(requests.Series, chartLine{Name: version, Paint: paint, Y: known(p.requests)})
		errors.Series = append(errors.Series, chartLine{Name: version, Paint: paint, Y: known(p.errors())})
	}
	if len(requests.Series) == 0 {
		return nil
	}
	return []chart{requests, errors}
}

func known(values []float64) []*float64 {
	out := make([]*float64, len(values))
	for i, v := range values {
		if !math.IsNaN(v) {
			v = math.Round(v*1e5) / 1e5
			out[i] = &v
		}
	}
	return out
}

// marksOf are the moments at which users were switched.
func marksOf(s rollout.State) []markView {
	out := []markView{}
	for _, st := range s.Stages {
		at := st.Baking
		if at.IsZero() {
			at = st.Exposed
		}
		out = append(out, markView{float64(at.UnixMilli()) / 1000, st.Ring, "calm", ""})
	}
	switch {
	case s.Phase == rollout.RolledBack:
		out = append(out, markView{float64(s.Ended.UnixMilli()) / 1000, "back", "fail", ""})
	case s.Phase == rollout.Succeeded:
		out = append(out, markView{float64(s.Ended.UnixMilli()) / 1000, "done", "pass", ""})
	}
	return out
}
