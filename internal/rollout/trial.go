package rollout

import (
	"fmt"

	"github.com/ringfence/ringfence/internal/health"
)

// Trial is one gate in one ring and the evidence so far.
type Trial struct {
	Gate    health.Gate
	Process *health.Process // nil when nothing is left to compare with and there is no limit
	Seen    int64           // requests to the new version
}

// Add takes the next sample.
func (t *Trial) Add(s health.Sample) error {
	if s.Canary != nil {
		t.Seen += s.Canary.Requests
	}
	if t.Process == nil {
		return nil
	}
	return t.Process.Add(s)
}

// Judgement is the process's, or without one that enough requests were seen: its comparison was made in the rings before.
func (t *Trial) Judgement() health.Judgement {
	if t.Process != nil {
		return t.Process.Judgement()
	}
	more := max(0, *t.Gate.MinRequests-t.Seen)
	j := health.Judgement{Gate: t.Gate, Verdict: health.Pass, Evidence: health.Evidence{PValue: 1, Threshold: 1 / t.Gate.Alpha, CanaryRequests: t.Seen, MoreRequests: more},
		Reasons: []string{fmt.Sprintf("%s: everyone has the new version, so nothing is left to compare with", t.Gate.Signal)}}
	if more > 0 {
		j.Verdict, j.Reasons = health.Hold, append(j.Reasons, fmt.Sprintf("%d more requests are needed", more))
	}
	return j
}
