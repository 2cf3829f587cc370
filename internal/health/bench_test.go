package health

import "testing"

func BenchmarkAdd(b *testing.B) {
	// two samples in turn, so that the canary's share of the requests is never that of the sample before
	samples := [2]Sample{
		{Canary: &Counts{Requests: 100, Bad: 1, Users: 10}, Stable: &Counts{Requests: 1900, Bad: 19, Users: 190}},
		{Canary: &Counts{Requests: 110, Bad: 1, Users: 10}, Stable: &Counts{Requests: 1890, Bad: 19, Users: 190}},
	}
	for _, c := range []struct {
		name string
		gate Gate
	}{
		{"default", Gate{}},
		{"split checked", Gate{ExpectedShare: 0.05}},
		{"limit only", Gate{Compare: CompareNone}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			fresh := NewProcess(c.gate)
			p := *fresh
			for i := 0; b.Loop(); i++ {
				if i%1_000_000 == 0 {
					p = *fresh // before sums get out of bounds
				}
				if err := p.Add(samples[i&1]); err != nil {
					b.Fatal(err)
				}
			}
			if p.StoppedAt != nil {
				b.Fatal("stopped: what was measured is not the work of a running judgement")
			}
		})
	}
}

func BenchmarkJudgement(b *testing.B) {
	p := NewProcess(Gate{})
	if err := p.Add(Sample{Canary: &Counts{Requests: 1000, Bad: 5}, Stable: &Counts{Requests: 19000, Bad: 95}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p.Judgement().Verdict != Pass {
			b.Fatal("expected a pass")
		}
	}
}
