package ui

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
)

// experimentPoints is about how many points a chart has.
const experimentPoints = 150

// intervalSeries is the primary metric over time; null where there is no estimate.
type intervalSeries struct {
	Metric   string         `json:"metric"`
	Relative bool           `json:"relative"`
	T        []int64        `json:"t"`
	Users    []int64        `json:"users"`
	Variants []intervalLine `json:"variants"`
	Low      float64        `json:"low"` // what is drawn: early intervals are far wider than what they come to
	High     float64        `json:"high"`
}

type intervalLine struct {
	Variant string     `json:"variant"`
	Paint   string     `json:"paint"`
	Effect  []*float64 `json:"effect"`
	Low     []*float64 `json:"low"`
	High    []*float64 `json:"high"`
}

func (s *Server) experimentSeries(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx, name := r.Context(), r.PathValue("experiment")
	now, err := s.Lab.Read(ctx, name, 0, v.Now)
	if err != nil {
		return err
	}
	answer := intervalSeries{T: []int64{}, Users: []int64{}, Variants: []intervalLine{}}
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
		answer.fill(now, paint)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

func (a *intervalSeries) fill(r lab.Report, paint func(string) string) {
	a.Metric, a.Relative = r.Report.Metrics[0].Name, r.Report.Metrics[0].Difference == experiment.Relative
	for _, arm := range r.Run.Spec.Variants[1:] {
		a.Variants = append(a.Variants, intervalLine{Variant: arm.Variant, Paint: paint(arm.Variant)})
	}
	for _, m := range r.Series {
		a.T, a.Users = append(a.T, m.At.Unix()), append(a.Users, m.Users)
		for i := range a.Variants {
			l := &a.Variants[i]
			var effect, low, high *float64
			if c, ok := m.Effects[l.Variant]; ok {
				effect, low, high = &c.Effect, &c.Low, &c.High
			}
			l.Effect, l.Low, l.High = append(l.Effect, effect), append(l.Low, low), append(l.High, high)
		}
	}
	for _, l := range a.Variants {
		for i := len(l.Effect) - 1; i >= 0; i-- {
			if l.Effect[i] == nil {
				continue
			}
			reach := 1.5 * (*l.High[i] - *l.Low[i])
			a.Low, a.High = math.Min(a.Low, *l.Effect[i]-reach), math.Max(a.High, *l.Effect[i]+reach)
			break
		}
	}
}
