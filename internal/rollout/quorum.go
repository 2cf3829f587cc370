package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

// Consent is what somebody says to a change that waits for approval.
type Consent struct {
	Ring   string // the ring that is meant; empty for the next one
	Digest string // of what was seen; empty when that was not said
	Reason string
	Refuse bool
}

// Digest stands for what an approval is of: when anything of it differs, so does the digest.
func (s State) Digest() string {
	next := s.next()
	if next < 0 || next >= len(s.Rings) {
		return ""
	}
	r := s.Rings[next]
	seen := struct {
		ID, Service, From, To, By, Ring, Salt, Lane string
		Units                                       []string
		Members                                     any
		Changes                                     []Change
		Through                                     bool
		Approval                                    *resource.Approval
	}{s.ID, s.Service, s.From, s.To, s.By, r.Name, s.Salt, string(s.Lane), r.Units, nil, s.Changes, s.Through, s.approvalFor(next)}
	if next < len(s.Members) {
		seen.Members = s.Members[next]
	}
	raw, err := json.Marshal(seen)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// Agrees says whether a consent is to what s is now.
func (s State) Agrees(c Consent) error {
	if is := s.Digest(); c.Digest != "" && c.Digest != is {
		return errs.E(errs.Conflict, "%s is not what was seen any more: its digest is %s, not %.40s", s.ID, is, c.Digest).Next("Look at it again, then decide: ringfence approvals")
	}
	return nil
}

// Quorum says whose approval is missing of groups, of each of which so many have to approve; "" when none is. Whoever is in
// several groups counts for one of them, the one where it helps most. A group without members, or that there is not,
// is never satisfied.
func Quorum(of []resource.ApprovalOf, given []string, groups map[string][]string) string {
	given = slices.Compact(slices.Sorted(slices.Values(given)))
	var seats []int // a seat for each approval that is needed, by its group
	for g, one := range of {
		for range max(one.Count, 1) {
			seats = append(seats, g)
		}
	}
	taken := make([]int, len(seats)) // by whom of given, from 1
	var place func(who int, tried []bool) bool
	place = func(who int, tried []bool) bool {
		for i, g := range seats {
			if tried[i] || !slices.Contains(groups[of[g].Name], given[who]) {
				continue
			}
			tried[i] = true
			if taken[i] == 0 || place(taken[i]-1, tried) {
				taken[i] = who + 1
				return true
			}
		}
		return false
	}
	for who := range given {
		place(who, make([]bool, len(seats)))
	}
	open := make([]int, len(of))
	for i, g := range seats {
		if taken[i] == 0 {
			open[g]++
		}
	}
	var missing []string
	for g, n := range open {
		switch {
		case n == 1:
			missing = append(missing, "one of "+of[g].Name)
		case n > 1:
			missing = append(missing, fmt.Sprintf("%d of %s", n, of[g].Name))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "the approval of " + strings.Join(missing, " and ")
}
