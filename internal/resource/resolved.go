package resource

import (
	"slices"

	"github.com/ringfence/ringfence/internal/fleet"
)

// Resolved is a service with everything that it refers to put in and every default filled in:
// what a controller needs to carry its changes. Rings of the plan and Exposure have the same order and length.
type Resolved struct {
	Name     string
	Service  Service
	Plan     string
	Rings    []Ring
	Exposure []fleet.Ring // the rings' audiences with segments put in
	Salt     string
	Gates    []Gate
	Standby  fleet.Dur
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
