package health

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func gates() *rapid.Generator[Gate] {
	return rapid.Custom(func(t *rapid.T) Gate {
		g := Gate{
			Signal:        rapid.SampledFrom([]string{"", SignalErrors, SignalLatency}).Draw(t, "signal"),
			Compare:       rapid.SampledFrom([]string{"", CompareStable, CompareStable, CompareNone}).Draw(t, "compare"),
			Alpha:         rapid.SampledFrom([]float64{0, 1e-12, 0.001, 0.05, 0.5}).Draw(t, "alpha"),
			MaxRatio:      rapid.SampledFrom([]float64{0, 0.001, 0.5, 1.2, 3, 1000}).Draw(t, "maxRatio"),
			MaxShare:      rapid.SampledFrom([]float64{0, 1e-9, 0.01, 0.5, 0.999}).Draw(t, "maxShare"),
			ExpectedShare: rapid.SampledFrom([]float64{0, 0, 1e-9, 0.05, 0.5, 1 - 1e-9}).Draw(t, "expectedShare"),
		}
		if !g.Judges() {
			g.MaxShare = 0.1
		}
		return g
	})
}

// sides draws what one side saw: nothing, little or very much.
func sides(most int64) *rapid.Generator[*Counts] {
	return rapid.Custom(func(t *rapid.T) *Counts {
		if rapid.IntRange(0, 7).Draw(t, "no data") == 0 {
			return nil
		}
		c := Counts{Requests: rapid.Int64Range(0, most).Draw(t, "requests")}
		c.Bad = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, c.Requests/50), rapid.Int64Range(0, c.Requests)).Draw(t, "bad")
		c.Users = rapid.Int64Range(0, c.Requests).Draw(t, "users")
		return &c
	})
}

func cases() *rapid.Generator[[]Sample] {
	return rapid.Custom(func(t *rapid.T) []Sample {
		most := rapid.SampledFrom([]int64{3, 200, 5000, MaxCount / 40}).Draw(t, "most")
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Sample {
			return Sample{Canary: sides(most).Draw(t, "canary"), Stable: sides(most).Draw(t, "stable")}
		}), 0, 30).Draw(t, "samples")
	})
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func write(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("cannot be written as JSON: %v", err)
	}
	return string(b)
}

// Whatever comes: numbers stay numbers, fail is final and freezes the evidence, a pass rests on enough requests, and
// asking changes nothing.
func TestJudgementsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gate, samples := gates().Draw(t, "gate"), cases().Draw(t, "samples")
		p := NewProcess(gate)
		failed := ""
		for i, s := range samples {
			if err := p.Add(s); err != nil {
				t.Fatal(err)
			}
			j := p.Judgement()
			now, e := write(t, j), j.Evidence
			if again := write(t, p.Judgement()); again != now {
				t.Fatalf("asked twice: %s, then %s", now, again)
			}
			for _, x := range []float64{e.E, e.PValue, e.Threshold, e.LimitE, e.MismatchE} {
				if !finite(x) || x < 0 {
					t.Fatalf("not a number to show: %s", now)
				}
			}
			switch {
			case failed != "" && now != failed:
				t.Fatalf("after a fail nothing changes: %s, then %s", failed, now)
			case (j.Verdict == Fail) != (j.StoppedAt != nil):
				t.Fatalf("a fail, and only a fail, names its sample: %s", now)
			case j.Verdict == Fail && failed == "" && *j.StoppedAt != i:
				t.Fatalf("failed at %d: %s", i, now)
			case j.Verdict == Pass && (e.CanaryRequests < *j.Gate.MinRequests || e.CanaryRequests == 0 || e.MoreRequests != 0):
				t.Fatalf("passed without enough requests: %s", now)
			case j.Verdict == Pass && j.Gate.Compare == CompareStable && e.StableRequests == 0:
				t.Fatalf("passed a comparison without stable: %s", now)
			case len(j.Reasons) == 0:
				t.Fatalf("no reason: %s", now)
			}
			if j.Verdict == Fail {
				failed = now
			}
		}
	})
}

// Stored as JSON and read back at any point, a process goes on as if nothing had happened.
func TestRestartChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gate, samples := gates().Draw(t, "gate"), cases().Draw(t, "samples")
		at := rapid.IntRange(0, len(samples)).Draw(t, "restart")
		p := NewProcess(gate)
		for i, s := range samples {
			if i == at {
				stored := write(t, p)
				p = &Process{}
				if err := json.Unmarshal([]byte(stored), p); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Add(s); err != nil {
				t.Fatal(err)
			}
		}
		whole := NewProcess(gate)
		for _, s := range samples {
			if err := whole.Add(s); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := write(t, p), write(t, whole); got != want {
			t.Fatalf("restarted:\n%s\nnot restarted:\n%s", got, want)
		}
		if got, want := write(t, p.Judgement()), write(t, Judge(gate, samples)); got != want {
			t.Fatalf("restarted:\n%s\noffline:\n%s", got, want)
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(a)) }

// Looking more often at the same traffic changes when one can stop, not what it amounts to.
func TestSplittingASampleKeepsTheEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.Int64Range(2, 6).Draw(t, "parts")
		canary, stable := rapid.Int64Range(1, 500).Draw(t, "canary"), rapid.Int64Range(1, 5000).Draw(t, "stable")
		m := rapid.Float64Range(0.5, 3).Draw(t, "maxRatio")
		var bad, worse int64
		var fine, coarse, limits, limit Ladder
		share := tilted(float64(canary)/float64(canary+stable), m)
		for range parts { // each part has the same share of requests, and bad ones as they come
			b, w := rapid.Int64Range(0, canary).Draw(t, "bad"), rapid.Int64Range(0, stable).Draw(t, "stable bad")
			fine.add(share, b, b+w)
			limits.add(0.05, b, canary)
			bad, worse = bad+b, worse+w
		}
		coarse.add(share, bad, bad+worse)
		limit.add(0.05, bad, parts*canary)
		if !near(fine.value(), coarse.value()) || !near(limits.value(), limit.value()) {
			t.Fatalf("in parts %v and %v, at once %v and %v", fine.value(), limits.value(), coarse.value(), limit.value())
		}
		if fine.Sup < coarse.Sup-1e-9*(1+coarse.Sup) {
			t.Fatalf("more looks can only see more: %v, %v", fine.Sup, coarse.Sup)
		}
	})
}

// The order of samples changes the way, not the end.
func TestOrderKeepsTheEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := cases().Draw(t, "samples")
		gate := Gate{Alpha: minAlpha, MaxShare: 0.999, MaxRatio: 1000} // hardly ever stops
		there, back := NewProcess(gate), NewProcess(gate)
		for i := range samples {
			if there.Add(samples[i]) != nil || back.Add(samples[len(samples)-1-i]) != nil {
				t.Fatal("refused")
			}
		}
		if there.StoppedAt != nil || back.StoppedAt != nil {
			t.Skip("stopped")
		}
		if !near(there.Ratio.value(), back.Ratio.value()) || !near(there.Limit.value(), back.Limit.value()) || there.Compared != back.Compared {
			t.Fatalf("%+v\n%+v", there, back)
		}
	})
}

// One more bad answer on the canary never speaks for it, one more on stable never against it.
func TestEvidenceIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gate := gates().Draw(t, "gate")
		c := Counts{Requests: rapid.Int64Range(2, 1e6).Draw(t, "requests")}
		s := Counts{Requests: rapid.Int64Range(2, 1e6).Draw(t, "stable requests")}
		c.Bad, s.Bad = rapid.Int64Range(0, c.Requests-1).Draw(t, "bad"), rapid.Int64Range(0, s.Requests-1).Draw(t, "stable bad")
		value := func(c, s Counts) (ratio, limit float64) {
			p := NewProcess(gate)
			if err := p.Add(Sample{Canary: &c, Stable: &s}); err != nil {
				t.Fatal(err)
			}
			return p.Ratio.value(), p.Limit.value()
		}
		worseC, worseS := c, s
		worseC.Bad++
		worseS.Bad++
		ratio, limit := value(c, s)
		slack := 1e-9 * (1 + math.Abs(ratio) + math.Abs(limit))
		if r, l := value(worseC, s); r < ratio-slack || l < limit-slack {
			t.Fatalf("a worse canary: %v and %v, before %v and %v", r, l, ratio, limit)
		}
		if r, _ := value(c, worseS); r > ratio+slack {
			t.Fatalf("a worse stable: %v, before %v", r, ratio)
		}
	})
}
