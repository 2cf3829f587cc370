package ui

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// healthView is how a service's health is looked at.
type healthView struct {
	By, Span string
}

// healthSpan is a time that can be looked back over.
type healthSpan struct {
	Name, Text string
	Long       time.Duration
}

// healthSpans are the times that can be looked back over.
var healthSpans = []healthSpan{{"15m", "15 min", 15 * time.Minute}, {"1h", "1 h", time.Hour}, {"6h", "6 h", 6 * time.Hour}, {"24h", "24 h", 24 * time.Hour}, {"7d", "7 d", 7 * 24 * time.Hour}}

const healthMarks = 60 // more changes than these are too many to tell apart

func healthViewOf(q url.Values) (healthView, time.Duration, error) {
	v := healthView{By: cmp.Or(q.Get("by"), "version"), Span: cmp.Or(q.Get("span"), "1h")}
	if v.By != "version" && v.By != "ring" {
		return v, 0, errs.E(errs.Invalid, "by: expected version or ring, got %.40q", v.By)
	}
	for _, s := range healthSpans {
		if s.Name == v.Span {
			return v, s.Long, nil
		}
	}
	return v, 0, errs.E(errs.Invalid, "span: expected 15m, 1h, 6h, 24h or 7d, got %.40q", v.Span)
}

// Choices are the links that look at it otherwise.
func (v healthView) Choices(service string) []healthChoice {
	to := func(by, span, text string) healthChoice {
		return healthChoice{URL: "/services/" + url.PathEscape(service) + "?by=" + by + "&span=" + span + "#health-title", Text: text, Current: by == v.By && span == v.Span}
	}
	out := []healthChoice{to("version", v.Span, "by version"), to("ring", v.Span, "by ring")}
	for _, s := range healthSpans {
		out = append(out, to(v.By, s.Name, s.Text))
	}
	return out
}

type healthChoice struct {
	URL, Text string
	Current   bool
}

// health answers with the charts of a service: traffic, errors, time and what its instances use, with every change as a mark.
func (s *Server) health(w http.ResponseWriter, r *http.Request, _ *visit) error {
	service := r.URL.Query().Get("service")
	view, long, err := healthViewOf(r.URL.Query())
	if err != nil {
		return err
	}
	if _, err := s.Catalog.Get(r.Context(), resource.KindService, service); err != nil {
		return err
	}
	if s.Metrics == nil {
		return errs.E(errs.Unavailable, "there are no metrics")
	}
	end := s.Now()
	step := max(time.Second, s.Scrape/2, long/seriesPoints).Round(time.Second)
	from := end.Add(-long).Truncate(step)
	answer := charts{T: chartTimes(from, end, step), Empty: noTraffic, Logs: s.logsOf(service)}
	if answer.Charts, err = s.healthCharts(r.Context(), service, view.By, from, end, step); err != nil {
		return errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
	}
	if answer.Marks, err = s.changes(r.Context(), service, from); err != nil {
		return err
	}
	return sendCharts(w, answer)
}

func (s *Server) healthCharts(ctx context.Context, service, by string, from, end time.Time, step time.Duration) ([]chart, error) {
	newest, err := s.newest(ctx, service)
	if err != nil {
		return nil, err
	}
	to, before := "", stableOf(newest)
	if by == "version" && newest != nil && !newest.Phase.Ended() {
		to = newest.To
	}
	window := s.window(step)
	pairs, err := s.rates(ctx, by, service, from, end, step, window)
	if err != nil {
		return nil, err
	}
	out := trafficCharts(pairs, to, before)
	if out == nil {
		return nil, nil
	}
	match := "{service=" + strconv.Quote(service) + "}"
	more := []struct{ title, unit, expr string }{
		{"Time of the slowest 1 %", "seconds", fmt.Sprintf("histogram_quantile(0.99, sum by (%s) (rate(ringfence_request_duration_seconds%s[%s])))", by, match, window)},
	}
	if by == "version" {
		more = append(more, struct{ title, unit, expr string }{"Memory of all instances", "bytes", "sum by (version) (ringfence_instance_memory_bytes" + match + ")"})
	}
	for _, m := range more {
		c := chart{Title: m.title, Unit: m.unit}
		lines, err := s.Metrics.QueryRange(ctx, m.expr, from, end, step)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(b.Labels[by], a.Labels[by]) })
		for _, l := range lines {
			if l.Labels[by] == "" || pairs[l.Labels[by]].requests == nil {
				continue // nothing was asked of it in this time
			}
			c.Series = append(c.Series, chartLine{Name: l.Labels[by], Paint: map[string]string{to: "new", before: "stable"}[l.Labels[by]], Y: known(placed(l, from, end, step))})
		}
		if c.Series != nil {
			out = append(out, c)
		}
	}
	samePaint(out)
	return narrowed(out, by), nil
}

// samePaint gives what has one name the same color in all charts.
func samePaint(all []chart) {
	paints := []string{"vb", "vc", "vd", "ve", "va"}
	given := map[string]string{}
	for _, c := range all {
		for i := range c.Series {
			line := &c.Series[i]
			if line.Paint == "" && given[line.Name] == "" {
				given[line.Name] = paints[len(given)%len(paints)]
			}
			line.Paint = cmp.Or(line.Paint, given[line.Name])
		}
	}
}

// placed puts the points of a line to their times; NaN where there is none.
func placed(l Line, from, end time.Time, step time.Duration) []float64 {
	out := unknown(int(end.Sub(from)/step) + 1)
	for _, p := range l.Points {
		if i := int(math.Round((p[0] - float64(from.UnixMilli())/1000) / step.Seconds())); i >= 0 && i < len(out) {
			out[i] = p[1]
		}
	}
	return out
}

// changes are the marks of everything that changed what the service's users get: its rollouts, and those of flags that its
// traffic judges.
func (s *Server) changes(ctx context.Context, service string, from time.Time) ([]markView, error) {
	subjects, err := s.judgedBy(ctx, service)
	if err != nil {
		return nil, err
	}
	var out []markView
	for _, subject := range append([]string{service}, subjects...) {
		all, err := s.Rollouts.List(ctx, subject)
		if err != nil {
			return nil, err
		}
		for _, st := range all {
			if st.Phase.Ended() && st.Ended.Before(from) {
				continue
			}
			for _, m := range marksOf(st) {
				if m.T >= float64(from.Unix()) {
					m.Text, m.Href = changeName(st)+" "+m.Text, "/rollouts/"+url.PathEscape(st.ID)
					out = append(out, m)
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b markView) int { return cmp.Compare(a.T, b.T) })
	return out[max(0, len(out)-healthMarks):], nil
}

func changeName(st rollout.State) string {
	if flag.IsSubject(st.Service) {
		return labelOf(st.Service) + " " + st.To
	}
	return st.To
}

// judgedBy are the subjects of flags that a service's traffic judges, as far as they have been rolled out.
func (s *Server) judgedBy(ctx context.Context, service string) ([]string, error) {
	if s.Board == nil {
		return nil, nil
	}
	sets, err := s.Catalog.List(ctx, resource.KindFlagSet, "", 0)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, set := range sets {
		var spec struct{ Service string }
		if json.Unmarshal(set.Spec, &spec) != nil || spec.Service != service {
			continue
		}
		views, err := s.Board.Flags(ctx, set.Metadata.Name, flag.Production, s.Now())
		if err != nil {
			return nil, err
		}
		for _, v := range views {
			if v.Rollout != nil {
				out = append(out, v.Subject)
			}
		}
	}
	return out, nil
}
