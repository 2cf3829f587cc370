package pager_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/pager"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// phone is all that receivers were told.
type phone struct {
	mu    sync.Mutex
	rang  []string // receiver, status, why, number of alerts
	pages []alert.Page
	notes []alert.Notice
	fails func(to string) error
}

func (f *phone) Tell(_ context.Context, to resource.Notifier, n alert.Notice) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil {
		if err := f.fails(n.Receiver); err != nil {
			return err
		}
	}
	again := ""
	if n.Repeat {
		again = " again?"
	}
	f.rang = append(f.rang, fmt.Sprintf("%s %s %d: %s%s", n.Receiver, n.Page.Status, len(n.Page.Alerts), n.Reason, again))
	f.notes = append(f.notes, n)
	return nil
}

func (f *phone) Page(_ context.Context, p alert.Page) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages = append(f.pages, p)
	return nil
}

func (f *phone) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rang)
}

// room is a memory with services that depend on each other, a phone, and pagers.
type room struct {
	*memory
	*phone
	t *testing.T
}

func newRoom(t *testing.T) *room {
	r := &room{newMemory(), &phone{}, t}
	r.declare(t, resource.KindService, "front", resource.Service{Owner: "team-front", DependsOn: []string{"shop"}})
	r.declare(t, resource.KindService, "shop", resource.Service{Owner: "team-shop", DependsOn: []string{"db"}, Runbook: "https://wiki/shop", Impact: "nobody can buy"})
	r.declare(t, resource.KindService, "db", resource.Service{Owner: "team-db"})
	for _, name := range []string{"team-front", "team-shop", "team-db"} {
		r.declare(t, resource.KindNotifier, name, resource.Notifier{To: resource.Receiver{Slack: &resource.SlackTo{URLFile: "x"}}})
	}
	return r
}

// pager starts one; stop ends it at once.
func (r *room) pager() (p *pager.Pager, stop func()) {
	p = pager.New(pager.Options{Store: r.memory, Catalog: declared{r.memory}, Sender: r.phone, Pages: r.phone, Every: 2 * time.Second})
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Run(ctx)
	}()
	return p, func() { cancel(); <-done }
}

func (r *room) send(p *pager.Pager, over bool, names ...string) {
	r.t.Helper()
	var all []alert.Alert
	for _, n := range names {
		service := n
		for i, c := range n {
			if c == '/' {
				service = n[:i]
				break
			}
		}
		a := alert.Alert{Labels: map[string]string{alert.Name: n, alert.Service: service, alert.Severity: alert.Paging}}
		if over {
			a.EndsAt = time.Now()
		}
		all = append(all, a)
	}
	if err := p.Send(r.t.Context(), all); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) expect(want ...string) {
	r.t.Helper()
	if d := cmp.Diff(want, r.told()); d != "" {
		r.t.Fatal(d)
	}
}

// after lets time pass. Alerts that fire are sent again meanwhile.
func (r *room) after(p *pager.Pager, d time.Duration, firing ...string) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		r.send(p, false, firing...)
		time.Sleep(min(time.Minute, time.Until(end)))
	}
	synctest.Wait()
}

// Three symptoms of one cause are one page, to who owns the cause.
func TestOneCauseIsOnePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		p, stop := r.pager()
		defer stop()
		r.send(p, false, "front/slow")
		time.Sleep(2 * time.Second)
		r.send(p, false, "shop/errors", "shop/burn")
		time.Sleep(3 * time.Second)
		r.send(p, false, "db/down")
		all := []string{"front/slow", "shop/errors", "shop/burn", "db/down"}
		r.after(p, time.Hour, all...)
		r.expect("team-db firing 1: first notification")
		if n := len(r.pages); n != 1 {
			t.Fatalf("%d pages were handed on, expected 1: %+v", n, r.pages)
		}
		page := r.pages[0]
		if page.Service != "db" || page.Owner != "team-db" || page.Severity != alert.Paging || len(page.Symptoms) != 3 {
			t.Errorf("%+v", page)
		}
		r.send(p, true, all...)
		r.after(p, 6*time.Minute)
		r.expect("team-db firing 1: first notification", "team-db resolved 1: all alerts resolved")
		if n := len(r.pages); n != 2 || r.pages[1].Status != alert.Resolved || r.pages[1].Key != page.Key {
			t.Errorf("%+v", r.pages)
		}
	})
}

func TestGroupsGrowRepeatAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		p, stop := r.pager()
		defer stop()
		r.send(p, false, "shop/a")
		time.Sleep(9 * time.Second)
		r.expect()
		r.after(p, 2*time.Second, "shop/a")
		want := []string{"team-shop firing 1: first notification"}
		r.expect(want...)
		r.after(p, 2*time.Minute, "shop/a", "shop/b")
		r.expect(want...) // the group's interval is not over
		r.after(p, 4*time.Minute, "shop/a", "shop/b")
		want = append(want, "team-shop firing 2: new alerts added")
		r.expect(want...)
		r.after(p, 4*time.Hour, "shop/a", "shop/b")
		want = append(want, "team-shop firing 2: repeat interval elapsed")
		r.expect(want...)
		r.send(p, true, "shop/b")
		r.after(p, 6*time.Minute, "shop/a")
		want = append(want, "team-shop firing 1: some alerts resolved")
		r.expect(want...)
		r.send(p, true, "shop/a")
		r.after(p, 6*time.Minute)
		want = append(want, "team-shop resolved 2: all alerts resolved")
		r.expect(want...)
		if n := r.notes[0]; n.Page.Annotations[alert.Runbook] != "https://wiki/shop" || n.Page.Annotations[alert.Impact] != "nobody can buy" || n.Page.Owner != "team-shop" {
			t.Errorf("the page does not name owner, runbook and impact: %+v", n.Page)
		}
	})
}

// A receiver that fails is tried again, and nobody else waits for it or is told twice.
func TestFailingReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.declare(t, resource.KindAlertRouting, "all", resource.AlertRouting{Route: &resource.AlertRoute{To: []string{"team-shop", "team-db"}, GroupWait: fleet.Dur(time.Second)}})
		r.fails = func(to string) error {
			if to == "team-db" {
				return errors.New("no answer")
			}
			return nil
		}
		p, stop := r.pager()
		defer stop()
		r.after(p, 4*time.Minute, "shop/a")
		r.expect("team-shop firing 1: first notification")
		r.after(p, 4*time.Minute, "shop/a")
		r.expect("team-shop firing 1: first notification", "team-shop firing 1: first notification")
		if got := r.notes[1].Page.Labels[alert.Name]; got != pager.Undelivered {
			t.Errorf("the others are told of %s, expected %s", got, pager.Undelivered)
		}
		r.phone.mu.Lock()
		r.fails = nil
		r.phone.mu.Unlock()
		r.after(p, 12*time.Minute, "shop/a")
		told := r.told()
		if count(told, "team-db firing 1: first notification") != 2 || count(told, "team-shop firing 1: first notification") != 2 ||
			count(told, "team-shop resolved 1: all alerts resolved") != 1 || count(told, "team-db resolved 1: all alerts resolved") != 1 || len(told) != 6 {
			t.Errorf("%q", told)
		}
	})
}

// What the receiver will never take is given up, which is on the record.
func TestRefusedIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		r.fails = func(string) error { return errs.E(errs.Invalid, "answered 400") }
		p, stop := r.pager()
		defer stop()
		r.after(p, 10*time.Minute, "shop/a")
		if n := count(r.types(), pager.EvUndelivered); n != 1 {
			t.Errorf("recorded %d times: %v", n, r.types())
		}
	})
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// Two pagers on one store tell each page once.
func TestTwoPlanesTellOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		a, stopA := r.pager()
		defer stopA()
		b, stopB := r.pager()
		defer stopB()
		for i := range 12 {
			name := []string{fmt.Sprintf("shop/%d", i)}
			r.send(a, false, name...)
			r.send(b, false, name...)
			time.Sleep(7 * time.Second)
		}
		r.after(a, 3*time.Minute)
		for i := range 12 {
			r.send(b, true, fmt.Sprintf("shop/%d", i))
		}
		r.after(a, 6*time.Minute)
		told := r.told()
		if !slices.Equal(slices.Compact(slices.Clone(told)), told) || count(told, "team-shop resolved 12: all alerts resolved") != 1 || count(told, "team-shop firing 2: first notification") != 1 {
			t.Errorf("%q", told)
		}
		for _, n := range r.notes {
			if n.Repeat {
				t.Errorf("%s may have been told before", n.ID)
			}
		}
	})
}

// A process that dies while it tells is followed by one that tells again, and says so; what was told before is not.
func TestDiesWhileTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		p, stop := r.pager()
		r.send(p, false, "shop/a")
		r.after(p, 11*time.Second)
		r.expect("team-shop firing 1: first notification")
		stop()
		p, stop = r.pager()
		r.after(p, time.Minute, "shop/a")
		r.expect("team-shop firing 1: first notification")
		r.before = func(w store.Write) error { // it cannot write down what it told: as good as dead
			for _, e := range w.Events {
				if e.Type == pager.EvNotified {
					return errors.New("dead")
				}
			}
			return nil
		}
		r.send(p, false, "db/a")
		r.after(p, 11*time.Second)
		stop()
		r.before = nil
		p, stop = r.pager()
		defer stop()
		r.after(p, 2*time.Minute, "shop/a", "db/a")
		r.expect("team-shop firing 1: first notification", "team-db firing 1: first notification", "team-db firing 1: first notification again?")
	})
}
