package rollout

import (
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/resource"
)

// Phase is where a rollout stands.
type Phase string

const (
	Starting    Phase = "starting"    // the new version is started; nobody sees it yet
	Exposing    Phase = "exposing"    // a ring is being switched; not every unit has acknowledged
	Baking      Phase = "baking"      // a ring uses the new version and is watched
	RollingBack Phase = "rollingBack" // everyone is being returned to the version before
	Succeeded   Phase = "succeeded"   // everyone has the new version
	RolledBack  Phase = "rolledBack"  // everyone has the version before
	Superseded  Phase = "superseded"  // given up for a newer rollout
)

// Ended reports whether nothing more happens in this phase by itself.
func (p Phase) Ended() bool { return p == Succeeded || p == RolledBack || p == Superseded }

// Ring is one ring of the plan, as it was when the rollout started.
type Ring struct {
	Name        string             `json:"name"`
	Purpose     string             `json:"purpose,omitempty"`
	Risk        string             `json:"risk,omitempty"`
	Bake        fleet.Dur          `json:"bake"`
	Units       []string           `json:"units,omitempty" doc:"only in these units; empty for all"`
	CoverPeak   bool               `json:"coverPeak,omitempty" doc:"the bake has to cover the peak"`
	MinRequests int64              `json:"minRequests,omitempty"`
	MinUsers    int64              `json:"minUsers,omitempty"`
	Hours       *resource.Hours    `json:"hours,omitempty" doc:"when it may be entered"`
	Approval    *resource.Approval `json:"approval,omitempty" doc:"who has to approve before it is entered"`
}

// State is a rollout: what was planned, how far it is, and what was seen in each ring.
type State struct {
	ID      string            `json:"id" doc:"service-number"`
	Service string            `json:"service" doc:"the service, or flag:set:key"`
	Kind    string            `json:"kind,omitempty" doc:"flag for the exposure of a flag, whose versions are variants"`
	From    string            `json:"from" doc:"what ran before, as release or release@config; empty for a first release"`
	To      string            `json:"to" doc:"what is rolled out, as release or release@config"`
	Before  map[string]string `json:"before,omitempty" doc:"what ran before in units where that is not from"`
	Changes []Change          `json:"changes,omitempty" doc:"what differs between from and to"`
	By      string            `json:"by" doc:"who released it"`
	Lane    Lane              `json:"lane,omitempty" doc:"the way it takes; empty for the plan's own"`
	Why     string            `json:"why,omitempty" doc:"why it takes that way, or is forced, or goes through a freeze"`
	Through bool              `json:"through,omitempty" doc:"freezes do not hold it"`
	Plan    string            `json:"plan"`
	Rings   []Ring            `json:"rings"`
	Members []fleet.Ring      `json:"members" doc:"who is in each ring, with segments put in"`
	Units   []string          `json:"units,omitempty" doc:"where the service runs; empty for its one unit"`
	Entry   int               `json:"entry,omitempty" doc:"the ring that it enters first"`
	Spared  int               `json:"spared,omitempty" doc:"how many of the outermost rings it does not reach"`
	Salt    string            `json:"salt"`
	Gates   []Gate            `json:"gates"`
	Standby fleet.Dur         `json:"standby,omitempty" doc:"how long the version before is kept running after success"`
	Control float64           `json:"control,omitempty" doc:"percent of a flag's ring in trial that stay without, for comparison; they get it when the ring has passed"`
	Base    string            `json:"base,omitempty" doc:"of a flag, the name that stands for what it gives by its definition"`
	Within  fleet.Dur         `json:"within" doc:"how long the new version may take to become ready"`

	Phase     Phase      `json:"phase"`
	Ring      int        `json:"ring" doc:"index of the outermost ring that has the new version; -1 for none"`
	Paused    bool       `json:"paused"`
	Halted    bool       `json:"halted,omitempty" doc:"stopped where it is, by a person or by a gate that halts"`
	Hurried   bool       `json:"hurried" doc:"a person asked not to wait for the rest of this ring's bake"`
	Reverted  bool       `json:"reverted" doc:"routes point to the version before again"`
	Retired   bool       `json:"retired,omitempty" doc:"the version before is not kept running any more"`
	Reason    string     `json:"reason,omitempty" doc:"why it stands where it stands"`
	Created   time.Time  `json:"created"`
	ReadyAt   time.Time  `json:"readyAt,omitzero" doc:"when the new version was ready"`
	Asked     string     `json:"asked,omitempty" doc:"the ring for which approval was asked last"`
	Approved  []Approved `json:"approved,omitempty" doc:"approvals given"`
	HaltedBy  []string   `json:"haltedBy,omitempty" doc:"gates that halted it"`
	Waived    []string   `json:"waived,omitempty" doc:"gates asked before the next ring that halted it and that a person went past"`
	Warned    []string   `json:"warned,omitempty" doc:"gates of the current ring that failed and only tell, or only keep it from the next"`
	Restraint *Restraint `json:"restraint,omitempty" doc:"what low error budgets ask of it"`
	Refused   string     `json:"refused,omitempty" doc:"why its artifact may not ship to the next ring"`
	Ended     time.Time  `json:"ended,omitzero"`
	LostAt    time.Time  `json:"lostAt,omitzero" doc:"since when no instance of the new version is ready"`
	HurtAt    time.Time  `json:"hurtAt,omitzero" doc:"first bad event of what it was taken back for"`
	HaltedAt  time.Time  `json:"haltedAt,omitzero" doc:"when the harm was detected"`
	BackAt    time.Time  `json:"backAt,omitzero" doc:"since when it is being taken back"`
	SafeAt    time.Time  `json:"safeAt,omitzero" doc:"when no user got the new version any more"`
	Stages    []Stage    `json:"stages" doc:"the rings entered so far, in order"`
}

// The kinds of changes. A rollout may bundle several, which go and come back together.
const (
	KindRelease = "release"
	KindConfig  = "config"
	KindSchema  = "schema" // the version of a database's schema that a service is on
	KindFlag    = "flag"   // the exposure of a flag: from one variant to another
)

// Change is one thing that differs between what ran before and what is rolled out.
type Change struct {
	Kind string `json:"kind" doc:"release, config, schema, flag"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// ChangesBetween lists what differs between two labels.
func ChangesBetween(from, to string) []Change {
	a, b := resource.SlotOf(from), resource.SlotOf(to)
	var list []Change
	if a.Version != b.Version {
		list = append(list, Change{KindRelease, a.Version, b.Version})
	}
	if a.Config != b.Config {
		list = append(list, Change{KindConfig, a.Config, b.Config})
	}
	if a.Schema != b.Schema {
		list = append(list, Change{KindSchema, a.Schema, b.Schema})
	}
	return list
}

// Stage is a rollout's time in one ring.
type Stage struct {
	Ring    string             `json:"ring"`
	Exposed time.Time          `json:"exposed" doc:"when the switch was decided"`
	Baking  time.Time          `json:"baking,omitzero" doc:"when the switch was in force and the bake began"`
	Left    time.Time          `json:"left,omitzero"`
	Verdict health.Verdict     `json:"verdict,omitempty"`
	Gates   []health.Judgement `json:"gates,omitempty" doc:"the last judgement of each gate that changed the verdict"`
	Users   int64              `json:"users" doc:"users who got the new version in this ring"`
	Waived  []string           `json:"waived,omitempty" doc:"gates that halted it and that a person went past"`
}

// Event is one thing that happened to a rollout. Which fields are set depends on Type.
type Event struct {
	Type   string             `json:"-"`
	Time   time.Time          `json:"-"`
	Actor  string             `json:"-"`
	Ring   string             `json:"ring,omitempty"`
	Before string             `json:"before,omitempty"` // the ring that was to be entered
	Gate   string             `json:"gate,omitempty"`
	Lane   Lane               `json:"lane,omitempty"`
	From   string             `json:"from,omitempty"`
	To     string             `json:"to,omitempty"`
	Reason string             `json:"reason,omitempty"`
	HurtAt time.Time          `json:"hurtAt,omitzero"`
	Users  int64              `json:"users,omitempty"`
	Gates  []health.Judgement `json:"gates,omitempty"`

	Restraint *Restraint `json:"restraint,omitempty"`
}

// The types of events, in the order of a rollout's life.
const (
	EvStarted    = "rollout.started"
	EvPreempted  = "rollout.preempted" // a hotfix takes its place, and what becomes of it
	EvReady      = "rollout.ready"     // the new version passes its readiness check
	EvExposed    = "stage.exposed"     // a ring is switched to the new version
	EvBaking     = "stage.baking"      // the switch is in force everywhere
	EvJudged     = "stage.judged"      // the verdict changed
	EvPassed     = "stage.passed"      // baked, with enough evidence of health
	EvLost       = "rollout.lost"      // no instance of the new version is ready any more
	EvFound      = "rollout.found"     // one is ready again
	EvPaused     = "rollout.paused"
	EvResumed    = "rollout.resumed"
	EvHurried    = "rollout.hurried" // the rest of the bake is waived by a person, not the verdict
	EvHalted     = "rollout.halted"  // harm was detected, or a person stopped it
	EvWarned     = "gate.failed"     // a gate that does not take the change back has failed
	EvAsked      = "approval.requested"
	EvApproved   = "approval.given"
	EvRejected   = "approval.refused"
	EvRetired    = "standby.retired"    // the version before is stopped
	EvRestrained = "rollout.restrained" // what low error budgets ask of it has changed
	EvRefused    = "rollout.refused"    // what is demanded of its artifact before the next ring is not proven
	EvAdmitted   = "rollout.admitted"   // now it is
	EvAborted    = "rollout.aborted"    // a person asked to go back
	EvReverting  = "rollback.started"
	EvReverted   = "rollback.switched"  // routes point to the version before
	EvRolledBack = "rollback.completed" // and that is in force everywhere
	EvSucceeded  = "rollout.succeeded"
	EvSuperseded = "rollout.superseded"
)

// Evidence is what is seen of a rollout at one moment.
type Evidence struct {
	Seen     bool               // every unit has reported lately
	InForce  bool               // every unit acknowledges that what the state wants is in force
	To       Instances          // of the new version, in the units that want it; Ready is 0 when a unit whose users have it has none
	From     Instances          // of the version before, likewise
	Stranded string             // why the version before cannot be returned to: its schema is gone. Harm then halts
	Returns  bool               // some unit reports, and each that does has what it shall run in force and the version before ready
	Gates    []health.Judgement // one for each gate of the current ring
	Before   []health.Judgement // one for each gate that is asked before the next ring is entered
	HurtAt   time.Time          // first bad event in the current stage
	Users    int64              // users who got the new version in the current ring
	Requests int64              // requests to the new version in the current ring

	Unwatched time.Duration       // of the current bake, in which nothing was measured: it does not count as baked
	Peak      Peak                // for rings that have to cover it
	Holds     []Hold              // what keeps anything from moving outward
	Restraint *Restraint          // what low error budgets ask of the service's changes
	Groups    map[string][]string // members of the groups that approve
	Refused   map[string]string   // by ring, why it may not get what is rolled out: what is demanded of an artifact there is not proven
}

// Peak says whether the current bake has covered the service's peak.
type Peak struct {
	Covered bool
	Waiting string // for what, when it has not
}

// Hold is something beyond a rollout that keeps it from moving outward.
type Hold struct {
	Kind   string    `json:"kind" doc:"freeze, line, reach or unit"`
	Name   string    `json:"name,omitempty"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero" doc:"when it ends, if that is known"`
}

// The kinds of holds.
const (
	HoldFreeze = "freeze" // a time in which nothing moves
	HoldLine   = "line"   // somebody stopped the line
	HoldReach  = "reach"  // a flag is not meant to reach further
	HoldUnit   = "unit"   // a unit is in maintenance
)

// Instances are the running processes of one version.
type Instances struct {
	Ready, Wanted int
	Failure       string // why they are not ready
}

func (i Instances) ready() bool { return i.Wanted > 0 && i.Ready >= i.Wanted }

// stage returns the current stage, nil before the first ring.
func (s *State) stage() *Stage {
	if len(s.Stages) == 0 {
		return nil
	}
	return &s.Stages[len(s.Stages)-1]
}

// last is the index of the outermost ring that the rollout reaches.
func (s State) last() int { return len(s.Rings) - 1 - s.Spared }

// Everyone reports whether every user has the new version, so that nobody is left to compare with.
func (s State) Everyone() bool {
	return s.Ring == len(s.Rings)-1 && (s.Control == 0 || s.Phase == Succeeded)
}

// Defined reports whether a name stands for what a flag gives by its definition, whatever that is by now.
func (s State) Defined(name string) bool { return s.Base != "" && name == s.Base }

// Standing reports whether a rollout that has succeeded still keeps the version before running.
func (s State) Standing() bool {
	return s.Phase == Succeeded && s.Standby > 0 && !s.Retired && s.From != ""
}
