package agent

import (
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

func TestNextPhase(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	drain, cordon := &fleet.Rest{Drain: true, Wait: fleet.Dur(10 * time.Second)}, &fleet.Rest{}
	for _, c := range []struct {
		name     string
		wanted   *fleet.Rest
		phase    string
		passed   time.Duration
		inFlight int64
		ready    bool
		want     string
	}{
		{"nothing asked", nil, fleet.Serving, 0, 5, true, fleet.Serving},
		{"nothing new is no leaving", cordon, fleet.Serving, 0, 5, true, fleet.Serving},
		{"drained", drain, fleet.Serving, 0, 5, true, fleet.Leaving},
		{"load balancers need a while, idle or not", drain, fleet.Leaving, 9 * time.Second, 0, true, fleet.Leaving},
		{"what is in flight is waited for", drain, fleet.Leaving, 11 * time.Second, 1, true, fleet.Leaving},
		{"not for ever", drain, fleet.Leaving, 10*time.Second + drainLimit, 1, true, fleet.Resting},
		{"idle", drain, fleet.Leaving, 10 * time.Second, 0, true, fleet.Resting},
		{"changed their mind", nil, fleet.Leaving, time.Second, 3, true, fleet.Serving},
		{"rests", drain, fleet.Resting, time.Hour, 0, false, fleet.Resting},
		{"returns", nil, fleet.Resting, time.Hour, 0, false, fleet.Returning},
		{"drain turned into nothing new", cordon, fleet.Resting, time.Hour, 0, false, fleet.Returning},
		{"not before all are ready", nil, fleet.Returning, time.Minute, 0, false, fleet.Returning},
		{"ready", nil, fleet.Returning, time.Second, 0, true, fleet.Serving},
		{"one that cannot start keeps nobody waiting for ever", nil, fleet.Returning, returnLimit, 0, false, fleet.Serving},
		{"drained again", drain, fleet.Returning, time.Second, 0, false, fleet.Leaving},
	} {
		r := rest{wanted: c.wanted, phase: c.phase, since: now.Add(-c.passed)}
		if got := r.next(c.inFlight, c.ready, now); got != c.want {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
}
