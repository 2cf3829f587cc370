package synthetic

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Side is what is known of a version in a comparison.
type Side struct {
	Version string  `json:"version"`
	Rounds  int     `json:"rounds"`
	Failed  int     `json:"failed"`
	Median  float64 `json:"median" doc:"seconds of good rounds"`
	P90     float64 `json:"p90"`
}

// Comparison is one version beside another, over the rounds that were made of both at the same time.
type Comparison struct {
	New      Side           `json:"new"`
	Stable   Side           `json:"stable"`
	Since    time.Time      `json:"since,omitzero" doc:"the first round that was made of both"`
	Paired   int            `json:"paired" doc:"rounds made of both at the same time"`
	Verdict  health.Verdict `json:"verdict" enum:"pass,hold,fail"`
	Reasons  []string       `json:"reasons"`
	MaxRatio float64        `json:"maxRatio" doc:"largest tolerated ratio of the times"`
}

// Defaults of a comparison.
const (
	defaultRatio  = 1.5
	defaultRounds = 10
)

// pair is a round of each side.
type pair struct {
	at          time.Time
	new, stable Point
}

// Compare judges a version beside another by what each prober saw of both.
func Compare(p resource.Probe, gate resource.ProbeGate, now, stable map[string]*View, names [2]string) Comparison {
	c := Comparison{New: Side{Version: names[0]}, Stable: Side{Version: names[1]}, MaxRatio: gate.MaxRatio}
	if c.MaxRatio == 0 {
		c.MaxRatio = defaultRatio
	}
	floor := int64(gate.Rounds)
	if floor == 0 {
		floor = defaultRounds
	}
	pairs := pairsOf(p, now, stable)
	c.Paired = len(pairs)
	counts := health.NewProcess(health.Gate{Name: "failures", Signal: health.SignalErrors, Compare: "stable", MaxShare: 1, MinRequests: &floor, Alpha: 0.01})
	times := health.NewRanks(health.Gate{Name: "times", Signal: health.SignalSeries, Distribution: &health.DistributionGate{Compare: health.CompareDistribution,
		Method: health.MethodSequential, Direction: health.DirectionIncrease, MaxRatio: c.MaxRatio, Alpha: 0.01, Novel: string(health.Hold)}})
	var took [2][]float64
	for i, q := range pairs {
		if i == 0 {
			c.Since = q.at
		}
		_ = counts.Add(health.Sample{Canary: countOf(q.new), Stable: countOf(q.stable)}) // counts of one are never refused
		c.New.add(q.new, &took[0])
		c.Stable.add(q.stable, &took[1])
		if q.new.OK && q.stable.OK {
			_ = times.Add(q.new.Seconds, q.stable.Seconds) // more than can be judged are left out
		}
	}
	c.New.quantiles(took[0])
	c.Stable.quantiles(took[1])
	c.judge(counts.Judgement(), times.Judgement(), floor)
	return c
}

func (c *Comparison) judge(counts, times health.Judgement, floor int64) {
	c.Verdict = health.Pass
	switch {
	case c.Paired == 0:
		c.Verdict, c.Reasons = health.Hold, []string{"There are no rounds of both versions at the same time yet."}
		return
	case counts.Verdict == health.Fail:
		c.Verdict = health.Fail
		c.Reasons = append(c.Reasons, fmt.Sprintf("%s fails in %d of %d rounds, %s in %d of %d over the same time; evidence %.3g of the %.3g that decide.",
			c.New.Version, c.New.Failed, c.New.Rounds, c.Stable.Version, c.Stable.Failed, c.Stable.Rounds, counts.Evidence.E, counts.Evidence.Threshold))
	case int64(c.Paired) < floor:
		c.Verdict = health.Hold
		c.Reasons = append(c.Reasons, fmt.Sprintf("%d of the %d rounds that a pass needs; %s failed in %d of them, %s in %d.", c.Paired, floor, c.New.Version, c.New.Failed, c.Stable.Version, c.Stable.Failed))
	default:
		c.Reasons = append(c.Reasons, fmt.Sprintf("%s fails in %d of %d rounds, %s in %d of %d: no evidence of harm.",
			c.New.Version, c.New.Failed, c.New.Rounds, c.Stable.Version, c.Stable.Failed, c.Stable.Rounds))
	}
	if c.New.Median == 0 || c.Stable.Median == 0 {
		return
	}
	ratio := fmt.Sprintf("%s takes %s in the median, %s %s (%.2f times; tolerated %.3g)", c.New.Version, Millis(c.New.Median), c.Stable.Version, Millis(c.Stable.Median),
		c.New.Median/c.Stable.Median, c.MaxRatio)
	if times.Verdict == health.Fail {
		c.Verdict = health.Fail
		c.Reasons = append(c.Reasons, fmt.Sprintf("%s; evidence %.3g of the %.3g that decide.", ratio, times.Evidence.E, times.Evidence.Threshold))
		return
	}
	c.Reasons = append(c.Reasons, ratio+".")
}

func (s *Side) add(p Point, took *[]float64) {
	s.Rounds++
	if !p.OK {
		s.Failed++
		return
	}
	*took = append(*took, p.Seconds)
}

func (s *Side) quantiles(took []float64) {
	slices.Sort(took)
	s.Median, s.P90 = quantile(took, 0.5), quantile(took, 0.9)
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func countOf(p Point) *health.Counts {
	c := &health.Counts{Requests: 1}
	if !p.OK {
		c.Bad = 1
	}
	return c
}

// pairsOf are the rounds of both sides that the same prober began within half an interval of each other, in order.
func pairsOf(p resource.Probe, now, stable map[string]*View) []pair {
	near := time.Duration(p.Every) / 2
	var all []pair
	for _, prober := range p.From {
		a, b := now[prober], stable[prober]
		if a == nil || b == nil {
			continue
		}
		j := 0
		for _, x := range a.Points {
			for j < len(b.Points) && b.Points[j].At.Before(x.At.Add(-near)) {
				j++
			}
			if j < len(b.Points) && !b.Points[j].At.After(x.At.Add(near)) {
				all = append(all, pair{x.At, x, b.Points[j]})
				j++
			}
		}
	}
	slices.SortStableFunc(all, func(x, y pair) int { return x.at.Compare(y.at) })
	return all
}

// Millis writes seconds as people read them.
func Millis(s float64) string {
	switch {
	case s < 0.01:
		return fmt.Sprintf("%.2g ms", 1000*s)
	case s < 1:
		return fmt.Sprintf("%.0f ms", 1000*s)
	}
	return fmt.Sprintf("%.2f s", s)
}

// Availability is the share of good rounds since a time, and how many there were.
func (v *View) Availability(since time.Time) (share float64, rounds int) {
	good := 0
	for _, h := range v.Hours {
		if !h.Start.Add(time.Hour).Before(since) {
			good, rounds = good+h.Good, rounds+h.Good+h.Bad
		}
	}
	if rounds == 0 {
		return 0, 0
	}
	return float64(good) / float64(rounds), rounds
}

// Median is the middle of some values, 0 of none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return quantile(sorted, 0.5)
}
