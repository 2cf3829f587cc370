package rollout

import "time"

// Order asks for a rollout.
type Order struct {
	Service  string
	Version  string   // a release of the catalog; empty for the one that is stable
	Config   string   // a config of the catalog; empty for the one that is stable
	NoConfig bool     // without a config
	Schema   string   // a version of the database's schema; empty for the one that is stable, where the release understands it
	Replace  bool     // give up a rollout of another version that is in flight
	Lane     Lane     // empty for the plan's own way
	Hit      []string // for sev0 and sev1, the units that are hit; empty for all
	Force    bool     // release again what was taken back
	Through  bool     // go through freezes
	Why      string   // needed for a lane, force and through
}

// Line says whether anything at all may move outward.
type Line struct {
	Stopped bool      `json:"stopped" doc:"nothing moves outward"`
	By      string    `json:"by,omitempty" doc:"who stopped it, or lifted it"`
	Reason  string    `json:"reason,omitempty" doc:"why"`
	At      time.Time `json:"at,omitzero" doc:"since when it is as it is"`
}

// Asking is an approval that a rollout waits for, or will wait for once its current ring has baked.
type Asking struct {
	Rollout State
	Ring    string
	Missing string // whose approval it is
}
