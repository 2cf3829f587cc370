package alert

import (
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Silence keeps alerts from being told for a while. It changes nothing of whether they fire.
type Silence struct {
	ID        string    `json:"id"`
	Matchers  Matchers  `json:"matchers" doc:"which alerts: those that meet all of them"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy" doc:"who says so"`
	Author    string    `json:"author,omitempty" doc:"who signed in to say so"`
	Comment   string    `json:"comment" doc:"why"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// The states of a silence, as Alertmanager names them.
const (
	SilencePending = "pending"
	SilenceActive  = "active"
	SilenceExpired = "expired"
)

// State says whether it is in force.
func (s Silence) State(now time.Time) string {
	switch {
	case now.Before(s.StartsAt):
		return SilencePending
	case now.Before(s.EndsAt):
		return SilenceActive
	}
	return SilenceExpired
}

const mostMatchers = 64

// Checked is the silence ready for use, or what is wrong with it.
func (s Silence) Checked() (Silence, error) {
	switch {
	case len(s.Matchers) == 0:
		return s, errs.E(errs.Invalid, "at least one matcher required")
	case len(s.Matchers) > mostMatchers:
		return s, errs.E(errs.Invalid, "%d matchers, expected at most %d", len(s.Matchers), mostMatchers)
	case len(s.Comment) > longest || len(s.CreatedBy) > longest:
		return s, errs.E(errs.Invalid, "comment and createdBy: expected at most %d bytes", longest)
	case s.StartsAt.IsZero():
		return s, errs.E(errs.Invalid, "invalid zero start timestamp")
	case s.EndsAt.IsZero():
		return s, errs.E(errs.Invalid, "invalid zero end timestamp")
	case s.EndsAt.Before(s.StartsAt):
		return s, errs.E(errs.Invalid, "end time must not be before start time")
	}
	all := true
	ready := make(Matchers, len(s.Matchers))
	for i, m := range s.Matchers {
		c, err := m.Compile()
		if err != nil {
			return s, err
		}
		all = all && c.Matches(nil)
		ready[i] = c
	}
	if all {
		return s, errs.E(errs.Invalid, "at least one matcher must not match the empty string")
	}
	s.Matchers = ready
	return s, nil
}

// SilencedBy names the silences in force that match.
func SilencedBy(labels map[string]string, silences []Silence, now time.Time) []string {
	var ids []string
	for _, s := range silences {
		if s.State(now) == SilenceActive && s.Matchers.Matches(labels) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
