package resource

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/fleet"
)

// FlagSet is a set of flags: a document in flagd's format with what flagd has no words for. Package flag, which builds on
// this one, reads and judges it.
type FlagSet struct{ json.RawMessage }

// exposes is what of a flag, or of an override of it, names another resource.
type exposes struct {
	Exposure *struct {
		Plan string `json:"plan"`
	} `json:"exposure"`
}

// refs are the references of a set; of one that cannot be read there are none to dangle.
func (s FlagSet) refs() []Ref {
	var set struct {
		Service   string `json:"service"`
		Reviewers map[string]struct {
			From []string `json:"from"`
		} `json:"reviewers"`
		Flags map[string]struct {
			exposes
			Environments map[string]exposes `json:"environments"`
		} `json:"flags"`
	}
	if json.Unmarshal(s.RawMessage, &set) != nil {
		return nil
	}
	var refs []Ref
	if set.Service != "" {
		refs = append(refs, Ref{"spec.service", KindService, set.Service})
	}
	for _, env := range slices.Sorted(maps.Keys(set.Reviewers)) {
		for i, g := range set.Reviewers[env].From {
			refs = append(refs, Ref{item(field(field("spec.reviewers", env), "from"), i), KindGroup, g})
		}
	}
	plan := func(e exposes, path string) {
		if e.Exposure != nil && e.Exposure.Plan != "" {
			refs = append(refs, Ref{path + ".exposure.plan", KindRingPlan, e.Exposure.Plan})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(set.Flags)) {
		f, at := set.Flags[key], field("spec.flags", key)
		plan(f.exposes, at)
		for _, env := range slices.Sorted(maps.Keys(f.Environments)) {
			plan(f.Environments[env], field(at+".environments", env))
		}
	}
	return refs
}

// Experiment asks whether a variant of a flag is worth it.
type Experiment struct {
	Flag        string             `json:"flag" maxLength:"300" doc:"the flag, as set/key"`
	Environment string             `json:"environment,omitempty" maxLength:"200" doc:"where it runs; default production"`
	Hypothesis  string             `json:"hypothesis" maxLength:"2000" doc:"what is expected of whom, and why"`
	Owner       string             `json:"owner,omitempty" maxLength:"200" doc:"who decides on it"`
	Variants    []ExperimentArm    `json:"variants" minItems:"2" maxItems:"10" doc:"what is compared; the first is the control"`
	Audience    Audience           `json:"audience,omitzero" doc:"who may take part; default everyone"`
	Share       float64            `json:"share,omitempty" minimum:"0.01" maximum:"100" doc:"percent of the audience that takes part; default 100"`
	Primary     ExperimentMetric   `json:"primary" doc:"the metric that decides"`
	Secondary   []ExperimentMetric `json:"secondary,omitempty" maxItems:"20" doc:"metrics that help to understand"`
	Guardrails  []ExperimentMetric `json:"guardrails,omitempty" maxItems:"20" doc:"metrics that must not get worse; one that does takes the variant back"`
	Method      string             `json:"method,omitempty" enum:"sequential,welch,bayesian" doc:"sequential may be looked at any time (default); welch once, at the planned size; bayesian gives chances"`
	Difference  string             `json:"difference,omitempty" enum:"relative,absolute" doc:"what an effect is told as; default relative"`
	Alpha       float64            `json:"alpha,omitempty" minimum:"0.0001" maximum:"0.2" doc:"bound on false alarms; default 0.05"`
	Power       float64            `json:"power,omitempty" minimum:"0.5" maximum:"0.99" doc:"chance to see the minimum effect; default 0.8"`
	Correction  string             `json:"correction,omitempty" enum:"holm,benjamini-hochberg,none" doc:"for several secondary metrics and variants; default benjamini-hochberg"`
	Users       int64              `json:"users,omitempty" minimum:"1" doc:"users for each variant to decide on; default what the minimum effect needs"`
	MaxDuration fleet.Dur          `json:"maxDuration,omitempty" doc:"after which it is read for the last time; default 672h, four weeks"`
	Group       *ExclusiveGroup    `json:"group,omitempty" doc:"experiments of one group share no user"`
	Holdout     *Holdout           `json:"holdout,omitempty" doc:"users kept out of all experiments that name it"`
}

// ExperimentArm is one variant and its part of the participants.
type ExperimentArm struct {
	Variant string `json:"variant" maxLength:"200" doc:"a variant of the flag"`
	Weight  int    `json:"weight,omitempty" minimum:"1" maximum:"10000" doc:"its part; default 1"`
}

// ExperimentMetric says what is measured of each user after they were exposed.
type ExperimentMetric struct {
	Name          string    `json:"name,omitempty" maxLength:"200" doc:"for people; default the event"`
	Kind          string    `json:"kind,omitempty" enum:"proportion,mean,ratio,quantile" doc:"share of users with the event (default); sum of its values for each user; sum over sum of another event; a quantile of the values"`
	Event         string    `json:"event" maxLength:"200" doc:"name of the metric event"`
	Denominator   string    `json:"denominator,omitempty" maxLength:"200" doc:"of a ratio, the event below the line"`
	Quantile      float64   `json:"quantile,omitempty" minimum:"0.01" maximum:"0.999" doc:"of a quantile; default 0.95"`
	Direction     string    `json:"direction,omitempty" enum:"increase,decrease" doc:"which way is better; default increase"`
	MinimumEffect float64   `json:"minimumEffect,omitempty" minimum:"0.0001" maximum:"10" doc:"of the primary metric, the smallest relative effect worth seeing; default 0.05"`
	Margin        float64   `json:"margin,omitempty" minimum:"0" maximum:"1" doc:"of a guardrail, how much worse is put up with, relative; default 0"`
	Window        fleet.Dur `json:"window,omitempty" doc:"only events this soon after the exposure; default all"`
	Cap           float64   `json:"cap,omitempty" minimum:"0" doc:"a user's value counts at most this much; default no limit"`
	Before        fleet.Dur `json:"before,omitempty" doc:"the same metric this long before the exposure makes the comparison finer (CUPED); default none"`
}

// ExclusiveGroup is a part of the users that experiments of the same group share out among them.
type ExclusiveGroup struct {
	Name string  `json:"name" maxLength:"100" doc:"the same for all that exclude each other"`
	From float64 `json:"from" minimum:"0" maximum:"100" doc:"percent at which this experiment's part begins"`
	To   float64 `json:"to" minimum:"0" maximum:"100" doc:"percent at which it ends"`
}

// Holdout is a part of the users who are kept out.
type Holdout struct {
	Name    string  `json:"name" maxLength:"100" doc:"the same for all that leave out the same users"`
	Percent float64 `json:"percent" minimum:"0.01" maximum:"50" doc:"of all users"`
}

// Set is the flag set of the experiment's flag, and Key the flag's key in it.
func (e Experiment) Set() string { set, _, _ := strings.Cut(e.Flag, "/"); return set }

// Key is the flag's key in its set.
func (e Experiment) Key() string { _, key, _ := strings.Cut(e.Flag, "/"); return key }

func (p *problems) experiment(e *Experiment, rule RuleCheck) {
	p.need(e.Set() != "" && e.Key() != "", "spec.flag", "set/key", "%q names no flag", clip(e.Flag))
	p.need(e.Hypothesis != "", "spec.hypothesis", "what is expected", "is empty")
	seen := map[string]bool{}
	for i, a := range e.Variants {
		p.need(a.Variant != "" && !seen[a.Variant], item("spec.variants", i)+".variant", "each variant once", "%q is empty or stands twice", clip(a.Variant))
		seen[a.Variant] = true
	}
	if !e.Audience.Everyone() {
		p.audience(e.Audience, "spec.audience", rule, 0)
	}
	p.measure(e.Primary, "spec.primary")
	for i, m := range e.Secondary {
		p.measure(m, item("spec.secondary", i))
	}
	for i, m := range e.Guardrails {
		p.measure(m, item("spec.guardrails", i))
	}
	if g := e.Group; g != nil {
		p.name(g.Name, "spec.group.name")
		p.need(g.From < g.To, "spec.group.to", "more than from", "is %g", g.To)
	}
	if h := e.Holdout; h != nil {
		p.name(h.Name, "spec.holdout.name")
	}
}

func (p *problems) measure(m ExperimentMetric, at string) {
	p.need(m.Event != "", at+".event", "the name of an event", "is empty")
	p.need((m.Kind == "ratio") == (m.Denominator != ""), at+".denominator", "an event for a ratio, and for nothing else", "is %q with kind %q", clip(m.Denominator), m.Kind)
	p.need(m.Quantile == 0 || m.Kind == "quantile", at+".quantile", "only with kind quantile", "is %g", m.Quantile)
}
