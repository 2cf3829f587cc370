package crash

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/rollout"
)

// TestStorm kills the planes at random moments of rollouts under traffic: RINGFENCE_STORM times, else a few.
// Half of the kills hit the control plane alone, and until then no request may be failed by Ringfence.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("a storm takes its time")
	}
	kills := 12
	if n, err := strconv.Atoi(os.Getenv("RINGFENCE_STORM")); err == nil {
		kills = n
	}
	r := newRig(t)
	if s := r.release("v0", "v0"); s.Phase != rollout.Succeeded {
		t.Fatalf("the first release ended as %s: %s", s.Phase, s.Reason)
	}
	stop := r.drive()
	n := 0
	releases := r.storm(&n, kills/2, func() string { return "server" })
	seen := stop()
	if seen.FailedByRingfence != 0 {
		t.Errorf("with only the control plane killed, Ringfence failed %d of %d requests, the first: %s", seen.FailedByRingfence, seen.Requests, r.traffic.FirstLoss())
	}
	if seen.Requests < 1000 {
		t.Errorf("only %d requests were sent", seen.Requests)
	}
	stop = r.drive()
	releases += r.storm(&n, kills-kills/2, func() string { return []string{"server", "dataplane"}[rand.IntN(2)] })
	both := stop()
	t.Logf("%d rollouts; control plane killed: %d requests, %d failed by Ringfence; both killed: %d requests, %d failed by Ringfence",
		releases, seen.Requests, seen.FailedByRingfence, both.Requests, both.FailedByRingfence)
	r.checkRecord(releases + 1)
}

// storm releases good and bad versions in turn while a killer strikes, until it has struck often enough.
func (r *rig) storm(n *int, kills int, whom func() string) (releases int) {
	var struck atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for struck.Load() < int64(kills) {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(200+rand.IntN(2500)) * time.Millisecond):
			}
			if r.kill(whom()) {
				struck.Add(1)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for struck.Load() < int64(kills) || releases < 2 {
		*n++
		releases++
		kind, want := []string{"good", "bad", "fine"}[*n%3], rollout.Succeeded
		if kind == "bad" {
			want = rollout.RolledBack
		}
		version := "v" + strconv.Itoa(*n) + "-" + kind
		s := r.release(version, kind)
		if s.Phase != want {
			r.t.Fatalf("%s ended as %s, not %s: %s\n%+v", version, s.Phase, want, s.Reason, s.Stages)
		}
		r.noInstanceLost()
	}
	return releases
}

// noInstanceLost checks that the stable version runs with as many instances as it should.
func (r *rig) noInstanceLost() {
	r.await("both instances of the stable version", 30*time.Second, func() bool {
		s, err := r.client().Service(context.Background(), "shop")
		if err != nil {
			return false
		}
		for _, slot := range s.Status.Slots {
			if slot.Version == s.Stable && slot.Ready == 2 {
				return true
			}
		}
		return false
	})
}

// checkRecord reads the whole record: no gap, nothing twice, each rollout's state is what its events lead to.
func (r *rig) checkRecord(rollouts int) {
	events := r.allEvents()
	if err := audit.Verify(0, audit.Genesis, events); err != nil {
		r.t.Fatal(err)
	}
	byRollout := map[string][]audit.Event{}
	for _, e := range events {
		if id, ok := strings.CutPrefix(e.Subject, "rollout/"); ok {
			byRollout[id] = append(byRollout[id], e)
		}
	}
	if len(byRollout) != rollouts {
		r.t.Errorf("%d rollouts are on the record, %d were made", len(byRollout), rollouts)
	}
	for id, events := range byRollout {
		once := map[string]bool{}
		for _, e := range events {
			var data rollout.Event
			if err := json.Unmarshal(e.Data, &data); err != nil {
				r.t.Fatal(err)
			}
			key := e.Type + " " + data.Ring
			if once[key] && e.Type != rollout.EvJudged && e.Type != rollout.EvLost && e.Type != rollout.EvFound {
				r.t.Errorf("%s: %s was recorded twice", id, key)
			}
			once[key] = true
		}
		last := events[len(events)-1].Type
		if events[0].Type != rollout.EvStarted || last != rollout.EvSucceeded && last != rollout.EvRolledBack {
			r.t.Errorf("%s: begins with %s and ends with %s", id, events[0].Type, last)
		}
	}
}

func (r *rig) allEvents() []audit.Event {
	var all []audit.Event
	for after := int64(0); ; {
		page, err := r.client().Events(context.Background(), wire.EventQuery{After: after, Limit: 500})
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, page.Items...)
		if page.Next == 0 {
			return all
		}
		after = page.Next
	}
}
