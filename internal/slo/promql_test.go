package slo

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestCounters(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	for in, want := range map[string]string{
		`http_requests_total`:                                `increase(http_requests_total[5m])`,
		`http_requests_total{}`:                              `increase(http_requests_total{}[5m])`,
		`sum(http_requests{code=~"2xx|4xx"})`:                `sum(increase(http_requests{code=~"2xx|4xx"}[5m]))`,
		`sum by (job, code) (a:b {x="}["})`:                  `sum by (job, code) (increase(a:b {x="}["}[5m]))`,
		`sum(a) by (job) - sum without(x)(b)`:                `sum(increase(a[5m])) by (job) - sum without(x)(increase(b[5m]))`,
		`sum(a) / on(job) group_left(team) sum(b offset 5m)`: `sum(increase(a[5m])) / on(job) group_left(team) sum(increase(b[5m] offset 5m))`,
		`a{le="0.3"} or vector(0)`:                           `increase(a{le="0.3"}[5m]) or vector(0)`,
		`{__name__="a", job='x'} * 2.5e3 + Inf`:              `increase({__name__="a", job='x'}[5m]) * 2.5e3 + Inf`,
		`sum(rate(a[{{.window}}])) * 300`:                    `sum(rate(a[5m])) * 300`,
		`a and b unless c`:                                   `increase(a[5m]) and increase(b[5m]) unless increase(c[5m])`,
		"sum(a) # all of them (really)\n + b":                "sum(increase(a[5m])) # all of them (really)\n + increase(b[5m])",
		`a @ 1609746000 > bool 3`:                            `increase(a[5m] @ 1609746000) > bool 3`,
		`label_replace(a, "x", "$1", "y", "(.*)")`:           `label_replace(increase(a[5m]), "x", "$1", "y", "(.*)")`,
		`sum by (sum) (count)`:                               `sum by (sum) (increase(count[5m]))`,
	} {
		got, err := counters(in, "increase", "5m")
		if err != nil || got != want {
			t.Errorf("%s\n got %s (%v)\nwant %s", in, got, err, want)
			continue
		}
		e, err := p.ParseExpr(got)
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
			if _, ok := n.(*parser.VectorSelector); ok {
				if m, ok := path[len(path)-1].(*parser.MatrixSelector); !ok || m.Range != 5*time.Minute {
					t.Errorf("%s: %s has no window", got, n)
				}
			}
			return nil
		})
	}
	for in, want := range map[string]string{
		`sum(rate(a[5m]))`: "window of its own", `sum(a{x="y)`: "not closed", `1 + 1`: "reads no metric", `"text`: "not closed", ``: "reads no metric",
	} {
		if got, err := counters(in, "increase", "5m"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, expected %q", in, got, err, want)
		}
	}
}

func FuzzCounters(f *testing.F) {
	f.Add(`sum by (a) (b{c="d"}) / e`)
	p := parser.NewParser(parser.Options{})
	f.Fuzz(func(t *testing.T, in string) {
		out, err := counters(in, "increase", "5m")
		if err != nil || templateRE.MatchString(in) {
			return
		}
		if e, err := p.ParseExpr(in); err != nil || e.Type() == parser.ValueTypeString {
			return // the engine says what is wrong with it
		}
		if _, err := p.ParseExpr(out); err != nil {
			t.Errorf("%q became %q: %v", in, out, err)
		}
	})
}
