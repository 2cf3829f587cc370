package resource

import "fmt"

// Approval says who has to approve.
type Approval struct {
	From []string `json:"from,omitempty" maxItems:"20" doc:"groups; without any, whoever may operate rollouts"`
	Need string   `json:"need,omitempty" enum:"any,each,all" doc:"any: one member of any of them (default); each: one member of each; all: every member of each"`
	Own  bool     `json:"own,omitempty" doc:"who released it may approve it too; default not"`

	Groups []ApprovalOf `json:"groups,omitempty" maxItems:"20" doc:"instead of from: groups, of each of which so many have to approve; who is in several counts for one"`
}

// ApprovalOf is a group of which some have to approve.
type ApprovalOf struct {
	Name  string `json:"name" doc:"a Group"`
	Count int    `json:"count,omitempty" minimum:"1" maximum:"20" doc:"how many of its members; default 1"`
}

// Of are the groups of which so many each have to approve.
func (a Approval) Of() []ApprovalOf {
	out := make([]ApprovalOf, len(a.Groups))
	for i, g := range a.Groups {
		or(&g.Count, 1)
		out[i] = g
	}
	return out
}

// Named are all groups that an approval names.
func (a Approval) Named() []string {
	names := append([]string{}, a.From...)
	for _, g := range a.Groups {
		names = append(names, g.Name)
	}
	return names
}

func (a *Approval) refs(at string) []Ref {
	if a == nil {
		return nil
	}
	var refs []Ref
	for i, g := range a.From {
		refs = append(refs, Ref{item(at+".from", i), KindGroup, g})
	}
	for i, g := range a.Groups {
		refs = append(refs, Ref{item(at+".groups", i) + ".name", KindGroup, g.Name})
	}
	return refs
}

// approving judges an approval. A list that is empty asks nobody, which is not what who wrote it meant.
func (p *problems) approving(a *Approval, at string) {
	if a == nil {
		return
	}
	p.people(a.From, at+".from")
	p.need(a.From != nil || a.Need == "" || a.Need == "any", at+".from", "groups", "is missing: there is no group for %s", a.Need)
	p.need(a.Groups == nil || len(a.Groups) > 0, at+".groups", "at least one group, or to be left out", "is empty")
	p.need(a.Groups == nil || a.From == nil && a.Need == "", at+".groups", "either groups or from", "stands next to from or need")
	var names []string
	for _, g := range a.Groups {
		names = append(names, g.Name)
	}
	p.names(names, at+".groups")
}

// counts refuses approvals of more members than a group has: nothing would ever pass.
func (c *checker) counts() {
	for i, r := range c.set {
		for _, a := range approvalsOf(r) {
			for j, g := range a.approval.Of() {
				at, ok := c.at[Key(KindGroup, g.Name)]
				if !ok {
					continue // which is told as a reference that leads nowhere
				}
				group, err := As[Group](c.set[at])
				if err == nil && len(group.Members) < g.Count {
					c.add(i, r, item(a.at+".groups", j)+".count", fmt.Sprintf("at most %d, as many as there are", len(group.Members)), fmt.Sprintf("wants %d members of %s", g.Count, g.Name))
				}
			}
		}
	}
}

type approvalAt struct {
	at       string
	approval *Approval
}

func approvalsOf(r Resource) []approvalAt {
	var list []approvalAt
	add := func(at string, a *Approval) {
		if a != nil {
			list = append(list, approvalAt{at, a})
		}
	}
	switch r.Kind {
	case KindRingPlan:
		if plan, err := As[RingPlan](r); err == nil {
			for i, ring := range plan.Rings {
				add(item("spec.rings", i)+".approval", ring.Approval)
			}
		}
	case KindAccessRules:
		if a, err := As[AccessRules](r); err == nil {
			for i, g := range a.Grants {
				add(item("spec.grants", i)+".approval", g.Approval)
			}
			add("spec.changes", a.Changes)
		}
	}
	return list
}
