package health

import (
	"math/rand/v2"
	"testing"
)

// A window of a long series, with the reference full.
func BenchmarkSequenceAdd(b *testing.B) {
	s := series(rand.New(rand.NewPCG(1, 1)), 10_000, 100, 1)
	for _, direction := range []string{DirectionIncrease, DirectionEither} {
		b.Run(direction, func(b *testing.B) {
			b.ReportAllocs()
			q := newSequence(defaultsOf(DistributionGate{Direction: direction, Alpha: minAlpha}))
			for i := 0; b.Loop(); i++ {
				q.Add(s.Canary[i%10_000], s.Stable[i%10_000])
			}
			if q.stopped != nil {
				b.Fatal("stopped: what was measured is not the work of a running judgement")
			}
		})
	}
}

func BenchmarkMannWhitney(b *testing.B) {
	for name, n := range map[string]int{"60": 60, "100000": MaxPoints} {
		b.Run(name, func(b *testing.B) {
			s := series(rand.New(rand.NewPCG(1, 1)), n, 100, 1.01)
			for b.Loop() {
				if judge(DistributionGate{Method: MethodMannWhitney}, s.Canary, s.Stable).Evidence.Shift == nil {
					b.Fatal("expected numbers")
				}
			}
		})
	}
}
