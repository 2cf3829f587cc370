package tsdb

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// RuleGroup is a group of rules as Prometheus' API tells of it.
type RuleGroup struct {
	Name           string    `json:"name"`
	File           string    `json:"file"`
	Rules          []Rule    `json:"rules"`
	Interval       float64   `json:"interval"`
	Limit          int       `json:"limit"`
	EvaluationTime float64   `json:"evaluationTime"`
	LastEvaluation time.Time `json:"lastEvaluation"`
}

// Rule is a rule as Prometheus' API tells of it. What only alerts have is left out of recording rules.
type Rule struct {
	State          string            `json:"state,omitempty"`
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Duration       *float64          `json:"duration,omitempty"`
	KeepFiringFor  *float64          `json:"keepFiringFor,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Annotations    map[string]string `json:"annotations,omitempty"`
	Alerts         *[]RuleAlert      `json:"alerts,omitempty"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError,omitempty"`
	EvaluationTime float64           `json:"evaluationTime"`
	LastEvaluation time.Time         `json:"lastEvaluation"`
	Type           string            `json:"type"`
}

// RuleAlert is an alert that a rule makes.
type RuleAlert struct {
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	State           string            `json:"state"`
	ActiveAt        *time.Time        `json:"activeAt,omitempty"`
	KeepFiringSince *time.Time        `json:"keepFiringSince,omitempty"`
	Value           string            `json:"value"`
}

// Groups tells of all groups as they stand.
func (r *Rules) Groups() []RuleGroup {
	out := []RuleGroup{}
	for _, g := range r.groups() {
		group := RuleGroup{Name: g.Name(), File: g.File(), Rules: []Rule{}, Interval: g.Interval().Seconds(), Limit: g.Limit(), EvaluationTime: g.GetEvaluationTime().Seconds(),
			LastEvaluation: g.GetLastEvaluation().UTC()}
		for _, rule := range g.Rules() {
			group.Rules = append(group.Rules, ruleOf(rule))
		}
		out = append(out, group)
	}
	return out
}

func ruleOf(rule rules.Rule) Rule {
	out := Rule{Name: rule.Name(), Query: rule.Query().String(), Labels: rule.Labels().Map(), Health: string(rule.Health()), EvaluationTime: rule.GetEvaluationDuration().Seconds(),
		LastEvaluation: rule.GetEvaluationTimestamp().UTC(), Type: "recording"}
	if err := rule.LastError(); err != nil {
		out.LastError = err.Error()
	}
	a, ok := rule.(*rules.AlertingRule)
	if !ok {
		return out
	}
	hold, keep := a.HoldDuration().Seconds(), a.KeepFiringFor().Seconds()
	alerts := alertsOf(a)
	out.Type, out.State, out.Duration, out.KeepFiringFor, out.Annotations, out.Alerts = "alerting", a.State().String(), &hold, &keep, a.Annotations().Map(), &alerts
	return out
}

func alertsOf(rule *rules.AlertingRule) []RuleAlert {
	out := []RuleAlert{}
	for _, a := range rule.ActiveAlerts() {
		at := a.ActiveAt.UTC()
		one := RuleAlert{Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), State: a.State.String(), ActiveAt: &at, Value: strconv.FormatFloat(a.Value, 'e', -1, 64)}
		if !a.KeepFiringSince.IsZero() {
			since := a.KeepFiringSince.UTC()
			one.KeepFiringSince = &since
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b RuleAlert) int { return labels.Compare(labels.FromMap(a.Labels), labels.FromMap(b.Labels)) })
	return out
}

func (db *DB) serveRules(r *http.Request) answer {
	kind := r.Form.Get("type")
	if kind != "" && kind != "alert" && kind != "record" {
		return badData("invalid parameter \"type\": not supported value %q", kind)
	}
	without, err := strconv.ParseBool(or(r.Form.Get("exclude_alerts"), "false"))
	if err != nil {
		return badParam("exclude_alerts", err)
	}
	var sets [][]*labels.Matcher
	for _, m := range r.Form["match[]"] {
		set, err := parser.NewParser(parser.Options{}).ParseMetricSelector(m)
		if err != nil {
			return badParam("match[]", err)
		}
		sets = append(sets, set)
	}
	groups := []RuleGroup{}
	for _, g := range db.ruleGroups() {
		if !named(r.Form["rule_group[]"], g.Name) || !named(r.Form["file[]"], g.File) {
			continue
		}
		g.Rules = slices.DeleteFunc(g.Rules, func(rule Rule) bool {
			return kind == "alert" && rule.Type != "alerting" || kind == "record" && rule.Type != "recording" || !named(r.Form["rule_name[]"], rule.Name) || !meets(sets, rule.Labels)
		})
		if len(g.Rules) == 0 {
			continue
		}
		for i := range g.Rules {
			if without && g.Rules[i].Alerts != nil {
				g.Rules[i].Alerts = &[]RuleAlert{}
			}
		}
		groups = append(groups, g)
	}
	return asJSON(map[string]any{"groups": groups})
}

func (db *DB) ruleGroups() []RuleGroup {
	if r := db.rules.Load(); r != nil {
		return r.Groups()
	}
	return nil
}

func (db *DB) serveAlerts(*http.Request) answer {
	alerts := []RuleAlert{}
	for _, g := range db.ruleGroups() {
		for _, rule := range g.Rules {
			if rule.Alerts != nil {
				alerts = append(alerts, *rule.Alerts...)
			}
		}
	}
	return asJSON(map[string]any{"alerts": alerts})
}

func asJSON(v any) answer {
	data, err := json.Marshal(v)
	if err != nil {
		return failed(err)
	}
	return answer{data: data}
}

func named(names []string, name string) bool { return len(names) == 0 || slices.Contains(names, name) }

func meets(sets [][]*labels.Matcher, of map[string]string) bool {
	return len(sets) == 0 || slices.ContainsFunc(sets, func(set []*labels.Matcher) bool {
		return !slices.ContainsFunc(set, func(m *labels.Matcher) bool { return !m.Matches(of[m.Name]) })
	})
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
