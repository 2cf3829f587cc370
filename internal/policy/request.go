package policy

import (
	"context"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Resource is what somebody wants to do something to. What is not known, or does not apply, is empty.
type Resource struct {
	Kind    string            `json:"kind" doc:"such as service, rollout, flag, unit, line, or the kind of what is declared, in lower case"`
	Name    string            `json:"name,omitempty" doc:"its name, empty for all of a kind"`
	Service string            `json:"service,omitempty" doc:"the service that it belongs to"`
	Ring    string            `json:"ring,omitempty" doc:"the ring that a rollout is to enter next"`
	Labels  map[string]string `json:"labels,omitempty" doc:"labels of the service, or of what is declared"`
}

func (r Resource) String() string {
	if r.Name == "" {
		return r.Kind
	}
	return r.Kind + "/" + r.Name
}

// Circumstances are what a rule may ask for besides who, what and on what.
type Circumstances struct {
	Now      time.Time `json:"now"`
	Incident bool      `json:"incident,omitempty" doc:"an incident of the service is open; without a service, any"`
	Frozen   bool      `json:"frozen,omitempty" doc:"a freeze holds for the service, or the line is stopped"`
	Change   string    `json:"change,omitempty" doc:"what a rollout carries: release, config, flag"`
}

// Request is a question: may this principal do this to that, now?
type Request struct {
	Principal Principal `json:"principal"`
	Action    Action    `json:"action"`
	Verb      string    `json:"verb,omitempty" doc:"what exactly, such as approve, halt or redeploy"`
	Resource  Resource  `json:"resource"`
	Circumstances
	Granted  bool     `json:"granted,omitempty" doc:"the role is that of a grant, not the principal's own"`
	Declared []string `json:"-"` // groups, declared here, that the principal is a member of
	Zone     string   `json:"-"` // time zone in which rules are told the hour; default UTC
}

// Rule names a rule that took part in a decision.
type Rule struct {
	Policy string `json:"policy" doc:"the document that holds it; default for those that are built in"`
	ID     string `json:"id" doc:"its @id, or its number in the document"`
	Line   int    `json:"line" doc:"where it begins in the document's text"`
	Effect string `json:"effect" enum:"permit,forbid" doc:"what it says"`
	Reason string `json:"reason,omitempty" doc:"its @reason"`
	Next   string `json:"next,omitempty" doc:"its @next: what to do instead"`
}

// Decision is the answer, with what it rests on.
type Decision struct {
	Allowed bool     `json:"allowed"`
	Rules   []Rule   `json:"rules,omitempty" doc:"the rules that decided: those that permit, or those that forbid"`
	Errors  []string `json:"errors,omitempty" doc:"rules that could not be evaluated, any one of which denies"`
	Grant   string   `json:"grant,omitempty" doc:"the grant that it rests on; none when it rests on what the principal always may"`
	Missing string   `json:"missing,omitempty" doc:"what would have been needed"`
	Next    string   `json:"next,omitempty" doc:"what to do about it"`
}

// Err is nil when it is allowed, else of kind errs.Denied.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	return errs.E(errs.Denied, "%s", d.Missing).Next("%s", d.Next)
}

// Refused is a decision against q in the words of the table.
func Refused(q Request) Decision {
	err := Allow(q.Principal, q.Action)
	if err == nil { // the table would have had it, the rules do not
		return Decision{Missing: q.Principal.Name + ": no rule permits " + q.what(), Next: "See why: ringfence policy explain --as " + q.Principal.Name + " --action " + string(q.Action) + " --resource " + q.Resource.String()}
	}
	return Decision{Missing: err.Error(), Next: errs.HintOf(err)}
}

// what is said of a request.
func (q Request) what() string {
	s := string(q.Action)
	if q.Verb != "" {
		s += " (" + q.Verb + ")"
	}
	if q.Resource.Kind != "" {
		s += " on " + q.Resource.String()
	}
	if q.Resource.Ring != "" {
		s += ", ring " + q.Resource.Ring
	}
	return s
}

// Table decides by roles alone, for who has no other rules.
type Table struct{}

// Decide answers a request.
func (Table) Decide(_ context.Context, q Request) (Decision, error) {
	if Allow(q.Principal, q.Action) == nil {
		return Decision{Allowed: true, Rules: []Rule{{Policy: "default", ID: string(q.Principal.Role), Effect: "permit"}}}, nil
	}
	return Refused(q), nil
}
