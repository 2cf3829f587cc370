package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// Approved is an approval that was given.
type Approved struct {
	Ring string    `json:"ring"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Why  string    `json:"why,omitempty"`
}

// Pending is the ring whose approval a rollout waits for, or will wait for once its current ring has baked; "" for none.
func (s State) Pending(groups map[string][]string) (ring, missing string) {
	next := s.next()
	if s.Phase.Ended() || s.Phase == RollingBack || next > s.last() || s.From == "" {
		return "", ""
	}
	return s.Rings[next].Name, s.unapproved(next, groups)
}

// unapproved says whose approval a ring still needs, "" when none is missing.
func (s State) unapproved(ring int, groups map[string][]string) string {
	r, wanted := s.Rings[ring], s.approvalFor(ring)
	if wanted == nil || s.Lane == Sev0 || s.Lane == Forward && ring <= s.Entry || s.Lane == Redeploy {
		return ""
	}
	var given []string
	for _, a := range s.Approved {
		if a.Ring == r.Name {
			given = append(given, a.By)
		}
	}
	if missing := Unapproved(*wanted, s.By, given, s.groups(groups)); missing != "" {
		return "ring " + r.Name + " waits for " + missing
	}
	return ""
}

// Unapproved says whose approval is missing of what an author asks for, given the principals who approved so far and the
// members of the groups; "" when none is.
func Unapproved(a resource.Approval, author string, by []string, groups map[string][]string) string {
	name := func(principal string) string { return strings.TrimPrefix(principal, "user:") }
	var given []string
	for _, who := range by {
		if a.Own || who != author {
			given = append(given, name(who))
		}
	}
	if len(a.Groups) > 0 {
		return Quorum(a.Of(), given, groups)
	}
	if len(a.From) == 0 {
		if len(given) == 0 {
			return "approval"
		}
		return ""
	}
	if a.Need == "all" && !a.Own { // the author cannot approve it, and is not waited for next to others
		others := append(slices.Clone(given), name(author))
		if missing := missingOf("all", a.From, others, groups); missing != "" || len(given) > 0 {
			return missing
		}
	}
	return missingOf(a.Need, a.From, given, groups)
}

func missingOf(need string, from, given []string, groups map[string][]string) string {
	var missing []string
	for _, group := range from {
		members := groups[group]
		has := slices.ContainsFunc(members, func(m string) bool { return slices.Contains(given, m) })
		switch need {
		case "all":
			for _, m := range members {
				if !slices.Contains(given, m) && !slices.Contains(missing, m) {
					missing = append(missing, m)
				}
			}
			if len(members) == 0 {
				missing = append(missing, group)
			}
		case "each":
			if !has {
				missing = append(missing, "one of "+group)
			}
		default:
			if has {
				return ""
			}
			missing = append(missing, "one of "+group)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	word := " and "
	if need == "any" {
		word = " or "
	}
	return "the approval of " + strings.Join(missing, word)
}

// Approve decides on an approval, or its refusal, for the next ring. Who may give it is judged against the groups as
// they are now. A refusal halts the rollout where it is.
func Approve(s State, ring, actor, reason string, refuse bool, groups map[string][]string, now time.Time) ([]Event, error) {
	next, _ := s.Pending(groups)
	if next == "" {
		return nil, errs.E(errs.Conflict, "%s waits for no approval (%s)", s.ID, s.Phase)
	}
	if ring == "" {
		ring = next
	}
	if ring != next {
		return nil, errs.E(errs.Conflict, "%s is to enter ring %s next, not %s", s.ID, next, ring)
	}
	r := s.Rings[s.next()]
	if r.Approval = s.approvalFor(s.next()); r.Approval == nil {
		return nil, errs.E(errs.Conflict, "ring %s needs no approval", ring)
	}
	if err := mayApprove(s, r, strings.TrimPrefix(actor, "user:"), actor, s.groups(groups)); err != nil && !refuse {
		return nil, err
	} else if err != nil && actor != s.By {
		return nil, err
	}
	if refuse {
		if s.Halted {
			return nil, nil
		}
		return []Event{{Type: EvRejected, Time: now, Actor: actor, Ring: ring, Reason: reason}}, nil
	}
	if slices.ContainsFunc(s.Approved, func(a Approved) bool { return a.Ring == ring && a.By == actor }) {
		return nil, nil
	}
	return []Event{{Type: EvApproved, Time: now, Actor: actor, Ring: ring, Reason: reason}}, nil
}

func mayApprove(s State, r Ring, name, actor string, groups map[string][]string) error {
	if !r.Approval.Own && actor == s.By {
		return errs.E(errs.Denied, "%s released %s and cannot approve it too", name, s.To).Next("ask someone else to approve it")
	}
	named := r.Approval.Named()
	if len(named) == 0 {
		return nil
	}
	for _, g := range named {
		if slices.Contains(groups[g], name) {
			return nil
		}
	}
	return errs.E(errs.Denied, "%s is in none of the groups that approve ring %s: %s", name, r.Name, strings.Join(named, ", "))
}
