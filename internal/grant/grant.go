package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

// The states of a grant.
const (
	Asked  = "asked"
	Active = "active"
	Over   = "over"
)

// ReviewWithin is how soon a broken glass has to be reviewed.
const ReviewWithin = 24 * time.Hour

// Wish is what somebody asks for.
type Wish struct {
	Role    policy.Role `json:"role" enum:"viewer,operator,admin" doc:"the role that is asked for"`
	Service string      `json:"service,omitempty" maxLength:"300" doc:"only for this service; without one for everything, where a rule allows that"`
	Ring    string      `json:"ring,omitempty" maxLength:"63" doc:"only for rollouts that are to enter this ring"`
	Minutes int         `json:"minutes,omitempty" minimum:"1" maximum:"1440" doc:"for how long; default 60, or the longest that the rule allows"`
	Reason  string      `json:"reason" minLength:"1" maxLength:"500" doc:"why"`
}

// Grant is access for a time, asked for or given.
type Grant struct {
	ID  string `json:"id" doc:"who-number"`
	Who string `json:"who" doc:"the principal's name"`
	Wish
	State     string             `json:"state" enum:"asked,active,over"`
	Asked     time.Time          `json:"asked"`
	Approval  *resource.Approval `json:"approval,omitempty" doc:"who has to approve it"`
	Approved  []rollout.Approved `json:"approved,omitempty"`
	Missing   string             `json:"missing,omitempty" doc:"whose approval it waits for"`
	Auto      string             `json:"auto,omitempty" doc:"why it was given without asking anybody"`
	From      time.Time          `json:"from,omitzero"`
	Until     time.Time          `json:"until,omitzero"`
	Ended     time.Time          `json:"ended,omitzero"`
	EndedBy   string             `json:"endedBy,omitempty"`
	EndedWhy  string             `json:"endedWhy,omitempty"`
	Used      time.Time          `json:"used,omitzero" doc:"when something was last done by it"`
	Emergency bool               `json:"emergency,omitempty" doc:"somebody broke glass"`
	Review    time.Time          `json:"review,omitzero" doc:"until when the emergency has to be reviewed"`
	Reviewed  string             `json:"reviewed,omitempty" doc:"who reviewed it"`
	Finding   string             `json:"finding,omitempty" doc:"what the review found"`
	Overdue   bool               `json:"overdue,omitempty" doc:"the review is late, which was told"`
	Incident  string             `json:"incident,omitempty" doc:"the incident that it is for, with which it ends"`
}

// Digest stands for what is approved.
func (g Grant) Digest() string {
	raw, err := json.Marshal([]any{g.ID, g.Who, g.Wish, g.Asked})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// Holds says whether the grant counts at a time.
func (g Grant) Holds(now time.Time) bool {
	return g.State == Active && !now.Before(g.From) && now.Before(g.Until)
}

// Covers says whether a resource is within the scope.
func (g Grant) Covers(r policy.Resource) bool {
	if g.Ring != "" && r.Ring != g.Ring {
		return false
	}
	return g.Service == "" || r.Service == g.Service || r.Kind == "declaration" && g.Ring == ""
}

// Scope is the scope in words.
func (g Grant) Scope() string {
	s := "everything"
	if g.Service != "" {
		s = "service " + g.Service
	}
	if g.Ring != "" {
		s += ", ring " + g.Ring
	}
	return s
}

// Known is what is known of who asks.
type Known struct {
	Groups []string          // declared groups that name them
	Labels map[string]string // of the service
	OnCall bool              // for the service
}

// Ask decides on a wish: whether p may have it, whether at once, else who approves.
func Ask(rules resource.AccessRules, p policy.Principal, w Wish, k Known, now time.Time) (Grant, error) {
	g := Grant{Who: p.Name, Wish: w, State: Asked, Asked: now.UTC()}
	if strings.TrimSpace(w.Reason) == "" {
		return g, errs.E(errs.Invalid, "reason: missing, expected why the access is needed")
	}
	if !slices.Contains([]policy.Role{policy.Viewer, policy.Operator, policy.Admin}, w.Role) {
		return g, errs.E(errs.Invalid, "role %.40q: expected viewer, operator or admin", w.Role)
	}
	rule, ok := fitting(rules, p, w, k)
	if !ok {
		return g, errs.E(errs.Denied, "%s may not ask for the role %s for %s", p.Name, w.Role, g.Scope()).
			Next("See who may ask for what: ringfence get accessrules access; in an emergency: ringfence access break-glass --reason REASON")
	}
	if g.Minutes == 0 {
		g.Minutes = min(60, rule.MaxMinutes)
	}
	if g.Minutes < 1 || g.Minutes > rule.MaxMinutes {
		return g, errs.E(errs.Invalid, "minutes: %d, expected 1 to %d", g.Minutes, rule.MaxMinutes)
	}
	if rule.Until.IsZero() || now.Before(rule.Until) {
		switch {
		case rule.Auto == "always":
			g.Auto = "the rule gives it without asking"
		case rule.Auto == "onCall" && k.OnCall:
			g.Auto = p.Name + " is on call"
		}
	}
	if g.Auto != "" {
		return g.given(now), nil
	}
	g.Approval = rule.Approval
	return g, nil
}

// fitting is the first rule that is for a wish. Where there are no rules, whoever has the role, or is an admin, may ask
// for it to be active, and somebody else approves.
func fitting(rules resource.AccessRules, p policy.Principal, w Wish, k Known) (resource.GrantRule, bool) {
	if len(rules.Grants) == 0 {
		return resource.GrantRule{MaxMinutes: 60, Approval: &resource.Approval{}}, p.Role == w.Role || p.Role == policy.Admin || p.Role == policy.Operator && w.Role == policy.Viewer
	}
	for _, r := range rules.Grants {
		if string(w.Role) == r.Role && concerns(r, w, k) && (r.Who == nil || slices.ContainsFunc(r.Who, func(g string) bool { return slices.Contains(k.Groups, g) })) {
			return r, true
		}
	}
	return resource.GrantRule{}, false
}

func concerns(r resource.GrantRule, w Wish, k Known) bool {
	narrow := len(r.Services)+len(r.Labels) > 0
	if narrow && w.Service == "" || len(r.Services) > 0 && !slices.Contains(r.Services, w.Service) || len(r.Rings) > 0 && !slices.Contains(r.Rings, w.Ring) {
		return false
	}
	for key, v := range r.Labels {
		if k.Labels[key] != v {
			return false
		}
	}
	return true
}

func (g Grant) given(now time.Time) Grant {
	g.State, g.From, g.Until, g.Missing = Active, now.UTC(), now.UTC().Add(time.Duration(g.Minutes)*time.Minute), ""
	return g
}

// Approve takes somebody's consent. The last one that is missing gives the access, from then on.
func (g Grant) Approve(actor string, said rollout.Consent, groups map[string][]string, now time.Time) (Grant, error) {
	name := strings.TrimPrefix(actor, "user:")
	switch {
	case g.State != Asked:
		return g, errs.E(errs.Conflict, "%s is %s", g.ID, g.State)
	case name == g.Who:
		return g, errs.E(errs.Denied, "%s asked for it, and cannot approve it too", name).Next("Ask someone else to approve it.")
	case said.Digest != "" && said.Digest != g.Digest():
		return g, errs.E(errs.Conflict, "%s has the digest %s, not %.40q: what was seen is not what it is", g.ID, g.Digest(), said.Digest)
	}
	a := resource.Approval{}
	if g.Approval != nil {
		a = *g.Approval
	}
	a.Own = false // nobody gives themselves access, whatever the rule says
	if named := a.Named(); len(named) > 0 && !slices.ContainsFunc(named, func(n string) bool { return slices.Contains(groups[n], name) }) {
		return g, errs.E(errs.Denied, "%s is in none of the groups that approve: %s", name, strings.Join(named, ", "))
	}
	if !slices.ContainsFunc(g.Approved, func(one rollout.Approved) bool { return one.By == actor }) {
		g.Approved = append(slices.Clone(g.Approved), rollout.Approved{By: actor, At: now.UTC(), Why: said.Reason})
	}
	if g.Missing = g.waits(groups, a); g.Missing != "" {
		return g, nil
	}
	return g.given(now), nil
}

// Waits says whose approval is missing, "" when none is.
func (g Grant) Waits(groups map[string][]string) string {
	if g.State != Asked {
		return ""
	}
	a := resource.Approval{}
	if g.Approval != nil {
		a = *g.Approval
	}
	return g.waits(groups, a)
}

func (g Grant) waits(groups map[string][]string, a resource.Approval) string {
	a.Own = false
	var by []string
	for _, one := range g.Approved {
		by = append(by, one.By)
	}
	return rollout.Unapproved(a, "user:"+g.Who, by, groups)
}

// End is the grant, or the wish, as it is over.
func (g Grant) End(actor, why string, now time.Time) Grant {
	g.State, g.Ended, g.EndedBy, g.EndedWhy, g.Missing = Over, now.UTC(), actor, why, ""
	return g
}

// Break gives emergency access at once.
func Break(e resource.Emergency, name, reason string, now time.Time) (Grant, error) {
	g := Grant{Who: name, Wish: Wish{Role: policy.Role(e.Role), Minutes: e.Minutes, Reason: reason}, Asked: now.UTC(), Emergency: true, Auto: "glass was broken",
		Review: now.UTC().Add(ReviewWithin)}
	if strings.TrimSpace(reason) == "" {
		return g, errs.E(errs.Invalid, "reason: missing, expected what the emergency is")
	}
	return g.given(now), nil
}

// ForIncident gives somebody who responds to an incident what they need for its service, until it is resolved and at most
// for a day.
func ForIncident(who, service, incident string, now time.Time) Grant {
	g := Grant{Who: who, Wish: Wish{Role: policy.Operator, Service: service, Minutes: 24 * 60, Reason: "responds to " + incident}, Asked: now.UTC(), Incident: incident,
		Auto: who + " responds to " + incident}
	return g.given(now)
}
