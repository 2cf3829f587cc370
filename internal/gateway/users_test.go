package gateway

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

func TestUsersCount(t *testing.T) {
	for _, n := range []int{0, 1, exactUsers, exactUsers + 1, 100000} {
		u := &userSet{changes: new(atomic.Uint64)}
		for range 2 {
			for i := range n {
				u.add(fmt.Sprint("user-", i))
			}
		}
		got, _ := u.counts()
		if off := math.Abs(float64(got) - float64(n)); n <= exactUsers && off != 0 || off > 0.03*float64(n) {
			t.Errorf("%d users counted as %d", n, got)
		}
	}
}

func TestUsersSurviveRestart(t *testing.T) {
	k, k2 := seriesKey{"shop", "v1", "all"}, seriesKey{"shop", "v2", "all"}
	before := New(Options{})
	for i := range 20000 {
		before.userSet(k).add(fmt.Sprint(i))
	}
	for i := range 10 {
		before.userSet(k2).add(fmt.Sprint(i))
	}
	saved, err := before.SaveUsers()
	if err != nil {
		t.Fatal(err)
	}
	after := New(Options{})
	for i := range 20 { // half of them new
		after.userSet(k2).add(fmt.Sprint(i))
		after.userSet(k).add(fmt.Sprint(i))
	}
	if err := after.LoadUsers(saved); err != nil {
		t.Fatal(err)
	}
	many, recent := before.userSet(k).counts()
	want := []fleet.UserCount{{Ring: "all", Version: "v1", Users: many, Recent: recent}, {Ring: "all", Version: "v2", Users: 20, Recent: 20}}
	if got := after.Users("shop"); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"", "{", `[{"all":{"sketch":"AAAA"}}]`} {
		if err := after.LoadUsers([]byte(bad)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v, want an error of kind invalid", bad, err)
		}
	}
}

// What is saved each second is saved only when it is new.
func TestChangesOfUsersAreNoticed(t *testing.T) {
	r := newRig(t, Options{})
	v1 := func(s *fleet.Service) { s.Exposure = []string{"v1"} }
	r.apply(shop(v1))
	set := r.userSet(seriesKey{"shop", "v1", "all"})
	last := r.UserChanges()
	changed := func(f func()) bool {
		f()
		now := r.UserChanges()
		was := last
		last = now
		return now != was
	}
	for i := range 3000 { // more than are remembered as just counted
		set.add(fmt.Sprint(i))
	}
	for _, c := range []struct {
		what string
		f    func()
		want bool
	}{
		{"new users", func() {}, true},
		{"nothing", func() {}, false},
		{"the same users", func() {
			for i := range 3000 {
				set.add(fmt.Sprint(i))
			}
		}, false},
		{"another user", func() { set.add("ann") }, true},
		{"another exposure", func() { r.apply(shop(func(s *fleet.Service) { s.Exposure = []string{"v2"} })) }, true},
		{"a user since then", func() { set.add("ann") }, true},
		{"loaded users", func() {
			if err := r.LoadUsers([]byte("[]")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"no service", func() { r.apply() }, true},
	} {
		if got := changed(c.f); got != c.want {
			t.Errorf("%s: noticed is %v", c.what, got)
		}
	}
}

// TestUsersAreForgotten keeps the sets of departed versions bounded and drops those of a service that is gone.
func TestUsersAreForgotten(t *testing.T) {
	r := newRig(t, Options{})
	for i := range 100 {
		name := fmt.Sprint("v", i)
		r.apply(shop(func(s *fleet.Service) { s.Exposure, s.Slots = []string{name}, nil }))
		r.userSet(seriesKey{"shop", name, "all"}).add("ann")
	}
	if n := len(r.Users("shop")); n < 60 || n > 66 {
		t.Errorf("%d sets are kept, want about 64", n)
	}
	if n := len(r.versions); n != 1 {
		t.Errorf("%d versions are kept, want 1", n)
	}
	r.apply()
	if n := len(r.Users("shop")); n != 0 {
		t.Errorf("%d sets of a service that is gone", n)
	}
}

// The users of both sides are counted from the moment that the exposure changed.
func TestRecentUsersBeginAnewWithTheExposure(t *testing.T) {
	g := New(Options{})
	expose := func(early string) {
		s := fleet.Service{Name: "shop", Rings: []fleet.Ring{{Name: "early", Percent: 5}, {Name: "all"}}, Salt: "s", Exposure: []string{early, "v1"}}
		if err := g.Apply(t.Context(), []fleet.Service{s}); err != nil {
			t.Fatal(err)
		}
	}
	visit := func(ring, version string, users ...string) {
		for _, u := range users {
			g.mu.Lock()
			set := g.userSet(seriesKey{"shop", version, ring})
			g.mu.Unlock()
			set.add(u)
		}
	}
	expose("v1")
	visit("all", "v1", "ann", "bob")
	expose("v1") // nothing changes
	visit("all", "v1", "cid")
	if got := g.Users("shop")[0]; got.Users != 3 || got.Recent != 3 {
		t.Errorf("before the change: %+v", got)
	}
	expose("v2")
	visit("all", "v1", "bob")
	visit("early", "v2", "dan")
	got := g.Users("shop")
	if len(got) != 2 || got[0].Users != 3 || got[0].Recent != 1 || got[1].Recent != 1 {
		t.Errorf("after the change: %+v", got)
	}
}

// A crash may come after the exposure has changed and before the users were saved again.
func TestLoadedUsersCountForTheirExposureOnly(t *testing.T) {
	expose := func(g *Gateway, early string) {
		t.Helper()
		s := fleet.Service{Name: "shop", Rings: []fleet.Ring{{Name: "early", Percent: 5}, {Name: "all"}}, Salt: "s", Exposure: []string{early, "v1"}}
		if err := g.Apply(t.Context(), []fleet.Service{s}); err != nil {
			t.Fatal(err)
		}
	}
	before := New(Options{})
	expose(before, "v2")
	before.userSet(seriesKey{"shop", "v1", "all"}).add("ann")
	saved, err := before.SaveUsers()
	if err != nil {
		t.Fatal(err)
	}
	for early, recent := range map[string]int64{"v2": 1, "v3": 0} {
		after := New(Options{})
		if err := after.LoadUsers(saved); err != nil {
			t.Fatal(err)
		}
		expose(after, early)
		if got := after.Users("shop")[0]; got.Users != 1 || got.Recent != recent {
			t.Errorf("early gets %s: %+v", early, got)
		}
		expose(after, "v4")
		if got := after.Users("shop")[0]; got.Recent != 0 {
			t.Errorf("changed since: %+v", got)
		}
	}
}
