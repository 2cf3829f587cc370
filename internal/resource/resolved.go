package resource

import "github.com/ringfence/ringfence/internal/fleet"

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
}
