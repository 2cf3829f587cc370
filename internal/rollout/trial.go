package rollout

import (
	"fmt"

	"github.com/ringfence/ringfence/internal/health"
)

// Trial is one gate in one ring and the evidence so far. Which process it has depends on the gate's signal; none when
// nothing is left to compare with and there is no limit.
type Trial struct {
	Gate     Gate
	Process  *health.Process
	Quantile *health.Quantile
	Readings *health.Readings
	Ranks    *health.Ranks
	Seen     int64 // requests to the new version
}

func newTrial(g Gate) Trial {
	t := Trial{Gate: g}
	switch g.Signal {
	case health.SignalErrors, health.SignalLatency:
		if g.Judges() {
			t.Process = health.NewProcess(g.Gate)
		}
	case health.SignalQuantile:
		if g.Compare != health.CompareNone || g.Max != nil {
			t.Quantile = health.NewQuantile(g.Gate)
		}
	case health.SignalSeries:
		t.Ranks = health.NewRanks(g.Gate)
	default:
		t.Readings = health.NewReadings(g.Gate)
	}
	return t
}

// Add takes the next sample of counts.
func (t *Trial) Add(s health.Sample) error {
	if s.Canary != nil {
		t.Seen += s.Canary.Requests
	}
	if t.Process == nil {
		return nil
	}
	return t.Process.Add(s)
}

// AddHistogram takes the next sample of latencies.
func (t *Trial) AddHistogram(s health.HistogramSample) error {
	if s.Canary != nil {
		for _, n := range s.Canary.Counts {
			t.Seen += n
		}
	}
	if t.Quantile == nil {
		return nil
	}
	return t.Quantile.Add(s)
}

// Judgement is the process's, or without one that enough requests were seen: its comparison was made in the rings before.
func (t *Trial) Judgement() health.Judgement {
	switch {
	case t.Process != nil:
		return t.Process.Judgement()
	case t.Quantile != nil:
		return t.Quantile.Judgement()
	case t.Readings != nil:
		return t.Readings.Judgement()
	case t.Ranks != nil:
		return t.Ranks.Judgement()
	}
	more := int64(0)
	if t.Gate.MinRequests != nil {
		more = max(0, *t.Gate.MinRequests-t.Seen)
	}
	j := health.Judgement{Gate: t.Gate.Gate, Verdict: health.Pass, Evidence: health.Evidence{PValue: 1, Threshold: 1 / t.Gate.Alpha, CanaryRequests: t.Seen, MoreRequests: more},
		Reasons: []string{fmt.Sprintf("%s: everyone has the new version, so nothing is left to compare with", t.Gate.Signal)}}
	if more > 0 {
		j.Verdict, j.Reasons = health.Hold, append(j.Reasons, fmt.Sprintf("%d more requests are needed", more))
	}
	return j
}
