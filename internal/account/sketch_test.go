package account

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
)

// TestSketchKeepsItsPromises compares with exact counts, whatever comes in whatever order.
func TestSketchKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 12).Draw(t, "size")
		s := NewSketch(size)
		exact := map[string]*fleet.AccountCount{}
		var all, requests, bad int64
		for range rapid.IntRange(0, 400).Draw(t, "requests") {
			id := fmt.Sprint("a", rapid.IntRange(0, 30).Draw(t, "account"))
			o := Outcome(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 1, 2}).Draw(t, "outcome"))
			s.Add(id, o, rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "version"), "all")
			if exact[id] == nil {
				exact[id] = &fleet.AccountCount{}
			}
			e := exact[id]
			e.Requests++
			requests++
			all++
			switch o {
			case Slow:
				e.Slow++
			case Failed:
				e.Failed++
			}
			if o != Good {
				all += BadWeight - 1
				bad++
			}
		}
		weight := func(c fleet.AccountCount) int64 { return c.Requests + (BadWeight-1)*(c.Failed+c.Slow) }
		gotRequests, gotBad, kept := s.Take()
		if gotRequests != requests || gotBad != bad || len(kept) > size {
			t.Fatalf("%d requests, %d bad, %d kept; want %d, %d, at most %d", gotRequests, gotBad, len(kept), requests, bad, size)
		}
		has := map[string]bool{}
		var sum int64
		for _, k := range kept {
			e := *exact[k.ID]
			has[k.ID] = true
			sum += weight(k) + k.Missed
			if k.Requests > e.Requests || k.Failed > e.Failed || k.Slow > e.Slow {
				t.Fatalf("%s: counted %+v, there were %+v", k.ID, k, e)
			}
			if weight(k)+k.Missed < weight(e) || k.Missed*int64(size) > all {
				t.Fatalf("%s: counted %d, missed at most %d of %d, there were %d", k.ID, weight(k), k.Missed, all, weight(e))
			}
			var where int64
			for _, w := range k.Where {
				where += w.Bad
			}
			if where != k.Failed+k.Slow {
				t.Fatalf("%s: bad ones at %+v", k.ID, k.Where)
			}
		}
		if sum != all {
			t.Fatalf("the weights are %d together, want %d", sum, all)
		}
		for id, e := range exact {
			if weight(*e)*int64(size) > all && !has[id] {
				t.Fatalf("%s weighs %d of %d and is not among %d", id, weight(*e), all, size)
			}
		}
		if !s.Empty() {
			t.Fatal("it does not begin anew")
		}
	})
}

func TestTroubleIsKeptAmongMany(t *testing.T) {
	s := NewSketch(Kept)
	for i := range 50_000 {
		s.Add(fmt.Sprint("other", i%20_000), Good, "v1", "all")
		if i%25_000 == 10 {
			s.Add("acme", Failed, "v2", "canary")
		}
	}
	_, _, kept := s.Take()
	if kept[0].ID != "acme" || kept[0].Failed != 2 || kept[0].Where[0] != (fleet.AccountWhere{Version: "v2", Ring: "canary", Bad: 2}) {
		t.Fatalf("%+v", kept[0])
	}
}
