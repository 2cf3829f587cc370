package replay

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// What became of a rollout in a ring.
const (
	Passed     = "passed"     // it went on to the next ring, or was done
	RolledBack = "rolledBack" // it was taken back
	Halted     = "halted"     // it was stopped where it was
	Waiting    = "waiting"    // nothing was decided until the evidence ends
	Superseded = "superseded" // it was given up for another
	Unreached  = "unreached"  // it would have been stopped in a ring before
)

// Decision is what became of a rollout in a ring, when, and why.
type Decision struct {
	What string     `json:"what" enum:"passed,rolledBack,halted,waiting,superseded,unreached"`
	At   *time.Time `json:"at" doc:"null where nothing was decided"`
	Why  string     `json:"why,omitempty"`
}

// Ring is a ring as it was decided then, and now.
type Ring struct {
	Name    string    `json:"name"`
	Entered time.Time `json:"entered"`
	Users   int64     `json:"users" doc:"who had the new version when it was left"`
	Then    Decision  `json:"then"`
	Now     Decision  `json:"now"`
	Change  string    `json:"change" enum:"same,earlier,later,other" doc:"of now against then"`
	Seconds float64   `json:"seconds" doc:"by how much now is later than then; less than 0 for earlier"`
	Notes   []string  `json:"notes,omitempty"`
}

// Report is a rollout decided again.
type Report struct {
	Rollout string   `json:"rollout"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Gates   []string `json:"gates" doc:"that decide now"`
	Rings   []Ring   `json:"rings"`
	Notes   []string `json:"notes" doc:"what to know about this answer"`
}

// same is how far apart two decisions may be, so long after the ring was entered, and still count as the same: a controller looks
// once a second, and samples come late.
func same(after time.Duration) time.Duration {
	return min(10*time.Second, max(3*time.Second, after/20))
}

// GatesOf are a plan's gates as a rollout has them.
func GatesOf(plan resource.RingPlan) []rollout.Gate {
	return rollout.Planned(resource.Resolved{Gates: plan.Defaults().Gates}).Gates
}

// Run decides again, by the recorded gates or, unless they are nil, by others.
func Run(ev Evidence, others []rollout.Gate) (Report, error) {
	s := ev.Rollout
	gates := others
	if gates == nil {
		gates = s.Gates
	}
	r := Report{Rollout: s.ID, From: s.From, To: s.To, Notes: []string{}, Rings: []Ring{}, Gates: []string{}}
	if err := ev.check(); err != nil {
		return r, err
	}
	if err := ev.covers(gates); err != nil {
		return r, err
	}
	for _, g := range gates {
		r.Gates = append(r.Gates, rollout.Key(g.Gate))
		if outside(g.Signal) {
			r.Notes = append(r.Notes, ev.heard(g))
		}
	}
	events, err := ev.decoded()
	if err != nil {
		return r, err
	}
	stopped := false
	for i, stage := range ev.Stages {
		ring := Ring{Name: stage.Ring, Entered: stage.From, Users: s.Stages[i].Users, Then: then(s, i, events), Notes: stage.Notes}
		if stopped {
			ring.Now = Decision{What: Unreached}
		} else {
			again := newPass(ev, i, s.Gates, events).run()
			ring.Now = again
			if others != nil {
				ring.Now = newPass(ev, i, gates, events).run()
			}
			ring.waitFor(again)
		}
		stopped = stopped || ring.Now.What == RolledBack || ring.Now.What == Halted
		ring.compare()
		r.Rings = append(r.Rings, ring)
	}
	return r, nil
}

func outside(signal string) bool {
	return signal != health.SignalErrors && signal != health.SignalLatency && signal != health.SignalQuantile
}

// check refuses evidence that does not fit together: it may come from a file.
func (ev Evidence) check() error {
	s := ev.Rollout
	switch {
	case s.ID == "" || len(s.Rings) == 0 || len(s.Members) != len(s.Rings):
		return errs.E(errs.Invalid, "evidence: expected a rollout with its rings, as GET /v1/rollouts/{rollout}/evidence answers it")
	case len(s.Stages) != len(ev.Stages):
		return errs.E(errs.Invalid, "evidence: the rollout entered %d rings and there are %d stages", len(s.Stages), len(ev.Stages))
	}
	for i, stage := range ev.Stages {
		if !slices.ContainsFunc(s.Rings, func(r rollout.Ring) bool { return r.Name == stage.Ring }) || s.Stages[i].Ring != stage.Ring {
			return errs.E(errs.Invalid, "stages[%d].ring: %.60q is no ring of the rollout, or not the one it entered then", i, stage.Ring)
		}
		for _, series := range stage.Counts {
			if !slices.IsSortedFunc(series.Samples, func(a, b Counts) int { return a.At.Compare(b.At) }) {
				return errs.E(errs.Invalid, "stages[%d].counts: the samples of %s are not in the order of their time", i, nameOf(series))
			}
		}
	}
	return nil
}

// covers refuses gates on which there is no evidence.
func (ev Evidence) covers(gates []rollout.Gate) error {
	for _, g := range gates {
		for i, stage := range ev.Stages {
			switch g.Signal {
			case health.SignalErrors, health.SignalLatency:
				if _, ok := stage.series(g.Signal, g.Over); !ok {
					return errs.E(errs.Invalid, "gate %s: how many requests took longer than %s s was not counted in this rollout, only %s", rollout.Key(g.Gate), g.Over, stage.recorded()).
						Next("Ask with an over that was counted; the gateway counts the thresholds of the plan in force.")
				}
			case health.SignalQuantile:
				if stage.Histograms == nil && !stage.empty() {
					return errs.E(errs.Invalid, "gate %s: stages[%d] holds no histograms of latency", rollout.Key(g.Gate), i).
						Next("Ask the server, or save the evidence with ?histograms=true.")
				}
			}
		}
	}
	return nil
}

func (stage *Stage) empty() bool {
	return !slices.ContainsFunc(stage.Counts, func(s Series) bool { return len(s.Samples) > 0 })
}

func (stage *Stage) recorded() string {
	var names []string
	for _, s := range stage.Counts {
		names = append(names, nameOf(s))
	}
	return strings.Join(names, ", ")
}

// decoded are the events as rollout knows them.
func (ev Evidence) decoded() ([]rollout.Event, error) {
	var out []rollout.Event
	for _, e := range ev.Events {
		var one rollout.Event
		if len(e.Data) > 0 {
			if err := json.Unmarshal(e.Data, &one); err != nil {
				return nil, errs.Wrap(errs.Invalid, err, "event %d, %s", e.Seq, e.Type)
			}
		}
		one.Type, one.Time = e.Type, e.Time
		if strings.HasPrefix(e.Actor, "user:") {
			one.Actor = e.Actor
		}
		out = append(out, one)
	}
	return out, nil
}

// heard says what is known of a gate that is asked outside.
func (ev Evidence) heard(g rollout.Gate) string {
	for _, e := range ev.Events {
		if strings.Contains(string(e.Data), fmt.Sprintf("%q", rollout.Key(g.Gate))) {
			return fmt.Sprintf("%s (%s) is taken as it was recorded, at changes of the verdict", rollout.Key(g.Gate), g.Signal)
		}
	}
	return fmt.Sprintf("%s (%s) was not recorded and counts as passed", rollout.Key(g.Gate), g.Signal)
}

// then is what was decided in the i-th ring that was entered.
func then(s rollout.State, i int, events []rollout.Event) Decision {
	stage := s.Stages[i]
	at := func(t time.Time) *time.Time { t = t.UTC(); return &t }
	for _, e := range events {
		if e.Time.Before(stage.Exposed) || !stage.Left.IsZero() && e.Time.After(stage.Left) || elsewhere(e, stage.Ring) {
			continue
		}
		switch e.Type {
		case rollout.EvPassed:
			return Decision{Passed, at(e.Time), e.Reason}
		case rollout.EvReverting:
			return Decision{RolledBack, at(e.Time), e.Reason}
		case rollout.EvHalted:
			if stage.Left.IsZero() && s.Halted {
				return Decision{Halted, at(e.Time), e.Reason}
			}
		case rollout.EvSuperseded:
			return Decision{Superseded, at(e.Time), e.Reason}
		}
	}
	return Decision{What: Waiting, Why: s.Reason}
}

// elsewhere says that an event is of another ring: one is left and the next entered in the same moment.
func elsewhere(e rollout.Event, ring string) bool {
	return e.Ring != "" && e.Ring != ring && (e.Type == rollout.EvPassed || e.Type == rollout.EvJudged || e.Type == rollout.EvHalted)
}

// waitFor lets the ring wait as long as it did then for what is not the gates'.
func (r *Ring) waitFor(again Decision) {
	if r.Then.What != Passed || again.What != Passed || r.Then.At.Sub(*again.At) <= same(r.Then.At.Sub(r.Entered)) {
		return
	}
	r.Notes = append(slices.Clone(r.Notes), fmt.Sprintf("its gates were content at %s; what it waited for from then on is taken to last as long again", again.At.Format(time.RFC3339)))
	if r.Now.What == Passed && r.Now.At.Before(*r.Then.At) {
		r.Now.At = r.Then.At
	}
}

func (r *Ring) compare() {
	if r.Then.What != r.Now.What {
		r.Change = "other"
	} else {
		r.Change = "same"
	}
	if r.Then.At == nil || r.Now.At == nil {
		return
	}
	d := r.Now.At.Sub(*r.Then.At)
	r.Seconds = d.Seconds()
	near := same(r.Then.At.Sub(r.Entered))
	switch {
	case r.Change == "other":
	case d > near:
		r.Change = "later"
	case d < -near:
		r.Change = "earlier"
	}
}
