package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"text/tabwriter"
	"time"

	"github.com/ringfence/ringfence/internal/rollout"
)

// Summary is what came of the demo.
type Summary struct {
	Rollouts []Outcome `json:"rollouts"`
	Traffic  Counts    `json:"traffic"`
	Ready    struct {
		Seconds float64 `json:"seconds"`
	} `json:"ready"`
}

// Outcome is what came of one release.
type Outcome struct {
	Version              string   `json:"version"`
	Outcome              string   `json:"outcome"`               // succeeded or rolledBack
	Rings                []Ring   `json:"rings"`                 // those that got it
	TimeToDetect         *float64 `json:"timeToDetectSeconds"`   // from the first bad event; null when none
	TimeToMitigate       *float64 `json:"timeToMitigateSeconds"` // from the first bad event until no user got it any more
	ExposedUsers         int64    `json:"exposedUsers"`
	RequestsToBadVersion int64    `json:"requestsToBadVersion"` // 0 for a version that is not bad
	Reason               string   `json:"reason"`
}

// Ring is what happened in one ring.
type Ring struct {
	Name         string  `json:"name"`
	ExposedUsers int64   `json:"exposedUsers"`
	Seconds      float64 `json:"seconds"`
	Verdict      string  `json:"verdict"`
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// note adds what came of a release to the summary.
func (r *run) note(ctx context.Context, rel release, s rollout.State) error {
	o := Outcome{Version: rel.version, Outcome: string(s.Phase), Rings: []Ring{}, Reason: s.Reason}
	for _, st := range s.Stages {
		o.Rings = append(o.Rings, Ring{Name: st.Ring, ExposedUsers: st.Users, Seconds: seconds(st.Left.Sub(st.Exposed)), Verdict: string(st.Verdict)})
		o.ExposedUsers += st.Users
	}
	if !s.HaltedAt.IsZero() {
		detect, mitigate := seconds(s.HaltedAt.Sub(s.HurtAt)), seconds(s.SafeAt.Sub(s.HurtAt))
		o.TimeToDetect, o.TimeToMitigate = &detect, &mitigate
	}
	if rel.outcome != rollout.Succeeded {
		n, err := r.requestsTo(ctx, rel.version)
		if err != nil {
			return err
		}
		o.RequestsToBadVersion = n
	}
	r.summary.Rollouts = append(r.summary.Rollouts, o)
	return nil
}

// requestsTo asks the metrics how many requests a version got, once they were collected after its end.
func (r *run) requestsTo(ctx context.Context, version string) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(time.Second): // two scrapes
	}
	n, err := r.client.Query(ctx, fmt.Sprintf(`sum(ringfence_requests_total{service=%q,version=%q})`, service, version))
	return int64(math.Round(n)), err
}

// conclude prints the summary and says which promises were broken.
func (r *run) conclude(context.Context) error {
	r.summary.Traffic = r.traffic.Counts()
	broken := r.broken()
	if r.JSON {
		enc := json.NewEncoder(r.Out)
		enc.SetIndent("", "  ")
		return errors.Join(enc.Encode(r.summary), broken)
	}
	w := tabwriter.NewWriter(r.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nVERSION\tOUTCOME\tRINGS\tUSERS\tDETECTED\tMITIGATED\tREQUESTS TO A BAD VERSION\n")
	for _, o := range r.summary.Rollouts {
		rings := "none"
		if n := len(o.Rings); n > 0 {
			rings = fmt.Sprintf("%s … %s", o.Rings[0].Name, o.Rings[n-1].Name)
			if n == 1 {
				rings = o.Rings[0].Name
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%d\n", o.Version, o.Outcome, rings, o.ExposedUsers, after(o.TimeToDetect), after(o.TimeToMitigate), o.RequestsToBadVersion)
	}
	_ = w.Flush()
	t := r.summary.Traffic
	fmt.Fprintf(r.Out, "\n%d requests; %d failed by the service; %d failed by Ringfence\n", t.Requests, t.FailedByService, t.FailedByRingfence)
	return broken
}

func after(s *float64) string {
	if s == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f s", *s)
}

// broken checks what was promised.
func (r *run) broken() error {
	var all []error
	promise := func(kept bool, format string, args ...any) {
		if !kept {
			all = append(all, fmt.Errorf("promise broken: "+format, args...))
		}
	}
	for i, rel := range releases {
		o := r.summary.Rollouts[i]
		promise(o.Outcome == string(rel.outcome), "%s ended as %s, not %s: %s", o.Version, o.Outcome, rel.outcome, o.Reason)
	}
	good, bad, unready := r.summary.Rollouts[0], r.summary.Rollouts[1], r.summary.Rollouts[2]
	promise(len(good.Rings) == 4, "v2 passed %d rings of 4", len(good.Rings))
	promise(len(bad.Rings) > 0 && len(bad.Rings) < 4 && bad.ExposedUsers < users/2, "v3 reached %d rings and %d users", len(bad.Rings), bad.ExposedUsers)
	promise(unready.RequestsToBadVersion == 0 && len(unready.Rings) == 0, "v4 got %d requests", unready.RequestsToBadVersion)
	t := r.summary.Traffic
	promise(t.FailedByRingfence == 0, "Ringfence failed %d of %d requests, the first: %s", t.FailedByRingfence, t.Requests, r.traffic.FirstLoss())
	promise(t.Requests > 1000, "only %d requests were sent", t.Requests)
	promise(r.summary.Ready.Seconds <= 1, "ready after %.2f s", r.summary.Ready.Seconds)
	return errors.Join(all...)
}
