package ui

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// parsePages reads every page with the frame around it and the parts that pages share.
func parsePages(f *files) (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(template.FuncMap{
		"lower": strings.ToLower,
		"asset": f.url, "ago": ago, "span": span, "count": count, "percent": percent, "rate": rate, "size": size, "person": person,
		"sentence": sentenceCase, "label": labelOf, "fieldnames": fieldsOf, "percentOf": func(p float64) string { return percent(p / 100) }, "percentOf100": func(p float64) float64 { return min(100, max(0, 100*p)) }, "pageof": pageOf, "short": shortID, "plural": plural, "list": func(items ...any) []any { return items },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"day":   func(t time.Time) string { return t.UTC().Format("Mon 2 Jan 15:04") },
		"seconds": func(x float64) string {
			return span(time.Duration(x * float64(time.Second)).Round(100 * time.Millisecond))
		},
		"digest": func(s string) string { return clip(strings.TrimPrefix(s, "sha256:"), 12) },
		"int64":  func(n int) int64 { return int64(n) },
		"toInt":  func(x float64) int64 { return int64(x + 0.5) },
	}).ParseFS(embedded, "templates/frame.html", "templates/parts.html", "templates/watch.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"overview", "service", "rollout", "confirm", "approvals", "calendar", "plans", "plan", "events", "event", "simulate", "signin", "signedin", "account", "error",
		"flags", "flag", "flagedit", "flagset", "requests", "experiments", "experiment", "incidents", "incident", "entry", "postmortem", "incidenttrends", "slos", "slo", "explore", "probes", "probe", "probeedit", "users", "alerts", "alert", "noise", "availability", "interface", "artifact", "units"} {
		page, err := base.Clone()
		if err == nil {
			page, err = page.ParseFS(embedded, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, nil
}
