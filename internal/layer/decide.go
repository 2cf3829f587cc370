package layer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Use is a version of a service that runs, is kept warm or is being rolled out, and the schema that it is on.
type Use struct {
	Service     string   `json:"service"`
	Version     string   `json:"version" doc:"as release, release@config or release~schema"`
	Database    string   `json:"database"`
	Schema      string   `json:"schema" doc:"the version of the schema that it is on"`
	Understands []string `json:"understands" doc:"the versions that it can run on"`
	Rollout     string   `json:"rollout,omitempty" doc:"the rollout that it is part of, while that is on its way"`
	Ring        string   `json:"ring,omitempty" doc:"the outermost ring that has it"`
	Role        string   `json:"role" enum:"stable,new,before,standby,leaving" doc:"why it runs"`
}

func (u Use) String() string {
	where := u.Role
	if u.Rollout != "" {
		where += " in rollout " + u.Rollout
	}
	return fmt.Sprintf("%s %s (%s)", u.Service, u.Version, where)
}

// MayRun refuses a version that would be without its schema.
func (s State) MayRun(u Use) error {
	switch {
	case !slices.Contains(u.Understands, u.Schema):
		return errs.E(errs.Conflict, "%s %s does not understand version %s of database %s, only %s", u.Service, u.Version, u.Schema, u.Database, strings.Join(u.Understands, ", ")).
			Next("Choose one that it understands, or release a version that understands %s.", u.Schema)
	case u.Schema == s.Going():
		return errs.E(errs.Conflict, "version %s of database %s, which %s %s needs, is about to go: migration %s is %s", u.Schema, u.Database, u.Service, u.Version, s.Step.Name, s.Step.Phase).
			Next("Wait for it (ringfence database show %s), then release a version that understands what is left: %s.", u.Database, strings.Join(s.Offered(), ", "))
	case s.Step != nil && s.Step.Phase == Starting && s.Step.Version == u.Schema:
		return errs.E(errs.Conflict, "version %s of database %s is not ready yet: migration %s is %s", u.Schema, u.Database, s.Step.Name, s.Step.Phase).
			Next("Wait until it is started: ringfence database show %s", u.Database)
	case !s.Offers(u.Schema):
		return errs.E(errs.Conflict, "version %s of database %s, which %s %s needs, is not there: %s", u.Schema, u.Database, u.Service, u.Version, s.liveWords()).
			Next("Release a version that understands %s, or start the migration that brings %s.", strings.Join(s.Offered(), " or "), u.Schema)
	}
	return nil
}

func (s State) liveWords() string {
	if len(s.Live) == 0 {
		return "no version is known to be live"
	}
	return "live is " + strings.Join(s.Live, " and ")
}

// Choose is the version of the schema that a version of a service is started on when nobody says which: the one that the service is on,
// so that a release alone changes one layer; else the oldest that it understands, as the newer one is brought to users by a change of
// its own. With several live that it does not understand there is none.
func (s State) Choose(understands []string, stable string) string {
	offered := s.Offered()
	if slices.Contains(understands, stable) && slices.Contains(offered, stable) {
		return stable
	}
	for _, v := range slices.Backward(offered) {
		if slices.Contains(understands, v) {
			return v
		}
	}
	if len(understands) > 0 {
		return understands[0] // which MayRun refuses, and says why
	}
	return ""
}

// MayStart refuses a second change of one database.
func (s State) MayStart(name string) error {
	if s.Step != nil && (s.Step.Name != name || s.Step.Phase == Completing || s.Step.Phase == Returning) {
		return errs.E(errs.Conflict, "migration %s of database %s is %s", s.Step.Name, s.Database, s.Step.Phase).Next("Complete it or roll it back first.")
	}
	return nil
}

// MayComplete refuses to take the old version away while anything in production is on it, or a rollout is on its way to the new one.
// Where no service is on the new version there is no evidence: a person has to say that it proved itself, and why.
func (s State) MayComplete(name string, uses []Use, vouched bool) error {
	if err := s.under(name, Completing); err != nil {
		return err
	}
	uses = s.mine(uses)
	var old, moving []string
	for _, u := range uses {
		switch {
		case u.Schema != s.Step.Version:
			old = append(old, u.String())
		case u.Rollout != "":
			moving = append(moving, u.String())
		}
	}
	switch {
	case len(old) > 0:
		return errs.E(errs.Conflict, "version %s of database %s is needed by %s", s.Step.Previous, s.Database, strings.Join(old, ", ")).
			Next("Bring everyone to the new version first (ringfence release SERVICE --schema %s), and let rollouts, standbys and what drains end.", s.Step.Version)
	case len(moving) > 0:
		return errs.E(errs.Conflict, "the last ring has not baked with version %s of database %s: %s", s.Step.Version, s.Database, strings.Join(moving, ", ")).
			Next("Wait for the rollout to succeed: afterwards nothing goes back to %s.", s.Step.Previous)
	case len(uses) == 0 && !vouched:
		return errs.E(errs.Conflict, "no service has been brought to version %s of database %s, so there is no evidence that it works", s.Step.Version, s.Database).
			Next("Roll it out (ringfence release SERVICE --schema %s), or say that it proved itself elsewhere: --baked --reason …", s.Step.Version)
	}
	return nil
}

// MayReturn refuses to take the new version away while anything in production is on it.
func (s State) MayReturn(name string, uses []Use) error {
	if err := s.under(name, Returning); err != nil {
		return err
	}
	var using []string
	for _, u := range s.mine(uses) {
		if u.Schema == s.Step.Version {
			using = append(using, u.String())
		}
	}
	if len(using) > 0 {
		return errs.E(errs.Conflict, "version %s of database %s is needed by %s", s.Step.Version, s.Database, strings.Join(using, ", ")).
			Next("Take the rollout back first (ringfence rollout rollback SERVICE), or bring the service back to %s (ringfence release SERVICE --schema %[1]s).", s.Step.Previous)
	}
	return nil
}

// under wants a migration to be side by side, or already on its way to where it shall go. A start that fails again and again is taken
// back, too.
func (s State) under(name string, to Phase) error {
	switch {
	case s.Step == nil && s.Last != nil && s.Last.Name == name:
		return errs.E(errs.Conflict, "migration %s of database %s has ended: it is %s", name, s.Database, s.Last.Phase)
	case s.Step == nil || s.Step.Name != name:
		return errs.E(errs.Missing, "there is no migration %s under way in database %s", name, s.Database).Next("See: ringfence database show %s", s.Database)
	case s.Step.Phase == Started || s.Step.Phase == to || to == Returning && s.Step.Phase == Starting:
		return nil
	}
	return errs.E(errs.Conflict, "migration %s of database %s is %s", name, s.Database, s.Step.Phase).Next("Wait until both versions are live: ringfence database show %s", s.Database)
}

func (s State) mine(uses []Use) []Use {
	return slices.DeleteFunc(slices.Clone(uses), func(u Use) bool { return u.Database != s.Database })
}

// Begun is the state with a new step.
func (s State) Begun(step Step, now time.Time) State {
	step.Phase, step.At = Starting, now
	s.Step = &step
	return s
}

// Toward is the state with its step on the way to completed or rolled back.
func (s State) Toward(to Phase, by, why string, allowUnknown, force bool, now time.Time) State {
	step := s.Step.moved(to, now)
	step.By, step.Why, step.AllowUnknown, step.Force = by, why, allowUnknown, force
	s.Step = step
	return s
}

// Failed is the state after an attempt that did not succeed and changed nothing. What was refused is over: both versions are there as
// before. What could not be done is tried again, and until then the version that goes is not offered.
func (s State) Failed(why string, refused bool, now time.Time) State {
	if s.Step == nil {
		return s
	}
	to := s.Step.Phase
	if refused && (to == Completing || to == Returning) {
		to = Started
	}
	step := s.Step.moved(to, now)
	step.Error = why
	s.Step = step
	return s
}
