package ui

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	sparkTime  = 15 * time.Minute
	sparkSteps = 60
	sparkKeep  = 2 * time.Second
	sparkW     = 120.0
	sparkH     = 32.0
)

// spark is a small chart.
type spark struct {
	Line, Area string // paths
	Last       float64
	Known      bool
}

// traffic is what the gateways counted of a service lately.
type traffic struct{ Requests, Errors spark }

// recent keeps the last answer for a moment, so that many open pages cost no more than one.
type recent struct {
	mu  sync.Mutex
	at  time.Time
	all map[string]traffic
}

// window is over how long rates are taken: it holds some scrapes, and leaves no gap between steps.
func (s *Server) window(step time.Duration) string {
	return strconv.Itoa(int(max(3*s.Scrape, 2*step, 4*time.Second).Seconds())) + "s"
}

// lately returns the traffic of all services; empty when the metrics do not answer, as pages are shown without.
func (s *Server) lately(ctx context.Context, now time.Time) map[string]traffic {
	if s.Metrics == nil {
		return nil
	}
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	if age := now.Sub(s.traffic.at); age >= 0 && age < sparkKeep {
		return s.traffic.all
	}
	step := sparkTime / sparkSteps
	all, err := s.rates(ctx, "service", "", now.Add(-sparkTime), now, step, s.window(step))
	if err != nil {
		s.Logger.Warn("no charts: the metrics do not answer", "err", err)
		return s.traffic.all
	}
	out := map[string]traffic{}
	for service, r := range all {
		var t traffic
		t.Requests = sparkOf(r.requests, 0)
		t.Errors = sparkOf(r.errors(), 0.01)
		out[service] = t
	}
	s.traffic.at, s.traffic.all = now, out
	return out
}

// pair is requests and bad answers per second at the same times; NaN where nothing is known.
type pair struct{ requests, bad []float64 }

// errors is the share of bad answers.
func (p pair) errors() []float64 {
	out := make([]float64, len(p.requests))
	for i, all := range p.requests {
		out[i] = math.NaN()
		if all > 0 {
			out[i] = math.Min(1, p.bad[i]/all)
		}
	}
	return out
}

// rates asks for requests and bad answers per second by a label, at from, from+step and so on.
func (s *Server) rates(ctx context.Context, by, service string, from, to time.Time, step time.Duration, window string) (map[string]pair, error) {
	match := ""
	if service != "" {
		match = "service=" + strconv.Quote(service)
	}
	out := map[string]pair{}
	n := int(to.Sub(from)/step) + 1
	for _, bad := range []bool{false, true} {
		m := match
		if bad {
			m = strings.TrimPrefix(m+`,code=~"5.."`, ",")
		}
		lines, err := s.Metrics.QueryRange(ctx, fmt.Sprintf("sum by (%s) (rate(ringfence_requests_total{%s}[%s]))", by, m, window), from, to, step)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			p, ok := out[l.Labels[by]]
			if !ok {
				p = pair{unknown(n), make([]float64, n)}
				out[l.Labels[by]] = p
			}
			into := p.requests
			if bad {
				into = p.bad
			}
			for _, at := range l.Points {
				if i := int(math.Round((at[0] - float64(from.UnixMilli())/1000) / step.Seconds())); i >= 0 && i < n {
					into[i] = at[1]
				}
			}
		}
	}
	return out, nil
}

func unknown(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// sparkOf draws values from the left to the right, from zero to the largest of them, or to least when all are smaller.
func sparkOf(values []float64, least float64) spark {
	var out spark
	top := least
	for _, v := range values {
		if !math.IsNaN(v) {
			top, out.Known = math.Max(top, v), true
		}
	}
	if top == 0 {
		top = 1
	}
	var line, area strings.Builder
	var run []string
	flush := func() {
		if len(run) > 1 {
			first, _, _ := strings.Cut(run[0], " ")
			last, _, _ := strings.Cut(run[len(run)-1], " ")
			line.WriteString("M" + strings.Join(run, "L"))
			fmt.Fprintf(&area, "M%s %gL%sL%s %gZ", first, sparkH, strings.Join(run, "L"), last, sparkH)
		}
		run = nil
	}
	for i, v := range values {
		if math.IsNaN(v) {
			flush()
			continue
		}
		x := sparkW * float64(i) / float64(max(1, len(values)-1))
		run = append(run, fmt.Sprintf("%g %g", round(x), round(sparkH-1.5-(sparkH-3)*v/top)))
	}
	flush()
	if n := len(values); n > 0 && !math.IsNaN(values[n-1]) {
		out.Last = values[n-1]
	}
	out.Line, out.Area = line.String(), area.String()
	return out
}
