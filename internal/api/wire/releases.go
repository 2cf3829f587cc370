package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Artifact is a stored artifact.
type Artifact struct {
	Digest string `json:"digest" doc:"sha256:… of its content"`
	Size   int64  `json:"size" doc:"bytes"`
}

// Release asks to release a version of a service.
type Release struct {
	Version string            `json:"version,omitempty" maxLength:"63" doc:"letters, digits and . _ + -; empty to release a config alone, with the stable version"`
	Digest  string            `json:"digest,omitempty" maxLength:"100" doc:"the artifact, put before; may be left out for a version that was released already"`
	Env     map[string]string `json:"env,omitempty" maxProperties:"256" doc:"added to the service's environment for this version"`
	Replace bool              `json:"replace,omitempty" doc:"give up a rollout of another version that is in flight"`

	Config        string   `json:"config,omitempty" maxLength:"63" doc:"a config of the service; empty for the one that is stable"`
	NoConfig      bool     `json:"noConfig,omitempty" doc:"without a config"`
	Lane          string   `json:"lane,omitempty" enum:"sev0,sev1,hotfix,forward" doc:"a way of its own: sev0 straight to the units that are hit, sev1 through the first ring and then to them on approval, hotfix through all rings with shorter bakes, forward to the rings that had what it replaces"`
	Hit           []string `json:"hit,omitempty" maxItems:"50" doc:"for sev0 and sev1, the units that are hit; default all"`
	Force         bool     `json:"force,omitempty" doc:"release again what was taken back"`
	ThroughFreeze bool     `json:"throughFreeze,omitempty" doc:"freezes do not hold it"`
	Reason        string   `json:"reason,omitempty" maxLength:"500" doc:"why; needed for lane, force and throughFreeze"`
}

// Releases are the releases of a service.
type Releases struct {
	Items []resource.Release `json:"items"`
}

// Rollout is a rollout as it stands now.
type Rollout struct {
	Rollout  rollout.State `json:"rollout"`
	Waiting  string        `json:"waiting" doc:"what it is waiting for, or how it ended, in one sentence"`
	Evidence *Evidence     `json:"evidence,omitempty" doc:"what is seen now; only while it is in flight"`
}

// Evidence is what is seen of a rollout at the moment.
type Evidence struct {
	Seen    bool               `json:"seen" doc:"the data plane has reported lately"`
	InForce bool               `json:"inForce" doc:"the data plane has done what the rollout wants"`
	To      Instances          `json:"to" doc:"of the new version"`
	From    Instances          `json:"from" doc:"of the version before"`
	Users   int64              `json:"users" doc:"users of the current ring who got the new version"`
	Gates   []health.Judgement `json:"gates" doc:"one for each gate, for the current ring"`
}

// Instances are running processes of one version.
type Instances struct {
	Ready   int    `json:"ready"`
	Wanted  int    `json:"wanted"`
	Failure string `json:"failure,omitempty" doc:"why they are not ready"`
}

// Rollouts are some rollouts, newest first.
type Rollouts struct {
	Items []rollout.State `json:"items"`
	Next  string          `json:"next,omitempty" doc:"where to go on: the next request's after; empty at the end"`
}

// Reason is why a person asks for something.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"why, for the record"`
}

// EvidenceOf turns what the controller sees into what is answered.
func EvidenceOf(ev rollout.Evidence) *Evidence {
	return &Evidence{
		Seen: ev.Seen, InForce: ev.InForce, To: Instances(ev.To), From: Instances(ev.From), Users: ev.Users, Gates: ev.Gates,
	}
}

// Version says what runs.
type Version struct {
	Version string    `json:"version"`
	Go      string    `json:"go"`
	Started time.Time `json:"started" doc:"when the control plane was started"`
}
