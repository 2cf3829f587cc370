package flag

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Reason why a flag should be looked at by its owner.
type StaleReason string

// The reasons, the most certain first.
const (
	ArchivedAsked StaleReason = "archived, but still asked for"
	ArchivedQuiet StaleReason = "archived"
	FullyOut      StaleReason = "fully out"
	Expired       StaleReason = "past its expiry"
	NotAsked      StaleReason = "not asked for"
)

// Stale is a flag that is no longer needed, or seems so, and what to do about it.
type Stale struct {
	Key     string      `json:"key"`
	Owner   string      `json:"owner,omitempty"`
	Kind    Kind        `json:"kind,omitempty"`
	Reason  StaleReason `json:"reason"`
	Variant string      `json:"variant,omitempty"` // that everyone gets
	Since   time.Time   `json:"since,omitzero"`    // last asked for, or expired
	Advice  string      `json:"advice"`
}

// Usage is what is known of how a flag is asked for.
type Usage struct {
	LastAsked time.Time
}

// Watch is what Stale judges by.
type Watch struct {
	Usage     map[string]Usage               // by key, over all environments
	Since     time.Time                      // when the counting of usage began; zero when nothing is counted
	Exposures map[string]map[string]Exposure // by environment and key
	Now       time.Time
	Quiet     time.Duration // how long a flag must not have been asked for; 0 for 30 days
}

// Stale finds flags to take out of the code, each for all of its reasons, sorted by key. Flags to operate by and of
// permissions are meant to stay: of them only what is archived, overdue or not asked for is told.
func (d *Document) Stale(w Watch) []Stale {
	w.Quiet = cmp.Or(w.Quiet, 30*24*time.Hour)
	var found []Stale
	for _, key := range d.Keys() {
		f := d.Flags[key]
		for _, s := range d.staleFlag(f, w) {
			s.Key, s.Owner, s.Kind = key, f.Owner, f.Kind
			found = append(found, s)
		}
	}
	return found
}

func (d *Document) staleFlag(f *Definition, w Watch) (found []Stale) {
	asked := w.Usage[f.Key].LastAsked
	quiet := !w.Since.IsZero() && w.Now.Sub(w.Since) >= w.Quiet && w.Now.Sub(asked) >= w.Quiet
	if f.Archived {
		if quiet {
			return append(found, Stale{Reason: ArchivedQuiet, Since: asked, Advice: "delete it from the set: nobody has asked for it since"})
		}
		if !asked.IsZero() {
			return append(found, Stale{Reason: ArchivedAsked, Since: asked, Advice: "take it out of the code that still asks for it, then delete it"})
		}
		return nil
	}
	if v, ok := d.everywhere(f, w); ok {
		found = append(found, Stale{Reason: FullyOut, Variant: v,
			Advice: fmt.Sprintf("everyone gets %q: keep that way in the code, take the other and the flag out, then archive it", v)})
	}
	if !f.Expires.IsZero() && !w.Now.Before(f.Expires) {
		found = append(found, Stale{Reason: Expired, Since: f.Expires, Advice: "finish what it is for, or agree on a new date with its owner"})
	}
	if quiet {
		advice := "no code seems to need it: archive it, and delete it when nobody misses it"
		if needed := d.neededBy(f.Key); needed != "" {
			advice = fmt.Sprintf("no code asks for it, but %q needs it: look at that one first", needed)
		}
		found = append(found, Stale{Reason: NotAsked, Since: asked, Advice: advice})
	}
	return found
}

// everywhere is the variant that all users of all environments get, and are meant to keep.
func (d *Document) everywhere(f *Definition, w Watch) (variant string, ok bool) {
	if f.Kind == Operational || f.Kind == Permission {
		return "", false
	}
	envs := d.Environments
	if len(envs) == 0 {
		envs = []string{""}
		for env := range w.Exposures {
			envs = append(envs, env)
		}
		for env := range f.Environments {
			envs = append(envs, env)
		}
		slices.Sort(envs)
		envs = slices.Compact(envs)
		if len(envs) > 1 {
			envs = envs[1:]
		}
	}
	for i, env := range envs {
		e, ramped := w.Exposures[env][f.Key]
		v, constant := f.constant(env, e, ramped)
		if !constant || i > 0 && v != variant {
			return "", false
		}
		variant = v
	}
	return variant, true
}

// constant is the variant that all users of an environment get: by the last ring, or because the default is already what
// was to be brought to them.
func (f *Definition) constant(env string, e Exposure, ramped bool) (string, bool) {
	switch {
	case !f.EnabledIn(env) || len(f.Prerequisites) > 0:
		return "", false
	case ramped:
		if e.Trial != nil || len(e.Variants) == 0 {
			return "", false
		}
		for _, v := range e.Variants {
			if v == "" || v != e.Variants[0] {
				return "", false
			}
		}
		return e.Variants[0], true
	}
	p, v := f.Plan(env), f.DefaultIn(env)
	return v, p != nil && v == p.Variant && f.targetingIn(env) == nil && len(f.Schedule) == 0
}

// neededBy is a flag that has key as a prerequisite, empty for none.
func (d *Document) neededBy(key string) string {
	for _, other := range d.Keys() {
		if slices.ContainsFunc(d.Flags[other].Prerequisites, func(p Prerequisite) bool { return p.Flag == key }) {
			return other
		}
	}
	return ""
}
