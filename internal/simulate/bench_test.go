package simulate

import (
	"testing"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// standard is a plan of four rings with bakes of a day.
func standard() Case {
	return Case{Name: "standard", Traffic: 500, Seed: 1, Regression: map[string]Change{"errors": {Times: 2}},
		Plan: resource.RingPlan{
			Rings: []resource.Ring{{Name: "canary", Audience: share(1)}, {Name: "early", Audience: share(5)}, {Name: "broad", Audience: share(50)}, {Name: "all"}},
			Gates: []resource.Gate{{Signal: "errors"}, {Signal: "latency", Over: fleet.Dur(3e8)}},
		}}
}

func share(percent float64) resource.Audience { return resource.Audience{Percent: &percent} }

func BenchmarkSimulate(b *testing.B) {
	for name, curve := range map[string]float64{"constant": 1, "days": 4} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				c := standard()
				c.Runs, c.DayCurve = 1000, curve
				if _, err := Run(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
