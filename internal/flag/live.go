package flag

import (
	"encoding/json"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Live is what changes without a definition being changed: how far ramps are, who opted in, which experiments run. All
// is by the key of the flag.
type Live struct {
	Unit        string // where the plain set is evaluated, for rings that are only in some units
	Exposures   map[string]Exposure
	Choices     map[string]Choices
	Experiments map[string]Assignment
}

// Exposure is how far a variant has been brought to the users. Without one, a flag answers as it is defined.
type Exposure struct {
	Rollout  string       `json:"rollout,omitempty"` // its name, for those who see the answer
	Salt     string       `json:"salt"`
	Rings    []fleet.Ring `json:"rings"`
	Variants []string     `json:"variants"` // by ring, what its users get; "" as the flag is defined
	Trial    *Trial       `json:"trial,omitempty"`
}

// Trial is the ring in which a variant is being tried: some of its users go without, so that the two can be compared. They
// get what Variants has for the ring. When the trial is over and the variant is put into Variants, nobody loses it.
type Trial struct {
	Ring    int     `json:"ring"`
	Variant string  `json:"variant"`
	Control float64 `json:"control"` // percent of the ring that goes without, 0 to 90
	Salt    string  `json:"salt"`    // unlike the rings', so that the two sides are alike
}

// Choices are of users, by their targeting keys, about a flag's preview. Who chose both is in.
type Choices struct {
	In  []string `json:"in,omitempty"`  // get the preview's variant
	Out []string `json:"out,omitempty"` // keep the default variant, whatever ring they are in
}

// Assignment is an experiment that runs on a flag: it gives its participants variants by chance.
type Assignment struct {
	Experiment string          `json:"experiment"`
	Salt       string          `json:"salt"`
	Audience   json.RawMessage `json:"audience,omitempty"` // a rule; empty for everyone
	Share      float64         `json:"share"`              // percent of the audience that takes part
	Variants   []Weight        `json:"variants"`
	Group      *Slice          `json:"group,omitempty"`    // of the users of experiments that exclude each other
	Holdouts   []Holdout       `json:"holdouts,omitempty"` // who is in one takes no part
}

// Weight is a variant's part in a whole.
type Weight struct {
	Variant string `json:"variant"`
	Weight  int    `json:"weight"`
}

// Slice is the part of the users from one percentage to another; slices of one salt that do not overlap share nobody.
type Slice struct {
	Salt string  `json:"salt"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// Holdout is the percentage of the users who are kept out of experiments.
type Holdout struct {
	Salt    string  `json:"salt"`
	Percent float64 `json:"percent"`
}
