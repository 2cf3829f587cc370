package rollout

import (
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/health"
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
	Name    string    `json:"name"`
	Purpose string    `json:"purpose,omitempty"`
	Bake    fleet.Dur `json:"bake"`
}

// State is a rollout: what was planned, how far it is, and what was seen in each ring.
type State struct {
	ID      string        `json:"id" doc:"service-number"`
	Service string        `json:"service"`
	From    string        `json:"from" doc:"the version that ran before; empty for a first release"`
	To      string        `json:"to"`
	By      string        `json:"by" doc:"who released it"`
	Plan    string        `json:"plan"`
	Rings   []Ring        `json:"rings"`
	Members []fleet.Ring  `json:"members" doc:"who is in each ring, with segments put in"`
	Salt    string        `json:"salt"`
	Gates   []health.Gate `json:"gates"`
	Within  fleet.Dur     `json:"within" doc:"how long the new version may take to become ready"`

	Phase    Phase     `json:"phase"`
	Ring     int       `json:"ring" doc:"index of the outermost ring that has the new version; -1 for none"`
	Paused   bool      `json:"paused"`
	Hurried  bool      `json:"hurried" doc:"a person asked not to wait for the rest of this ring's bake"`
	Reverted bool      `json:"reverted" doc:"routes point to the version before again"`
	Reason   string    `json:"reason,omitempty" doc:"why it stands where it stands"`
	Created  time.Time `json:"created"`
	Ended    time.Time `json:"ended,omitzero"`
	LostAt   time.Time `json:"lostAt,omitzero" doc:"since when no instance of the new version is ready"`
	HurtAt   time.Time `json:"hurtAt,omitzero" doc:"first bad event of what it was taken back for"`
	HaltedAt time.Time `json:"haltedAt,omitzero" doc:"when the harm was detected"`
	SafeAt   time.Time `json:"safeAt,omitzero" doc:"when no user got the new version any more"`
	Stages   []Stage   `json:"stages" doc:"the rings entered so far, in order"`
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
}

// Event is one thing that happened to a rollout. Which fields are set depends on Type.
type Event struct {
	Type   string             `json:"-"`
	Time   time.Time          `json:"-"`
	Actor  string             `json:"-"`
	Ring   string             `json:"ring,omitempty"`
	From   string             `json:"from,omitempty"`
	To     string             `json:"to,omitempty"`
	Reason string             `json:"reason,omitempty"`
	HurtAt time.Time          `json:"hurtAt,omitzero"`
	Users  int64              `json:"users,omitempty"`
	Gates  []health.Judgement `json:"gates,omitempty"`
}

// The types of events, in the order of a rollout's life.
const (
	EvStarted    = "rollout.started"
	EvReady      = "rollout.ready" // the new version passes its readiness check
	EvExposed    = "stage.exposed" // a ring is switched to the new version
	EvBaking     = "stage.baking"  // the switch is in force everywhere
	EvJudged     = "stage.judged"  // the verdict changed
	EvPassed     = "stage.passed"  // baked, with enough evidence of health
	EvLost       = "rollout.lost"  // no instance of the new version is ready any more
	EvFound      = "rollout.found" // one is ready again
	EvPaused     = "rollout.paused"
	EvResumed    = "rollout.resumed"
	EvHurried    = "rollout.hurried" // the rest of the bake is waived by a person, not the verdict
	EvHalted     = "rollout.halted"  // harm was detected
	EvAborted    = "rollout.aborted" // a person asked to go back
	EvReverting  = "rollback.started"
	EvReverted   = "rollback.switched"  // routes point to the version before
	EvRolledBack = "rollback.completed" // and that is in force everywhere
	EvSucceeded  = "rollout.succeeded"
	EvSuperseded = "rollout.superseded"
)

// Evidence is what is seen of a rollout at one moment.
type Evidence struct {
	Seen    bool               // every unit has reported lately
	InForce bool               // every unit acknowledges that what the state wants is in force
	To      Instances          // of the new version
	From    Instances          // of the version before
	Gates   []health.Judgement // one for each gate, for the current stage
	HurtAt  time.Time          // first bad event in the current stage
	Users   int64              // users who got the new version in the current ring

	Unwatched time.Duration // of the current bake, in which nothing was measured: it does not count as baked
}

// Instances are the running processes of one version.
type Instances struct {
	Ready, Wanted int
	Failure       string // why they are not ready
}

func (i Instances) ready() bool { return i.Wanted > 0 && i.Ready >= i.Wanted }

// Wanted is what must be so while a rollout is in a state: the version of each ring and the versions kept running.
type Wanted struct {
	Exposure []string
	Keep     []string
}

// Wanted derives the actions from the state; it may be asked, and acted on, any number of times.
func (s State) Wanted() Wanted {
	w := Wanted{Exposure: make([]string, len(s.Rings))}
	for i := range w.Exposure {
		w.Exposure[i] = s.From
		if s.exposes(i) {
			w.Exposure[i] = s.To
		}
	}
	switch s.Phase {
	case Succeeded:
		w.Keep = []string{s.To}
	case RolledBack, Superseded:
		w.Keep = []string{s.From}
	default:
		w.Keep = []string{s.From, s.To}
	}
	if w.Keep[0] == "" {
		w.Keep = w.Keep[1:]
	}
	return w
}

// exposes reports whether users of ring i get the new version.
func (s State) exposes(i int) bool {
	switch s.Phase {
	case Exposing, Baking, Succeeded:
		return i <= s.Ring
	case RollingBack:
		return !s.Reverted && i <= s.Ring
	default:
		return false
	}
}

// stage returns the current stage, nil before the first ring.
func (s *State) stage() *Stage {
	if len(s.Stages) == 0 {
		return nil
	}
	return &s.Stages[len(s.Stages)-1]
}

// Everyone reports whether every user has the new version, so that nobody is left to compare with.
func (s State) Everyone() bool { return s.Ring == len(s.Rings)-1 }
