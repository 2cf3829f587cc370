package tsdb

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringfence/ringfence/internal/alert"
)

// Stalled is the alert of a group of rules that is not evaluated any more.
const Stalled = "RingfenceRulesStalled"

// slack is how late an evaluation may be before it is called stalled, beyond three intervals.
const slack = 30 * time.Second

// Lag is how late a group of rules is.
type Lag struct {
	Rules, Group string
	Late         time.Duration // over its interval
	Took         time.Duration // the last evaluation
	Interval     time.Duration
}

// Lags says how late each group is.
func (r *Rules) Lags(now time.Time) []Lag {
	var all []Lag
	for _, g := range r.groups() {
		last := g.GetLastEvaluation()
		if last.Before(r.begun) {
			last = r.begun.Add(g.Interval()) // a group begins within an interval
		}
		all = append(all, Lag{g.File(), g.Name(), max(0, now.Sub(last)-g.Interval()), g.GetEvaluationTime(), g.Interval()})
	}
	return all
}

// watch tells of groups that are late, and of those that no longer are.
func (r *Rules) watch(now time.Time) []alert.Alert {
	var out []alert.Alert
	for _, l := range r.Lags(now) {
		key := l.Rules + "/" + l.Group
		late := l.Late > 2*l.Interval+slack
		if !late && !r.stalled[key] {
			continue
		}
		a := alert.Alert{Labels: map[string]string{alert.Name: Stalled, alert.Severity: alert.Paging, "rules": l.Rules, "group": l.Group},
			Annotations: map[string]string{alert.Summary: fmt.Sprintf("rules %s, group %s, are not evaluated: %s late", l.Rules, l.Group, l.Late.Round(time.Second)),
				alert.Impact: "what these rules look for is not seen"}}
		if !late {
			a.EndsAt = now
		}
		r.stalled[key] = late
		out = append(out, a)
	}
	return out
}

var (
	lagDesc  = prometheus.NewDesc("ringfence_rule_evaluation_lag_seconds", "How late the evaluation of a group of rules is, over its interval.", []string{"rules", "group"}, nil)
	tookDesc = prometheus.NewDesc("ringfence_rule_evaluation_seconds", "How long the last evaluation of a group of rules took.", []string{"rules", "group"}, nil)
)

// Describe is of prometheus.Collector.
func (r *Rules) Describe(ch chan<- *prometheus.Desc) { ch <- lagDesc; ch <- tookDesc }

// Collect is of prometheus.Collector.
func (r *Rules) Collect(ch chan<- prometheus.Metric) {
	for _, l := range r.Lags(time.Now()) {
		ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, l.Late.Seconds(), l.Rules, l.Group)
		ch <- prometheus.MustNewConstMetric(tookDesc, prometheus.GaugeValue, l.Took.Seconds(), l.Rules, l.Group)
	}
}
