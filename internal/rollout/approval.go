package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
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
	r := s.Rings[ring]
	if r.Approval == nil || s.Lane == Sev0 || s.Lane == Forward && ring <= s.Entry || s.Lane == Redeploy {
		return ""
	}
	var given []string
	for _, a := range s.Approved {
		if a.Ring == r.Name && (r.Approval.Own || a.By != s.By) {
			given = append(given, strings.TrimPrefix(a.By, "user:"))
		}
	}
	if len(r.Approval.From) == 0 {
		if len(given) == 0 {
			return fmt.Sprintf("ring %s waits for approval", r.Name)
		}
		return ""
	}
	if r.Approval.Need == "all" && !r.Approval.Own { // who released it cannot approve it, and is not waited for next to others
		others := append(slices.Clone(given), strings.TrimPrefix(s.By, "user:"))
		if missing := missingOf(r.Name, "all", r.Approval.From, others, groups); missing != "" || len(given) > 0 {
			return missing
		}
	}
	return missingOf(r.Name, r.Approval.Need, r.Approval.From, given, groups)
}

func missingOf(ring, need string, from, given []string, groups map[string][]string) string {
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
	return fmt.Sprintf("ring %s waits for the approval of %s", ring, strings.Join(missing, word))
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
	if r.Approval == nil {
		return nil, errs.E(errs.Conflict, "ring %s needs no approval", ring)
	}
	if err := mayApprove(s, r, strings.TrimPrefix(actor, "user:"), actor, groups); err != nil && !refuse {
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
	if len(r.Approval.From) == 0 {
		return nil
	}
	for _, g := range r.Approval.From {
		if slices.Contains(groups[g], name) {
			return nil
		}
	}
	return errs.E(errs.Denied, "%s is in none of the groups that approve ring %s: %s", name, r.Name, strings.Join(r.Approval.From, ", "))
}
