package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// world is a control plane, a gateway, a process runtime and a disk.
type world struct {
	mu      sync.Mutex
	desired fleet.Desired
	tag     int
	changed chan struct{}
	away    bool // the control plane does not answer
	taken   bool // another data plane has the unit
	reports []fleet.Observed

	routes  []fleet.Service // in force
	refused map[string]bool // services that the gateway does not take
	slots   map[string][]fleet.Slot
	log     []string // what was done, in order

	saved []byte
	full  bool // nothing can be saved
	said  bytes.Buffer
}

func newWorld() *world { return &world{changed: make(chan struct{}), refused: map[string]bool{}} }

func (w *world) agent() *Agent {
	return New(Options{Unit: "local", Admin: "http://here", Control: w, Gateway: gateway{w}, Workload: runtime{w}, Disk: disk{w},
		Logger: slog.New(slog.NewTextHandler(&w.said, nil))})
}

func (w *world) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) want(services ...fleet.Service) {
	w.do(func() {
		w.desired = fleet.Desired{Unit: "local", Services: services}
		w.tag++
		close(w.changed)
		w.changed = make(chan struct{})
	})
}

func (w *world) Desired(ctx context.Context, _, have string, wait time.Duration) (fleet.Desired, string, error) {
	timeout := time.After(wait)
	for {
		w.mu.Lock()
		d, tag, changed, away, taken := w.desired, fmt.Sprint(w.tag), w.changed, w.away, w.taken
		d.Services = slices.Clone(d.Services)
		w.mu.Unlock()
		if away {
			return fleet.Desired{}, "", errors.New("connection refused")
		}
		if taken {
			return fleet.Desired{}, "", errs.E(errs.Conflict, "another data plane has unit local").Next("Give it another.")
		}
		if tag != have {
			return d, tag, nil
		}
		select {
		case <-changed:
		case <-timeout:
			return fleet.Desired{}, tag, nil
		case <-ctx.Done():
			return fleet.Desired{}, "", ctx.Err()
		}
	}
}

func (w *world) Report(_ context.Context, o fleet.Observed) error {
	w.do(func() { w.reports = append(w.reports, o) })
	return nil
}

type gateway struct{ *world }

func (g gateway) Apply(_ context.Context, services []fleet.Service) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range services {
		if g.refused[s.Name+"@"+s.Salt] {
			return errors.New("no route for " + s.Name)
		}
	}
	g.routes = slices.Clone(services)
	g.log = append(g.log, "routes")
	return nil
}

func (g gateway) Generation(service string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := index(g.routes, service); i >= 0 {
		return g.routes[i].Generation
	}
	return 0
}

func (g gateway) InFlight(_, version string) int64 { return int64(len(version)) }

func (g gateway) Users(string) []fleet.UserCount { return []fleet.UserCount{{Ring: "early", Users: 3}} }

type runtime struct{ *world }

func (r runtime) Apply(services map[string][]fleet.Slot) {
	r.do(func() { r.slots, r.log = services, append(r.log, "slots") })
}

func (g gateway) Rest(bool) {}

func (r runtime) Scaled(string) *fleet.Scaled { return nil }

func (r runtime) Status(service string) []fleet.SlotStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []fleet.SlotStatus
	for _, s := range r.slots[service] {
		all = append(all, fleet.SlotStatus{Version: s.Version, Ready: s.Instances})
	}
	return all
}

type disk struct{ *world }

func (d disk) Save(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errors.New("no space left on device")
	}
	d.saved, d.log = b, append(d.log, "disk")
	return nil
}

func (d disk) Load() ([]byte, error) { return d.saved, nil }

// service is one whose salt tells its editions apart.
func service(name string, generation int64, salt string) fleet.Service {
	return fleet.Service{Name: name, Generation: generation, Salt: salt, Slots: []fleet.Slot{{Version: "v" + fmt.Sprint(generation), Instances: 2}}}
}

// routed is what is in force.
func (w *world) routed() (all string) {
	w.do(func() { all = names(w.routes) })
	return all
}

// names lists services with their generations.
func names(services []fleet.Service) string {
	var all []string
	for _, s := range services {
		all = append(all, fmt.Sprintf("%s-%d", s.Name, s.Generation))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (w *world) onDisk(t *testing.T) string {
	t.Helper()
	var d fleet.Desired
	if err := json.Unmarshal(w.saved, &d); err != nil {
		t.Fatal(err)
	}
	return names(d.Services)
}

// later lets time pass in the bubble and everybody finish what is to be done by then.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// play runs an agent over a world in time that passes at once.
func play(t *testing.T, w *world, f func(t *testing.T, a *Agent)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := w.agent()
		a.Restore(ctx)
		done := make(chan struct{})
		w.changed = make(chan struct{}) // of this bubble
		go func() {
			_ = a.Run(ctx)
			close(done)
		}()
		f(t, a)
		cancel()
		<-done
	})
}

func TestWhatIsWantedIsSavedThenRoutedThenRun(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, a *Agent) {
		synctest.Wait()
		w.do(func() { w.log = nil })
		w.want(service("shop", 1, ""))
		synctest.Wait()
		if got := strings.Join(w.log, " "); got != "disk routes slots" {
			t.Errorf("done in this order: %s", got)
		}
		last := w.reports[len(w.reports)-1]
		want := fleet.ServiceStatus{Name: "shop", Generation: 1, Users: []fleet.UserCount{{Ring: "early", Users: 3}},
			Slots: []fleet.SlotStatus{{Version: "v1", Ready: 2, InFlight: 2}}}
		if got, _ := json.Marshal(last.Services); string(got) != marshal([]fleet.ServiceStatus{want}) || last.Unit != "local" || last.Admin != "http://here" {
			t.Errorf("reported %+v", last)
		}
	})
}

func marshal(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestReportsTellOfFlags(t *testing.T) {
	w := newWorld()
	a := w.agent()
	a.Flags = func() []fleet.ServiceStatus { return []fleet.ServiceStatus{{Name: "flag:web:color", Generation: 4}} }
	if err := a.apply(t.Context(), []fleet.Service{{Name: "shop"}}); err != nil {
		t.Fatal(err)
	}
	if o := a.Observe(); len(o.Services) != 2 || o.Services[1].Name != "flag:web:color" || o.Services[1].Generation != 4 {
		t.Errorf("told %+v", o.Services)
	}
}

func TestReportsComeEverySecondAndWhenSomethingChanges(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, a *Agent) {
		later(10*time.Second + time.Millisecond)
		before := len(w.reports)
		a.Changed()
		synctest.Wait()
		if before < 10 || before > 12 || len(w.reports) != before+1 {
			t.Errorf("%d reports in 10 s, %d after a change", before, len(w.reports))
		}
	})
}

func TestWhatCannotBeSavedIsNotApplied(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, a *Agent) {
		w.want(service("shop", 1, ""))
		later(time.Second)
		w.do(func() { w.full = true })
		w.want(service("shop", 2, ""))
		later(time.Minute)
		if w.routed() != "shop-1" || w.onDisk(t) != "shop-1" {
			t.Errorf("routes of %s with %s on the disk", w.routed(), w.onDisk(t))
		}
		if n := strings.Count(w.said.String(), "no space left"); n != 1 {
			t.Errorf("said %d times in a minute", n)
		}
		w.do(func() { w.full = false })
		later(3 * time.Second)
		if w.routed() != "shop-2" || w.onDisk(t) != "shop-2" {
			t.Errorf("the disk has room again: routes of %s with %s on the disk", w.routed(), w.onDisk(t))
		}
	})
}

func TestOnlyAGoodbyeStopsAService(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, a *Agent) {
		w.want(service("shop", 3, ""), service("cart", 5, ""))
		synctest.Wait()
		w.want(service("cart", 6, "")) // of a control plane with an emptied database
		synctest.Wait()
		if w.routed() != "cart-6 shop-3" || len(w.slots["shop"]) != 1 || w.onDisk(t) != "cart-6 shop-3" {
			t.Errorf("routes of %s, %d slots", w.routed(), len(w.slots["shop"]))
		}
		w.want(service("cart", 6, ""), fleet.Service{Name: "shop", Generation: 4, Gone: true})
		synctest.Wait()
		if w.routed() != "cart-6" || len(w.slots) != 1 || w.onDisk(t) != "cart-6" {
			t.Errorf("gone, and still routes of %s", w.routed())
		}
	})
}

func TestARestartNeedsNoControlPlane(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, a *Agent) {
		w.want(service("shop", 3, ""))
		synctest.Wait()
	})
	w.routes, w.slots, w.away = nil, nil, true
	play(t, w, func(t *testing.T, a *Agent) {
		if w.routed() != "shop-3" || len(w.slots["shop"]) != 1 {
			t.Fatalf("routes of %q, slots %v", w.routed(), w.slots)
		}
		later(time.Hour)
		if n := strings.Count(w.said.String(), "does not answer"); n != 1 || !last(a).IsZero() {
			t.Errorf("said %d times in an hour, heard %s", n, last(a))
		}
		w.do(func() { w.away = false })
		w.want(service("shop", 4, ""))
		later(2 * time.Second)
		if w.routed() != "shop-4" || last(a).IsZero() {
			t.Errorf("routes of %s", w.routed())
		}
	})
}

func last(a *Agent) time.Time {
	at, _ := a.Heard()
	return at
}

func TestADataPlaneThatIsRefusedServesOnAndSaysWhy(t *testing.T) {
	w := newWorld()
	play(t, w, func(t *testing.T, a *Agent) {
		w.want(service("shop", 3, ""))
		synctest.Wait()
	})
	w.routes, w.slots, w.taken = nil, nil, true
	play(t, w, func(t *testing.T, a *Agent) {
		w.want(service("shop", 4, ""))
		later(time.Hour)
		said := w.said.String()
		if n := strings.Count(said, "the control plane refuses this data plane"); n != 1 || !strings.Contains(said, "another data plane has unit local") || !strings.Contains(said, "Give it another.") {
			t.Errorf("said %d times in an hour: %s", n, said)
		}
		if w.routed() != "shop-3" {
			t.Errorf("routes of %s", w.routed())
		}
		if _, trouble := a.Heard(); trouble != "the control plane refuses this data plane" {
			t.Errorf("trouble is %q", trouble)
		}
		w.do(func() { w.taken = false })
		later(3 * time.Second)
		if at, trouble := a.Heard(); trouble != "" || at.IsZero() {
			t.Errorf("let in again: %q, heard %s", trouble, at)
		}
		if w.routed() != "shop-4" {
			t.Errorf("let in again: routes of %s", w.routed())
		}
	})
}

func TestAServiceThatIsRefusedHoldsUpNoOther(t *testing.T) {
	w := newWorld()
	w.refused["shop@odd"] = true
	play(t, w, func(t *testing.T, a *Agent) {
		w.want(service("shop", 1, ""), service("cart", 1, ""), service("old", 1, ""))
		synctest.Wait()
		w.want(service("shop", 2, "odd"), service("cart", 2, ""), service("new", 1, ""), fleet.Service{Name: "old", Gone: true})
		later(time.Minute)
		if got := w.routed(); got != "cart-2 new-1 shop-1" || w.onDisk(t) != got || w.slots["shop"][0].Version != "v1" {
			t.Fatalf("routes of %s, on the disk %s", got, w.onDisk(t))
		}
		if o := a.Observe(); o.Services[0].Name != "shop" || o.Services[0].Generation != 1 {
			t.Errorf("reported as in force: %+v", o.Services[0])
		}
		if n := strings.Count(w.said.String(), "no route for shop"); n != 1 {
			t.Errorf("said %d times in a minute", n)
		}
	})
	play(t, w, func(t *testing.T, a *Agent) { // restarted, it has what was in force
		if got := w.routed(); got != "cart-2 new-1 shop-1" {
			t.Errorf("after a restart routes of %s", got)
		}
	})
}

// What was saved by a newer version may be more than this one takes.
func TestARestartServesWhatItCan(t *testing.T) {
	for name, saved := range map[string]string{
		"a service that is refused": marshal(fleet.Desired{Services: []fleet.Service{service("shop", 1, "odd"), service("cart", 1, "")}}),
		"a damaged file":            `{"services":[`,
		"nothing":                   "",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.refused["shop@odd"] = true
			if saved != "" {
				w.saved = []byte(saved)
			}
			play(t, w, func(t *testing.T, a *Agent) {
				if got, want := len(w.routes) > 0, strings.Contains(saved, "cart"); got != want {
					t.Errorf("routes of %q", w.routed())
				}
				if told := strings.Contains(w.said.String(), "cannot be restored"); told != (saved != "") {
					t.Errorf("said: %s", w.said.String())
				}
				w.want(service("cart", 2, ""))
				later(time.Second)
				if !strings.Contains(w.routed(), "cart-2") {
					t.Errorf("routes of %q", w.routed())
				}
			})
		})
	}
}

// ledger takes minutes when it is there, and refuses those of a service.
type ledger struct {
	away  bool
	takes []fleet.AccountMinute
}

func (l *ledger) TellAccounts(_ context.Context, _ string, minutes []fleet.AccountMinute) error {
	if l.away {
		return errs.E(errs.Unavailable, "away")
	}
	if minutes[0].Service == "wrong" {
		return errs.E(errs.Invalid, "wrong")
	}
	l.takes = append(l.takes, minutes...)
	return nil
}

type counted []fleet.AccountMinute

func (c *counted) AccountMinutes(time.Time) []fleet.AccountMinute { return *c }
func (c *counted) AccountsTold(told []fleet.AccountMinute)        { *c = (*c)[len(told):] }

func TestAccountsAreToldUntilTaken(t *testing.T) {
	a := New(Options{Unit: "local", Logger: slog.New(slog.DiscardHandler)})
	from, to := &counted{}, &ledger{away: true}
	for i := range accountsBatch {
		*from = append(*from, fleet.AccountMinute{Service: "wrong", Minute: int64(i)})
	}
	*from = append(*from, fleet.AccountMinute{Service: "shop", Minute: 9})
	a.tellAccounts(t.Context(), from, to)
	if len(*from) != accountsBatch+1 {
		t.Fatalf("%d minutes are left, though nobody took one", len(*from))
	}
	to.away = false
	a.tellAccounts(t.Context(), from, to)
	if len(*from) != 0 || len(to.takes) != 1 || to.takes[0].Minute != 9 {
		t.Fatalf("%d are left, %+v were taken", len(*from), to.takes)
	}
}
