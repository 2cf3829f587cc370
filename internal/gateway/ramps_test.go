package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
)

// checkout is a flag's exposure with its canary ring in trial: users of plan beta, 40 % of whom go without.
func checkout(change func(*fleet.Service)) fleet.Service {
	s := fleet.Service{
		Name: "flag:web:checkout", Generation: 3, Salt: "s", SlowOver: []fleet.Dur{fleet.Dur(50 * time.Millisecond)},
		Rings:    []fleet.Ring{{Name: "canary", Audience: []byte(`{"==": [{"var": "plan"}, "beta"]}`)}, {Name: "half", Percent: 50}, {Name: "all"}},
		Exposure: []string{"on", "off", "off"},
		Ramp:     &fleet.Ramp{Counts: "shop", Ring: 0, From: "off", To: "on", Control: 40, Salt: "flag:web:checkout-1/canary", Rollout: "flag:web:checkout-1"},
	}
	if change != nil {
		change(&s)
	}
	return s
}

// sides are those of a ramp, as whoever evaluates the flag has them.
func sides(t *testing.T, s fleet.Service) *flag.Sides {
	t.Helper()
	compiled, err := flag.ExposureOf(s, "").Compile()
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func ramps(t testing.TB, g *Gateway, all ...fleet.Service) {
	t.Helper()
	if err := g.SetRamps(all); err != nil {
		t.Fatal(err)
	}
}

func beta(s *fleet.Service) {
	s.Route.Attributes = map[string]fleet.Source{"plan": {Header: "X-Plan"}}
	s.Slots = nil
}

// Requests are counted for the side that the flag's answer puts their user on: by code, by what was slow or failed, and by user.
func TestRampsCountBothSides(t *testing.T) {
	r := newRig(t, Options{})
	treated := sides(t, checkout(nil))
	r.backend("v1", func(w http.ResponseWriter, req *http.Request) {
		_, side := treated.Of(&exposure.Context{TargetingKey: req.Header.Get("X-User-ID"), Attributes: map[string]any{"plan": req.Header.Get("X-Plan")}})
		switch {
		case side == flag.Treatment && strings.HasPrefix(req.URL.Path, "/cut"):
			panic(http.ErrAbortHandler)
		case side == flag.Treatment && strings.HasPrefix(req.URL.Path, "/slow"):
			time.Sleep(60 * time.Millisecond)
		case side == flag.Treatment:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	ramps(t, r.Gateway, checkout(nil))
	r.apply(shop(beta)) // routes that come later have them, too
	want := map[flag.Side]int{}
	for i := range 60 {
		user := fmt.Sprint("user-", i)
		_, side := treated.Of(&exposure.Context{TargetingKey: user, Attributes: map[string]any{"plan": "beta"}})
		want[side]++
		r.get("/", "X-User-ID", user, "X-Plan", "beta")
		r.get("/", "X-User-ID", user) // not in the ring
		if i < 12 {
			r.get("/slow", "X-User-ID", user, "X-Plan", "beta")
			r.do("POST", "/cut", strings.NewReader("x"), "X-User-ID", user, "X-Plan", "beta")
		}
	}
	early := map[flag.Side]int{}
	for i := range 12 {
		_, side := treated.Of(&exposure.Context{TargetingKey: fmt.Sprint("user-", i), Attributes: map[string]any{"plan": "beta"}})
		early[side]++
	}
	if want[flag.Treatment] < 20 || want[flag.Control] < 10 || early[flag.Treatment] == 0 || early[flag.Control] == 0 {
		t.Fatalf("the users are of no use for this: %v, %v", want, early)
	}
	of := func(name, version string, more ...string) string {
		return r.metric(name, append(more, `service="flag:web:checkout"`, `version="`+version+`"`, `ring="canary"`, `unit="local"`)...)
	}
	eventually(t, "the last answers are counted", func() bool {
		return of("ringfence_request_duration_seconds_count", "on") == strconv.Itoa(want[flag.Treatment]+2*early[flag.Treatment]) &&
			of("ringfence_request_duration_seconds_count", "off") == strconv.Itoa(want[flag.Control]+2*early[flag.Control])
	})
	for _, c := range []struct {
		what, got string
		want      int
	}{
		{"errors of the treated", of("ringfence_requests_total", "on", `code="500"`), want[flag.Treatment]},
		{"cut answers of the treated", of("ringfence_requests_total", "on", `code="502"`), early[flag.Treatment]},
		{"slow answers of the treated", of("ringfence_slow_requests_total", "on", `over="0.05"`), early[flag.Treatment]},
		{"answers to the others", of("ringfence_requests_total", "off", `code="200"`), want[flag.Control] + 2*early[flag.Control]},
		{"slow answers to the others", of("ringfence_slow_requests_total", "off", `over="0.05"`), 0},
		{"measured times of the treated", of("ringfence_request_duration_seconds_count", "on"), want[flag.Treatment] + 2*early[flag.Treatment]},
		{"users", r.metric(`ringfence_ring_users{ring="canary",service="flag:web:checkout",version="on"}`), want[flag.Treatment]},
		{"the service's own", r.metric("ringfence_requests_total", `service="shop"`, `code="502"`), early[flag.Treatment]},
	} {
		if c.got != strconv.Itoa(c.want) {
			t.Errorf("%s: %s, want %d", c.what, c.got, c.want)
		}
	}
	lost := 0
	for _, reason := range []string{"http_response_incomplete", "connection_terminated"} {
		n, _ := strconv.Atoi(of("ringfence_gateway_failures_total", "on", `reason="`+reason+`"`))
		lost += n
	}
	if lost != early[flag.Treatment] {
		t.Errorf("%d failures of the treated, want %d", lost, early[flag.Treatment])
	}
	got := r.RampStatuses()
	users := []fleet.UserCount{{Ring: "canary", Version: "off", Users: int64(want[flag.Control]), Recent: int64(want[flag.Control])},
		{Ring: "canary", Version: "on", Users: int64(want[flag.Treatment]), Recent: int64(want[flag.Treatment])}}
	if len(got) != 1 || got[0].Generation != 3 || len(got[0].Users) != 2 || got[0].Users[0] != users[0] || got[0].Users[1] != users[1] {
		t.Errorf("told %+v, want users %+v", got, users)
	}
}

func TestBadRampsAreLeftOut(t *testing.T) {
	for name, bad := range map[string]func(*fleet.Service){
		"a service":                   func(s *fleet.Service) { s.Name = "shop" },
		"a ring that is not":          func(s *fleet.Service) { s.Ramp.Ring = 3 },
		"a rule that is none":         func(s *fleet.Service) { s.Rings[0].Audience = []byte(`{"no": []}`) },
		"nothing to compare with":     func(s *fleet.Service) { s.Ramp.From = "on" },
		"no variants":                 func(s *fleet.Service) { s.Exposure = nil },
		"a share that is none":        func(s *fleet.Service) { s.Ramp.Control = 101 },
		"a split as that of the ring": func(s *fleet.Service) { s.Ramp.Salt = s.Salt },
		"no rings":                    func(s *fleet.Service) { s.Rings, s.Exposure = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.backend("v1", say("one"))
			r.apply(shop(beta))
			wrong := checkout(func(s *fleet.Service) { s.Name = "flag:web:wrong"; bad(s) })
			good := checkout(func(s *fleet.Service) { s.Ramp.Control = 0 })
			if err := r.SetRamps([]fleet.Service{wrong, good, good}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), wrong.Name) || !strings.Contains(err.Error(), "twice") {
				t.Errorf("error %v", err)
			}
			r.get("/", "X-User-ID", "ann", "X-Plan", "beta")
			r.counts("1", "ringfence_requests_total", `service="flag:web:checkout"`, `version="on"`)
			if n := r.metric("ringfence_requests_total", "wrong"); n != "" {
				t.Errorf("the bad one counted %q requests", n)
			}
		})
	}
}

// Users are those of the trial: of the next ring, or of the same variant tried again, they are counted from none.
func TestUsersOfARampBeginAnewWithItsTrial(t *testing.T) {
	r := newRig(t, Options{})
	r.apply(shop(beta))
	r.backend("v1", say("one"))
	visit := func(n int) {
		for i := range n {
			r.get("/", "X-User-ID", fmt.Sprint(i), "X-Plan", "beta")
		}
	}
	count := func(g *Gateway) (all, recent int64) {
		for _, s := range g.RampStatuses() {
			for _, u := range s.Users {
				all, recent = all+u.Users, recent+u.Recent
			}
		}
		return all, recent
	}
	expect := func(what string, g *Gateway, all, recent int64) {
		t.Helper()
		if a, n := count(g); a != all || n != recent {
			t.Errorf("%s: %d users, %d recent; want %d, %d", what, a, n, all, recent)
		}
	}
	again := func(trial string) func(*fleet.Service) { return func(s *fleet.Service) { s.Ramp.Salt = trial } }
	ramps(t, r.Gateway, checkout(nil))
	visit(20)
	expect("in trial", r.Gateway, 20, 20)
	ramps(t, r.Gateway, checkout(func(s *fleet.Service) { s.Generation = 9 }))
	expect("of another generation", r.Gateway, 20, 20)

	saved, err := r.SaveUsers()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what        string
		ramp        fleet.Service
		all, recent int64
	}{
		{"after a restart", checkout(nil), 20, 20},
		{"after a restart into another trial", checkout(again("another")), 0, 0},
	} {
		next := New(Options{})
		if err := next.LoadUsers(saved); err != nil {
			t.Fatal(err)
		}
		if err := next.Apply(t.Context(), []fleet.Service{shop(beta)}); err != nil {
			t.Fatal(err)
		}
		ramps(t, next, c.ramp)
		expect(c.what, next, c.all, c.recent)
	}

	over := func(s *fleet.Service) { s.Ramp.Ring, s.Ramp.Salt = -1, "" }
	ramps(t, r.Gateway, checkout(over))
	visit(30)
	expect("after its end", r.Gateway, 20, 20)
	ramps(t, r.Gateway, checkout(again("flag:web:checkout-2/canary")))
	expect("tried again", r.Gateway, 0, 0)
	visit(5)
	expect("tried again, with users", r.Gateway, 5, 5)
	ramps(t, r.Gateway, checkout(func(s *fleet.Service) { s.Ramp.Ring, s.Ramp.Salt = 1, "flag:web:checkout-2/half" }))
	expect("the next ring", r.Gateway, 5, 0)
}

// What a ramp counted is there for a while after its end, to be scraped, and not for ever.
func TestCountsOfRampsThatEndedAreDropped(t *testing.T) {
	for name, end := range map[string][]fleet.Service{
		"over": {checkout(func(s *fleet.Service) { s.Ramp = nil })},
		"gone": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{New(Options{}), t, ""}
				r.apply(shop(beta))
				ramps(t, r.Gateway, checkout(nil))
				r.ramps["flag:web:checkout"].treatment.done(200, time.Second)
				r.ramps["flag:web:checkout"].treatment.users.add("ann")
				time.Sleep(2 * keepRamp)
				there := func() bool { return r.metric("ringfence_requests_total", "checkout") != "" }
				if !there() {
					t.Error("dropped while it was in trial")
				}
				ramps(t, r.Gateway, end...)
				time.Sleep(keepRamp - time.Second)
				ramps(t, r.Gateway, end...)
				if !there() {
					t.Error("dropped before it could be scraped")
				}
				time.Sleep(time.Second)
				if there() || r.metric("ringfence_ring_users", "checkout") != "" || r.metric("ringfence_slow_requests_total", "checkout") != "" {
					t.Error("still there")
				}
				if n := len(r.RampStatuses()); n != len(end) {
					t.Errorf("%d ramps are told of, want %d", n, len(end))
				}
			})
		})
	}
}

// rampRoute is a route whose requests are counted for n trials, with a request of it.
func rampRoute(t testing.TB, n int) *exchange {
	g := New(Options{})
	plain := shop(beta)
	plain.Route.TargetingKey.Header = "X-User-Id" // as Go spells it, or finding it allocates
	if err := g.Apply(t.Context(), []fleet.Service{plain}); err != nil {
		t.Fatal(err)
	}
	var all []fleet.Service
	for i := range n {
		all = append(all, checkout(func(s *fleet.Service) { s.Name, s.Ramp.Salt = fmt.Sprint("flag:web:f", i), fmt.Sprint("trial-", i) }))
	}
	ramps(t, g, all...)
	x := &exchange{g: g, r: httptest.NewRequest("GET", "/", nil), start: time.Now()}
	x.r.Header.Set("X-User-ID", "ann")
	x.r.Header.Set("X-Plan", "beta")
	x.rt = g.table.Load().services["shop"]
	x.last, x.code = x.rt.targets[0], 200
	return x
}

func countOne(x *exchange) {
	x.identify(x.rt)
	x.last.series.users.add(x.user.TargetingKey)
	for _, s := range x.sides {
		s.users.add(x.user.TargetingKey)
	}
	x.count()
}

// Histograms do allocate, with ramps and without.
func TestRampsAllocateNothing(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		x := rampRoute(t, n)
		countOne(x)
		if len(x.sides) != n {
			t.Errorf("%d trials: the request is on %d sides", n, len(x.sides))
		}
		most := 0.0
		if n > 0 {
			most = 1 // the value of the attribute that the rings read, as for the rings of routes
		}
		if got := testing.AllocsPerRun(200, func() { x.identify(x.rt) }); got > most {
			t.Errorf("%d trials: %v allocations a request, want at most %v", n, got, most)
		}
	}
}

// BenchmarkRamps is what a request's being identified and counted takes on a route with some trials.
func BenchmarkRamps(b *testing.B) {
	for _, n := range []int{0, 1, 3} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			x := rampRoute(b, n)
			b.ReportAllocs()
			for b.Loop() {
				countOne(x)
			}
		})
	}
}
