package rulebook

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// Set is the name of the set that the rules are in: one that nobody can declare.
const Set = "(built-in)"

// Guide is the page that says of each rule what to do, under an anchor that is the rule's name in lower case.
const Guide = "docs/built-in-alerts.md"

// rule is one rule before it is put into Prometheus' words.
type rule struct {
	name, severity string
	expr           string
	hold           string // how long it must hold; empty: at once
	keep           string // how long it goes on after it last held
	summary        string
	description    string
	impact         string
	cause          string // what it is a sign of, in the words of incidents; empty: what the name says
}

// Rules are all rules, for those services that have not switched them off. off is by the rule's name.
func Rules(off map[string][]string) resource.AlertRules {
	var set resource.AlertRules
	for _, group := range []struct {
		name, every string
		rules       []rule
	}{{"requests", "", requests}, {"requests-slowly", "2m", slowly}, {"instances", "", instances}, {"machines", "", machines}} {
		g := resource.RuleGroup{Name: group.name, Interval: group.every}
		for _, r := range group.rules {
			g.Rules = append(g.Rules, r.in(off[r.name]))
		}
		set.Groups = append(set.Groups, g)
	}
	return set
}

// Off says which services have switched which rules off, by the rule's name.
func Off(services map[string]resource.Service) map[string][]string {
	off := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		for _, rule := range resource.BuiltInAlerts {
			if list := services[name].AlertsOff; slices.Contains(list, rule) || slices.Contains(list, resource.AllAlerts) {
				off[rule] = append(off[rule], name)
			}
		}
	}
	return off
}

// Aside adds the rules that step aside where an objective of the service watches the same signal of its requests: errors or slow.
func Aside(off map[string][]string, objectives []slo.Objective) {
	stepping := map[string][]string{"errors": {"ErrorsBurn", "ErrorsBurnSlowly"}, "slow": {"LatencyBurn", "LatencyBurnSlowly"}}
	for i := range objectives {
		service, signal, ok := objectives[i].Watches()
		if !ok {
			continue
		}
		for _, rule := range stepping[signal] {
			if !slices.Contains(off[rule], service) {
				off[rule] = append(off[rule], service)
			}
		}
	}
}

// in is the rule as Prometheus has it, for all services but some.
func (r rule) in(off []string) resource.Rule {
	expr := r.expr
	if len(off) > 0 {
		var names []string
		for _, s := range slices.Sorted(slices.Values(off)) {
			names = append(names, fmt.Sprintf(`label_replace(vector(1), "service", %s, "", "")`, strconv.Quote(s)))
		}
		expr = fmt.Sprintf("(\n%s\n)\nunless on (service) (%s)", expr, strings.Join(names, " or "))
	}
	out := resource.Rule{Alert: r.name, Expr: expr, For: r.hold, KeepFiringFor: r.keep, Labels: map[string]string{alert.Severity: r.severity},
		Annotations: map[string]string{alert.Summary: r.summary, alert.Description: r.description, alert.DefaultImpact: r.impact,
			alert.DefaultRunbook: Guide + "#" + strings.ToLower(r.name)}}
	if r.cause != "" {
		out.Labels["cause"] = r.cause
	}
	return out
}
