package cedar

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	engine "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/ringfence/ringfence/internal/policy"
)

// The types of entities, as the schema has them.
const (
	typeUser        engine.EntityType = "User"
	typeRole        engine.EntityType = "Role"
	typeGroup       engine.EntityType = "Group"
	typeIssuerGroup engine.EntityType = "IssuerGroup"
	typeResource    engine.EntityType = "Resource"
	typeAction      engine.EntityType = "Action"
)

type rule struct {
	policy *engine.Policy
	says   policy.Rule
}

type rules struct {
	list     []rule
	byAction map[policy.Action]candidates
}

// candidates are the rules whose scope admits an action: the only ones that an answer can rest on, in the order of their texts.
type candidates struct {
	list []rule
	ids  []engine.PolicyID // by position: what evaluation calls them
}

func (r rules) indexed() *rules {
	r.byAction = map[policy.Action]candidates{}
	for _, a := range policy.Actions {
		var c candidates
		for _, one := range r.list {
			if admits((*ast.Policy)(one.policy.AST()), a) {
				c.ids = append(c.ids, engine.PolicyID(strconv.Itoa(len(c.list))))
				c.list = append(c.list, one)
			}
		}
		r.byAction[a] = c
	}
	return &r
}

func admits(p *ast.Policy, a policy.Action) bool {
	uid := engine.NewEntityUID(typeAction, engine.String(a))
	switch scope := p.Action.(type) {
	case ast.ScopeTypeEq:
		return scope.Entity == uid
	case ast.ScopeTypeIn:
		return scope.Entity == uid // no action is in another
	case ast.ScopeTypeInSet:
		return slices.Contains(scope.Entities, uid)
	}
	return true
}

// All gives the rules to whoever evaluates them.
func (c candidates) All() iter.Seq2[engine.PolicyID, *engine.Policy] {
	return func(yield func(engine.PolicyID, *engine.Policy) bool) {
		for i := range c.list {
			if !yield(c.ids[i], c.list[i].policy) {
				return
			}
		}
	}
}

func (c candidates) named(id engine.PolicyID) policy.Rule {
	i, _ := strconv.Atoi(string(id))
	return c.list[i].says
}

// known are the two entities that have something to ask for; all others are only names.
type known struct{ user, resource engine.Entity }

func (k known) Get(uid engine.EntityUID) (engine.Entity, bool) {
	switch uid {
	case k.user.UID:
		return k.user, true
	case k.resource.UID:
		return k.resource, true
	}
	return engine.Entity{}, false
}

// Decide answers a request.
func (r *rules) Decide(q policy.Request) policy.Decision {
	if q.Principal.Nobody() {
		return policy.Refused(q)
	}
	asked := r.byAction[q.Action]
	entities := known{userOf(q), resourceOf(q.Resource)}
	answer, why := engine.Authorize(asked, entities, engine.Request{Principal: entities.user.UID, Resource: entities.resource.UID,
		Action: engine.NewEntityUID(typeAction, engine.String(q.Action)), Context: contextOf(q)})
	d := policy.Decision{Allowed: answer == engine.Allow && len(why.Errors) == 0}
	for _, reason := range why.Reasons {
		d.Rules = append(d.Rules, asked.named(reason.PolicyID))
	}
	for _, e := range why.Errors {
		says := asked.named(e.PolicyID)
		d.Errors = append(d.Errors, fmt.Sprintf("%s, rule %s (line %d): %s", says.Policy, says.ID, says.Line, e.Message))
	}
	if !d.Allowed {
		d.Missing, d.Next = refusal(q, d)
	}
	return d
}

// refusal says why not, and what to do.
func refusal(q policy.Request, d policy.Decision) (missing, next string) {
	if len(d.Errors) > 0 {
		return "a rule could not be evaluated, which denies: " + d.Errors[0], "Correct the rule, or restore the default ones on the control plane's machine: ringfence policy reset"
	}
	if len(d.Rules) == 0 || d.Rules[0].Effect == "permit" {
		none := policy.Refused(q)
		return none.Missing, none.Next
	}
	first := d.Rules[0]
	missing = fmt.Sprintf("%s: rule %s of policy %s (line %d) forbids it", q.Principal.Name, first.ID, first.Policy, first.Line)
	if first.Reason != "" {
		missing += ": " + first.Reason
	}
	if next = first.Next; next == "" {
		next = fmt.Sprintf("See why: ringfence policy explain --as %s --action %s --resource %s", q.Principal.Name, q.Action, q.Resource)
	}
	return missing, next
}

func userOf(q policy.Request) engine.Entity {
	p := q.Principal
	parents := make([]engine.EntityUID, 0, 1+len(p.Groups)+len(q.Declared))
	parents = append(parents, engine.NewEntityUID(typeRole, engine.String(p.Role)))
	for _, g := range q.Declared {
		parents = append(parents, engine.NewEntityUID(typeGroup, engine.String(g)))
	}
	for _, g := range p.Groups {
		parents = append(parents, engine.NewEntityUID(typeIssuerGroup, engine.String(g)))
	}
	return engine.Entity{UID: engine.NewEntityUID(typeUser, engine.String(p.Name)), Parents: engine.NewEntityUIDSet(parents...),
		Attributes: engine.NewRecord(engine.RecordMap{
			"name": engine.String(p.Name), "role": engine.String(p.Role), "via": engine.String(p.Via), "strong": engine.Boolean(p.Strong), "granted": engine.Boolean(q.Granted),
		})}
}

func resourceOf(r policy.Resource) engine.Entity {
	e := engine.Entity{UID: engine.NewEntityUID(typeResource, engine.String(r.String())),
		Attributes: engine.NewRecord(engine.RecordMap{
			"kind": engine.String(r.Kind), "name": engine.String(r.Name), "service": engine.String(r.Service), "ring": engine.String(r.Ring),
		})}
	if len(r.Labels) > 0 {
		tags := make(engine.RecordMap, len(r.Labels))
		for k, v := range r.Labels {
			tags[engine.String(k)] = engine.String(v)
		}
		e.Tags = engine.NewRecord(tags)
	}
	return e
}

// longAgo is how many minutes ago somebody proved who they are of whom that is not known.
const longAgo = 1 << 40

func contextOf(q policy.Request) engine.Record {
	local := q.Now.UTC()
	if q.Zone != "" {
		if zone, err := time.LoadLocation(q.Zone); err == nil { // it is checked where it is declared
			local = q.Now.In(zone)
		}
	}
	signed := int64(longAgo)
	if at := q.Principal.Authenticated; !at.IsZero() {
		signed = max(0, int64(q.Now.Sub(at)/time.Minute))
	}
	return engine.NewRecord(engine.RecordMap{
		"now": engine.NewDatetime(q.Now), "hour": engine.Long(local.Hour()), "minute": engine.Long(local.Minute()),
		"weekday": engine.String(strings.ToLower(local.Weekday().String()[:3])), "date": engine.String(local.Format(time.DateOnly)),
		"verb": engine.String(q.Verb), "incident": engine.Boolean(q.Incident), "frozen": engine.Boolean(q.Frozen),
		"change": engine.String(q.Change), "signedIn": engine.Long(signed),
	})
}
