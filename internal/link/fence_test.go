package link

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// visit is a plane that asks for the unit local some time after the visit before.
type visit struct {
	after time.Duration
	plane string
	in    bool
}

func try(t *testing.T, h *Hub, visits []visit) {
	t.Helper()
	for i, v := range visits {
		time.Sleep(v.after)
		err := h.Admit(t.Context(), "local", v.plane)
		if v.in && err != nil || !v.in && (!errs.Is(err, errs.Conflict) || errs.HintOf(err) == "") {
			t.Errorf("visit %d, of %q: %v, expected to be let in: %v", i, v.plane, err, v.in)
		}
	}
}

func TestOneDataPlaneHasAUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		h := NewHub(s, "Desired", func() {})
		try(t, h, []visit{
			{0, "a", true}, {time.Second, "b", false}, {time.Second, "a", true}, {silence - time.Second, "b", false}, {0, "a", true},
			{0, "", true}, // of a version that does not say who it is
		})
		if len(s.said) != 0 {
			t.Errorf("nothing was taken from anybody: %+v", s.said)
		}
		if err := h.Admit(t.Context(), "other", "b"); err != nil {
			t.Errorf("another unit: %v", err)
		}
		try(t, h, []visit{{silence, "b", true}, {time.Second, "a", false}, {time.Second, "b", true}})
		if len(s.said) != 1 || s.said[0].Type != "unit.taken" || s.said[0].Subject != "unit/local" {
			t.Errorf("recorded: %+v", s.said)
		}
	})
}

// Whoever is faster after a restart of the control plane does not win for that.
func TestARestartOfTheControlPlaneGivesNoUnitAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		try(t, NewHub(s, "Desired", func() {}), []visit{{0, "a", true}})
		try(t, NewHub(s, "Desired", func() {}), []visit{{time.Second, "b", false}, {time.Second, "a", true}, {settling, "b", false}})
		try(t, NewHub(s, "Desired", func() {}), []visit{{time.Second, "b", false}, {settling, "b", true}, {0, "a", false}}) // a is gone
	})
}

func TestOfTwoAtOnceOneGetsTheUnit(t *testing.T) {
	s := &shelf{}
	var in, out int
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, h := range []*Hub{NewHub(s, "Desired", func() {}), NewHub(s, "Desired", func() {})} { // two control planes
		for _, plane := range []string{"a", "b", "c", "d"} {
			all.Go(func() {
				err := h.Admit(context.Background(), "local", plane+h.kind)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					in++
				case errs.Is(err, errs.Conflict):
					out++
				}
			})
		}
	}
	all.Wait()
	if in < 1 || in > 2 || in+out != 8 { // the same plane may ask both
		t.Errorf("%d were let in, %d were not", in, out)
	}
}

func TestWithoutTheStoreOnlyTheKnownAreLetIn(t *testing.T) {
	s := &shelf{}
	h := NewHub(s, "Desired", func() {})
	try(t, h, []visit{{0, "a", true}})
	s.fail = errs.E(errs.Unavailable, "disk I/O error")
	try(t, h, []visit{{0, "a", true}})
	if err := NewHub(s, "Desired", func() {}).Admit(t.Context(), "local", "a"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after a restart: %v", err)
	}
}
