package pager_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/resource"
)

// beats are how often the heartbeat was delivered.
func (r *room) beats() int {
	n := 0
	for _, s := range r.told() {
		if strings.HasPrefix(s, "watchdog firing") {
			n++
		}
	}
	return n
}

// TestHeartbeat: what always fires is told at its interval for as long as rules are evaluated, through a restart, and not any more soon after
// they are not: who misses it knows that nobody watches. It is no page.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.declare(t, resource.KindNotifier, "watchdog", resource.Notifier{To: resource.Receiver{Webhook: &resource.WebhookTo{URL: "https://example.com"}}, Services: []string{"none"}})
		r.declare(t, resource.KindAlertRouting, "alerts", resource.AlertRouting{Heartbeat: &resource.AlertHeartbeat{To: "watchdog", Every: fleet.Dur(time.Minute)}})
		p, stop := r.pager()
		if every, err := p.Beat(t.Context()); err != nil || every != time.Minute {
			t.Fatal(every, err)
		}
		beat := func(p *pager.Pager, d time.Duration) { // as rules send what fires, every minute
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
				a := alert.Alert{Labels: map[string]string{alert.Name: pager.Heartbeat, alert.Severity: alert.Info}}
				if err := p.Send(t.Context(), []alert.Alert{a}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		beat(p, 30*time.Minute)
		if n := r.beats(); n < 28 || n > 31 {
			t.Errorf("%d beats in 30 minutes", n)
		}
		stop()
		p, stop = r.pager()
		defer stop()
		beat(p, 30*time.Minute)
		n := r.beats()
		if n < 56 || n > 62 {
			t.Errorf("%d beats in an hour with a restart", n)
		}
		time.Sleep(2 * time.Hour) // and nobody evaluates rules
		synctest.Wait()
		if late := r.beats() - n; late > 6 {
			t.Errorf("%d more beats while no rule was evaluated, expected those of five minutes", late)
		}
		for _, page := range r.pages {
			if page.Severity == alert.Paging {
				t.Errorf("the heartbeat is a page: %+v", page)
			}
		}
		n = r.beats()
		beat(p, 10*time.Minute)
		if more := r.beats() - n; more < 8 {
			t.Errorf("%d beats in ten minutes once rules are evaluated again", more)
		}
	})
}

// nights is a calendar in which every time of rest is from 22 to 6 o'clock.
type nights struct{}

func (nights) Active(_ resource.Window, now time.Time) bool {
	return now.UTC().Hour() >= 22 || now.UTC().Hour() < 6
}

// TestMuteTimes: in its times of rest a route tells nobody; what still fires as they end is told then, and what was over meanwhile never is. What
// was told before is told to be over.
func TestMuteTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.declare(t, resource.KindAlertRouting, "alerts", resource.AlertRouting{Times: map[string][]resource.Window{"nights": {{Start: "2026-01-01T22:00", End: "2026-01-02T06:00", Rule: "FREQ=DAILY"}}},
			Route: &resource.AlertRoute{To: []string{"team-db"}, GroupBy: []string{alert.Name}, Routes: []resource.AlertRoute{{Matchers: []string{`service="shop"`}, To: []string{"team-shop"}, Mute: []string{"nights"}}}}})
		p := pager.New(pager.Options{Store: r.memory, Catalog: declared{r.memory}, Sender: r.phone, Pages: r.phone, Every: 2 * time.Second, Calendar: nights{}})
		go func() { _ = p.Run(t.Context()) }()
		now := time.Now().UTC()
		time.Sleep(time.Until(time.Date(now.Year(), now.Month(), now.Day()+1, 21, 0, 0, 0, time.UTC)))
		r.after(p, 50*time.Minute, "shop/evening")
		want := []string{"team-shop firing 1: first notification"}
		r.expect(want...)
		r.after(p, time.Hour+10*time.Minute, "shop/evening") // 23 o'clock
		r.after(p, time.Hour, "shop/evening", "shop/brief", "shop/night", "db/night")
		want = append(want, "team-db firing 1: first notification")
		r.expect(want...) // another one's nights are none
		r.send(p, true, "shop/brief", "shop/evening", "db/night")
		r.after(p, 5*time.Hour+30*time.Minute, "shop/night")
		r.after(p, time.Hour, "shop/night")
		got := r.told()[len(want):]
		for _, s := range []string{"team-db resolved 1: all alerts resolved", "team-shop resolved 1: all alerts resolved", "team-shop firing 1: first notification"} {
			n := 0
			for _, g := range got {
				if g == s {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%q was told %d times: %v", s, n, got)
			}
		}
		if len(got) != 3 {
			t.Errorf("%v", got)
		}
	})
}
