package ui_test

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/policy"
)

// hours are open on every day, so that a rollout is not held by them.
const frozen = `apiVersion: ringfence.dev/v1
kind: Freeze
metadata: {name: xmas}
spec: {reason: nobody is there, when: {start: "2030-12-20T08:00", end: "2031-01-02T08:00", zone: Europe/Berlin}}
---
apiVersion: ringfence.dev/v1
kind: Freeze
metadata: {name: fridays}
spec: {reason: weekend, services: [other], when: {start: "2030-12-06T12:00", end: "2030-12-06T23:00", rule: FREQ=WEEKLY}}
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  hours: {days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00"}
  rings:
    - {name: canary, audience: {users: [alice]}, bake: 1h}
    - {name: broad, audience: {percent: 50}, bake: 2h, approval: {}}
    - {name: all, bake: 2h}
`

func TestCalendar(t *testing.T) {
	w := start(t)
	w.apply(frozen)
	w.release("v2")
	b := w.as(policy.Viewer)
	body := b.holds("/calendar", "v2 bakes in ring canary", "v2 in ring broad, at the earliest, once approved", "Mon, tue, wed, thu, fri, sat, sun, 00:00 to 24:00 UTC", "quick/canary, quick/broad, quick/all",
		`href="/rollouts/shop-2"`, "nowline", `data-live="all"`)
	if strings.Contains(body, "do-stop") || strings.Contains(body, "style=") {
		t.Error("a viewer is offered to stop the line, or a style stands in the page")
	}
	body = b.holds("/calendar?at=2030-12-24", "December 2030", "nobody is there", "Fri 20 Dec 07:00", "Thu 2 Jan 07:00", `href="/calendar?at=2031-01-01"`, `href="/calendar?at=2030-11-01"`)
	if n := strings.Count(body, `class="block freeze"`); n != 8 { // xmas in 3 of the weeks, fridays in 5
		t.Errorf("%d bars of freezes in December, expected 8", n)
	}
	if n := strings.Count(body, "<svg viewBox=\"0 0 980"); n != 6 {
		t.Errorf("%d weeks", n)
	}
	body = b.holds("/calendar?view=week&at=2030-12-22", "16 December to 22 December 2030")
	if strings.Count(body, `class="block freeze"`) != 2 {
		t.Error("a week shows other freezes than its own")
	}
	// Friday 20 December 07:00 UTC is 4 days and 7 hours into the week of 980 units.
	if m := regexp.MustCompile(`xmas: [^<]*</title><rect x="([0-9.]+)"`).FindStringSubmatch(body); m == nil || !near(m[1], 980*(4*24+7)/168.0) {
		t.Errorf("xmas begins at %v", m)
	}
	for path, status := range map[string]int{"/calendar?at=x": 422, "/calendar?at=9999-01-01": 422, "/calendar?at=2030-02-30": 422} {
		if res, _ := b.get(path); res.StatusCode != status {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
}

func near(text string, want float64) bool {
	got, err := strconv.ParseFloat(text, 64)
	return err == nil && got > want-0.01 && got < want+0.01
}

func TestCalendarForOtherPrograms(t *testing.T) {
	w := start(t)
	w.apply(frozen)
	w.release("v2")
	token := w.Tokens[policy.Viewer]
	for name, headers := range map[string][]string{
		"basic": {"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("any:"+token))}, "bearer": {"Authorization", "Bearer " + token},
	} {
		res, body := w.browser().get("/calendar.ics", headers...)
		for _, want := range []string{"BEGIN:VCALENDAR", "nobody is there", "RRULE:FREQ=WEEKLY", "TZID=Europe/Berlin", "UID:shop-v2-canary@", "END:VCALENDAR"} {
			if res.StatusCode != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %s, lacks %s\n%s", name, res.Status, want, body)
			}
		}
		if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/calendar") {
			t.Error(got)
		}
	}
	if res, _ := w.browser().get("/calendar.ics"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("nobody: %s", res.Status)
	}
	for _, token := range []string{"rf_wrong", w.Tokens[policy.DataPlane]} {
		if res, _ := w.browser().get("/calendar.ics", "Authorization", "Bearer "+token); res.StatusCode != http.StatusForbidden {
			t.Errorf("a token that may not read: %s", res.Status)
		}
	}
	if res, _ := w.as(policy.Viewer).get("/calendar.ics"); res.StatusCode != http.StatusOK {
		t.Errorf("a session: %s", res.Status)
	}
}

func TestAHaltedRolloutIsExpectedNowhere(t *testing.T) {
	w := start(t)
	w.apply(frozen)
	w.release("v2")
	_, err := w.Admin.Command(t.Context(), "shop-2", "halt", "wait")
	must(t, err)
	if body := w.as(policy.Viewer).holds("/calendar?at="+time.Now().UTC().Format("2006-01-02"), "v2 bakes in ring canary"); strings.Contains(body, `class="block soon"`) {
		t.Error("it is expected to go on")
	}
}
