package health

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
)

// pair makes a sample: canary requests and bad ones, then stable's.
func pair(cr, cb, sr, sb int64) Sample {
	return Sample{Canary: &Counts{Requests: cr, Bad: cb}, Stable: &Counts{Requests: sr, Bad: sb}}
}

func alone(r, b int64) Sample { return Sample{Canary: &Counts{Requests: r, Bad: b}} }

func repeat(n int, s Sample) []Sample {
	out := make([]Sample, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func users(s Sample, canary, stable int64) Sample {
	c, b := *s.Canary, *s.Stable
	c.Users, b.Users = canary, stable
	return Sample{Canary: &c, Stable: &b}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("cannot be written as JSON: %v", err)
	}
	return b
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name    string
		gate    Gate
		samples []Sample
		want    Verdict
		stopped *int
		reason  string // in the first reason
	}{
		{"no samples", Gate{}, nil, Hold, nil, "no data yet: 500 canary requests are needed"},
		{"samples without data", Gate{}, repeat(9, Sample{}), Hold, nil, "no data yet"},
		{"no canary", Gate{}, repeat(9, Sample{Stable: &Counts{Requests: 1000}}), Hold, nil, "no canary requests yet: 500 are needed"},
		{"no canary, no floor", Gate{MinRequests: ptr(int64(0))}, repeat(9, Sample{Stable: &Counts{Requests: 1000}}), Hold, nil, "no canary requests"},
		{"one below the floor", Gate{}, []Sample{pair(499, 0, 5000, 9)}, Hold, nil, "499 canary requests, 500 are needed, 1 more"},
		{"on the floor", Gate{}, []Sample{pair(500, 0, 5000, 9)}, Pass, nil, "Traffic suffices"},
		{"no stable", Gate{}, repeat(10, alone(100, 0)), Hold, nil, "had stable beside them"},
		{"no stable, no floor", Gate{MinRequests: ptr(int64(0))}, repeat(10, alone(100, 0)), Hold, nil, "nothing to compare with"},
		{"stable only in other samples", Gate{}, []Sample{alone(900, 0), {Stable: &Counts{Requests: 900}}}, Hold, nil, "0 of 900 canary requests had stable"},
		{"stable without requests", Gate{MinRequests: ptr(int64(1))}, repeat(10, pair(100, 0, 0, 0)), Hold, nil, "0 of 1000 canary requests"},
		{"gaps", Gate{}, []Sample{pair(300, 1, 5000, 20), {}, alone(50, 0), pair(200, 1, 4000, 18)}, Pass, nil, "Traffic suffices"},
		{"everyone on the canary", Gate{Compare: CompareNone}, repeat(10, alone(100, 1)), Pass, nil, "Traffic suffices"},
		{"as bad as stable", Gate{}, repeat(20, pair(1000, 20, 9000, 180)), Pass, nil, "Traffic suffices"},
		{"better than stable", Gate{}, repeat(20, pair(1000, 0, 9000, 180)), Pass, nil, "Traffic suffices"},
		{"five times stable", Gate{}, repeat(20, pair(100, 3, 1900, 11)), Fail, ptr(2), "higher than stable's, 0.579 % (33 of 5700): evidence"},
		{"fails below the floor", Gate{}, []Sample{pair(100, 40, 1900, 10)}, Fail, ptr(0), "40 % (40 of 100)"},
		{"tolerated ratio", Gate{MaxRatio: 6}, repeat(20, pair(100, 3, 1900, 11)), Pass, nil, "Traffic suffices"},
		{"over the tolerated ratio", Gate{MaxRatio: 1.2}, repeat(20, pair(100, 3, 1900, 11)), Fail, ptr(3), "higher than 1.2 times stable's"},
		{"both over the limit", Gate{}, repeat(20, pair(1000, 100, 1000, 100)), Fail, ptr(0), "over the limit of 5 %"},
		{"no stable, over the limit", Gate{}, repeat(20, alone(100, 30)), Fail, ptr(0), "over the limit of 5 %"},
		{"latency has no limit", Gate{Signal: SignalLatency}, repeat(20, pair(1000, 500, 1000, 500)), Pass, nil, "Traffic suffices"},
		{"latency with a limit", Gate{Signal: SignalLatency, Over: "0.3", MaxShare: 0.1}, repeat(20, pair(1000, 500, 1000, 500)), Fail, ptr(0), "Requests over 0.3 s: the canary's share"},
		{"users as expected", Gate{ExpectedShare: 0.1}, repeat(20, users(pair(100, 0, 900, 0), 10, 90)), Pass, nil, "Traffic suffices"},
		{"users wrongly split", Gate{ExpectedShare: 0.1}, repeat(20, users(pair(100, 0, 900, 0), 30, 90)), Hold, nil, "25 % (600 of 2400) of them on the canary where 10 % was expected"},
		{"no users on the canary", Gate{ExpectedShare: 0.1}, repeat(20, users(pair(100, 0, 900, 0), 0, 90)), Hold, nil, "users are wrongly split"},
		{"worse, but users wrongly split", Gate{ExpectedShare: 0.1, MaxShare: 1}, repeat(20, users(pair(100, 9, 900, 9), 300, 90)), Hold, nil, "cannot be compared"},
		{"over the limit with users wrongly split", Gate{ExpectedShare: 0.1}, repeat(20, users(pair(100, 90, 900, 9), 300, 90)), Fail, ptr(0), "over the limit"},
		{"split of one side says nothing", Gate{Compare: CompareNone, ExpectedShare: 0.1}, repeat(9, Sample{Canary: &Counts{Requests: 100, Users: 99}}), Pass, nil, "Traffic suffices"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := Judge(tc.gate, tc.samples)
			if j.Verdict != tc.want {
				t.Fatalf("got %s, expected %s: %q, %+v", j.Verdict, tc.want, j.Reasons, j.Evidence)
			}
			if d := cmp.Diff(tc.stopped, j.StoppedAt); d != "" {
				t.Errorf("stoppedAt: %s", d)
			}
			if !strings.Contains(j.Reasons[0], tc.reason) {
				t.Errorf("first reason %q, expected %q in it", j.Reasons[0], tc.reason)
			}
			if all := strings.Join(j.Reasons, " "); j.Verdict == Fail && strings.Contains(all, "traffic") {
				t.Errorf("asks for more traffic after a fail: %s", all)
			}
			mustJSON(t, j)
		})
	}
}

// The evidence of a few samples against the formula written out.
func TestEvidence(t *testing.T) {
	samples := []Sample{pair(100, 1, 1900, 9), pair(400, 2, 1600, 8), alone(100, 5), pair(1000, 6, 1000, 5)}
	value := func(m float64) float64 {
		sum := 0.0
		for _, r := range []float64{1.25, 1.5, 2, 3, 5, 10, 20} {
			e := 1.0
			for _, s := range samples {
				if s.Stable == nil {
					continue
				}
				c, b := s.Canary, s.Stable
				rho := float64(c.Requests) / float64(c.Requests+b.Requests)
				p1, p0 := rho*m*r/(1-rho+rho*m*r), rho*m/(1-rho+rho*m)
				e *= math.Pow(p1/p0, float64(c.Bad)) * math.Pow((1-p1)/(1-p0), float64(b.Bad))
			}
			sum += e / 7
		}
		return sum
	}
	for _, m := range []float64{0.5, 1, 1.2, 3} {
		ev := Judge(Gate{MaxRatio: m}, samples).Evidence
		if want := value(m); math.Abs(ev.E/want-1) > 1e-9 {
			t.Errorf("maxRatio %v: e %v, expected %v", m, ev.E, want)
		}
	}
	got := Judge(Gate{}, samples).Evidence
	want := Evidence{E: got.E, PValue: got.PValue, Threshold: 100, LimitE: got.LimitE, MismatchE: 1,
		CanaryRequests: 1600, CanaryBad: 14, StableRequests: 4500, StableBad: 22, ComparedRequests: 1500}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	limit := 0.0
	for _, r := range rates {
		limit += math.Pow(r, 14) / math.Pow(0.95+0.05*r, 1600) / 7
	}
	if math.Abs(got.LimitE/limit-1) > 1e-9 {
		t.Errorf("limitE %v, expected %v", got.LimitE, limit)
	}
}

// The p-value remembers the largest evidence; the evidence itself may shrink again.
func TestPValueKeepsTheBest(t *testing.T) {
	p := NewProcess(Gate{MaxShare: 1})
	add(t, p, pair(100, 6, 900, 12))
	high := p.Judgement().Evidence
	if high.E < 2 || math.Abs(high.PValue*high.E-1) > 1e-9 {
		t.Fatalf("expected p = 1/e with e over 2, got %+v", high)
	}
	for range 20 {
		add(t, p, pair(100, 0, 900, 12))
	}
	later := p.Judgement().Evidence
	if later.E >= high.E || later.PValue != high.PValue {
		t.Errorf("expected less evidence and the same p-value: %+v, then %+v", high, later)
	}
}

func add(t *testing.T, p *Process, s Sample) {
	t.Helper()
	if err := p.Add(s); err != nil {
		t.Fatal(err)
	}
}

func TestJudgementJSON(t *testing.T) {
	for _, tc := range []struct {
		samples []Sample
		want    string
	}{
		{nil, `"stoppedAt":null`},
		{repeat(9, pair(100, 30, 1900, 9)), `"stoppedAt":0`},
		{repeat(9, pair(1e11, 1e11, 1e11, 0)), `"e":1.7976931348623157e+308`},
	} {
		b := mustJSON(t, Judge(Gate{}, tc.samples))
		var back struct {
			Verdict  Verdict
			Evidence Evidence
			Reasons  []string
		}
		if err := json.Unmarshal(b, &back); err != nil || back.Verdict == "" || len(back.Reasons) == 0 {
			t.Errorf("%s: %v", b, err)
		}
		for _, want := range []string{tc.want, `"verdict":"`, `"evidence":{"e":`, `"pValue":`, `"canaryRequests":`, `"stableRequests":`, `"reasons":["`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s lacks %s", b, want)
			}
		}
	}
}

func TestWrongSamples(t *testing.T) {
	const most = MaxCount
	for _, tc := range []struct {
		name string
		bad  Sample
		want string
	}{
		{"negative requests", alone(-1, 0), "samples[1].canary.requests: got -1"},
		{"negative bad", alone(1, -1), "samples[1].canary.bad: got -1"},
		{"more bad than requests", pair(1, 0, 10, 11), "samples[1].stable.bad: got 11, expected 0 to 10"},
		{"negative users", Sample{Canary: &Counts{Requests: 1, Users: -1}}, "samples[1].canary.users: got -1"},
		{"too many users", Sample{Canary: &Counts{Requests: 1, Users: math.MaxInt64}}, "samples[1].canary.users"},
		{"too many requests", alone(math.MaxInt64, 0), "samples[1].canary.requests"},
		{"too many in all", alone(most, 0), "samples[1].canary.requests: 1000000000001 with those before it"},
		{"too many users in all", Sample{Stable: &Counts{Requests: 1, Users: most}}, "samples[1].stable.users: 1000000000001 with those before it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			samples := []Sample{{Canary: &Counts{Requests: 1, Users: 1}, Stable: &Counts{Requests: 1, Users: 1}}, tc.bad}
			err := ValidateSamples(samples)
			if err == nil || errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, expected %q", err, tc.want)
			}
			p := NewProcess(Gate{})
			add(t, p, samples[0])
			before := string(mustJSON(t, p))
			if p.Add(tc.bad) == nil {
				t.Error("Add took it")
			}
			if after := string(mustJSON(t, p)); after != before {
				t.Errorf("a refused sample changed %s to %s", before, after)
			}
			if j := Judge(Gate{}, samples); j.Verdict != Hold || !strings.Contains(j.Reasons[0], tc.want) {
				t.Errorf("Judge: %s, %q", j.Verdict, j.Reasons)
			}
		})
	}
	if err := ValidateSamples([]Sample{{}, pair(most, most, most, 0)}); err != nil {
		t.Errorf("the largest counts are fine: %v", err)
	}
}
