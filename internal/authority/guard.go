package authority

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// Check says what is wrong with who may do what, in a whole that would be there: rules that do not compile, and rules
// after which nobody could change them, or data planes could not run their units.
func (a *Authority) Check(ctx context.Context, whole []resource.Resource) []resource.Problem {
	l := a.compiled(whole)
	var problems []resource.Problem
	for _, f := range l.faults {
		kind := resource.KindAccessPolicy
		name := f.Policy
		if name == StandingName {
			kind, name = resource.KindAccessRules, resource.AccessRulesName
		}
		problems = append(problems, resource.Problem{Kind: kind, Name: name, Path: "spec.rules", Msg: fmt.Sprintf("line %d: %s", f.Line, f.Msg)})
	}
	if len(problems) > 0 {
		return problems
	}
	if err := a.reachable(ctx, l); err != nil {
		at := resource.Problem{Kind: resource.KindAccessRules, Name: resource.AccessRulesName, Path: "spec"}
		if i := len(l.sources) - 1; l.sources[i].Name != StandingName && i > 0 { // the one applied last in the order of names
			at = resource.Problem{Kind: resource.KindAccessPolicy, Name: l.sources[i].Name, Path: "spec.rules"}
		}
		at.Msg, at.Expected = err.Error(), errs.HintOf(err)
		return []resource.Problem{at}
	}
	return nil
}

// proofHours is over how long it is looked for a time at which policy could be changed: rules may know working hours.
const proofHours = 7 * 24

// reachable proves by evaluation that somebody who is known could still change policy within a week, by their own role
// or by breaking glass, signed in by a token; and that data planes may do their work now.
func (a *Authority) reachable(ctx context.Context, l *loaded) error {
	now := a.Now()
	plane := policy.Request{Principal: policy.Principal{Name: "dataplane", Role: policy.DataPlane}, Action: policy.Operate,
		Resource: policy.Resource{Kind: "unit", Name: "local"}, Circumstances: policy.Circumstances{Now: now}}
	if d := l.decide(plane); !d.Allowed {
		return errs.E(errs.Invalid, "data planes could not run their units any more: %s", d.Missing).Next("rules that leave principal in Role::\"dataplane\" alone")
	}
	people, err := a.People(ctx)
	if err != nil {
		return err
	}
	admins := 0
	for _, p := range people {
		if p.Role != policy.Admin {
			continue
		}
		admins++
		for h := range proofHours {
			if l.couldChange(p.Name, now.Add(time.Duration(h)*time.Hour)) {
				return nil
			}
		}
	}
	return errs.E(errs.Invalid, "nobody could change policy again: none of those with the role admin (%d) is allowed to within a week", admins).
		Next("rules by which somebody with a token of the role admin may change what concerns access, at some hour of the week")
}

// couldChange says whether an admin could change policy at a time.
func (l *loaded) couldChange(name string, at time.Time) bool {
	q := policy.Request{Principal: policy.Principal{Name: name, Role: policy.Admin, Via: "token"}, Action: policy.Change, Verb: "apply", Declared: l.of[name], Zone: l.access.Zone,
		Circumstances: policy.Circumstances{Now: at}}
	for _, granted := range []bool{false, true} {
		if q.Granted = granted; granted && (l.access.Emergency.Role != string(policy.Admin) || !l.mayBreakGlass(q.Principal)) {
			return false
		}
		if l.both(q) {
			return true
		}
	}
	return false
}

// both wants what applying takes: the set as a whole, and each document in it.
func (l *loaded) both(q policy.Request) bool {
	for _, r := range []policy.Resource{{Kind: "declaration"}, {Kind: policy.KindOf(resource.KindAccessPolicy), Name: "any"}, {Kind: policy.KindOf(resource.KindAccessRules), Name: resource.AccessRulesName}} {
		q.Resource = r
		if !l.decide(q).Allowed {
			return false
		}
	}
	return true
}

// mayBreakGlass says who may take emergency access.
func (l *loaded) mayBreakGlass(p policy.Principal) bool {
	who := l.access.Emergency.Who
	if who == nil {
		return p.Role == policy.Admin || p.Role == policy.Operator
	}
	return slices.ContainsFunc(who, func(g string) bool { return slices.Contains(l.of[p.Name], g) })
}
