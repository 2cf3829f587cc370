package gateway

import (
	"fmt"
	"math"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

func TestUsersCount(t *testing.T) {
	for _, n := range []int{0, 1, exactUsers, exactUsers + 1, 100000} {
		u := &userSet{}
		for range 2 {
			for i := range n {
				u.add(fmt.Sprint("user-", i))
			}
		}
		got := u.count()
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
	want := []fleet.UserCount{{Ring: "all", Version: "v1", Users: before.userSet(k).count()}, {Ring: "all", Version: "v2", Users: 20}}
	if got := after.Users("shop"); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"", "{", `[{"sketch":"AAAA"}]`} {
		if err := after.LoadUsers([]byte(bad)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: got %v, want an error of kind invalid", bad, err)
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
