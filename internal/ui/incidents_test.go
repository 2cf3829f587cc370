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

// An incident goes from open to closed by the forms of its page alone, as browsers without scripts send them.
func TestIncidentFormsToTheEnd(t *testing.T) {
	w, r := startIncidents(t)
	operator, viewer := w.as(policy.Operator), w.as(policy.Viewer)
	send := func(path string, status int, want string, pairs ...string) string {
		t.Helper()
		fields := url.Values{"form": {operator.formToken()}}
		for i := 0; i < len(pairs); i += 2 {
			fields.Set(pairs[i], pairs[i+1])
		}
		res, body := operator.post("/incidents/inc-1/"+path, fields)
		if res.StatusCode != status {
			t.Fatalf("%s: %s, want %d", path, res.Status, status)
		}
		if status == http.StatusSeeOther {
			_, body = operator.get("/incidents/inc-1")
		}
		if !strings.Contains(body, want) {
			t.Errorf("%s: lacks %q", path, want)
		}
		return body
	}
	at := func(ago time.Duration) string { return time.Now().UTC().Add(-ago).Format("2006-01-02T15:04:05") }
	operator.nothingInline("/incidents/inc-1/impact")
	if body := viewer.holds("/incidents/inc-1", "Until it is closed"); strings.Contains(body, "<details class=\"entry\"") {
		t.Error("who may only look is offered forms")
	}
	if res, _ := viewer.get("/incidents/inc-1/impact"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a form for who may only look: %s", res.Status)
	}
	send("cause", http.StatusUnprocessableEntity, "say what was looked at", "choice", "unknown", "text", "")
	send("cause", http.StatusUnprocessableEntity, "none of these", "choice", "rollout/elsewhere-1")
	send("cause", http.StatusSeeOther, "operator confirmed the cause: shop v2 in place of v1", "choice", "rollout/shop-2", "text", "")
	send("impact", http.StatusUnprocessableEntity, "expected a time in UTC such as", "start", "soon")
	send("impact", http.StatusUnprocessableEntity, `value="`+at(time.Hour)[:14], "start", at(time.Hour), "end", at(2*time.Hour))
	send("close", http.StatusConflict, "with a form at each point")
	send("mitigate", http.StatusSeeOther, ">mitigated</span>")
	send("resolve", http.StatusConflict, "when users of inc-1 were hurt last")
	send("impact", http.StatusSeeOther, "orders are lost", "start", at(30*time.Minute), "end", "20m", "noticed", "orders are lost")
	s, err := r.Get(t.Context(), "inc-1")
	must(t, err)
	if d := s.Impact.End.Sub(s.Impact.Start); d < 9*time.Minute || d > 11*time.Minute || s.Impact.Source != "person" {
		t.Errorf("the impact is %+v", s.Impact)
	}
	seen := func(path string) string {
		_, body := operator.get("/incidents/inc-1/" + path)
		_, rest, _ := strings.Cut(body, `name="seen" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	old := seen("learn")
	send("learn", http.StatusUnprocessableEntity, "Write at least one of the three.", "well", " ")
	words := []string{"well", "it was seen\r\n\r\n- by ann\r\n- by bob " + evil, "badly", "no test"}
	send("learn", http.StatusSeeOther, "", append(words, "seen", old)...)
	send("learn", http.StatusSeeOther, "", append(words, "seen", old)...) // sent twice
	body := send("learn", http.StatusConflict, "Somebody else has written here meanwhile", "well", "mine", "badly", "no test", "seen", old)
	if !strings.Contains(body, ">mine</textarea>") {
		t.Error("what was typed is lost")
	}
	send("action", http.StatusUnprocessableEntity, "It is missing", "what", "")
	send("action", http.StatusSeeOther, "without an owner", "what", "test the empty basket")
	send("action", http.StatusSeeOther, "not so: 1", "what", "test the empty basket") // sent twice
	send("action/1", http.StatusUnprocessableEntity, "expected a date such as", "what", "test the empty basket", "due", "tomorrow")
	send("action/1", http.StatusSeeOther, "due 15 Jan 2040", "what", "test the empty basket", "owner", "bob", "due", "2040-01-15")
	if res, _ := operator.get("/incidents/inc-1/action/2"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an item that is not there: %s", res.Status)
	}
	send("resolve", http.StatusSeeOther, "Close the incident", "reason", "the alert is of before")
	send("close", http.StatusSeeOther, ">closed</span>")
	send("impact", http.StatusConflict, "inc-1 is closed", "noticed", "nothing")
	send("action/1/done", http.StatusSeeOther, "by operator")
	if s, err = r.Get(t.Context(), "inc-1"); err != nil || len(s.Actions) != 1 || s.Actions[0].Done.IsZero() || s.Learned.Well != "it was seen\n\n- by ann\n- by bob "+evil {
		t.Errorf("%+v, %v", s, err)
	}
	body = viewer.holds("/incidents/inc-1/postmortem", "<p>it was seen</p><ul><li>by ann</li><li>by bob", "orders are lost", "confirmed by operator; the ranking had it at", "as the person who entered it says", "test the empty basket", `download="inc-1.md"`)
	if strings.Contains(body, evil) {
		t.Error("what people wrote is not escaped")
	}
	viewer.nothingInline("/incidents/inc-1/postmortem")
}
