package incident

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTheFlagWhoseUsersAreHurt: of two flags and a release that all reached users at the same time, the one is named whose variant the hurt users
// have; without counts by variant there would be nothing to tell the flags apart by.
func TestTheFlagWhoseUsersAreHurt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		start := newWorld(seed, 100, 0.002)
		onset := start.start.Add(2 * time.Hour)
		began := onset.Add(-30 * time.Second)
		until := onset.Add(3 * time.Minute)
		side := func(of string, hurt float64) []Count {
			w := newWorld(seed+uint64(len(of)), 40, 0.002)
			w.cell("", "", 0.5, w.start)
			w.cell("", "", 0.5, began)
			w.shares[0].Variant, w.shares[1].Variant = of+"=off", of+"=on"
			w.hurt = func(c Cell, at time.Time) float64 {
				if at.After(onset) && (hurt > 0.1 && c.Variant == of+"=on" || hurt <= 0.1) {
					return hurt
				}
				return 0
			}
			return w.run(until)
		}
		w := newWorld(seed, 100, 0.002)
		w.cell("v1", "all", 1, w.start)
		w.hurt = func(_ Cell, at time.Time) float64 {
			if at.After(onset) {
				return 0.06 // a fifth of the users have the variant, three of ten of their requests fail
			}
			return 0
		}
		flagged := func(ref, of string) Change {
			return Change{Kind: ChangeFlag, Ref: ref, Title: ref, Service: "shop", Trial: of + "=on", Steps: []Step{{At: began}}}
		}
		q := Question{Service: "shop", Onset: onset, Counts: map[string][]Count{"shop": w.run(until)},
			Trials:  map[string][]Count{"rollout/good": side("shop/blue", 0.06), "rollout/bad": side("shop/fast-pay", 0.3)},
			Changes: []Change{flagged("rollout/good", "shop/blue"), flagged("rollout/bad", "shop/fast-pay"), {Kind: ChangeService, Ref: "service/shop", Service: "shop", Steps: []Step{{At: began}}}}}
		all := Rank(q)
		if all[0].Ref != "rollout/bad" || all[0].Share < 0.9 {
			t.Errorf("%s first with %.2f: %+v", all[0].Ref, all[0].Share, all)
		}
		if x := all[0].Exposed; x == nil || x.Rate() < 10*all[0].Others.Rate() {
			t.Errorf("exposed %+v, others %+v", all[0].Exposed, all[0].Others)
		}
	})
}
