package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
)

// ServiceSummary is a service in a list.
type ServiceSummary struct {
	Name    string `json:"name"`
	Owner   string `json:"owner,omitempty"`
	Plan    string `json:"plan"`
	Unit    string `json:"unit" doc:"where it runs, when that is one unit"`
	Stable  string `json:"stable" doc:"the version that everyone has or returns to; empty before the first release"`
	Rollout string `json:"rollout,omitempty" doc:"the rollout in flight"`
	To      string `json:"to,omitempty" doc:"the version that is rolled out"`
	Phase   string `json:"phase,omitempty" doc:"where the rollout in flight stands"`
	Ring    string `json:"ring,omitempty" doc:"the outermost ring that has the new version"`
	Ready   int    `json:"ready" doc:"instances that are ready, of all versions"`
	Wanted  int    `json:"wanted" doc:"instances that are wanted, of all versions"`

	Units []string `json:"units" doc:"where it runs"`
}

// Services are all services.
type Services struct {
	Items []ServiceSummary `json:"items"`
}

// Service is one service with all that is seen of it.
type Service struct {
	ServiceSummary
	Resource resource.Resource   `json:"resource" doc:"as declared"`
	Seen     time.Time           `json:"seen,omitzero" doc:"when the unit that has been silent the longest last reported; absent when one never did"`
	Status   fleet.ServiceStatus `json:"status" doc:"what was reported, of all units together: versions and their instances"`
	ByUnit   []ServiceUnit       `json:"byUnit" doc:"of each unit"`
}

// ServiceUnit is a service in one unit.
type ServiceUnit struct {
	Unit    string              `json:"unit"`
	Version string              `json:"version" doc:"what everyone there has, or returns to; another one than stable where a hotfix went alone"`
	Seen    time.Time           `json:"seen,omitzero" doc:"when it last reported"`
	Status  fleet.ServiceStatus `json:"status" doc:"what it reported"`
}

// RingOf says what a user gets.
type RingOf struct {
	Service string `json:"service"`
	Unit    string `json:"unit" doc:"where the user is"`
	User    string `json:"user"`
	Ring    string `json:"ring" doc:"the innermost ring that the user is in"`
	Version string `json:"version" doc:"the version that the user gets; empty when none is out"`
	Why     string `json:"why" doc:"what lets the user into the ring"`
}

// LogQuery asks for what a service's instances wrote.
type LogQuery struct {
	Service  string
	Unit     string // may be left out of a service that runs in one
	Version  string // empty: all
	Instance int    // 0: all
	Tail     int    // lines from before; 0: a hundred
	Follow   bool   // go on with new lines
}
