package gateway

import (
	"context"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
)

// three makes instances of v1, of which those that are told to fail do.
func (r *rig) three() (failing *[3]atomic.Bool, hits *[3]atomic.Int64) {
	failing, hits = new([3]atomic.Bool), new([3]atomic.Int64)
	var addrs []string
	for i := range 3 {
		s := r.backend("v1", func(w http.ResponseWriter, _ *http.Request) {
			hits[i].Add(1)
			if failing[i].Load() {
				w.WriteHeader(500)
			}
		})
		addrs = append(addrs, s.Listener.Addr().String())
	}
	r.ready("v1", addrs...)
	return failing, hits
}

// TestInstanceThatFailsIsLeftOut: until its time is over, and twice as long when it fails again.
func TestInstanceThatFailsIsLeftOut(t *testing.T) {
	r := newRig(t, Options{})
	failing, hits := r.three()
	r.apply(shop(func(s *fleet.Service) {
		s.Route.Health = &fleet.Health{Failures: 3, Out: fleet.Dur(time.Hour), SlowStart: fleet.Dur(time.Millisecond)}
	}))
	failing[0].Store(true)
	for range 60 {
		r.get("/")
	}
	if n := hits[0].Load(); n != 3 {
		t.Errorf("it got %d requests, want 3", n)
	}
	if a, b := hits[1].Load(), hits[2].Load(); a < 20 || b < 20 {
		t.Errorf("the others got %d and %d", a, b)
	}
	r.counts("1", "ringfence_gateway_instances_out", `version="v1"`)
	r.counts("1", "ringfence_gateway_ejections_total", `version="v1"`)

	ep := (*r.versions[versionKey{"shop", "v1"}].endpoints.Load())[0]
	over := time.Now().Add(-time.Second).UnixNano()
	ep.outUntil.Store(over)
	ep.since.Store(over)
	for range 30 {
		r.get("/")
	}
	if n := hits[0].Load(); n != 4 {
		t.Errorf("it got %d requests, want one more: it still fails", n)
	}
	if left := time.Until(time.Unix(0, ep.outUntil.Load())); left < 119*time.Minute || left > 133*time.Minute {
		t.Errorf("it is left out for %s now, want two hours and a little", left)
	}
}

// TestTurnsAreSharedByTheRest: the neighbour of an instance that is left out does not get its turns.
func TestTurnsAreSharedByTheRest(t *testing.T) {
	v := newVersion("shop", "v1")
	a, b, c := &endpoint{id: "a"}, &endpoint{id: "b"}, &endpoint{id: "c"}
	v.endpoints.Store(&[]*endpoint{a, b, c})
	now, got := time.Now(), map[string]int{}
	a.outUntil.Store(now.Add(time.Hour).UnixNano())
	for range 60 {
		got[v.pick(nil, now, 0).id]++
	}
	if got["b"] != 30 || got["c"] != 30 {
		t.Errorf("turns: %v", got)
	}
}

// TestNotAllAreLeftOut: what ails all instances is no reason to leave any out, and neither is what another one does not do better.
func TestNotAllAreLeftOut(t *testing.T) {
	for name, tt := range map[string]struct {
		health fleet.Health
		fail   int
	}{
		"all of them":   {fleet.Health{Failures: 2}, 3},
		"never":         {fleet.Health{Failures: -1}, 1},
		"a small share": {fleet.Health{Failures: 2, Share: 30}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			failing, _ := r.three()
			r.apply(shop(func(s *fleet.Service) { s.Route.Health = &tt.health }))
			for i := range tt.fail {
				failing[i].Store(true)
			}
			for range 60 {
				r.get("/")
			}
			r.counts("0", "ringfence_gateway_instances_out", `version="v1"`)
		})
	}
}

func TestSlowStart(t *testing.T) {
	var r record
	now := time.Now()
	if s := r.share(now, time.Minute); s != 1 {
		t.Errorf("an old one: %g", s)
	}
	r.since.Store(now.UnixNano())
	for after, want := range map[time.Duration]float64{0: 0.1, 3 * time.Second: 0.1, 15 * time.Second: 0.25, 30 * time.Second: 0.5, -time.Minute: 0.1} {
		if s := r.share(now.Add(after), time.Minute); math.Abs(s-want) > 1e-9 {
			t.Errorf("after %s: %g, want %g", after, s, want)
		}
	}
	if s := r.share(now.Add(time.Minute), time.Minute); s != 1 || r.since.Load() != 0 {
		t.Errorf("at the end: %g", s)
	}
}

// TestColdInstanceGetsLess: beside warm ones. When all are cold they share alike.
func TestColdInstanceGetsLess(t *testing.T) {
	v := newVersion("shop", "v1")
	now := time.Now()
	count := func(cold int) (n [4]int) {
		eps := make([]*endpoint, 4)
		for i := range eps {
			eps[i] = &endpoint{}
			if i < cold {
				eps[i].since.Store(now.UnixNano())
			}
		}
		v.endpoints.Store(&eps)
		for range 4000 { // all in flight at one time
			e := v.pick(nil, now, time.Minute)
			e.inFlight.Add(1)
			for i := range eps {
				if eps[i] == e {
					n[i]++
				}
			}
		}
		return n
	}
	if n := count(1); n[0] < 100 || n[0] > 160 {
		t.Errorf("one cold one among four: %v", n)
	}
	for _, cold := range []int{0, 4} {
		if n := count(cold); n[0] != 1000 || n[3] != 1000 {
			t.Errorf("%d cold ones: %v", cold, n)
		}
	}
}

// TestLimitByPriority: near the limit low requests are refused, then normal ones; critical ones get the last places.
func TestLimitByPriority(t *testing.T) {
	r := newRig(t, Options{})
	finish := make(chan struct{})
	var inside atomic.Int32
	r.backend("v1", func(_ http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/fast" {
			inside.Add(1)
			<-finish
		}
	})
	r.apply(shop(func(s *fleet.Service) {
		s.Route.Limits = &fleet.Limits{InFlight: 10, Priority: fleet.Priority{Header: "X-Priority", Paths: map[string]string{"/checkout": "critical"}}}
	}))
	ask := func(path, class string) {
		go func() {
			req, _ := http.NewRequestWithContext(context.Background(), "GET", r.url+path, nil)
			req.Header.Set("X-Priority", class)
			if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
				res.Body.Close()
			}
		}()
	}
	fill := func(n int, path, class string) {
		before := inside.Load()
		for range n {
			ask(path, class)
		}
		eventually(t, "they are inside", func() bool { return inside.Load() == before+int32(n) })
	}
	refused := func(path, class string) {
		t.Helper()
		res, _ := r.get(path, "X-Priority", class)
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(res.Header.Get("Proxy-Status"), limitReached) {
			t.Errorf("%s %s: got %d, %v", path, class, res.StatusCode, res.Header)
		}
	}
	fill(7, "/", "low")
	refused("/", "low")
	fill(2, "/", "normal")
	refused("/", "normal")
	refused("/", "nonsense")
	fill(1, "/checkout/now", "low")
	refused("/checkout", "low")
	r.counts("1", "ringfence_gateway_shed_total", `priority="critical"`, `limit="in_flight"`)
	r.counts("10", "ringfence_gateway_limit_requests", `service="shop"`)
	close(finish)
	eventually(t, "there is room again", func() bool { res, _ := r.get("/fast"); return res.StatusCode == 200 })
	if n := r.metric("ringfence_gateway_failures_total"); n != "" {
		t.Errorf("the version is blamed: %s", n)
	}
}

// TestPendingLimit: of the requests that wait for an instance, so many at most are one service's.
func TestPendingLimit(t *testing.T) {
	r := newRig(t, Options{})
	r.apply(shop(func(s *fleet.Service) { s.Route.Limits = &fleet.Limits{Pending: 2} }))
	for range 2 {
		go func() {
			if res, err := http.Get(r.url); err == nil {
				res.Body.Close()
			}
		}()
	}
	eventually(t, "two wait", func() bool { return r.held.Load() == 2 })
	if res, _ := r.get("/"); res.StatusCode != 503 {
		t.Errorf("got %d", res.StatusCode)
	}
	r.counts("1", "ringfence_gateway_shed_total", `limit="pending"`)
	r.backend("v1", say("ok"))
	eventually(t, "nobody waits", func() bool { return r.held.Load() == 0 })
}

// TestAdaptiveLimit: with a service that becomes slower beyond what it can do at one time, the limit comes near to that; and it grows again when the
// service can do more.
func TestAdaptiveLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(20, 400).Draw(t, "capacity")
		base := rapid.Float64Range(0.001, 0.5).Draw(t, "latency")
		limit, usual := int64(firstLimit), 0.0
		run := func(windows int, asked int64) {
			for range windows {
				inFlight := min(asked, limit)
				latency := base * max(1, float64(inFlight)/float64(capacity))
				limit, usual = nextLimit(limit, mostLimit, inFlight, latency, usual)
			}
		}
		run(20, 5) // quiet
		if limit != firstLimit {
			t.Fatalf("quiet, the limit went to %d", limit)
		}
		run(60, 1000000) // a flood
		if limit < capacity/2 || limit > 6*capacity+40 {
			t.Fatalf("of a capacity of %d the limit is %d", capacity, limit)
		}
		capacity *= 4
		before := limit
		run(60, 1000000)
		if limit <= before {
			t.Fatalf("with four times the capacity it stayed at %d", limit)
		}
	})
}

func TestAdaptiveLimitLearns(t *testing.T) {
	var v valve
	v.set(&fleet.Limits{Adaptive: true, InFlight: 100})
	now := time.Now()
	for w := range 30 {
		d := 10 * time.Millisecond
		if w >= 5 {
			d = 200 * time.Millisecond
		}
		for range windowLeast + 1 {
			now = now.Add(window / windowLeast)
			v.took(d, now)
		}
	}
	if l := v.limit.Load(); l >= firstLimit/2 || l < leastLimit {
		t.Errorf("with a service twenty times as slow the limit is %d", l)
	}
	v.set(nil)
	if l := v.limit.Load(); l != 0 {
		t.Errorf("without limits it is %d", l)
	}
}
