package slo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// Short is an SLO on requests as the gateway counts them, without PromQL.
type Short struct {
	Service  string    `json:"service" maxLength:"63" doc:"the service whose requests count"`
	Signal   string    `json:"signal" enum:"errors,latency" doc:"errors: answers of 500 and above are bad; latency: those slower than over"`
	Over     fleet.Dur `json:"over,omitempty" doc:"of latency: slower than this is bad"`
	Target   float64   `json:"target" minimum:"0" maximum:"99.9999" doc:"percent of requests that shall be good, such as 99.9"`
	Window   string    `json:"window,omitempty" maxLength:"10" doc:"over which the budget is, as OpenSLO has it: 30d (default), 1w, 1M, 1Q"`
	Start    string    `json:"start,omitempty" maxLength:"30" doc:"where calendar windows begin, such as 2026-01-01; default the window is rolling"`
	Zone     string    `json:"zone,omitempty" maxLength:"60" doc:"IANA time zone of start; default UTC"`
	Ring     string    `json:"ring,omitempty" maxLength:"63" doc:"only users of this ring"`
	MinBad   *int      `json:"minBad,omitempty" minimum:"0" maximum:"1000000" doc:"fewest bad requests over a long window before it alerts; default 5"`
	NoData   string    `json:"noData,omitempty" enum:"ticket,page,ignore" doc:"what becomes of no requests being counted for a quarter of a day (of a window of 30d): ticket (default), page, ignore"`
	Describe string    `json:"description,omitempty" maxLength:"1050" doc:"for people"`
}

var serviceRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// DefaultGuard is the fewest bad events over a long window before an alert: one failure among ten requests wakes nobody.
const DefaultGuard = 5

func (c *checker) short(r resource.Resource) {
	s, _ := readShort(r.Spec)
	c.need(serviceRE.MatchString(s.Service), "service", "the name of a service", "%.80q is none", s.Service)
	c.need((s.Signal == "latency") == (s.Over > 0), "over", "a duration with latency, and with nothing else", "is %s", s.Over)
	c.need(s.Ring == "" || serviceRE.MatchString(s.Ring), "ring", "the name of a ring", "%.80q is none", s.Ring)
	if s.Window != "" {
		w := timeWindow{Duration: s.Window, IsRolling: true}
		n := len(c.list)
		c.window(w, "window")
		for i := range c.list[n:] {
			c.list[n+i].Path = "window"
		}
	}
	if s.Start != "" {
		_, err := calendar{s.Start, cmp.Or(s.Zone, "UTC")}.start()
		c.need(err == nil, "start", "a date or time such as 2026-01-01, in an IANA zone", "%v", err)
	}
	c.need(s.Zone == "" || s.Start != "", "zone", "start with it", "stands without start")
}

// Document is the OpenSLO document that the short form stands for.
func (s Short) Document(name string) json.RawMessage {
	signal := map[string]any{"errors": "errors", "latency": "slow"}[s.Signal]
	query := func(signal any) map[string]any {
		q := map[string]any{"signal": signal}
		if signal == "slow" {
			q["over"] = s.Over
		}
		if s.Ring != "" {
			q["ring"] = s.Ring
		}
		return map[string]any{"metricSource": map[string]any{"type": "Ringfence", "spec": q}}
	}
	window := map[string]any{"duration": cmp.Or(s.Window, "30d"), "isRolling": s.Start == ""}
	if s.Start != "" {
		window["calendar"] = calendar{s.Start, cmp.Or(s.Zone, "UTC")}
	}
	annotations := map[string]string{}
	if s.MinBad != nil {
		annotations[annotationGuard] = fmt.Sprint(*s.MinBad)
	}
	if s.NoData != "" {
		annotations[annotationNoData] = s.NoData
	}
	raw, _ := json.Marshal(map[string]any{"apiVersion": APIVersion, "kind": KindSLO, "metadata": map[string]any{"name": name, "annotations": annotations},
		"spec": map[string]any{"description": s.Describe, "service": s.Service, "budgetingMethod": Occurrences,
			"indicator": map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{
				"ratioMetric": map[string]any{"counter": true, "bad": query(signal), "total": query("requests")}}},
			"timeWindow": []any{window}, "objectives": []any{map[string]any{"targetPercent": s.Target}}}}) // text and numbers
	return raw
}

// quietFor is how long nothing is measured before that is told: as long as the longest short window.
func quietFor(period time.Duration) time.Duration {
	rows := Scaled(period)
	last := rows[len(rows)-1].Rows
	return last[len(last)-1].Short
}
