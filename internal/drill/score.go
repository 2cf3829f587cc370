package drill

import (
	"encoding/json"
	"fmt"
	"math"
	"text/tabwriter"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/errs"
)

// Result is what came of a drill.
type Result struct {
	Faults  []Score       `json:"faults"`
	Stray   []alert.Alert `json:"strayAlerts,omitempty"` // of services with which nothing was wrong yet
	Healthy *Healthy      `json:"healthy,omitempty"`
}

// Score is what came of one fault.
type Score struct {
	Fault    string   `json:"fault"`
	About    string   `json:"about"`
	Detected bool     `json:"detected"`
	Seconds  *float64 `json:"timeToDetectSeconds"` // from when it began to hurt
	By       string   `json:"by,omitempty"`
	Cause    string   `json:"cause,omitempty"` // the first-ranked of its incident
	Ref      string   `json:"ref,omitempty"`
	Share    float64  `json:"share,omitempty"` // of the odds
	Why      string   `json:"why,omitempty"`
	Right    bool     `json:"causeIsRight"`
}

// missed is how many causes may be wrong: one of ten.
const missed = 0.1

func (r *run) conclude() error {
	for _, t := range r.faults {
		s := Score{Fault: t.name, About: t.about, Detected: !t.seen.At.IsZero(), By: t.seen.By}
		if s.Detected {
			sec := math.Round(t.seen.At.Sub(t.start).Seconds()*10) / 10
			s.Seconds = &sec
		}
		if t.cause.ID != "" {
			s.Cause, s.Ref, s.Why, s.Right = t.cause.Title, t.cause.Ref, t.cause.Why, t.right(t, t.cause)
			if t.spec.calls != "" && t.cause.Incident == t.spec.calls {
				s.Cause = "in " + t.spec.calls + ": " + s.Cause // the incident is of what it calls
			}
			s.Share = math.Round(100*t.cause.Share) / 100
		}
		r.result.Faults = append(r.result.Faults, s)
	}
	if r.JSON {
		enc := json.NewEncoder(r.Out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r.result); err != nil {
			return err
		}
		return r.result.goal()
	}
	r.result.print(r)
	return r.result.goal()
}

func (s Result) tally() (detected, right int) {
	for _, f := range s.Faults {
		if f.Detected {
			detected++
		}
		if f.Right {
			right++
		}
	}
	return detected, right
}

// goal says what was missed.
func (s Result) goal() error {
	detected, right := s.tally()
	n := len(s.Faults)
	switch {
	case detected < n:
		return errs.E(errs.Conflict, "goal missed: %d of %d faults were detected", detected, n)
	case float64(n-right) > missed*float64(n):
		return errs.E(errs.Conflict, "goal missed: the cause was first in %d of %d", right, n)
	case len(s.Stray) > 0:
		return errs.E(errs.Conflict, "goal missed: %d alerts of services with which nothing was wrong", len(s.Stray))
	case s.Healthy != nil && len(s.Healthy.Alarms) > 0:
		return errs.E(errs.Conflict, "goal missed: %d false alarms in healthy hours", len(s.Healthy.Alarms))
	}
	return nil
}

func (s Result) print(r *run) {
	told := func(all []alert.Alert) {
		for _, a := range all {
			fmt.Fprintf(r.Out, "  %s %v: %s\n", a.StartsAt.Format("15:04:05"), a.Labels, a.Annotations[alert.Summary])
		}
	}
	if n := len(s.Faults); n > 0 {
		w := tabwriter.NewWriter(r.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "\nFAULT\tDETECTED\tBY\tFIRST-RANKED CAUSE\tODDS\tRIGHT\n")
		for _, f := range s.Faults {
			seen, share := "no", ""
			if f.Detected {
				seen = fmt.Sprintf("%.0f s", *f.Seconds)
			}
			if f.Cause != "" {
				share = fmt.Sprintf("%.0f %%", 100*f.Share)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.About, seen, f.By, clip(f.Cause, 60), share, map[bool]string{true: "yes", false: "no"}[f.Right])
		}
		_ = w.Flush()
		detected, right := s.tally()
		fmt.Fprintf(r.Out, "\n%d of %d faults detected, the cause first in %d; %d alerts of services with which nothing was wrong\n", detected, n, right, len(s.Stray))
		told(s.Stray)
	}
	if h := s.Healthy; h != nil {
		fmt.Fprintf(r.Out, "%.0f healthy hours, simulated: %.0f requests, %d deployments, restarts and blips, %d rules, %d false alarms\n", h.Hours, h.Requests, h.Events, h.Rules, len(h.Alarms))
		told(h.Alarms)
	}
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
