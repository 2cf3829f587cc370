package resource

import (
	"regexp"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// The kinds that say who may do what.
const (
	KindAccessPolicy = "AccessPolicy"
	KindAccessRules  = "AccessRules"
)

// AccessRulesName is the one name that access rules have: there is one document of them.
const AccessRulesName = "access"

var principalRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+:-]{0,127}$`)

// AccessPolicy are rules in Cedar, which stand beside the default ones and each other.
type AccessPolicy struct {
	Note  string `json:"note,omitempty" maxLength:"500" doc:"what the rules are for"`
	Rules string `json:"rules" maxLength:"262144" doc:"rules in Cedar: permit adds to what roles may, forbid takes away whatever permits"`
}

// AccessRules say how people get access, who approves changes of policy, and who else is asked.
type AccessRules struct {
	Zone       string        `json:"zone,omitempty" doc:"IANA time zone in which rules are told hour, weekday and date; default UTC"`
	NoStanding bool          `json:"noStanding,omitempty" doc:"what changes production takes a grant, whatever the role; default not"`
	Exempt     []string      `json:"exempt,omitempty" maxItems:"100" doc:"of noStanding: principals whose roles count always, such as the pipeline that releases"`
	Grants     []GrantRule   `json:"grants,omitempty" maxItems:"100" doc:"who may have which access for a time; the first that fits decides"`
	Emergency  *Emergency    `json:"emergency,omitempty" doc:"who may break glass; default admins and operators, as admin, for an hour"`
	Changes    *Approval     `json:"changes,omitempty" doc:"who has to approve a change of policies, of these rules, and of the groups that they name; default nobody"`
	Remote     *RemotePolicy `json:"remote,omitempty" doc:"an Open Policy Agent that is asked as well; both have to allow"`
}

// GrantRule says who may be granted a role, for what, for how long, and who approves.
type GrantRule struct {
	Role       string            `json:"role" enum:"viewer,operator,admin" doc:"the role that is granted"`
	Who        []string          `json:"who,omitempty" maxItems:"20" doc:"groups whose members may ask; default everyone who signs in"`
	Services   []string          `json:"services,omitempty" maxItems:"1000" doc:"only for these services; default for all"`
	Labels     map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"only for services that have all of these labels"`
	Rings      []string          `json:"rings,omitempty" maxItems:"20" doc:"only for these rings; default for all"`
	MaxMinutes int               `json:"maxMinutes,omitempty" minimum:"1" maximum:"1440" doc:"longest time of a grant; default 60"`
	Approval   *Approval         `json:"approval,omitempty" doc:"who approves; default somebody else who may review"`
	Auto       string            `json:"auto,omitempty" enum:"never,onCall,always" doc:"without asking anybody: never (default), to who is on call for the service, or always"`
	Until      time.Time         `json:"until,omitzero" doc:"auto holds until then; default for good"`
}

// Emergency says who may break glass.
type Emergency struct {
	Who     []string `json:"who,omitempty" maxItems:"20" doc:"groups; default those with the role admin or operator"`
	Role    string   `json:"role,omitempty" enum:"operator,admin" doc:"what they become; default admin"`
	Minutes int      `json:"minutes,omitempty" minimum:"1" maximum:"1440" doc:"for how long; default 60"`
}

// RemotePolicy is an Open Policy Agent.
type RemotePolicy struct {
	URL     string    `json:"url" doc:"its data API for the rule, such as http://localhost:8181/v1/data/ringfence/allow; it answers a boolean"`
	Timeout fleet.Dur `json:"timeout,omitempty" doc:"how long it may take; default 500ms. No answer denies"`
}

// Defaults returns a with every default filled in.
func (a AccessRules) Defaults() AccessRules {
	or(&a.Zone, "UTC")
	grants := make([]GrantRule, len(a.Grants))
	for i, g := range a.Grants {
		or(&g.MaxMinutes, 60)
		or(&g.Auto, "never")
		if g.Approval == nil {
			g.Approval = &Approval{}
		}
		grants[i] = g
	}
	a.Grants = grants
	e := Emergency{}
	if a.Emergency != nil {
		e = *a.Emergency
	}
	or(&e.Role, "admin")
	or(&e.Minutes, 60)
	a.Emergency = &e
	if a.Remote != nil {
		r := *a.Remote
		or(&r.Timeout, fleet.Dur(500*time.Millisecond))
		a.Remote = &r
	}
	return a
}

func (a AccessRules) refs() []Ref {
	var refs []Ref
	groups := func(at string, names []string) {
		for i, g := range names {
			refs = append(refs, Ref{item(at, i), KindGroup, g})
		}
	}
	for i, g := range a.Grants {
		groups(item("spec.grants", i)+".who", g.Who)
		refs = append(refs, g.Approval.refs(item("spec.grants", i)+".approval")...)
	}
	if a.Emergency != nil {
		groups("spec.emergency.who", a.Emergency.Who)
	}
	return append(refs, a.Changes.refs("spec.changes")...)
}

func (p *problems) accessRules(a *AccessRules, name string) {
	p.need(name == AccessRulesName, "metadata.name", AccessRulesName, "%q: there is one document of access rules", clip(name))
	p.zone(a.Zone, "spec.zone")
	p.need(a.NoStanding || len(a.Exempt) == 0, "spec.exempt", "only with noStanding", "exempts from what is not asked")
	for i, name := range a.Exempt {
		p.need(principalRE.MatchString(name), item("spec.exempt", i), "letters, digits and . _ @ + : -", "%q is no principal", clip(name))
	}
	for i, g := range a.Grants {
		at := item("spec.grants", i)
		p.people(g.Who, at+".who")
		p.names(g.Services, at+".services")
		p.names(g.Rings, at+".rings")
		p.approving(g.Approval, at+".approval")
		p.need(g.Until.IsZero() || g.Auto != "" && g.Auto != "never", at+".until", "next to auto", "is for what is granted without asking")
	}
	if e := a.Emergency; e != nil {
		p.people(e.Who, "spec.emergency.who")
	}
	p.approving(a.Changes, "spec.changes")
	if r := a.Remote; r != nil {
		p.httpURL(r.URL, "spec.remote.url")
		p.within(r.Timeout, 10*time.Second, "spec.remote.timeout")
	}
}

// people wants groups where any are named: a list that was left empty by mistake is not one of everybody.
func (p *problems) people(groups []string, at string) {
	p.need(groups == nil || len(groups) > 0, at, "at least one group, or to be left out", "is empty")
	p.names(groups, at)
}
