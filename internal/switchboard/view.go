package switchboard

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// View is a flag as it is in an environment.
type View struct {
	Set           string              `json:"set"`
	Key           string              `json:"key"`
	Subject       string              `json:"subject" doc:"its name where services are named"`
	Environment   string              `json:"environment"`
	Environments  []string            `json:"environments,omitempty" doc:"those of the set"`
	Description   string              `json:"description,omitempty"`
	Owner         string              `json:"owner,omitempty"`
	Kind          flag.Kind           `json:"kind,omitempty"`
	Type          string              `json:"type" enum:"any,boolean,string,number,object"`
	Variants      []Variant           `json:"variants"`
	State         string              `json:"state" enum:"enabled,disabled,archived"`
	Default       string              `json:"default,omitempty" doc:"the variant served when nothing else decides; empty for the caller's own"`
	Targeted      bool                `json:"targeted,omitempty" doc:"it has a rule of its own"`
	Expires       time.Time           `json:"expires,omitzero"`
	Prerequisites []flag.Prerequisite `json:"prerequisites,omitempty"`
	Schedule      []flag.Window       `json:"schedule,omitempty"`
	Preview       *flag.Preview       `json:"preview,omitempty"`
	Exposure      *flag.Plan          `json:"exposure,omitempty" doc:"how a variant of it is brought to the users"`
	Everyone      string              `json:"everyone,omitempty" doc:"the variant that rollouts have left everyone with; empty when that is as it is defined"`
	Rollout       *Ramp               `json:"rollout,omitempty" doc:"its newest rollout"`
	Asked         time.Time           `json:"asked,omitzero" doc:"when it was last asked for, as far as that is told"`
	Stale         []flag.Stale        `json:"stale,omitempty" doc:"why it should be looked at"`
	Reviewed      bool                `json:"reviewed,omitempty" doc:"changes of it here need a review"`
}

// Variant is a variant with its value.
type Variant struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

// Ramp says how far a rollout of a flag is.
type Ramp struct {
	ID     string        `json:"id"`
	From   string        `json:"from"`
	To     string        `json:"to"`
	Phase  rollout.Phase `json:"phase"`
	Ring   string        `json:"ring,omitempty" doc:"the outermost ring that has it"`
	Rings  []string      `json:"rings"`
	At     int           `json:"at" doc:"index of that ring; -1 for none"`
	Users  int64         `json:"users" doc:"who got it"`
	Paused bool          `json:"paused,omitempty"`
	Halted bool          `json:"halted,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

// Sets lists the names of all sets.
func (b *Board) Sets(ctx context.Context) ([]string, error) {
	var names []string
	for after := ""; ; {
		rs, err := b.Catalog.List(ctx, resource.KindFlagSet, after, 0)
		if err != nil || len(rs) == 0 {
			return names, err
		}
		for _, r := range rs {
			names = append(names, r.Metadata.Name)
		}
		after = names[len(names)-1]
	}
}

// Flags lists the flags of a set, or of all sets, as they are in an environment.
func (b *Board) Flags(ctx context.Context, set, env string, now time.Time) ([]View, error) {
	names := []string{set}
	if set == "" {
		var err error
		if names, err = b.Sets(ctx); err != nil {
			return nil, err
		}
	}
	asked, since, err := b.usage(ctx, env)
	if err != nil {
		return nil, err
	}
	all := []View{}
	for _, name := range names {
		_, doc, err := b.set(ctx, name)
		if err != nil {
			return nil, err
		}
		if !doc.HasEnvironment(env) {
			continue
		}
		watch := flag.Watch{Usage: map[string]flag.Usage{}, Since: since, Exposures: map[string]map[string]flag.Exposure{}, Now: now}
		for _, e := range append([]string{env}, doc.Environments...) { // a flag is fully out when it is so everywhere
			feed, err := b.Served.Await(ctx, e, "", 0)
			if err != nil {
				return nil, err
			}
			watch.Exposures[e] = exposed(doc, name, e, feed)
		}
		for _, key := range doc.Keys() {
			if at, ok := asked[name+"/"+key]; ok {
				watch.Usage[key] = flag.Usage{LastAsked: at}
			}
		}
		stale := map[string][]flag.Stale{}
		for _, s := range doc.Stale(watch) {
			stale[s.Key] = append(stale[s.Key], s)
		}
		for _, key := range doc.Keys() {
			v, err := b.view(ctx, doc, flag.Subject{Set: name, Key: key, Environment: env})
			if err != nil {
				return nil, err
			}
			v.Asked, v.Stale = watch.Usage[key].LastAsked, stale[key]
			all = append(all, v)
		}
	}
	return all, nil
}

func (b *Board) usage(ctx context.Context, env string) (map[string]time.Time, time.Time, error) {
	if b.Usage == nil {
		return nil, time.Time{}, nil
	}
	return b.Usage.Usage(ctx, env)
}

// exposed are the exposures of a set's flags, by key.
func exposed(doc *flag.Document, set, env string, feed flag.Feed) map[string]flag.Exposure {
	out := map[string]flag.Exposure{}
	for _, r := range feed.Ramps {
		s, err := flag.ParseSubject(r.Name)
		if err == nil && s.Set == set && doc.Flags[s.Key] != nil {
			out[s.Key] = flag.ExposureOf(r, doc.Flags[s.Key].Baseline(env))
		}
	}
	return out
}

// Flag is one flag as it is in its environment.
func (b *Board) Flag(ctx context.Context, s flag.Subject, now time.Time) (View, error) {
	if _, _, err := b.find(ctx, s); err != nil {
		return View{}, err
	}
	all, err := b.Flags(ctx, s.Set, s.Environment, now)
	for _, v := range all {
		if v.Key == s.Key {
			return v, err
		}
	}
	return View{}, err
}

func (b *Board) view(ctx context.Context, doc *flag.Document, s flag.Subject) (View, error) {
	f := doc.Flags[s.Key]
	v := View{Set: s.Set, Key: s.Key, Subject: s.String(), Environment: s.Environment, Environments: doc.Environments, Description: f.Description, Owner: f.Owner,
		Kind: f.Kind, Type: f.Type.String(), State: "enabled", Default: f.DefaultIn(s.Environment), Targeted: f.Targeted(), Expires: f.Expires,
		Prerequisites: f.Prerequisites, Schedule: f.Schedule, Preview: f.Preview, Exposure: f.Plan(s.Environment), Variants: []Variant{}}
	_, v.Reviewed = doc.Reviewers[s.Environment]
	switch {
	case f.Archived:
		v.State = "archived"
	case !f.EnabledIn(s.Environment):
		v.State = "disabled"
	}
	for _, name := range f.Variants() {
		value, _ := f.Value(name)
		v.Variants = append(v.Variants, Variant{name, value})
	}
	if v.Exposure == nil {
		return v, nil
	}
	last, ok, err := b.newest(ctx, v.Subject)
	if err != nil || !ok {
		return v, err
	}
	if name := shown(last, ok, f.Baseline(s.Environment)); name != f.Baseline(s.Environment) {
		v.Everyone = name
	}
	v.Rollout = rampOf(last)
	return v, nil
}

func rampOf(s rollout.State) *Ramp {
	r := &Ramp{ID: s.ID, From: s.From, To: s.To, Phase: s.Phase, At: s.Ring, Paused: s.Paused, Halted: s.Halted, Reason: s.Reason, Rings: []string{}}
	for _, ring := range s.Rings {
		r.Rings = append(r.Rings, ring.Name)
	}
	if s.Ring >= 0 && s.Ring < len(s.Rings) {
		r.Ring = s.Rings[s.Ring].Name
	}
	for _, st := range s.Stages {
		r.Users += st.Users
	}
	return r
}

// Explanation says what a context gets of a flag, and why.
type Explanation struct {
	Key      string         `json:"key"`
	Value    any            `json:"value,omitempty"`
	Variant  string         `json:"variant,omitempty"`
	Reason   flag.Reason    `json:"reason"`
	Code     flag.Code      `json:"errorCode,omitempty"`
	Details  string         `json:"errorDetails,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
	Ring     string         `json:"ring,omitempty" doc:"the ring of the flag's plan that the user is in"`
	Side     flag.Side      `json:"side,omitempty" doc:"of the comparison, when the ring is in trial"`
	Steps    []flag.Step    `json:"steps" doc:"what was asked in turn, to the one that decided"`
}

// Explain evaluates a flag for a context as it is served now.
func (b *Board) Explain(ctx context.Context, s flag.Subject, user *exposure.Context) (Explanation, error) {
	f, doc, err := b.find(ctx, s)
	if err != nil {
		return Explanation{}, err
	}
	snapshot, err := b.Served.Current(s.Environment)
	if err != nil {
		return Explanation{}, err
	}
	view, err := snapshot.Select("source=" + s.Set)
	if err != nil {
		return Explanation{}, err
	}
	r := view.Evaluate(s.Key, user)
	out := Explanation{Key: s.Key, Value: r.Value, Variant: r.Variant, Reason: r.Reason, Code: r.Code, Details: r.Details, Metadata: r.Metadata, Steps: []flag.Step{}}
	live, err := b.live(ctx, s, doc)
	if err != nil {
		return out, err
	}
	if e, ok := live.Exposures[s.Key]; ok {
		sides, err := e.Compile()
		if err != nil {
			return out, errs.Wrap(errs.Internal, err, "the exposure")
		}
		if ring, side := sides.Of(user); ring >= 0 {
			out.Ring, out.Side = sides.Ring(ring), side
		}
	}
	out.Steps = f.Steps(s.Environment, doc.Bucketing, live, user)
	return out, nil
}

// live is what moves of one flag.
func (b *Board) live(ctx context.Context, s flag.Subject, doc *flag.Document) (flag.Live, error) {
	feed, err := b.Served.Await(ctx, s.Environment, "", 0)
	if err != nil {
		return flag.Live{}, err
	}
	live := flag.Live{Exposures: exposed(doc, s.Set, s.Environment, feed), Choices: map[string]flag.Choices{}, Experiments: map[string]flag.Assignment{}}
	if b.Experiments != nil {
		run, _, err := b.Experiments.Assignments(ctx)
		if err != nil {
			return live, err
		}
		if a, ok := run[s.String()]; ok {
			live.Experiments[s.Key] = a
		}
	}
	choices, err := b.Store.Get(ctx, b.Choices, s.String())
	if errs.Is(err, errs.Missing) {
		return live, nil
	} else if err != nil {
		return live, err
	}
	live.Choices[s.Key], err = decode[flag.Choices](choices)
	return live, err
}
