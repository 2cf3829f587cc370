package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/account"
	"github.com/ringfence/ringfence/internal/fleet"
)

// TestAccountsAreCounted asks through real sockets: what fails, what is slow, what the gateway itself cannot answer.
func TestAccountsAreCounted(t *testing.T) {
	r := newRig(t, Options{Limits: Limits{ConnectRetry: time.Millisecond}})
	backend := r.backend("v1", func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/bad":
			w.WriteHeader(500)
		case "/slow":
			time.Sleep(30 * time.Millisecond)
		case "/missing":
			w.WriteHeader(404)
		}
	})
	r.apply(shop(func(s *fleet.Service) {
		s.Route.Account = &fleet.Account{Header: "X-Tenant", JWT: "org", SlowOver: fleet.Dur(20 * time.Millisecond)}
	}))
	r.get("/", "X-Tenant", "acme")
	r.get("/bad", "X-Tenant", "acme")
	r.get("/missing", "X-Tenant", "acme")
	r.get("/slow", "X-Tenant", "globex")
	r.get("/")
	r.get("/bad", "X-Tenant", strings.Repeat("x", 500))
	backend.CloseClientConnections()
	backend.Close()
	r.get("/", "X-Tenant", "globex")

	r.counts("1", "ringfence_requests_total", `code="502"`)
	if now := r.AccountMinutes(time.Now()); len(now) > 1 {
		t.Fatalf("the minute that passes is told: %+v", now)
	}
	told := r.AccountMinutes(time.Now().Add(time.Minute))
	by := map[string]fleet.AccountCount{}
	var bad, requests int64
	for _, m := range told { // two, when the clock struck meanwhile
		requests, bad = requests+m.Requests, bad+m.Bad
		for _, a := range m.Accounts {
			b := by[a.ID]
			b.Requests, b.Failed, b.Slow, b.Where = b.Requests+a.Requests, b.Failed+a.Failed, b.Slow+a.Slow, append(b.Where, a.Where...)
			by[a.ID] = b
		}
	}
	if a := by["acme"]; a.Requests != 3 || a.Failed != 1 || a.Slow != 0 || a.Where[0] != (fleet.AccountWhere{Version: "v1", Ring: "all", Bad: 1}) {
		t.Errorf("acme: %+v", a)
	}
	if a := by["globex"]; a.Requests != 2 || a.Failed != 1 || a.Slow != 1 {
		t.Errorf("globex: %+v", a)
	}
	if a := by[hashedID(strings.Repeat("x", 500))]; a.Failed != 1 {
		t.Errorf("an ID that is too long: %+v", by)
	}
	if requests != 6 || bad != 4 || len(by) != 3 {
		t.Errorf("%d requests, %d bad of %d accounts", requests, bad, len(by))
	}
	if w := r.metric("ringfence_requests_total", `service="shop"`); w == "" || strings.Contains(w, "acme") {
		t.Error("an account is a label of a metric")
	}
	if again := r.AccountMinutes(time.Now().Add(time.Minute)); len(again) != len(told) {
		t.Error("what was not taken is forgotten")
	}
	r.AccountsTold(told)
	if left := r.AccountMinutes(time.Now().Add(time.Minute)); len(left) != 0 {
		t.Errorf("told twice: %+v", left)
	}
}

func TestAccountSources(t *testing.T) {
	for name, a := range map[string]*fleet.Account{"ann": {Attribute: "targetingKey"}, "gold": {Attribute: "plan"}, "c1": {Cookie: "org"}, "org-7": {JWT: "org"}} {
		r := newRig(t, Options{})
		r.backend("v1", func(http.ResponseWriter, *http.Request) {})
		r.apply(shop(func(s *fleet.Service) {
			s.Route.Attributes = map[string]fleet.Source{"plan": {Header: "X-Plan"}}
			s.Route.Account = a
		}))
		r.get("/", "X-User-ID", "ann", "X-Plan", "gold", "Cookie", "org=c1", "Authorization", "Bearer x.eyJvcmciOiJvcmctNyJ9.y")
		r.counts("1", "ringfence_requests_total", `code="200"`)
		told := r.AccountMinutes(time.Now().Add(time.Minute))
		if len(told) != 1 || told[0].Accounts[0].ID != name {
			t.Errorf("%s: %+v", name, told)
		}
	}
}

// TestAccountsWaitWithinBounds lets the control plane be away for hours.
func TestAccountsWaitWithinBounds(t *testing.T) {
	c := &accountCounts{service: "shop", sketch: account.NewSketch(4)}
	for m := range int64(200) {
		for i := range 40 {
			c.add(m, strconv.Itoa(i), account.Good, "v1", "all")
		}
	}
	if len(c.over) != keptMinutes || c.over[len(c.over)-1].Minute != 198 || len(c.over[0].Accounts) != 4 {
		t.Fatalf("%d minutes wait, the last is %+v", len(c.over), c.over[len(c.over)-1])
	}
}

// BenchmarkAccount is what a request pays for its account: one that is kept, and one that comes anew in the place of another.
func BenchmarkAccount(b *testing.B) {
	ids := make([]string, 5000)
	for i := range ids {
		ids[i] = "tenant-" + strconv.Itoa(i)
	}
	for _, v := range []struct {
		name     string
		accounts int
	}{{"kept", 500}, {"anew", 5000}} {
		b.Run(v.name, func(b *testing.B) {
			c := &accountCounts{service: "shop", sketch: account.NewSketch(account.Kept)}
			for i := range 10_000 {
				c.add(1, ids[i%v.accounts], account.Good, "v1", "all")
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.add(1, accountID(ids[i%v.accounts]), account.Good, "v1", "all")
			}
		})
	}
}
