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

// Kinds are all kinds, those that others refer to first.
var Kinds = []string{KindSegment, KindRingPlan, KindService, KindRelease}

// Resource is one declared thing; Kind says what its Spec holds.
type Resource struct {
	APIVersion string          `json:"apiVersion" enum:"ringfence.dev/v1" doc:"the version of the format"`
	Kind       string          `json:"kind" enum:"Segment,RingPlan,Service,Release" doc:"what it is"`
	Metadata   Metadata        `json:"metadata" doc:"its name and labels"`
	Spec       json.RawMessage `json:"spec" doc:"what is wanted"`
}

// Metadata names a resource.
type Metadata struct {
	Name   string            `json:"name" doc:"lower-case letters, digits and hyphens, at most 63; for a release service/version"`
	Labels map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"words of your own to sort and find by"`
}

// Service is something that runs and takes requests.
type Service struct {
	Owner     string      `json:"owner,omitempty" maxLength:"200" doc:"the team that is called when it hurts"`
	Run       Run         `json:"run" doc:"how an instance is started"`
	Ready     fleet.Ready `json:"ready,omitzero" doc:"when an instance may be sent requests; default once it accepts connections"`
	Route     fleet.Route `json:"route" doc:"which requests are its own"`
	Plan      string      `json:"plan" doc:"name of the RingPlan that its changes go through"`
	Drain     fleet.Dur   `json:"drain,omitempty" doc:"how long requests in flight may take when a version leaves; default 30s"`
	StopGrace fleet.Dur   `json:"stopGrace,omitempty" doc:"time from SIGTERM to SIGKILL; default 10s"`
	Unit      string      `json:"unit,omitempty" doc:"where it runs; default local"`
	Metrics   *Metrics    `json:"metrics,omitempty" doc:"the service's own metrics, collected from every instance; default none"`
}

// Metrics says where an instance tells its own metrics, in Prometheus' text or protobuf format or as OpenMetrics.
type Metrics struct {
	Path     string    `json:"path" doc:"path on the instance's address, such as /metrics"`
	Interval fleet.Dur `json:"interval,omitempty" doc:"time between two looks; default that of the control plane, 5s"`
}

// Run says how an instance is started.
type Run struct {
	Command   []string          `json:"command" minItems:"1" maxItems:"256" doc:"program and arguments; {artifact}, {address}, {host}, {port}, {version}, {service} are put in"`
	Env       map[string]string `json:"env,omitempty" maxProperties:"256" doc:"environment, next to PORT, ADDRESS and LISTEN_ADDR, which every instance gets"`
	Dir       string            `json:"dir,omitempty" doc:"working folder, an absolute path; default a private one for the instance"`
	Instances int               `json:"instances,omitempty" minimum:"1" maximum:"100" doc:"processes for each version; default 1"`
}

// Segment is a named audience.
type Segment struct {
	Audience Audience `json:"audience" doc:"who is in it"`
}

// Audience says who: everyone when empty; else exactly one of its forms.
type Audience struct {
	Users   []string        `json:"users,omitempty" maxItems:"10000" doc:"these targeting keys"`
	Segment string          `json:"segment,omitempty" doc:"members of this segment"`
	Percent *float64        `json:"percent,omitempty" minimum:"0.001" maximum:"100" doc:"this share of all targeting keys, above 0 to 100, nested in every larger one"`
	Rule    json.RawMessage `json:"rule,omitempty" doc:"a rule in flagd's targeting grammar (JSONLogic) that is true for members"`
	Any     []Audience      `json:"any,omitempty" maxItems:"100" doc:"members of at least one of these"`
}

// RingPlan is the way of a change to everyone.
type RingPlan struct {
	Rings []Ring `json:"rings" minItems:"1" maxItems:"20" doc:"from the smallest, most risk-tolerant audience to everyone"`
	Gates []Gate `json:"gates,omitempty" maxItems:"20" doc:"conditions in every ring; default errors against stable"`
}

// Ring is one step of a plan.
type Ring struct {
	Name     string    `json:"name" doc:"lower-case letters, digits and hyphens, unlike that of any other ring of the plan"`
	Purpose  string    `json:"purpose,omitempty" maxLength:"500" doc:"which bugs it is there to find"`
	Risk     string    `json:"risk,omitempty" maxLength:"500" doc:"which risk its users have accepted"`
	Audience Audience  `json:"audience,omitzero" doc:"who is in it; the last ring takes everyone and has none"`
	Bake     fleet.Dur `json:"bake,omitempty" doc:"how long it must stay healthy before the next ring, never shorter than in the ring before; default 24h, or as in the ring before when that is longer"`
}

// Gate is a condition on a signal; it judges all the time in every ring.
type Gate struct {
	Signal      string    `json:"signal" enum:"errors,latency" doc:"which requests are bad: errors are answers of 500 and above, latency those slower than over"`
	Over        fleet.Dur `json:"over,omitempty" doc:"for latency, the threshold"`
	Compare     string    `json:"compare,omitempty" enum:"stable,none" doc:"judge against the stable version over the same time (default), or by maxShare alone"`
	MaxRatio    float64   `json:"maxRatio,omitempty" minimum:"1" maximum:"100" doc:"largest tolerated ratio of the bad shares, new to stable; default 1"`
	MaxShare    float64   `json:"maxShare,omitempty" minimum:"0.000001" maximum:"1" doc:"largest tolerated bad share, whatever stable does; default 0.05, for latency none"`
	Alpha       float64   `json:"alpha,omitempty" minimum:"0.000001" maximum:"0.2" doc:"bound on the chance that a healthy change is stopped; default 0.01"`
	MinRequests int64     `json:"minRequests,omitempty" minimum:"1" maximum:"1000000000" doc:"fewest requests to the new version in a ring before it may pass; default 500"`
}

// Release is one version of a service, immutable.
type Release struct {
	Service string            `json:"service" doc:"the service it is a version of"`
	Version string            `json:"version" doc:"letters, digits and . _ + -, at most 63"`
	Digest  string            `json:"digest" doc:"sha256:… of the artifact"`
	Size    int64             `json:"size" minimum:"1" doc:"bytes of the artifact"`
	Env     map[string]string `json:"env,omitempty" maxProperties:"256" doc:"added to the service's environment for this version"`
	Created time.Time         `json:"created" doc:"when it was made"`
	By      string            `json:"by" maxLength:"200" doc:"who made it"`
}

// Key names a resource among all others, as it stands in events: service/shop.
func (r Resource) Key() string { return Key(r.Kind, r.Metadata.Name) }
