package resource

import (
	"slices"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Resolved is a service with everything that it refers to put in and every default filled in:
// what a controller needs to carry its changes. Rings of the plan and Exposure have the same order and length.
type Resolved struct {
	Name     string
	Kind     string // flag, for the exposure of a flag; empty for a service
	Service  Service
	Plan     string
	Rings    []Ring
	Exposure []fleet.Ring // the rings' audiences with segments put in
	Salt     string
	Gates    []Gate
	Standby  fleet.Dur
	Baseline string            // what everyone has before the first rollout; empty for nothing: a service that never ran
	Reach    int               // how many of the innermost rings may be entered; 0 for all
	Control  float64           // percent of a flag's ring in trial that stay without
	Counts   string            // the service whose requests judge a flag
	Labels   map[string]string // of the service
	Freezes  []NamedFreeze     // that concern the service, at some time or other
	Groups   map[string][]string
}

// NamedFreeze is a freeze with its name.
type NamedFreeze struct {
	Name string
	Freeze
}

// Concerns reports whether a freeze is for a service with such labels.
func (f Freeze) Concerns(service string, labels map[string]string) bool {
	if len(f.Services) == 0 && len(f.Labels) == 0 {
		return true
	}
	if slices.Contains(f.Services, service) {
		return true
	}
	for k, v := range f.Labels {
		if labels[k] != v {
			return false
		}
	}
	return len(f.Labels) > 0
}
