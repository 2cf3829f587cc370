package rulebook

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
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
