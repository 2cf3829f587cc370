package outcome

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Catalog has releases. Errors: errs.Missing.
type Catalog interface {
	Release(ctx context.Context, service, version string) (resource.Release, error)
}

// Events sum up what users did.
type Events interface {
	Sum(ctx context.Context, q Question) (Answer, error)
}

// Question asks what the users did who had versions of a service in a time.
type Question struct {
	Flag         string
	Since, Until time.Time
	Metric       resource.ExperimentMetric
}

// Answer is what they did.
type Answer struct {
	Versions []experiment.Summary
	Several  int64
}

// Flag is the name under which events say which version of a service a user had.
func Flag(service string) string { return "release:" + service }

// Side is one version.
type Side struct {
	Version string   `json:"version"`
	Users   int64    `json:"users"`
	Value   *float64 `json:"value,omitempty" doc:"the metric: the share of users with the event, or the mean of a user"`
}

// Report is what became of a hypothesis.
type Report struct {
	Hypothesis string                    `json:"hypothesis"`
	Metric     resource.ExperimentMetric `json:"metric"`
	Ring       string                    `json:"ring,omitempty" doc:"the stage that is compared"`
	Since      time.Time                 `json:"since,omitzero"`
	Until      time.Time                 `json:"until,omitzero"`
	New        Side                      `json:"new"`
	Before     Side                      `json:"before"`
	Several    int64                     `json:"several,omitempty" doc:"users who had both, and are left out"`
	Effect     *float64                  `json:"effect,omitempty" doc:"the difference in units of the metric: of a share, 0.05 is 5 points more"`
	Low        *float64                  `json:"low,omitempty" doc:"of the 95 % interval, which may be looked at any time"`
	High       *float64                  `json:"high,omitempty"`
	Verdict    string                    `json:"verdict" enum:"confirmed,refuted,open" doc:"what the interval says of the hypothesis"`
	Says       string                    `json:"says" doc:"the same in a sentence"`
	Caution    string                    `json:"caution,omitempty" doc:"why what differs may be the users"`
}

// The verdicts.
const (
	Confirmed = "confirmed"
	Refuted   = "refuted"
	Open      = "open"
)

// least is how many users of each version are read at least.
const least = 30

// Outcomes reads them.
type Outcomes struct {
	Catalog Catalog
	Events  Events
}

// Of reads what became of the hypothesis of a rollout's release; nil when it states none.
func (o Outcomes) Of(ctx context.Context, s rollout.State, now time.Time) (*Report, error) {
	if flag.IsSubject(s.Service) {
		return nil, nil
	}
	slot := resource.SlotOf(s.To)
	rel, err := o.Catalog.Release(ctx, s.Service, slot.Version)
	if errs.Is(err, errs.Missing) || err == nil && rel.Hypothesis == "" && rel.Metric == nil {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	r := &Report{Hypothesis: rel.Hypothesis, New: Side{Version: s.To}, Before: Side{Version: s.From}, Verdict: Open}
	switch {
	case rel.Metric == nil:
		r.Says = "no metric is stated in which it would show"
		return r, nil
	case s.From == "":
		r.Metric, r.Says = *rel.Metric, "it is the first version: there is none to compare with"
		return r, nil
	}
	r.Metric = *rel.Metric
	if !r.stage(s, now) {
		r.Says = "no ring has had both versions yet"
		return r, nil
	}
	a, err := o.Events.Sum(ctx, Question{Flag: Flag(s.Service), Since: r.Since, Until: r.Until, Metric: r.Metric})
	if err != nil {
		return nil, err
	}
	r.read(a)
	return r, nil
}

// stage finds the last time in which both versions had users.
func (r *Report) stage(s rollout.State, now time.Time) bool {
	for i, st := range slices.Backward(s.Stages) {
		all := i == len(s.Rings)-1 && s.Spared == 0 && st.Ring == s.Rings[len(s.Rings)-1].Name
		if all || st.Baking.IsZero() {
			continue
		}
		r.Ring, r.Since, r.Until = st.Ring, st.Baking, now
		for _, end := range []time.Time{st.Left, s.BackAt, s.Ended} {
			if !end.IsZero() && end.Before(r.Until) && end.After(r.Since) {
				r.Until = end
			}
		}
		for _, ring := range s.Members[:min(i+1, len(s.Members))] {
			if ring.Percent == 0 {
				r.Caution = fmt.Sprintf("ring %s is chosen, not drawn by chance: what differs may be its users", ring.Name)
			}
		}
		return true
	}
	return false
}

func (r *Report) read(a Answer) {
	sums := [2]experiment.Summary{{Name: r.Before.Version}, {Name: r.New.Version}}
	for _, v := range a.Versions {
		for i := range sums {
			if v.Name == sums[i].Name {
				sums[i] = v
			}
		}
	}
	r.Before.Users, r.New.Users, r.Several = sums[0].N, sums[1].N, a.Several
	for i, side := range []*Side{&r.Before, &r.New} {
		if sums[i].N > 0 {
			v := sums[i].Mean[experiment.Value]
			side.Value = &v
		}
	}
	kind := experiment.Kind(cmp.Or(r.Metric.Kind, string(experiment.Proportion)))
	name := cmp.Or(r.Metric.Name, r.Metric.Event)
	spec := experiment.Spec{Hypothesis: r.Hypothesis, Minimum: least, Tuning: 500, Difference: experiment.Absolute,
		Variants: []experiment.Variant{{Name: r.Before.Version, Weight: float64(max(1, sums[0].N))}, {Name: r.New.Version, Weight: float64(max(1, sums[1].N))}}, // rings have the sizes that they have
		Primary:  experiment.Metric{Name: name, Kind: kind, Direction: experiment.Direction(r.Metric.Direction), Quantile: quantileOf(r.Metric, kind)}}
	report, err := experiment.Analyze(spec, experiment.Data{Metrics: map[string][]experiment.Summary{name: sums[:]}, Users: []int64{sums[0].N, sums[1].N}})
	if err != nil || len(report.Metrics) == 0 || len(report.Metrics[0].Treatments) == 0 {
		r.Says = "it cannot be read"
		if err != nil {
			r.Says += ": " + err.Error()
		}
		return
	}
	r.judge(report.Metrics[0].Treatments[0], name)
}

func quantileOf(m resource.ExperimentMetric, kind experiment.Kind) float64 {
	if kind == experiment.Quantile {
		return cmp.Or(m.Quantile, 0.95)
	}
	return 0
}

func (r *Report) judge(c experiment.Comparison, name string) {
	if min(r.New.Users, r.Before.Users) < least {
		r.Says = fmt.Sprintf("%d users had %s and %d had %s; at least %d of each are read", r.New.Users, r.New.Version, r.Before.Users, r.Before.Version, least)
		return
	}
	if c.Effect == nil || c.CI == nil {
		r.Says = cmp.Or(c.Problem, "there is no estimate yet")
		return
	}
	low, high := c.CI[0], c.CI[1]
	if r.Effect = c.Effect; math.IsInf(low, 0) || math.IsInf(high, 0) {
		r.Says = "there are too few users for an interval yet"
		return
	}
	r.Low, r.High = &low, &high
	words := fmt.Sprintf("%s differs by %s (95 %% interval %s to %s)", name, r.change(*c.Effect), r.change(low), r.change(high))
	switch better := r.Metric.Direction != "decrease"; {
	case better && low > 0 || !better && high < 0:
		r.Verdict, r.Says = Confirmed, words+": as was expected"
	case better && high < 0 || !better && low > 0:
		r.Verdict, r.Says = Refuted, words+": against what was expected"
	default:
		r.Says = words + ": neither is shown"
	}
}

// Written is a value of the metric as people read it.
func (r *Report) Written(x float64) string {
	if k := r.Metric.Kind; k == "" || k == string(experiment.Proportion) {
		return fmt.Sprintf("%.3g %%", 100*x)
	}
	return fmt.Sprintf("%.4g", x)
}

// change is a difference: of a share in points of a hundred.
func (r *Report) change(x float64) string {
	if k := r.Metric.Kind; k == "" || k == string(experiment.Proportion) {
		return fmt.Sprintf("%+.3g points", 100*x)
	}
	return fmt.Sprintf("%+.4g", x)
}
