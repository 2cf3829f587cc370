package rulebook

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

// TestEveryRuleIsWorthReading: each says what is wrong, what users notice, and has its paragraph in the guide.
func TestEveryRuleIsWorthReading(t *testing.T) {
	guide, err := os.ReadFile("../../" + Guide)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range Rules(nil).Groups {
		for _, r := range g.Rules {
			for _, note := range []string{alert.Summary, alert.Description, alert.DefaultImpact} {
				if s := r.Annotations[note]; !strings.HasSuffix(s, ".") && note != alert.Summary || len(s) < 10 {
					t.Errorf("%s: %s is %q", r.Alert, note, s)
				}
			}
			if !slices.Contains([]string{alert.Paging, alert.Ticket}, r.Labels[alert.Severity]) {
				t.Errorf("%s: %v", r.Alert, r.Labels)
			}
			if page, anchor, _ := strings.Cut(r.Annotations[alert.DefaultRunbook], "#"); page != Guide || !strings.Contains(strings.ToLower(string(guide)), "\n### "+anchor+"\n") {
				t.Errorf("%s: its paragraph %s is not in %s", r.Alert, anchor, Guide)
			}
			names = append(names, r.Alert)
		}
	}
	for _, name := range resource.BuiltInAlerts {
		if !slices.Contains(names, name) {
			t.Errorf("there is no rule %s", name)
		}
	}
	for _, name := range names[:len(names)-len(machines)] {
		if !slices.Contains(resource.BuiltInAlerts, name) {
			t.Errorf("%s cannot be switched off", name)
		}
	}
}

func TestOff(t *testing.T) {
	off := Off(map[string]resource.Service{"shop": {AlertsOff: []string{"TrafficDrop"}}, "batch": {AlertsOff: []string{"*"}}, "cart": {}})
	if got := off["TrafficDrop"]; !slices.Equal(got, []string{"batch", "shop"}) {
		t.Error(got)
	}
	for _, g := range Rules(off).Groups {
		for _, r := range g.Rules {
			has := func(s string) bool {
				return strings.Contains(r.Expr, `label_replace(vector(1), "service", "`+s+`", "", "")`)
			}
			own := slices.Contains(resource.BuiltInAlerts, r.Alert)
			if has("shop") != (r.Alert == "TrafficDrop") || has("batch") != own || has("cart") {
				t.Errorf("%s: %s", r.Alert, r.Expr)
			}
		}
	}
}

// TestAside: who declares an SLO on all requests of a service is told by that one, and not by the built-in one beside it.
func TestAside(t *testing.T) {
	for spec, want := range map[string]string{
		`{"service":"shop","signal":"errors","target":99}`:                 "ErrorsBurn ErrorsBurnSlowly",
		`{"service":"shop","signal":"latency","over":"300ms","target":99}`: "LatencyBurn LatencyBurnSlowly",
		`{"service":"shop","signal":"errors","target":99,"ring":"early"}`:  "", // others are not watched by it
		openSLO(`"bad":{"metricSource":{"type":"Ringfence","spec":{"signal":"errors"}}},"total":{"metricSource":{"type":"Ringfence","spec":{"signal":"requests"}}}`, ""):     "ErrorsBurn ErrorsBurnSlowly",
		openSLO(`"bad":{"metricSource":{"type":"Ringfence","spec":{"signal":"errors"}}},"total":{"metricSource":{"type":"Ringfence","spec":{"signal":"requests"}}}`, "none"): "", // it tells nobody
		openSLO(`"bad":{"metricSource":{"type":"Prometheus","spec":{"query":"a"}}},"total":{"metricSource":{"type":"Prometheus","spec":{"query":"b"}}}`, ""):                 "", // of what, nobody knows
	} {
		r, ps := resource.Decode([]byte(`{"apiVersion":"ringfence.dev/v1","kind":"SLO","metadata":{"name":"mine"},"spec":`+spec+`}`), nil)
		if len(ps) > 0 {
			t.Fatal(ps)
		}
		c := slo.Compile([]resource.Resource{r})
		if len(c[0].Problems) > 0 {
			t.Fatal(c[0].Problems)
		}
		off := map[string][]string{"ErrorsBurn": {"batch"}}
		Aside(off, c[0].Objectives)
		Aside(off, c[0].Objectives)
		var got []string
		for rule, services := range off {
			if n := len(services); slices.Contains(services, "shop") {
				got = append(got, rule)
				if rule == "ErrorsBurn" && n != 2 || rule != "ErrorsBurn" && n != 1 {
					t.Errorf("%s: %v", rule, services)
				}
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s step aside, expected %s", spec, s, want)
		}
	}
}

// openSLO is an OpenSLO document named mine.
func openSLO(ratio, alerts string) string {
	return `{"apiVersion":"openslo/v1","kind":"SLO","metadata":{"name":"mine","annotations":{"ringfence.dev/alerts":"` + alerts + `"}},"spec":{"service":"shop","budgetingMethod":"Occurrences",
		"indicator":{"metadata":{"name":"x"},"spec":{"ratioMetric":{"counter":true,` + ratio + `}}},"timeWindow":[{"duration":"30d","isRolling":true}],"objectives":[{"target":0.99}]}}`
}
