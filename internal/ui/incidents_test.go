package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/responder"
)

// startIncidents is a world in which v2 is on its way and hurts.
func startIncidents(t *testing.T) (*world, *responder.Responder) {
	w := start(t)
	r := responder.New(responder.Options{Store: w.Store, Catalog: w.opts.Catalog, Rollouts: w.Controller, LastGood: w.opts.LastGood, Scrape: time.Second})
	must(t, r.Look(t.Context()))
	w.opts.Incidents = r
	w.url = w.serve()
	w.release("v2")
	w.until("shop", "baking")
	now := time.Now().UTC()
	must(t, r.Page(t.Context(), alert.Page{Key: "k", Status: alert.Firing, Severity: alert.Paging, Service: "shop", Started: now, At: now, Annotations: map[string]string{"summary": "shop " + evil, "impact": evil}}))
	return w, r
}

func TestIncidentPages(t *testing.T) {
	w, _ := startIncidents(t)
	viewer, admin := w.as(policy.Viewer), w.as(policy.Admin)
	for _, path := range []string{"/incidents", "/incidents/inc-1", "/incidents/trends"} {
		admin.nothingInline(path)
		if body := viewer.holds(path, `href="/incidents"`); strings.Contains(body, evil) {
			t.Errorf("%s: it is not escaped", path)
		}
	}
	viewer.holds("/incidents", "1 incident hurts users now", "inc-1 · severity 2", ">open</span>")
	viewer.holds("/incidents/trends", "all together", `data-charts="/incidents/trends/series?service="`)
	body := admin.holds("/incidents/inc-1", "Roll back shop v2 to v1", `data-key="b"`, "shop v2 in place of v1", "It reached ring canary", "Rollout shop-2 is in flight; roll it back first.", "the cause is confirmed, or named unknown",
		"Ringfence opened the incident", `data-charts="/incidents/inc-1/series"`, `href="/incidents/inc-1/ack"`)
	if strings.Index(body, "/incidents/inc-1/remedy") > strings.Index(body, "/incidents/inc-1/ack") {
		t.Error("taking back is not the first button")
	}
	if body := viewer.holds("/incidents/inc-1", "Likely causes"); strings.Contains(body, "/incidents/inc-1/ack") || strings.Contains(body, "/remedy") {
		t.Error("who may only look is offered to do something")
	}
	for _, path := range []string{"/incidents/inc-1/series", "/incidents/trends/series"} {
		viewer.holds(path, `"charts":[`)
	}
	viewer.holds("/incidents/inc-1/postmortem.md", "# inc-1: shop", "## Timeline")
	if res, _ := viewer.get("/incidents/inc-7"); res.StatusCode != http.StatusNotFound {
		t.Errorf("of none: %s", res.Status)
	}
}

func TestIncidentDeeds(t *testing.T) {
	w, r := startIncidents(t)
	operator := w.as(policy.Operator)
	form := operator.formToken()
	do := func(deed, want string, fields url.Values) {
		t.Helper()
		fields.Set("form", form)
		res, body := operator.post("/incidents/inc-1/"+deed, fields)
		if res.StatusCode == http.StatusSeeOther {
			_, body = operator.get("/incidents/inc-1")
		}
		if !strings.Contains(body, want) {
			t.Errorf("%s: %s, lacks %q", deed, res.Status, want)
		}
	}
	do("ack", "led by <b>operator</b>", url.Values{})
	do("note", "operator: the queue grows", url.Values{"reason": {"the queue grows"}})
	do("update", "operator told everyone: we are on it", url.Values{"reason": {"we are on it"}})
	do("close", "cannot be closed: it is mitigated", url.Values{})
	do("cause", "operator confirmed the cause: shop v2 in place of v1", url.Values{"choice": {"rollout/shop-2"}})
	operator.holds("/incidents/inc-1/remedy?do=rollback/shop-2", "Roll back shop v2 to v1?", `name="ring" value="rollback/shop-2"`, "of the odds to be the cause")
	do("remedy", "operator acted: Roll back shop v2 to v1", url.Values{"ring": {"rollback/shop-2"}})
	w.until("shop-2", "rolledBack", "rollingBack")
	fields := url.Values{"form": {form}, "reason": {"orders are lost"}, "choice": {"shop"}}
	operator.post("/incidents/open", fields)
	s, err := r.Get(t.Context(), "inc-2")
	if err != nil || s.Title != "orders are lost" || s.Service != "shop" || s.By != "user:operator" {
		t.Errorf("%+v, %v", s, err)
	}
}
