package account

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

var (
	rule  = resource.Customers{}.Defaults()
	start = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
)

// minute is what a gateway tells: bad and all requests by account.
func minute(at time.Time, counts map[string][2]int64) fleet.AccountMinute {
	m := fleet.AccountMinute{Service: "shop", Minute: Minute(at), Boot: "b1"}
	for id, c := range counts {
		m.Requests, m.Bad = m.Requests+c[1], m.Bad+c[0]
		a := fleet.AccountCount{ID: id, Requests: c[1], Failed: c[0]}
		if c[0] > 0 {
			a.Where = []fleet.AccountWhere{{Version: "v2", Ring: "canary", Bad: c[0]}}
		}
		m.Accounts = append(m.Accounts, a)
	}
	return m
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		p           Part
		judged, bad bool
	}{
		{Part{Requests: 4, Bad: 4}, false, false}, // too few to tell
		{Part{Requests: 5, Bad: 1}, true, false},  // one failure is chance
		{Part{Requests: 5, Bad: 2}, true, true},
		{Part{Requests: 40, Bad: 2}, true, true}, // 5 %
		{Part{Requests: 41, Bad: 2}, true, false},
		{Part{Requests: 10, Bad: 2, Missed: 31}, true, false}, // it may have had more that were good
	} {
		if judged, bad := Judge(c.p, rule); judged != c.judged || bad != c.bad {
			t.Errorf("%+v: judged %v, bad %v", c.p, judged, bad)
		}
	}
}

// TestNothingCountsTwice tells everything several times, in any order, of several gateways, through the form in which it is stored.
func TestNothingCountsTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &Book{}
		type part struct{ unit, boot string }
		want := map[string][2]int64{}
		told := map[string]bool{}
		now := start
		for range rapid.IntRange(1, 60).Draw(t, "reports") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "passes")) * time.Second)
			who := rapid.SampledFrom([]part{{"a", "1"}, {"a", "2"}, {"b", "1"}}).Draw(t, "who")
			at := Minute(now) - int64(rapid.IntRange(1, 14).Draw(t, "ago"))
			m := minute(At(at), map[string][2]int64{"acme": {at % 3, 5}, "globex": {0, 7}})
			m.Boot = who.boot
			key := fmt.Sprint(who, at)
			if took := b.Take(who.unit, m); took == told[key] {
				t.Fatalf("%s: taken %v, told before %v", key, took, told[key])
			}
			if !told[key] {
				told[key] = true
				id := fmt.Sprint(at)
				want[id] = [2]int64{want[id][0] + at%3, want[id][1] + 5}
			}
			b.Fold(now, rule)
			b = again(t, b)
		}
		bad := 0
		for _, c := range want {
			if _, is := Judge(Part{Requests: c[1], Bad: c[0]}, rule); is {
				bad++
			}
		}
		r := b.View(rule, now, 24*time.Hour, "", 10)
		for _, a := range r.Accounts {
			strip := 0
			for _, n := range a.Strip {
				strip += n
			}
			switch {
			case a.Minutes != len(want) || a.Budget.Minutes != len(want) || strip != a.Bad || a.Budget.Bad != a.Bad:
				t.Fatalf("%d minutes, want %d: %+v", a.Minutes, len(want), a)
			case a.Account == "acme" && a.Bad != bad, a.Account == "globex" && a.Bad != 0:
				t.Fatalf("%d bad minutes of acme, got %+v", bad, a)
			}
		}
		if len(r.Accounts) != 2 {
			t.Fatalf("%+v", r)
		}
	})
}

func again(t interface{ Fatal(...any) }, b *Book) *Book {
	body, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	out := &Book{}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestABookStaysSmall lets a month pass with many accounts, a few of which are never well.
func TestABookStaysSmall(t *testing.T) {
	b := &Book{}
	now := start
	for m := range 35 * 24 * 2 { // a minute of every thirty
		now = start.Add(time.Duration(m) * 30 * time.Minute)
		counts := map[string][2]int64{"bad1": {5, 10}, "bad2": {2, 10}}
		for i := range 40 {
			counts[fmt.Sprint("a", (40*m+i)%5000)] = [2]int64{0, 10}
		}
		b.Take("local", minute(now, counts))
		b.Fold(now.Add(time.Minute), rule)
	}
	body, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 600_000 || len(b.Accounts) > MaxAccounts || len(b.Places) > mostPlaces {
		t.Fatalf("%d bytes, %d accounts, %d places", len(body), len(b.Accounts), len(b.Places))
	}
	r := b.View(rule, now, Window, "bad1", 5)
	a := r.Accounts[0]
	if days := a.Minutes / 48; days < 28 || days > 29 || a.Bad != a.Minutes || a.Budget.Met || len(a.Strip) > 30 || a.Where[0].Version != "v2" {
		t.Fatalf("%d days: %+v", days, a)
	}
	if r := b.View(rule, now, 6*time.Hour, "bad2", 5); r.StripStep != 5 || r.Accounts[0].Bad < 12 || r.Accounts[0].Bad > 14 {
		t.Fatalf("%+v", r)
	}
	b.Fold(now.Add(40*24*time.Hour), rule)
	if !b.Empty() || len(b.Whole) != 0 {
		t.Fatal("what is too old is kept")
	}
}

func TestWhoIsHurt(t *testing.T) {
	well := func() map[string][2]int64 {
		m := map[string][2]int64{}
		for i := range 30 {
			m[fmt.Sprint("a", i)] = [2]int64{0, 40}
		}
		return m
	}
	for name, c := range map[string]struct {
		change   func(m int, counts map[string][2]int64)
		hurt     int
		together bool
	}{
		"nobody":      {func(int, map[string][2]int64) {}, 0, false},
		"one":         {func(_ int, c map[string][2]int64) { c["acme"] = [2]int64{30, 30} }, 1, false},
		"too shortly": {func(m int, c map[string][2]int64) { c["acme"] = [2]int64{int64(30 * (1 - min(1, m/2))), 30} }, 0, false},
		"the largest": {func(_ int, c map[string][2]int64) { c["acme"] = [2]int64{5000, 5000} }, 1, false}, // though the whole is ill, too
		"several": {func(_ int, c map[string][2]int64) {
			c["a1"], c["a2"], c["a3"] = [2]int64{9, 40}, [2]int64{9, 40}, [2]int64{9, 40}
		}, 3, true},
		"everybody":        {all(20), 0, false},
		"everybody a bit":  {all(3), 0, false},
		"the one too rare": {func(_ int, c map[string][2]int64) { c["acme"] = [2]int64{4, 4} }, 0, false},
	} {
		b := &Book{}
		for m := range 6 {
			counts := well()
			c.change(m, counts)
			b.Take("local", minute(start.Add(time.Duration(m)*time.Minute), counts))
		}
		now := start.Add(6 * time.Minute)
		b.Fold(now, rule)
		hurt, together := b.Hurt(rule, now)
		if len(hurt) != c.hurt || together != c.together {
			t.Errorf("%s: %+v, together %v", name, hurt, together)
		}
		if c.hurt == 1 && (hurt[0].Account != "acme" || hurt[0].Minutes != 6 || !hurt[0].Since.Equal(start) || hurt[0].Version() != "v2" || hurt[0].Rest().Bad != 0) {
			t.Errorf("%s: %+v", name, hurt)
		}
		suffered := b.Suffered(rule, start, now, 3)
		b.Fold(now.Add(time.Hour), rule)
		if later := b.Suffered(rule, start, now, 3); len(later) != len(suffered) || len(later) > 0 && later[0].Own != suffered[0].Own {
			t.Errorf("%s: an hour later %+v, before %+v", name, later, suffered)
		}
		if hurt, _ := b.Hurt(rule, now.Add(time.Hour)); len(hurt) > 0 {
			t.Errorf("%s: for ever", name)
		}
	}
}

func all(bad int64) func(int, map[string][2]int64) {
	return func(_ int, c map[string][2]int64) {
		for id := range c {
			c[id] = [2]int64{bad, 40}
		}
	}
}

func TestHashRenamesOnce(t *testing.T) {
	b := &Book{}
	b.Take("local", minute(start, map[string][2]int64{"acme": {9, 10}}))
	b.Fold(start.Add(time.Hour), rule)
	b.Take("local", minute(start.Add(time.Hour), map[string][2]int64{"acme": {9, 10}}))
	for range 2 {
		b.Hash(func(id string) string { return "~" + id })
	}
	r := b.View(rule, start.Add(61*time.Minute), 3*time.Hour, "", 10)
	if len(r.Accounts) != 1 || r.Accounts[0].Account != "~acme" || r.Accounts[0].Bad != 2 {
		t.Fatalf("%+v", r)
	}
}
