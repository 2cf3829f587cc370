package flag

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/resource"
)

// Document is a set of flags as its owners declare it: flagd's format with what flagd has no words for. It is not
// evaluated itself: Lower makes of it, for one environment and one moment, the plain set that is.
type Document struct {
	Schema    string // $schema
	ID        string // metadata.flagSetId
	Version   string // metadata.version
	Metadata  map[string]any
	Service   string             // whose requests judge the ramps of these flags
	Bucketing exposure.Bucketing // how fractional places users
	Rebucket  string             // why the bucketing was changed, which moves users to other variants

	// Environments that there are; without any, every name is taken to be one.
	Environments []string
	Reviewers    map[string]resource.Approval // by environment, who has to approve a change of it

	Flags map[string]*Definition

	evaluators map[string]any
}

// Kind says what a flag is for, and with it how long it should live.
type Kind string

// The kinds of flags. The first two are to be taken out of the code again.
const (
	Release     Kind = "release"
	Experiment  Kind = "experiment"
	Operational Kind = "operational"
	Permission  Kind = "permission"
)

// Definition is one flag of a Document.
type Definition struct {
	*Flag // the flag as it is without any override and without what follows

	Description   string
	Owner         string
	Kind          Kind      // empty when nobody said
	Expires       time.Time // the day from which it is overdue; zero for never
	Archived      bool      // answers as if it were disabled
	Prerequisites []Prerequisite
	Schedule      []Window
	Preview       *Preview
	Exposure      *Plan
	Environments  map[string]Override

	targeting any // the rule, nil for none
	variants  any
	metadata  map[string]any
	path      string // where it stands
}

// Prerequisite is another flag of the set which must give one of these variants; else the default variant is served.
type Prerequisite struct {
	Flag     string   `json:"flag"`
	Variants []string `json:"variants"`
}

// Window is a time in which a variant is served instead of what the flag's own rule says.
type Window struct {
	From    time.Time `json:"from,omitzero"`  // its first second; zero for always
	Until   time.Time `json:"until,omitzero"` // the first second after it; zero for never
	Variant string    `json:"variant"`
}

// Preview is a variant that users may opt into before it comes to them.
type Preview struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Variant     string `json:"variant"`
}

// Plan says how a variant is brought to the users: ring by ring.
type Plan struct {
	Plan    string  `json:"plan"`
	Ring    string  `json:"ring,omitempty"`    // the outermost ring that it may reach; empty for the last
	Variant string  `json:"variant"`           // that is brought to them
	Control float64 `json:"control,omitempty"` // percent of a ring in trial that stays without, for comparison
}

// Override is what is different in one environment. Only what is Set there counts.
type Override struct {
	Enabled  *bool
	Default  *string // empty for the caller's default
	Exposure *Plan

	targeted  bool // targeting stands there, even if it is none
	targeting any
}

// ParseDocument reads and checks a document. A file in flagd's own format is one. The problems are all that is wrong, as
// with Parse; a document with problems is for telling about it, not for lowering. It is nil when there is nothing to
// tell about.
func ParseDocument(raw []byte) (*Document, []resource.Problem) {
	c := newChecker()
	c.doc = &Document{Bucketing: exposure.V2, Flags: map[string]*Definition{}, evaluators: map[string]any{}}
	top, s := c.parse(raw)
	if s == nil {
		return nil, c.problems
	}
	c.document(top, s)
	return c.doc, c.problems
}

// Keys returns the keys of all flags, sorted.
func (d *Document) Keys() []string { return slices.Sorted(maps.Keys(d.Flags)) }

// HasEnvironment reports whether a name is an environment of the set. The empty one stands for the set without overrides.
func (d *Document) HasEnvironment(name string) bool {
	return name == "" || len(d.Environments) == 0 || slices.Contains(d.Environments, name)
}

// Plan returns how the flag is brought to the users of an environment, nil when it is not by rings.
func (f *Definition) Plan(env string) *Plan {
	if o := f.Environments[env]; o.Exposure != nil {
		return o.Exposure
	}
	return f.Exposure
}

// DefaultIn is the variant served in an environment to those for whom nothing else is said; empty for the caller's.
func (f *Definition) DefaultIn(env string) string {
	if o := f.Environments[env]; o.Default != nil {
		return *o.Default
	}
	return f.Default
}

// EnabledIn reports whether the flag is on in an environment.
func (f *Definition) EnabledIn(env string) bool {
	if o := f.Environments[env]; o.Enabled != nil {
		return *o.Enabled && !f.Archived
	}
	return f.Enabled && !f.Archived
}

func (f *Definition) targetingIn(env string) any {
	if o := f.Environments[env]; o.targeted {
		return o.targeting
	}
	return f.targeting
}

// CheckChange tells what must not come with an update of a set: users who are given other variants without a word, which a
// change of the bucketing version does.
func CheckChange(old, new *Document) []resource.Problem {
	if old == nil || new == nil || old.Bucketing == new.Bucketing {
		return nil
	}
	if reason := strings.TrimSpace(new.Rebucket); reason != "" && reason != strings.TrimSpace(old.Rebucket) {
		return nil
	}
	return []resource.Problem{{Path: "bucketing", Expected: string(old.Bucketing) + ", or rebucket with the reason for this change",
		Msg: "going from " + string(old.Bucketing) + " to " + string(new.Bucketing) + " gives most users of a share another variant"}}
}

// marshal writes a tree without escaping what only HTML needs escaped.
func marshal(tree any) (json.RawMessage, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, err
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n")), nil
}

// EnvironmentsOf are the environments in which a flag may differ: those of the set, or, where every name is one, production and
// those that the flag names.
func (d *Document) EnvironmentsOf(f *Definition) []string {
	if len(d.Environments) > 0 {
		return d.Environments
	}
	envs := append(slices.Collect(maps.Keys(f.Environments)), Production)
	slices.Sort(envs)
	return slices.Compact(envs)
}
