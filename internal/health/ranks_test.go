package health

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
)

// A gate on two series says window by window what the same series say offline.
func TestRanksAsOffline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		windows := rapid.IntRange(0, 30).Draw(t, "windows")
		values := rapid.SliceOfN(rapid.SampledFrom([]float64{math.NaN(), 0, 0, 1, 2, 5, 1e9}), windows, windows)
		s := Series{Canary: values.Draw(t, "canary"), Stable: values.Draw(t, "stable")}
		d := DistributionGate{Compare: CompareDistribution, Method: rapid.SampledFrom([]string{MethodSequential, MethodMannWhitney}).Draw(t, "method"),
			Direction:   rapid.SampledFrom([]string{DirectionIncrease, DirectionDecrease, DirectionEither}).Draw(t, "direction"),
			NaNStrategy: rapid.SampledFrom([]string{strategyRemove, strategyReplace}).Draw(t, "nan"),
			NoData:      rapid.SampledFrom([]string{"hold", "pass", "fail"}).Draw(t, "noData")}
		r := NewRanks(Gate{Signal: SignalSeries, Distribution: &d})
		n := max(len(s.Canary), len(s.Stable))
		for i := range n {
			if err := r.Add(at(s.Canary, i), at(s.Stable, i)); err != nil {
				t.Fatal(err)
			}
		}
		got, want := r.Judgement(), JudgeDistribution(d, s)
		if got.Verdict != want.Verdict || !cmp.Equal(got.StoppedAt, want.StoppedAt) || !cmp.Equal(got.Reasons, want.Reasons) || got.Evidence.Series == nil {
			t.Fatalf("got %+v, offline %+v", got, want)
		}
		if d := cmp.Diff(want.Evidence, *got.Evidence.Series, cmpopts.EquateNaNs()); d != "" {
			t.Fatal(d)
		}
		missing := n == 0 || math.IsNaN(at(s.Canary, n-1)) || math.IsNaN(at(s.Stable, n-1))
		if got.NoData != (got.Verdict == Hold && missing) {
			t.Fatalf("no data %v of %+v", got.NoData, s)
		}
		write(t, got)
	})
}

func TestRanks(t *testing.T) {
	r := NewRanks(Gate{Signal: SignalSeries, Alpha: 0.0025, Distribution: &DistributionGate{Direction: DirectionIncrease}})
	source := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		if err := r.Add(12+source.NormFloat64(), 10+source.NormFloat64()); err != nil {
			t.Fatal(err)
		}
	}
	j := r.Judgement()
	if j.Verdict != Fail || j.Evidence.Threshold != 400 || j.Evidence.Series.Threshold != 400 || j.Evidence.PValue > 0.0025 || j.Evidence.E < 100 {
		t.Errorf("the ring's part of alpha is not what is judged by: %+v", j)
	}
	last := NewRanks(Gate{Signal: SignalSeries, Compare: CompareNone})
	_ = last.Add(5, math.NaN())
	if j := last.Judgement(); j.Verdict != Pass || !strings.Contains(j.Reasons[0], "nothing is left to compare with") {
		t.Errorf("with everyone on the canary: %+v", j)
	}
	wrong := NewRanks(Gate{Signal: SignalSeries, Distribution: &DistributionGate{Method: "t"}})
	if j := wrong.Judgement(); j.Verdict != Hold || !j.NoData || !strings.Contains(j.Reasons[0], "gate.method") {
		t.Errorf("a wrong gate: %+v", j)
	}
	ratio := NewRanks(Gate{Signal: SignalSeries, Distribution: &DistributionGate{MaxRatio: 2}})
	for _, v := range []float64{-1, 1e101} {
		if err := ratio.Add(v, 1); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", v, err)
		}
	}
	if err := ratio.Add(math.Inf(1), 1); err != nil || ratio.Judgement().Evidence.Series.Windows != 0 || !ratio.Judgement().NoData {
		t.Errorf("an infinity is a missing value: %v, %+v", err, ratio.Judgement())
	}
}
