package ui

import (
	"math"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
)

// experimentPoints is about how many points a chart has.
const experimentPoints = 150

func (s *Server) experimentSeries(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, name := r.Context(), r.PathValue("experiment")
	now, err := s.Lab.Read(ctx, name, 0, v.Now)
	if err != nil {
		return err
	}
	answer := charts{Empty: "There is too little for a picture yet."}
	if now.Report != nil {
		end := v.Now
		if now.Run.Phase == lab.Ended {
			end = now.Run.Ended
		}
		step := max(time.Minute, (end.Sub(now.Run.Since) / experimentPoints).Round(time.Minute))
		if now, err = s.Lab.Read(ctx, name, step, v.Now); err != nil {
			return err
		}
		p := &experimentPage{visit: v, Run: now.Run}
		paint, err := s.armPaints(ctx, p)
		if err != nil {
			return err
		}
		answer.T, answer.Charts = intervals(now, paint)
	}
	return sendCharts(w, answer)
}

// intervals are the primary metric's over time, and the users they are of. What is drawn is about what they come to, as early ones are far wider.
func intervals(r lab.Report, paint func(string) string) ([]int64, []chart) {
	c := chart{Title: r.Report.Metrics[0].Name, Unit: "signed", Zero: true, Height: 280}
	if r.Report.Metrics[0].Difference == experiment.Relative {
		c.Unit = "change"
	}
	for _, arm := range r.Run.Spec.Variants[1:] {
		c.Series = append(c.Series, chartLine{Name: arm.Variant, Paint: paint(arm.Variant)})
	}
	var times []int64
	users := chartLine{Name: "Users", Unit: "users", Quiet: true}
	for _, m := range r.Series {
		n := float64(m.Users)
		times, users.Y = append(times, m.At.Unix()), append(users.Y, &n)
		for i := range c.Series {
			l := &c.Series[i]
			var effect, low, high *float64
			if e, ok := m.Effects[l.Name]; ok {
				effect, low, high = &e.Effect, &e.Low, &e.High
			}
			l.Y, l.BandLow, l.BandHigh = append(l.Y, effect), append(l.BandLow, low), append(l.BandHigh, high)
		}
	}
	low, high := drawn(c.Series)
	if len(times) < 2 || low == high {
		return nil, nil
	}
	c.Low, c.High, c.Series = &low, &high, append(c.Series, users)
	return times, []chart{c}
}

// drawn holds one and a half of the last interval's width to each side, and the zero.
func drawn(series []chartLine) (low, high float64) {
	for _, l := range series {
		for i := len(l.Y) - 1; i >= 0; i-- {
			if l.Y[i] == nil {
				continue
			}
			reach := 1.5 * (*l.BandHigh[i] - *l.BandLow[i])
			low, high = math.Min(low, *l.Y[i]-reach), math.Max(high, *l.Y[i]+reach)
			break
		}
	}
	return low, high
}
