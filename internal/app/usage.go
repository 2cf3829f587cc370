package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/track"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// usages say how services are used, from the metrics, the data planes and the events of users.
type usages struct{ server *server }

// versions fits the events to what became of releases.
type versions struct{ *track.Store }

func (t versions) Sum(ctx context.Context, q outcome.Question) (outcome.Answer, error) {
	m := q.Metric
	res, err := t.Summaries(ctx, track.Query{Environment: flag.Production, Flag: q.Flag, Since: q.Since, Until: q.Until, Measure: track.Measure{
		Kind: experiment.Kind(cmp.Or(m.Kind, string(experiment.Proportion))), Event: m.Event, Denominator: m.Denominator, Quantile: m.Quantile, Window: m.Window.D(0), Cap: m.Cap, Before: m.Before.D(0)}})
	return outcome.Answer{Versions: res.Variants, Several: res.Several}, err
}

// Outcome says what became of a release's hypothesis.
func (u usages) Outcome(ctx context.Context, s rollout.State, now time.Time) (*outcome.Report, error) {
	return outcome.Outcomes{Catalog: u.server.catalog, Events: versions{u.server.events}}.Of(ctx, s, now)
}

// RUM puts together how a service's pages are for their users.
func (u usages) RUM(ctx context.Context, service string, window time.Duration, now time.Time) (wire.RUM, error) {
	r := wire.RUM{Service: service, Since: now.Add(-window).UTC(), Until: now.UTC(), Pages: []wire.PageVitals{}, Usage: []wire.Usage{}, Variants: []wire.VariantUse{}, Errors: []wire.ScriptError{}}
	g := gathering{ctx: ctx, db: u.server.metrics, now: now, span: fmt.Sprintf("%ds", int(window.Seconds())), of: fmt.Sprintf("service=%q", service)}
	u.pages(&g, &r)
	u.used(&g, &r)
	u.varied(&g, &r)
	for _, l := range g.sum("ringfence_rum_refused_total", "service") {
		r.Refused = l.value
	}
	if g.err != nil {
		return r, g.err
	}
	r.Errors = append(r.Errors, u.errors(ctx, service)...)
	return r, nil
}

// gathering asks the metrics several things of one time; the first error stays.
type gathering struct {
	ctx  context.Context
	db   *tsdb.DB
	now  time.Time
	span string
	of   string
	err  error
}

type gathered struct {
	labels map[string]string
	value  float64
}

func (g *gathering) ask(expr string) (all []gathered) {
	if g.err != nil {
		return nil
	}
	lines, err := g.db.QueryRange(g.ctx, expr, g.now, g.now, time.Second)
	if g.err = err; err != nil {
		return nil
	}
	for _, l := range lines {
		if len(l.Points) > 0 {
			all = append(all, gathered{l.Labels, l.Points[len(l.Points)-1][1]})
		}
	}
	return all
}

// sum is how much counters grew, by labels. One that began within the time has grown by all that it is: its first value
// is no increase to PromQL.
func (g *gathering) sum(name, by string) []gathered {
	series := fmt.Sprintf("%s{%s}", name, g.of)
	return g.ask(fmt.Sprintf("sum by (%s) ((%s unless %s offset %s) or increase(%s[%s])) > 0", by, series, series, g.span, series, g.span))
}

// p75 is the third quartile of histograms, by labels.
func (g *gathering) p75(name, by string) []gathered {
	return g.ask(fmt.Sprintf("histogram_quantile(0.75, sum by (%s) (increase(%s{%s}[%s])))", by, name, g.of, g.span))
}

func (u usages) pages(g *gathering, r *wire.RUM) {
	at := map[string]int{}
	page := func(l map[string]string) *wire.PageVitals {
		key := strings.Join([]string{l["page"], l["version"], l["ring"]}, "\x00")
		i, ok := at[key]
		if !ok {
			i = len(r.Pages)
			at[key] = i
			r.Pages = append(r.Pages, wire.PageVitals{Page: l["page"], Version: l["version"], Ring: l["ring"], P75: map[string]float64{}})
		}
		return &r.Pages[i]
	}
	for _, v := range g.sum("ringfence_rum_views_total", "page, version, ring") {
		page(v.labels).Views = v.value
	}
	for _, v := range g.p75("ringfence_rum_vital_seconds", "page, version, ring, vital") {
		page(v.labels).P75[v.labels["vital"]] = v.value
	}
	for _, v := range g.p75("ringfence_rum_layout_shift", "page, version, ring") {
		page(v.labels).P75["cls"] = v.value
	}
	for _, v := range g.sum("ringfence_rum_errors_total", "page, version, ring") {
		page(v.labels).Errors = v.value
	}
	slices.SortStableFunc(r.Pages, func(a, b wire.PageVitals) int {
		return cmp.Or(cmp.Compare(b.Views, a.Views), cmp.Compare(a.Page, b.Page), cmp.Compare(a.Version, b.Version))
	})
}

func (u usages) used(g *gathering, r *wire.RUM) {
	at := map[string]int{}
	use := func(l map[string]string) *wire.Usage {
		key := l["version"] + "\x00" + l["ring"]
		i, ok := at[key]
		if !ok {
			i = len(r.Usage)
			at[key] = i
			r.Usage = append(r.Usage, wire.Usage{Version: l["version"], Ring: l["ring"]})
		}
		return &r.Usage[i]
	}
	for _, v := range g.sum("ringfence_requests_total", "version, ring") {
		use(v.labels).Requests = v.value
	}
	for _, v := range g.ask(fmt.Sprintf("sum by (version, ring) (ringfence_ring_users{%s})", g.of)) {
		use(v.labels).Users = v.value
	}
	for _, v := range g.sum("ringfence_rum_views_total", "version, ring") {
		use(v.labels).Views = v.value
	}
	for _, v := range g.sum("ringfence_rum_events_total", "version, ring, event") {
		one := use(v.labels)
		if one.Events == nil {
			one.Events = map[string]float64{}
		}
		one.Events[v.labels["event"]] = v.value
	}
	slices.SortStableFunc(r.Usage, func(a, b wire.Usage) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Ring, b.Ring))
	})
}

func (u usages) varied(g *gathering, r *wire.RUM) {
	at := map[string]int{}
	of := func(l map[string]string) *wire.VariantUse {
		key := l["flag"] + "\x00" + l["variant"]
		i, ok := at[key]
		if !ok {
			i = len(r.Variants)
			at[key] = i
			r.Variants = append(r.Variants, wire.VariantUse{Flag: l["flag"], Variant: l["variant"], Events: map[string]float64{}, P75: map[string]float64{}})
		}
		return &r.Variants[i]
	}
	for _, v := range g.sum("ringfence_rum_flag_total", "flag, variant, what") {
		one := of(v.labels)
		switch what := v.labels["what"]; what {
		case "views":
			one.Views = v.value
		case "errors":
			one.Errors = v.value
		default:
			one.Events[strings.TrimPrefix(what, "event ")] = v.value
		}
	}
	for _, v := range g.p75("ringfence_rum_flag_vital_seconds", "flag, variant, vital") {
		of(v.labels).P75[v.labels["vital"]] = v.value
	}
	slices.SortStableFunc(r.Variants, func(a, b wire.VariantUse) int {
		return cmp.Or(cmp.Compare(a.Flag, b.Flag), cmp.Compare(a.Variant, b.Variant))
	})
}

// errors are those that the data planes keep. One that does not answer is left out: its metrics say how many there are.
func (u usages) errors(ctx context.Context, service string) []wire.ScriptError {
	var all []wire.ScriptError
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, o := range u.server.hub.Units() {
		if o.Admin == "" {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Admin+"/rum/errors?"+url.Values{"service": {service}}.Encode(), nil)
		if err != nil {
			continue
		}
		req.Header.Set("Authorization", "Bearer "+u.server.dataToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		var some []wire.ScriptError
		err = json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&some)
		_ = resp.Body.Close()
		if err != nil {
			continue
		}
		for i := range some {
			some[i].Unit = o.Unit
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b wire.ScriptError) int { return cmp.Compare(b.Count, a.Count) })
	return all
}
