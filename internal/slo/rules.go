package slo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
)

// Names of alerts.
const (
	AlertBurn   = "ErrorBudgetBurn"
	AlertNoData = "SLONoData"
)

// Labels that alerts of objectives have next to those of package alert.
const (
	LabelSLO       = "slo"
	LabelObjective = "objective"
	LabelCondition = "condition"
	LabelTargets   = "notification_targets"
)

// Labels are those of the alert of a condition; of the one without data when c is nil.
func (o *Objective) Labels(c *Condition) map[string]string {
	l := map[string]string{alert.Name: AlertBurn, LabelSLO: o.SLO, LabelObjective: o.ID, alert.Service: o.Service}
	if o.Owner != "" {
		l[alert.Owner] = o.Owner
	}
	if c == nil {
		l[alert.Name], l[alert.Severity] = AlertNoData, o.NoData
		return l
	}
	l[alert.Severity] = c.Severity
	if c.Name != "" {
		l[LabelCondition] = c.Name
	}
	if len(c.Targets) > 0 {
		l[LabelTargets] = strings.Join(c.Targets, ",")
	}
	return l
}

// Annotations are those of the alert of a condition; of the one without data when c is nil.
func (o *Objective) Annotations(c *Condition) map[string]string {
	name := o.Display
	if name == "" {
		name = o.ID
	}
	a := map[string]string{}
	if c == nil {
		a[alert.Summary] = fmt.Sprintf("%s of %s: nothing is measured for %s", name, o.Service, promText(o.Quiet))
		a[alert.Description] = "Whether it is healthy is not known. Either nobody uses it, or its metrics do not arrive."
	} else {
		a[alert.Summary] = fmt.Sprintf("%s of %s burns its error budget", name, o.Service)
		var rows []string
		for _, r := range c.Rows {
			over := promText(r.Long)
			if r.Short != 0 {
				over += " and " + promText(r.Short)
			}
			rows = append(rows, fmt.Sprintf("%s %s over %s", operators[r.Op], num(r.Burn), over))
		}
		a[alert.Description] = fmt.Sprintf("Target %s %% over %s. Burn rate %s.", num(100*o.Target), o.Window, strings.Join(rows, ", or "))
	}
	if o.Runbook != "" {
		a[alert.Runbook] = o.Runbook
	}
	if o.Impact != "" {
		a[alert.Impact] = o.Impact
	}
	return a
}

// Rules writes rules for Prometheus that fire when the alerts of the objectives do. What is counted over each window is recorded
// first; an alert that fires goes on while nothing is counted.
func Rules(objectives []Objective, interval time.Duration) string {
	var b strings.Builder
	b.WriteString("groups:\n")
	for i := range objectives {
		o := &objectives[i]
		if o.Unmeasured != "" {
			fmt.Fprintf(&b, "  # %s: %s\n", o.ID, o.Unmeasured)
			continue
		}
		fmt.Fprintf(&b, "  - name: %s\n    interval: %s\n    rules:\n", quote("slo "+o.ID), promText(interval))
		for _, w := range o.Windows() {
			o.records(&b, w)
		}
		for j := range o.Conditions {
			if c := &o.Conditions[j]; !c.Quiet {
				writeAlert(&b, o.expr(c), c.For, o.Labels(c), o.Annotations(c))
			}
		}
		if least := o.least(); o.NoData != NoDataIgnore && least > 0 {
			writeAlert(&b, "vector(1) unless on() "+o.data(least), o.Quiet, o.Labels(nil), o.Annotations(nil))
		}
	}
	return b.String()
}

// least is the shortest window of all conditions.
func (o *Objective) least() time.Duration {
	if all := o.Windows(); len(all) > 0 {
		return all[0]
	}
	return 0
}

func quote(s string) string {
	raw, _ := json.Marshal(s) // text always is
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(raw))
}

func (o *Objective) records(b *strings.Builder, w time.Duration) {
	for i, p := range o.Parts {
		bad, total := p.Queries(w)
		for _, r := range []struct{ name, expr string }{{"slo:bad:sum", bad}, {"slo:total:sum", total}} {
			fmt.Fprintf(b, "      - record: %s\n        expr: %s\n        labels: {slo: %s, objective: %s, part: %s, window: %s}\n",
				r.name, quote(r.expr), quote(o.SLO), quote(o.ID), quote(fmt.Sprint(i)), quote(promText(w)))
		}
	}
}

func (o *Objective) series(name string, part int, w time.Duration) string {
	return fmt.Sprintf("%s{objective=%s,part=\"%d\",window=\"%s\"}", name, quote(o.ID), part, promText(w))
}

// burn is the expression for the burn rate over a window.
func (o *Objective) burn(w time.Duration) string {
	terms := make([]string, len(o.Parts))
	for i, p := range o.Parts {
		terms[i] = fmt.Sprintf("clamp(%s / (%s > 0), 0, 1) / %s", o.series("slo:bad:sum", i, w), o.series("slo:total:sum", i, w), plain(p.Budget))
		if p.Weight != 1 {
			terms[i] = plain(p.Weight) + " * (" + terms[i] + ")"
		}
	}
	if len(terms) == 1 {
		return terms[0]
	}
	for i := range terms {
		terms[i] = "sum(" + terms[i] + " or vector(0))"
	}
	return "((" + strings.Join(terms, " + ") + ") and on() " + o.data(w, " or on() ") + ")"
}

// data is an expression that gives something while there is data over a window: of all parts, or of any.
func (o *Objective) data(w time.Duration, join ...string) string {
	terms := make([]string, len(o.Parts))
	for i := range o.Parts {
		terms[i] = fmt.Sprintf("%s > 0", o.series("slo:total:sum", i, w))
	}
	return "(" + strings.Join(terms, append(join, " and on() ")[0]) + ")"
}

func (o *Objective) expr(c *Condition) string {
	var rows []string
	for _, r := range c.Rows {
		cond := fmt.Sprintf("%s %s %s", o.burn(r.Long), operators[r.Op], plain(r.Burn))
		if r.Short != 0 {
			cond += fmt.Sprintf(" and on() %s %s %s", o.burn(r.Short), operators[r.Op], plain(r.Burn))
		}
		if o.Guard > 0 && (r.Op == "gt" || r.Op == "gte") {
			cond += fmt.Sprintf(" and on() sum(slo:bad:sum{objective=%s,window=\"%s\"}) >= %s", quote(o.ID), promText(r.Long), plain(o.Guard))
		}
		rows = append(rows, "("+cond+")")
	}
	labels := o.Labels(c)
	match := []string{`alertstate="firing"`}
	for _, k := range []string{alert.Name, LabelObjective, alert.Severity, LabelCondition} {
		if v, ok := labels[k]; ok {
			match = append(match, k+"="+quote(v))
		}
	}
	hold := fmt.Sprintf("(ALERTS{%s} unless on() %s)", strings.Join(match, ","), o.data(c.Shortest()))
	return "vector(1) and on() (" + strings.Join(append(rows, hold), " or on() ") + ")"
}

func writeAlert(b *strings.Builder, expr string, after time.Duration, labels, annotations map[string]string) {
	fmt.Fprintf(b, "      - alert: %s\n        expr: %s\n", labels[alert.Name], quote(expr))
	if after > 0 {
		fmt.Fprintf(b, "        for: %s\n", promText(after))
	}
	for _, m := range []struct {
		name string
		of   map[string]string
	}{{"labels", labels}, {"annotations", annotations}} {
		fmt.Fprintf(b, "        %s:\n", m.name)
		for _, k := range slices.Sorted(maps.Keys(m.of)) {
			if k != alert.Name {
				v := m.of[k]
				if m.name == "annotations" {
					v = strings.ReplaceAll(v, "{{", "{ {") // no template
				}
				fmt.Fprintf(b, "          %s: %s\n", k, quote(v))
			}
		}
	}
}
