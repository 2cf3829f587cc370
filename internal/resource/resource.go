package resource

import (
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// APIVersion is the version of every resource.
const APIVersion = "ringfence.dev/v1"

// The kinds, also the kinds of their documents in the store.
const (
	KindService  = "Service"
	KindSegment  = "Segment"
	KindRingPlan = "RingPlan"
	KindRelease  = "Release"
)

// Resource is one declared thing; exactly one of the specs is set, by Kind.
type Resource struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   Metadata        `json:"metadata"`
	Spec       json.RawMessage `json:"spec"`
}

// Metadata names a resource.
type Metadata struct {
	Name   string            `json:"name" doc:"lower-case letters, digits and hyphens, at most 63"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Service is something that runs and takes requests.
type Service struct {
	Owner     string      `json:"owner,omitempty" doc:"the team that is called when it hurts"`
	Run       Run         `json:"run"`
	Ready     fleet.Ready `json:"ready,omitempty"`
	Route     fleet.Route `json:"route"`
	Plan      string      `json:"plan" doc:"name of the RingPlan that its changes go through"`
	Drain     fleet.Dur   `json:"drain,omitempty" doc:"how long requests in flight may take when a version leaves; default 30s"`
	StopGrace fleet.Dur   `json:"stopGrace,omitempty" doc:"time from SIGTERM to SIGKILL; default 10s"`
	Unit      string      `json:"unit,omitempty" doc:"where it runs; default local"`
}

// Run says how an instance is started.
type Run struct {
	Command   []string          `json:"command" doc:"program and arguments; {artifact}, {address}, {host}, {port}, {version}, {service} are put in"`
	Env       map[string]string `json:"env,omitempty"`
	Dir       string            `json:"dir,omitempty" doc:"working folder; default a private one for the instance"`
	Instances int               `json:"instances,omitempty" doc:"processes for each version; default 1"`
}

// Segment is a named audience.
type Segment struct {
	Audience Audience `json:"audience"`
}

// Audience says who: everyone when empty; else exactly one of its forms.
type Audience struct {
	Users   []string        `json:"users,omitempty" doc:"these targeting keys"`
	Segment string          `json:"segment,omitempty" doc:"members of this segment"`
	Percent *float64        `json:"percent,omitempty" doc:"this share of all targeting keys, 0 to 100, nested in every larger one"`
	Rule    json.RawMessage `json:"rule,omitempty" doc:"a rule in flagd's targeting grammar (JSONLogic) that is true for members"`
	Any     []Audience      `json:"any,omitempty" doc:"members of at least one of these"`
}

// RingPlan is the way of a change to everyone.
type RingPlan struct {
	Rings []Ring `json:"rings"`
	Gates []Gate `json:"gates,omitempty" doc:"conditions in every ring; default errors against stable"`
}

// Ring is one step of a plan.
type Ring struct {
	Name     string    `json:"name"`
	Purpose  string    `json:"purpose,omitempty" doc:"which bugs it is there to find"`
	Risk     string    `json:"risk,omitempty" doc:"which risk its users have accepted"`
	Audience Audience  `json:"audience,omitempty" doc:"who is in it; the last ring takes everyone and has none"`
	Bake     fleet.Dur `json:"bake,omitempty" doc:"how long it must stay healthy before the next ring; default 24h"`
}

// Gate is a condition on a signal; it judges all the time in every ring.
type Gate struct {
	Signal      string    `json:"signal" enum:"errors,latency" doc:"which requests are bad: errors are answers of 500 and above, latency those slower than over"`
	Over        fleet.Dur `json:"over,omitempty" doc:"for latency, the threshold"`
	Compare     string    `json:"compare,omitempty" enum:"stable,none" doc:"judge against the stable version over the same time (default), or by maxShare alone"`
	MaxRatio    float64   `json:"maxRatio,omitempty" doc:"largest tolerated ratio of the bad shares, new to stable; default 1"`
	MaxShare    float64   `json:"maxShare,omitempty" doc:"largest tolerated bad share, whatever stable does; default 0.05, for latency none"`
	Alpha       float64   `json:"alpha,omitempty" doc:"bound on the chance that a healthy change is stopped; default 0.01"`
	MinRequests int64     `json:"minRequests,omitempty" doc:"fewest requests to the new version in a ring before it may pass; default 500"`
}

// Release is one version of a service, immutable.
type Release struct {
	Service string            `json:"service"`
	Version string            `json:"version"`
	Digest  string            `json:"digest" doc:"sha256:… of the artifact"`
	Size    int64             `json:"size"`
	Env     map[string]string `json:"env,omitempty" doc:"added to the service's environment for this version"`
	Created time.Time         `json:"created"`
	By      string            `json:"by"`
}
