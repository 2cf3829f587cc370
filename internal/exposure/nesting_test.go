package exposure

import (
	"fmt"
	"math"
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
	"pgregory.net/rapid"
)

func drawPercent(t *rapid.T, label string) float64 {
	return rapid.OneOf(rapid.Float64Range(0.000001, 100), rapid.SampledFrom([]float64{0.001, 1, 5, 50, 99.999, 100})).Draw(t, label)
}

// Whoever is in a share is in every larger share of the same salt; so nobody falls out when a ring grows.
func TestSharesNest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		salt, key := rapid.String().Draw(t, "salt"), rapid.String().Draw(t, "key")
		small, large := drawPercent(t, "small"), drawPercent(t, "large")
		if small > large {
			small, large = large, small
		}
		in := func(p float64) bool {
			plan, err := Compile(salt, []fleet.Ring{{Name: "share", Percent: p}, {Name: "all"}})
			if err != nil {
				t.Fatal(err)
			}
			return plan.Lookup(&Context{TargetingKey: key}) == 0
		}
		if in(small) && !in(large) {
			t.Fatalf("%q is in %v %% and not in %v %%", key, small, large)
		}
		if first, again := in(small), in(small); first != again {
			t.Fatal("not the same twice")
		}
	})
}

// In a plan of growing percentages, making one grow moves nobody outward.
func TestGrowthMovesNobodyOutward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		salt := rapid.String().Draw(t, "salt")
		rings := []fleet.Ring{{Name: "a", Percent: 1}, {Name: "b", Percent: 10}, {Name: "c", Percent: 40}, {Name: "all"}}
		before, err := Compile(salt, rings)
		if err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, 2).Draw(t, "ring")
		rings[i].Percent = rapid.Float64Range(rings[i].Percent, 100).Draw(t, "to")
		after, err := Compile(salt, rings)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 200 {
			ctx := &Context{TargetingKey: fmt.Sprintf("user-%d", n)}
			if was, is := before.Lookup(ctx), after.Lookup(ctx); is > was {
				t.Fatalf("%s goes from ring %d to %d when ring %d grows to %v %%", ctx.TargetingKey, was, is, i, rings[i].Percent)
			}
		}
	})
}

// Over a million keys each ring has its share, within 4 standard deviations of a fair draw.
func TestSharesAreExact(t *testing.T) {
	const keys = 1_000_000
	rings := []fleet.Ring{{Name: "a", Percent: 0.01}, {Name: "b", Percent: 1}, {Name: "c", Percent: 5}, {Name: "d", Percent: 50}, {Name: "all"}}
	plan := mustRings(t, "shop-4711", rings...)
	var counts [5]int
	ctx := &Context{}
	for i := range keys {
		ctx.TargetingKey = fmt.Sprintf("user-%d", i)
		counts[plan.Lookup(ctx)]++
	}
	within := 0
	for i, r := range rings[:4] {
		within += counts[i]
		p := r.Percent / 100
		deviation := (float64(within) - keys*p) / math.Sqrt(keys*p*(1-p))
		if math.Abs(deviation) > 4 {
			t.Errorf("%v %% of %d keys are %d, %.1f standard deviations off", r.Percent, keys, within, deviation)
		}
	}
}

// Being in a share of one plan says nothing about the share of another: over pairs of salts, those alike included,
// the buckets of the same keys are independent by chi-square (a 10 by 10 table has 81 degrees of freedom, whose
// value is below 148 with probability 0.99999).
func TestSaltsAreIndependent(t *testing.T) {
	const keys = 100_000
	for _, salts := range [][2]string{{"shop", "cart"}, {"shop-1", "shop-2"}, {"a", "b"}, {"plan-0001", "plan-0002"}, {"", "x"}, {"shop", "shop-"}} {
		one, two := hash32{}.add(salts[0]), hash32{}.add(salts[1])
		var table [10][10]float64
		var rows, columns [10]float64
		for i := range keys {
			key := fmt.Sprintf("user-%d", i)
			a, b := bucket(one.add(key).sum(), 10), bucket(two.add(key).sum(), 10)
			table[a][b]++
			rows[a]++
			columns[b]++
		}
		chi := 0.0
		for i := range table {
			for j := range table[i] {
				expected := rows[i] * columns[j] / keys
				chi += (table[i][j] - expected) * (table[i][j] - expected) / expected
			}
		}
		if chi > 148 {
			t.Errorf("salts %q: chi-square is %.1f", salts, chi)
		}
	}
}

// Within one share, another plan's share cuts the same part as of all: nobody gets every canary.
func TestSameKeysAreNotAlwaysFirst(t *testing.T) {
	const keys, plans = 2000, 50
	first := 0
	for i := range keys {
		n := 0
		for p := range plans {
			plan := hash32{}.add(fmt.Sprintf("plan-%d", p))
			if bucket(plan.add(fmt.Sprintf("user-%d", i)).sum(), 100) < 5 {
				n++
			}
		}
		first = max(first, n)
	}
	if first > 15 { // 2.5 on average; more than 15 of 50 has probability below 1e-7 for one key
		t.Errorf("one key is in the 5 %% of %d of %d plans", first, plans)
	}
}
