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
	Version    string                     `json:"version,omitempty" maxLength:"63" doc:"letters, digits and . _ + -; empty to release a config or a schema alone, with the stable version"`
	Digest     string                     `json:"digest,omitempty" maxLength:"100" doc:"the artifact, put before; may be left out for a version that was released already"`
	Env        map[string]string          `json:"env,omitempty" maxProperties:"256" doc:"added to the service's environment for this version"`
	Hypothesis string                     `json:"hypothesis,omitempty" maxLength:"2000" doc:"what is expected of it"`
	Metric     *resource.ExperimentMetric `json:"metric,omitempty" doc:"the event in which that would show"`
	Committed  time.Time                  `json:"committed,omitzero" doc:"when the newest commit in it was made, from which lead time is measured"`
	Interface  *Interface                 `json:"interface,omitempty" doc:"what it can be asked for"`
	// Evidence that comes with it: it is added to that of its artifact before its rollout begins.
	Attestations []string `json:"attestations,omitempty" maxItems:"64" doc:"sha256:… of Sigstore bundles about the artifact, put before like artifacts"`

	Replace bool `json:"replace,omitempty" doc:"give up a rollout of another version that is in flight"`

	Config        string   `json:"config,omitempty" maxLength:"63" doc:"a config of the service; empty for the one that is stable"`
	NoConfig      bool     `json:"noConfig,omitempty" doc:"without a config"`
	Schema        string   `json:"schema,omitempty" maxLength:"63" doc:"a version of the schema of the service's database; empty for the one that is stable, or the oldest that the release understands"`
	Understands   []string `json:"understands,omitempty" maxItems:"10" doc:"versions of the schema that the release can run on; needed where its service names a database"`
	Lane          string   `json:"lane,omitempty" enum:"sev0,sev1,hotfix,forward" doc:"a way of its own: sev0 straight to the units that are hit, sev1 through the first ring and then to them on approval, hotfix through all rings with shorter bakes, forward to the rings that had what it replaces"`
	Hit           []string `json:"hit,omitempty" maxItems:"50" doc:"for sev0 and sev1, the units that are hit; default all"`
	Force         bool     `json:"force,omitempty" doc:"release again what was taken back"`
	ThroughFreeze bool     `json:"throughFreeze,omitempty" doc:"freezes do not hold it"`
	Reason        string   `json:"reason,omitempty" maxLength:"500" doc:"why; needed for lane, force and throughFreeze"`
}

// Interface is a document that says what a version can be asked for.
type Interface struct {
	Format string `json:"format" enum:"openapi,protobuf" doc:"an OpenAPI 3 document, or protobuf: a source file or a FileDescriptorSet"`
	Digest string `json:"digest" maxLength:"100" doc:"the document, put before like an artifact"`
}

// Releases are the releases of a service.
type Releases struct {
	Items []resource.Release `json:"items"`
}

// Rollout is a rollout as it stands now.
type Rollout struct {
	Rollout  rollout.State `json:"rollout"`
	Waiting  string        `json:"waiting" doc:"what it is waiting for, or how it ended, in one sentence"`
	Pending  *Pending      `json:"pending,omitempty" doc:"the approval that is missing for the next ring, also while the current one still bakes"`
	Evidence *Evidence     `json:"evidence,omitempty" doc:"what is seen now; only while it is in flight"`
}

// Pending is an approval that is missing.
type Pending struct {
	Ring    string `json:"ring" doc:"the ring that it wants to enter"`
	Missing string `json:"missing" doc:"whose approval it is"`
}

// Evidence is what is seen of a rollout at the moment.
type Evidence struct {
	Seen    bool               `json:"seen" doc:"the data plane has reported lately"`
	InForce bool               `json:"inForce" doc:"the data plane has done what the rollout wants"`
	To      Instances          `json:"to" doc:"of the new version"`
	From    Instances          `json:"from" doc:"of the version before"`
	Users   int64              `json:"users" doc:"users of the current ring who got the new version"`
	Gates   []health.Judgement `json:"gates" doc:"one for each gate, for the current ring"`

	Before   []health.Judgement `json:"before,omitempty" doc:"one for each gate that is asked before the next ring is entered"`
	Requests int64              `json:"requests,omitempty" doc:"requests to the new version in the current ring"`
	Holds    []Hold             `json:"holds,omitempty" doc:"what keeps anything of the service from moving outward"`
}

// Hold is a freeze, or a stopped line.
type Hold struct {
	Kind   string    `json:"kind" doc:"freeze, line"`
	Name   string    `json:"name,omitempty" doc:"of the freeze"`
	Reason string    `json:"reason" doc:"why, for those who wait"`
	Until  time.Time `json:"until,omitzero" doc:"when it ends; none when that is not known"`
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

// Decision is what a person decides of an approval.
type Decision struct {
	Ring   string `json:"ring,omitempty" maxLength:"63" doc:"the ring that may, or may not, be entered; default the one that is next"`
	Digest string `json:"digest,omitempty" maxLength:"64" doc:"the digest that the approval was shown with: when it is another one now, nothing is approved"`
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"why, for the record"`
}

// Approvals are the approvals that rollouts wait for.
type Approvals struct {
	Items []Approval `json:"items"`
}

// Approval is one approval that a rollout waits for, or will wait for.
type Approval struct {
	Rollout string             `json:"rollout" doc:"the rollout's ID"`
	Service string             `json:"service"`
	From    string             `json:"from" doc:"what runs"`
	To      string             `json:"to" doc:"what is rolled out"`
	Ring    string             `json:"ring" doc:"the ring that it wants to enter"`
	Missing string             `json:"missing" doc:"whose approval it is"`
	Since   time.Time          `json:"since,omitzero" doc:"when it was asked for; none while the ring before still bakes"`
	By      string             `json:"by" doc:"who released it"`
	Digest  string             `json:"digest" doc:"stands for what is approved: send it with the approval"`
	Given   []rollout.Approved `json:"given,omitempty" doc:"approvals of this ring so far"`
}

// Config asks for a version of a service's configuration.
type Config struct {
	Version string            `json:"version" minLength:"1" maxLength:"63" doc:"letters, digits and . _ -"`
	Env     map[string]string `json:"env,omitempty" maxProperties:"256" doc:"environment of every instance"`
	Files   map[string]string `json:"files,omitempty" maxProperties:"64" doc:"files by relative path, at most 256 KiB together"`
	Note    string            `json:"note,omitempty" maxLength:"500" doc:"what it is for"`
}

// Configs are the versions of a service's configuration.
type Configs struct {
	Items []resource.Config `json:"items"`
}

// EvidenceOf turns what the controller sees into what is answered.
func EvidenceOf(ev rollout.Evidence) *Evidence {
	out := &Evidence{
		Seen: ev.Seen, InForce: ev.InForce, To: Instances(ev.To), From: Instances(ev.From), Users: ev.Users, Gates: ev.Gates,
		Before: ev.Before, Requests: ev.Requests,
	}
	for _, h := range ev.Holds {
		out.Holds = append(out.Holds, Hold(h))
	}
	return out
}

// Version says what runs.
type Version struct {
	Version string    `json:"version"`
	Go      string    `json:"go"`
	Started time.Time `json:"started" doc:"when the control plane was started"`
}
