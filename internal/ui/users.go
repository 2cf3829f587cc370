package ui

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	became "github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// windows are the times that can be looked at.
var userWindows = []string{"1h", "6h", "24h", "168h"}

type usersPage struct {
	*visit
	wire.RUM
	Window  string
	Windows []string
	Pages   []vitalRow
	Usage   []useRow
	Uses    []usedVariant
	Told    bool // it declares that its pages tell
}

// vitalRow is a page with what its vitals mean.
type vitalRow struct {
	wire.PageVitals
	Vitals []vitalCell
}

type vitalCell struct{ Name, Value, Tone string }

type useRow struct {
	wire.Usage
	Did string
}

type usedVariant struct {
	wire.VariantUse
	LCP, Did string
}

// vitalLimits are up to where a vital is good, and from where it is poor, as web.dev has them; in seconds, cls without a unit.
var vitalLimits = []struct {
	name       string
	good, poor float64
}{{"lcp", 2.5, 4}, {"fcp", 1.8, 3}, {"ttfb", 0.8, 1.8}, {"inp", 0.2, 0.5}, {"cls", 0.1, 0.25}}

func (s *Server) users(w http.ResponseWriter, r *http.Request, v *visit) error {
	name := r.PathValue("service")
	declared, err := s.Catalog.Get(r.Context(), resource.KindService, name)
	if err != nil {
		return err
	}
	spec, err := resource.As[resource.Service](declared)
	if err != nil {
		return err
	}
	p := &usersPage{visit: v, Window: r.URL.Query().Get("window"), Windows: userWindows, Told: spec.Route.RUM != nil}
	if !slices.Contains(userWindows, p.Window) {
		p.Window = userWindows[0]
	}
	span, err := time.ParseDuration(p.Window)
	if err != nil {
		return err
	}
	if p.RUM, err = s.Usage.RUM(r.Context(), name, span, v.Now); err != nil {
		return err
	}
	v.Title = name + ", for its users"
	for _, one := range p.RUM.Pages {
		row := vitalRow{PageVitals: one}
		for _, l := range vitalLimits {
			row.Vitals = append(row.Vitals, vitalCellOf(one.P75, l.name, l.good, l.poor))
		}
		p.Pages = append(p.Pages, row)
	}
	for _, u := range p.RUM.Usage {
		p.Usage = append(p.Usage, useRow{u, didOf(u.Events)})
	}
	for _, u := range p.Variants {
		row := usedVariant{VariantUse: u, Did: didOf(u.Events), LCP: "–"}
		if t, ok := u.P75["lcp"]; ok {
			row.LCP = synthetic.Millis(t)
		}
		p.Uses = append(p.Uses, row)
	}
	return s.show(w, r, http.StatusOK, "users", p)
}

func vitalCellOf(p75 map[string]float64, name string, good, poor float64) vitalCell {
	value, ok := p75[name]
	c := vitalCell{Name: strings.ToUpper(name), Value: "–"}
	if !ok {
		return c
	}
	if c.Value = synthetic.Millis(value); name == "cls" {
		c.Value = fmt.Sprintf("%.3g", value)
	}
	switch {
	case value <= good:
		c.Tone = "pass"
	case value <= poor:
		c.Tone = "hold"
	default:
		c.Tone = "fail"
	}
	return c
}

func didOf(events map[string]float64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(events)) {
		parts = append(parts, fmt.Sprintf("%s %.0f", k, events[k]))
	}
	return strings.Join(parts, ", ")
}

// outcomeView is what became of a hypothesis.
type outcomeView struct {
	*became.Report
	Tone                  string
	Says                  string
	NewValue, BeforeValue string
}

func outcomeViewOf(r *became.Report) *outcomeView {
	if r == nil {
		return nil
	}
	v := &outcomeView{Report: r, Says: sentenceCase(r.Says), Tone: map[string]string{became.Confirmed: "pass", became.Refuted: "fail"}[r.Verdict]}
	if r.New.Value != nil {
		v.NewValue = r.Written(*r.New.Value)
	}
	if r.Before.Value != nil {
		v.BeforeValue = r.Written(*r.Before.Value)
	}
	return v
}
