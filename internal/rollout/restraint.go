package rollout

import (
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// Restraint is what low error budgets ask of a service's changes: that nothing moves outward, that rings bake longer, that every
// further ring is approved. It holds neither what a hurry lane carries nor the way back.
type Restraint struct {
	Hold     string             `json:"hold,omitempty" doc:"why nothing moves outward"`
	Slow     string             `json:"slow,omitempty" doc:"why rings bake longer"`
	Factor   float64            `json:"factor,omitempty" doc:"how many times as long"`
	Approve  string             `json:"approve,omitempty" doc:"why further rings need approval"`
	Approval *resource.Approval `json:"approval,omitempty" doc:"whose"`

	Groups map[string][]string `json:"groups,omitempty" doc:"members of the groups whose approval is needed"`
}

// restrained notes, once, that what the budgets ask has changed. A first release has no users whose budget there would be.
func restrained(s State, ev Evidence, now time.Time) []Event {
	is, was := ev.Restraint, s.Restraint
	if s.From == "" || reflect.DeepEqual(is, was) {
		return nil
	}
	return []Event{{Type: EvRestrained, Time: now, Ring: s.ringName(), Restraint: is, Reason: is.sentence()}}
}

func (r *Restraint) sentence() string {
	if r == nil {
		return "the error budgets restrain it no more"
	}
	out := ""
	for _, why := range []string{r.Hold, r.slowly(), r.approval()} {
		if why != "" && out != "" {
			out += "; "
		}
		out += why
	}
	return out
}

func (r *Restraint) slowly() string {
	if r.Slow == "" {
		return ""
	}
	return fmt.Sprintf("rings bake %s times as long: %s", strconv.FormatFloat(r.Factor, 'f', -1, 64), r.Slow)
}

func (r *Restraint) approval() string {
	if r.Approve == "" {
		return ""
	}
	return "further rings need approval: " + r.Approve
}

// bake is how long a ring bakes, with what the budgets ask.
func (s State) bake(ring int) time.Duration {
	d := time.Duration(s.Rings[ring].Bake)
	if r := s.Restraint; r != nil && r.Factor > 1 && !s.Lane.urgent() {
		d = time.Duration(float64(d) * r.Factor)
	}
	return d
}

// approvalFor is whose approval a ring needs: that of the plan, else that which the budgets ask for.
func (s State) approvalFor(ring int) *resource.Approval {
	if a := s.Rings[ring].Approval; a != nil {
		return a
	}
	if r := s.Restraint; r != nil && r.Approval != nil && !s.Lane.urgent() && s.From != "" {
		return r.Approval
	}
	return nil
}

// groups are the groups that approve, with those that the budgets ask.
func (s State) groups(groups map[string][]string) map[string][]string {
	if s.Restraint == nil || len(s.Restraint.Groups) == 0 {
		return groups
	}
	all := maps.Clone(s.Restraint.Groups)
	maps.Copy(all, groups)
	return all
}

func (s State) whySlow() string {
	if r := s.Restraint; r != nil && r.Factor > 1 && !s.Lane.urgent() {
		return fmt.Sprintf(", %s times as long as planned: %s", strconv.FormatFloat(r.Factor, 'f', -1, 64), r.Slow)
	}
	return ""
}

// Stricter is what two restraints ask of a service's changes together; where they say the same, in the words of the second.
func Stricter(a, b Restraint) Restraint {
	if b.Hold == "" {
		b.Hold = a.Hold
	}
	if b.Factor < a.Factor {
		b.Factor, b.Slow = a.Factor, a.Slow
	}
	if b.Approval == nil {
		b.Approval, b.Approve, b.Groups = a.Approval, a.Approve, a.Groups
	}
	return b
}
