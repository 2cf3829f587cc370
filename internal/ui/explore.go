package ui

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/resource"
)

// LogStore answers questions about log entries.
type LogStore interface {
	Find(ctx context.Context, q logs.Query) (logs.Page, error)
	Count(ctx context.Context, q logs.CountQuery) (logs.Counts, error)
}

const (
	logsOnPage  = 100
	exploreTime = 5 * time.Second // for an answer of the log store; then it is partial
	choiceTime  = time.Second     // for what can be chosen
	splitRows   = 8               // that are shown without being asked for
)

// exploring is what one looks at: the address of the page, taken apart.
type exploring struct {
	Service, Version, Ring, Source, Severity, Text string
	Expr                                           string // PromQL instead of the service's own charts
	Span                                           string // how long back, without From
	From, To                                       time.Time
	before                                         string
}

func exploringOf(q url.Values, now time.Time) (exploring, error) {
	x := exploring{Service: q.Get("service"), Version: q.Get("version"), Ring: q.Get("ring"), Source: q.Get("source"), Severity: q.Get("severity"),
		Text: strings.TrimSpace(q.Get("text")), Expr: strings.TrimSpace(q.Get("expr")), Span: cmp.Or(q.Get("span"), "1h"), before: q.Get("before")}
	for name, into := range map[string]*time.Time{"from": &x.From, "to": &x.To} {
		if text := q.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return x, errs.E(errs.Invalid, "%s: got %.40q, expected a time such as 2026-03-01T12:00:00Z", name, text)
			}
			*into = t.UTC()
		}
	}
	at := slices.IndexFunc(healthSpans, func(s healthSpan) bool { return s.Name == x.Span })
	if at < 0 {
		return x, errs.E(errs.Invalid, "span: expected 15m, 1h, 6h, 24h or 7d, got %.40q", x.Span)
	}
	if len(x.Expr) > 4000 || len(x.Service)+len(x.Version)+len(x.Ring)+len(x.Source) > 1000 {
		return x, errs.E(errs.Invalid, "what is asked for is too long")
	}
	if x.From.IsZero() != x.To.IsZero() || x.To.Before(x.From) {
		return x, errs.E(errs.Invalid, "from and to: expected both, or neither, and the earlier first")
	}
	return x, nil
}

// times are those of the logs: what was chosen, or the whole span.
func (x exploring) times(now time.Time) (from, to time.Time) {
	if !x.From.IsZero() {
		return x.From, x.To
	}
	return now.Add(-x.long()), now.Add(time.Second)
}

func (x exploring) long() time.Duration {
	for _, s := range healthSpans {
		if s.Name == x.Span {
			return s.Long
		}
	}
	return time.Hour
}

// around are the times of the charts: what was chosen, with something before and after.
func (x exploring) around(now time.Time) (from, to time.Time) {
	from, to = x.times(now)
	if !x.From.IsZero() {
		margin := max(5*time.Minute, 2*to.Sub(from))
		if from, to = from.Add(-margin), to.Add(margin); to.After(now) {
			to = now
		}
	}
	return from, to
}

func (x exploring) filter(now time.Time) (logs.Filter, error) {
	severity, err := logs.ParseSeverity(x.Severity)
	f := logs.Filter{Severity: severity, Text: x.Text}
	f.From, f.To = x.times(now)
	for _, l := range []struct {
		value string
		into  *[]string
	}{{x.Service, &f.Service}, {x.Version, &f.Version}, {x.Ring, &f.Ring}, {x.Source, &f.Source}} {
		if l.value != "" {
			*l.into = []string{l.value}
		}
	}
	return f, err
}

// URL is the page's address with some things otherwise: name, value, name, value.
func (x exploring) URL(path string, changes ...string) string {
	q := url.Values{}
	for name, v := range map[string]string{"service": x.Service, "version": x.Version, "ring": x.Ring, "source": x.Source, "severity": x.Severity, "text": x.Text, "expr": x.Expr, "span": x.Span} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if !x.From.IsZero() {
		q.Set("from", x.From.Format(time.RFC3339))
		q.Set("to", x.To.Format(time.RFC3339))
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if q.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return path + "?" + q.Encode()
}

type explorePage struct {
	*visit
	Q          exploring
	Services   []string
	Versions   []string // that logs of the time have, and the one that was asked for
	Rings      []string
	Severities []string
	Spans      []healthSpan
	ChartURL   string
	Charts     bool
	Chosen     string         // the time of the logs, when one was chosen
	Whole      string         // address without it
	Split      []logSplitRow  // those with most entries first
	Fewer      []logSplitRow  // the others
	Narrow     []healthChoice // what the logs are narrowed to, and the address without
	Total      int64
	Bad        int64
	Entries    []logs.Entry
	Older      string
	Newest     string
	Partial    bool
	Problem    string
}

// logSplitRow is how many entries a version and a ring have.
type logSplitRow struct {
	Version, Ring, Source string
	Entries, Errors       int64
	Share                 float64
	URL                   string
}

func (s *Server) explore(w http.ResponseWriter, r *http.Request, v *visit) error {
	x, err := exploringOf(r.URL.Query(), v.Now)
	if err != nil {
		return err
	}
	v.Title = "Explore"
	p := &explorePage{visit: v, Q: x, Severities: []string{"debug", "info", "warn", "error", "fatal"}, Spans: healthSpans, Charts: s.Metrics != nil, ChartURL: x.URL("/ui/explore")}
	if p.Services, err = s.serviceNames(r.Context()); err != nil {
		return err
	}
	if !x.From.IsZero() {
		p.Chosen = x.From.Format("2006-01-02 15:04:05") + " – " + x.To.Format("15:04:05 UTC")
		p.Whole = x.URL("/explore", "from", "", "to", "")
	}
	for _, n := range []struct{ name, value string }{{"version", x.Version}, {"ring", x.Ring}, {"source", x.Source}} {
		if n.value != "" {
			p.Narrow = append(p.Narrow, healthChoice{URL: x.URL("/explore", n.name, ""), Text: n.name + " " + n.value})
		}
	}
	if x.before != "" {
		p.Newest = x.URL("/explore")
	}
	if err := p.read(r.Context(), s.LogStore); err != nil {
		if !errs.Is(err, errs.Invalid) {
			return err
		}
		p.Problem = sentenceCase(err.Error())
	}
	p.Versions, p.Rings = p.choices(r.Context(), s.LogStore)
	if p.Problem == "" && x.Expr != "" && s.Metrics != nil {
		if _, err := s.Metrics.QueryRange(r.Context(), x.Expr, v.Now.Add(-time.Minute), v.Now, time.Minute); err != nil {
			p.Problem = sentenceCase(err.Error())
		}
	}
	return s.show(w, r, http.StatusOK, "explore", p)
}

// choices are the versions and rings that the logs of the time are of, whatever they are narrowed to.
func (p *explorePage) choices(ctx context.Context, store LogStore) (versions, rings []string) {
	wider := p.Q
	wider.Version, wider.Ring, wider.Source, wider.Severity, wider.Text = "", "", "", "", ""
	add := func(to *[]string, value string) {
		if value != "" && !slices.Contains(*to, value) {
			*to = append(*to, value)
		}
	}
	add(&versions, p.Q.Version)
	add(&rings, p.Q.Ring)
	if f, err := wider.filter(p.Now); err == nil {
		ctx, cancel := context.WithTimeout(ctx, choiceTime)
		defer cancel()
		counts, err := store.Count(ctx, logs.CountQuery{Filter: f, By: []string{"version", "ring"}})
		for _, c := range counts.All {
			if err == nil && len(c.Values) == 2 {
				add(&versions, c.Values[0])
				add(&rings, c.Values[1])
			}
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return strings.Compare(b, a) }) // the newest are looked for most
	slices.Sort(rings)
	return versions, rings
}

func (s *Server) serviceNames(ctx context.Context) ([]string, error) {
	var names []string
	for after := ""; ; {
		page, err := s.Catalog.List(ctx, resource.KindService, after, 0)
		if err != nil || len(page) == 0 {
			return names, err
		}
		for _, r := range page {
			after = r.Metadata.Name
			names = append(names, after)
		}
	}
}

// read asks for the entries and how they split.
func (p *explorePage) read(ctx context.Context, store LogStore) error {
	f, err := p.Q.filter(p.Now)
	if err != nil {
		return err
	}
	before, err := logs.ParseCursor(p.Q.before)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, exploreTime)
	defer cancel()
	page, err := store.Find(ctx, logs.Query{Filter: f, Limit: logsOnPage, Before: before})
	if err != nil {
		return err
	}
	p.Entries, p.Partial = page.Entries, page.Partial
	if !page.Next.IsZero() {
		p.Older = p.Q.URL("/explore", "before", page.Next.String())
	}
	counts, err := store.Count(ctx, logs.CountQuery{Filter: f, By: []string{"version", "ring", "source"}})
	if err != nil {
		return err
	}
	p.Partial = p.Partial || counts.Partial
	most := int64(1)
	for _, c := range counts.All {
		p.Total, p.Bad, most = p.Total+c.Entries, p.Bad+c.Errors, max(most, c.Entries)
	}
	for _, c := range counts.All {
		row := logSplitRow{Entries: c.Entries, Errors: c.Errors, Share: 100 * float64(c.Entries) / float64(most)}
		if len(c.Values) == 3 {
			row.Version, row.Ring, row.Source = c.Values[0], c.Values[1], c.Values[2]
			row.URL = p.Q.URL("/explore", "version", row.Version, "ring", row.Ring, "source", row.Source)
		}
		p.Split = append(p.Split, row)
	}
	if len(p.Split) > splitRows+2 {
		p.Split, p.Fewer = p.Split[:splitRows], p.Split[splitRows:]
	}
	return nil
}

// exploreSeries answers with the charts beside the logs, and how many entries there are by version.
func (s *Server) exploreSeries(w http.ResponseWriter, r *http.Request, v *visit) error {
	x, err := exploringOf(r.URL.Query(), v.Now)
	if err != nil {
		return err
	}
	from, end := x.around(v.Now)
	step := max(time.Second, s.Scrape/2, end.Sub(from)/seriesPoints).Round(time.Second)
	from = from.Truncate(step)
	answer := charts{T: chartTimes(from, end, step), Empty: "Nothing is known of this time.", Logs: x.URL("/explore", "from", "", "to", "")}
	if !x.From.IsZero() {
		answer.Spans = []spanView{{From: float64(x.From.Unix()), To: float64(x.To.Unix())}}
	}
	if s.Metrics != nil {
		if answer.Charts, err = s.exploreMetrics(r.Context(), x, from, end, step); err != nil {
			return errs.Wrap(errs.Unavailable, err, "the metrics do not answer")
		}
	}
	counted, err := s.exploreCounts(r.Context(), x, from, end)
	if err != nil {
		return err
	}
	answer.Charts = append(answer.Charts, counted...)
	samePaint(answer.Charts)
	if x.Service != "" {
		if answer.Marks, err = s.changes(r.Context(), x.Service, from); err != nil {
			return err
		}
	}
	return sendCharts(w, answer)
}

func (s *Server) exploreMetrics(ctx context.Context, x exploring, from, end time.Time, step time.Duration) ([]chart, error) {
	if x.Expr == "" {
		if x.Service == "" {
			return nil, nil
		}
		by := "version"
		if x.Version != "" {
			by = "ring"
		}
		pairs, err := s.rates(ctx, by, x.Service, from, end, step, s.window(step))
		return narrowed(trafficCharts(pairs, "", ""), by), err
	}
	lines, err := s.Metrics.QueryRange(ctx, x.Expr, from, end, step)
	if err != nil {
		return nil, err
	}
	c := chart{Title: clip(x.Expr, 120), Series: []chartLine{}}
	slices.SortFunc(lines, func(a, b Line) int { return strings.Compare(labelsText(a.Labels), labelsText(b.Labels)) })
	for _, l := range lines[:min(len(lines), 30)] {
		c.Series = append(c.Series, chartLine{Name: labelsText(l.Labels), Y: known(placed(l, from, end, step)), Of: ofLabels(l.Labels)})
	}
	return []chart{c}, nil
}

// ofLabels narrows logs to what a line is of, as far as its labels say.
func ofLabels(labels map[string]string) string {
	q := url.Values{}
	for _, name := range []string{"service", "version", "ring"} {
		if v := labels[name]; v != "" {
			q.Set(name, v)
		}
	}
	return q.Encode()
}

func labelsText(labels map[string]string) string {
	var parts []string
	for k, v := range labels {
		if k != "__name__" {
			parts = append(parts, k+"="+v)
		}
	}
	slices.Sort(parts)
	return clip(cmp.Or(strings.Join(parts, " "), labels["__name__"], "value"), 80)
}

// exploreCounts are the entries that are looked at, by version and time.
func (s *Server) exploreCounts(ctx context.Context, x exploring, from, end time.Time) ([]chart, error) {
	f, err := x.filter(end)
	if err != nil {
		return nil, nil // the page says what is wrong with it
	}
	f.From, f.To = from, end
	ctx, cancel := context.WithTimeout(ctx, exploreTime)
	defer cancel()
	step := logs.StepFor(end.Sub(from), 120)
	counts, err := s.LogStore.Count(ctx, logs.CountQuery{Filter: f, By: []string{"version"}, Step: step})
	if err != nil || len(counts.All) == 0 {
		return nil, err
	}
	c := chart{Title: "Log entries in " + span(step), Least: 5}
	for _, n := range counts.All[:min(len(counts.All), 8)] {
		line := chartLine{Name: "others", Area: true}
		if len(n.Values) == 1 {
			line.Name = cmp.Or(n.Values[0], "no version")
			if n.Values[0] != "" {
				line.Of = url.Values{"version": {n.Values[0]}}.Encode()
			}
		}
		c.T = nil
		for i, k := range n.Steps {
			y := float64(k)
			line.Y, c.T = append(line.Y, &y), append(c.T, from.Add(time.Duration(i)*step).Unix())
		}
		c.Series = append(c.Series, line)
	}
	return []chart{c}, nil
}

// logsOf is where the logs of a service are.
func (s *Server) logsOf(service string) string {
	if s.LogStore == nil {
		return ""
	}
	return "/explore?service=" + url.QueryEscape(service)
}
