package ui

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

const seriesPoints = 300

// seriesAnswer is what the charts of a rollout are drawn from; null where nothing is known.
type seriesAnswer struct {
	T        []int64    `json:"t"`
	Versions []lines    `json:"versions"`
	Marks    []markView `json:"marks"`
}

type lines struct {
	Version  string     `json:"version"`
	Role     string     `json:"role"` // new, stable or other
	Requests []*float64 `json:"requests"`
	Errors   []*float64 `json:"errors"`
}

type markView struct {
	T    float64 `json:"t"`
	Text string  `json:"text"`
	Tone string  `json:"tone"`
}

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
	answer := seriesAnswer{T: []int64{}, Versions: linesOf(by, state), Marks: marksOf(state)}
	for at := from; !at.After(end); at = at.Add(step) {
		answer.T = append(answer.T, at.Unix())
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// linesOf puts the new version first, then the one before, then what else there was.
func linesOf(by map[string]pair, s rollout.State) []lines {
	out := []lines{}
	for version, p := range by {
		l := lines{Version: version, Role: "other", Requests: known(p.requests), Errors: known(p.errors())}
		switch version {
		case s.To:
			l.Role = "new"
		case s.From:
			l.Role = "stable"
		}
		if l.Role != "other" || slices.ContainsFunc(p.requests, func(v float64) bool { return v > 0 }) {
			out = append(out, l)
		}
	}
	order := map[string]int{"new": 0, "stable": 1, "other": 2}
	slices.SortFunc(out, func(a, b lines) int {
		if a.Role != b.Role {
			return order[a.Role] - order[b.Role]
		}
		return map[bool]int{true: -1, false: 1}[a.Version < b.Version]
	})
	return out
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
		out = append(out, markView{float64(at.UnixMilli()) / 1000, st.Ring, "calm"})
	}
	switch {
	case s.Phase == rollout.RolledBack:
		out = append(out, markView{float64(s.Ended.UnixMilli()) / 1000, "back", "fail"})
	case s.Phase == rollout.Succeeded:
		out = append(out, markView{float64(s.Ended.UnixMilli()) / 1000, "done", "pass"})
	}
	return out
}
