package ui_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/availability"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/upkeep"
)

// keeper has one unit, and knows what was asked of it.
type keeper struct {
	unit   upkeep.Unit
	orders []upkeep.Order
}

func (k *keeper) Units(context.Context, time.Time) ([]upkeep.Unit, error) {
	return []upkeep.Unit{k.unit}, nil
}

func (k *keeper) Rest(_ context.Context, actor, unit string, o upkeep.Order, now time.Time) (upkeep.Unit, error) {
	if o.Drain && !o.Force {
		return k.unit, errs.E(errs.Conflict, "unit %s alone serves shop", unit).Next("say --force")
	}
	k.orders = append(k.orders, o)
	k.unit.State, k.unit.Rest = "resting", &fleet.Rest{Drain: o.Drain, By: actor, Reason: o.Reason, At: now}
	return k.unit, nil
}

func (k *keeper) Return(context.Context, string, string, string, time.Time) (upkeep.Unit, error) {
	k.unit.State, k.unit.Rest = "serving", nil
	return k.unit, nil
}

func TestUnitsOnAPage(t *testing.T) {
	w := start(t)
	k := &keeper{unit: upkeep.Unit{Name: "berlin", State: "serving", Seen: time.Now(), Services: []upkeep.Service{{Name: "shop", Ready: 2, Wanted: 2, InFlight: 3}}}}
	w.opts.Upkeep = k
	w.url = w.serve()
	viewer := w.as(policy.Viewer)
	if _, body := viewer.get("/units"); !strings.Contains(body, "berlin") || !strings.Contains(body, "2 of 2") || strings.Contains(body, "/units/berlin/drain") {
		t.Errorf("a viewer sees\n%s", body)
	}
	if res, _ := viewer.get("/units/berlin/drain"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer may drain: %s", res.Status)
	}
	b := w.as(policy.Operator)
	token := b.formToken()
	if _, body := b.get("/units"); !strings.Contains(body, "/units/berlin/drain") || strings.Contains(body, "/units/berlin/return") {
		t.Errorf("an operator sees\n%s", body)
	}
	for _, tc := range []struct {
		form  url.Values
		says  string
		takes bool
	}{
		{url.Values{"reason": {"new kernel"}}, "alone serves shop", false},
		{url.Values{"reason": {"new kernel"}, "wait": {"soon"}, "tick": {"on"}}, "expected a duration", false},
		{url.Values{"reason": {evil}, "wait": {"3s"}, "tick": {"on"}}, "", true},
	} {
		tc.form.Set("form", token)
		res, said := b.post("/units/berlin/drain", tc.form)
		if tc.takes != (res.StatusCode == http.StatusSeeOther) || !strings.Contains(said, tc.says) {
			t.Errorf("%v: %s\n%s", tc.form, res.Status, said)
		}
	}
	if len(k.orders) != 1 || !k.orders[0].Drain || !k.orders[0].Force || k.orders[0].Wait != 3*time.Second {
		t.Fatalf("%+v", k.orders)
	}
	_, body := b.get("/units")
	if strings.Contains(body, "<script>alert") || !strings.Contains(body, "Drained") || strings.Contains(body, "/units/berlin/drain") {
		t.Errorf("drained, the page says\n%s", body)
	}
	if res, _ := b.post("/units/berlin/return", url.Values{"form": {token}}); res.StatusCode != http.StatusSeeOther || k.unit.Rest != nil {
		t.Errorf("it does not return: %s", res.Status)
	}
	if res, _ := b.get("/units/rome/drain"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown unit: %s", res.Status)
	}
}

// reading answers with two bad minutes.
type reading struct{ from, to time.Time }

func (r *reading) Read(_ context.Context, service string, from, to time.Time) (availability.Report, error) {
	r.from, r.to = from, to
	rep := availability.Report{Service: service, From: from, To: to, Good: 1, Bad: 2, Happened: []availability.Happening{
		{At: from, Kind: "rollout", Type: "stage.exposed", Ref: "rollout/shop-1", Text: "rollout shop-1 reached ring " + evil}, {At: from.Add(time.Minute), Kind: "limit", Text: "the limit in_flight was reached"}}}
	rep.Rule.BadShare = 1
	for i, m := range []availability.Minute{{State: availability.Bad, Requests: 100, Failed: 5, Share: .05, Beside: []int{0}}, {State: availability.Bad, Requests: 100, Shed: 60, Share: .6, Beside: []int{0, 1},
		Reasons: []availability.Reason{{Reason: evil, Requests: 60}}}, {State: availability.Good, Requests: 9}, {State: availability.Idle}, {State: availability.Unknown}} {
		m.At = from.Add(time.Duration(i) * time.Minute)
		rep.Minutes = append(rep.Minutes, m)
	}
	return rep, nil
}

func TestMinutesOnAPage(t *testing.T) {
	w := start(t)
	read := &reading{}
	w.opts.Availability = read
	w.url = w.serve()
	b := w.as(policy.Viewer)
	res, body := b.get("/services/shop/availability?day=2026-01-02")
	if res.StatusCode != http.StatusOK || read.from != time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) || read.to.Sub(read.from) != 24*time.Hour {
		t.Fatalf("%s %+v", res.Status, read)
	}
	for _, want := range []string{"bad: 5 % of 100 requests (5 failed, 0 shed, 0 slow)", "no request", "not known", "2 minutes, at worst 60 %", "The limit in_flight was reached", "day=2026-01-01", "day=2026-01-03", "/rollouts/shop-1"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(body, "<script>alert") || strings.Count(body, "<rect class=\"bad") != 2 || strings.Count(body, `class="spell"`) != 1 {
		t.Errorf("the page is\n%s", body)
	}
	for _, day := range []string{"yesterday", "2999-01-01", evil} {
		if res, _ := b.get("/services/shop/availability?day=" + url.QueryEscape(day)); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("day %q: %s", day, res.Status)
		}
	}
	if _, body := b.get("/services/shop"); !strings.Contains(body, "/services/shop/availability") {
		t.Error("the service's page does not lead there")
	}
}
