package authority

import (
	"context"
	"fmt"
	"strings"

	"github.com/ringfence/ringfence/internal/policy"
)

// Explanation is a decision with everything that it was made on, and what would have changed it.
type Explanation struct {
	policy.Decision
	Request  policy.Request `json:"request" doc:"as it was put together"`
	Declared []string       `json:"groups,omitempty" doc:"declared groups that name the principal"`
	Roles    []policy.Role  `json:"roles,omitempty" doc:"roles with which it would be allowed"`
	Grant    bool           `json:"withGrant,omitempty" doc:"one of these roles suffices by a grant alone"`
}

// Explain says how a request would be decided, and why.
func (a *Authority) Explain(ctx context.Context, q policy.Request) (Explanation, error) {
	l, err := a.load(ctx)
	if err != nil {
		return Explanation{}, err
	}
	if q.Principal.Role == "" {
		people, err := a.People(ctx)
		if err != nil {
			return Explanation{}, err
		}
		for _, p := range people {
			if p.Name == q.Principal.Name {
				q.Principal.Role = p.Role
			}
		}
	}
	if q, err = a.complete(ctx, l, q, true); err != nil {
		return Explanation{}, err
	}
	d, err := a.decided(ctx, l, q)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{Request: q, Declared: q.Declared, Decision: a.remotely(ctx, l, q, d)}
	if x.Allowed {
		return x, nil
	}
	for _, role := range policy.Roles {
		try := q
		try.Principal.Role = role
		own := l.decide(try).Allowed
		try.Granted = true
		if granted := l.decide(try).Allowed; own || granted {
			x.Roles = append(x.Roles, role)
			x.Grant = x.Grant || granted && !own
		}
	}
	if len(x.Roles) > 0 {
		words := make([]string, len(x.Roles))
		for i, r := range x.Roles {
			words[i] = string(r)
		}
		x.Next = fmt.Sprintf("It would be allowed with the role %s. %s", strings.Join(words, " or "), x.Next)
	}
	return x, nil
}

// Row is what one principal may do.
type Row struct {
	Name    string                   `json:"name"`
	Role    policy.Role              `json:"role"`
	Groups  []string                 `json:"groups,omitempty"`
	Actions map[policy.Action]string `json:"actions" doc:"by action, the rule that permits it, as policy/id; actions that are denied are left out"`
}

// Who says what everyone who is known may do to a resource now.
func (a *Authority) Who(ctx context.Context, on policy.Resource) ([]Row, error) {
	l, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	people, err := a.People(ctx)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, p := range people {
		row := Row{Name: p.Name, Role: p.Role, Groups: l.of[p.Name], Actions: map[policy.Action]string{}}
		for _, act := range policy.Actions {
			q, err := a.complete(ctx, l, policy.Request{Principal: p, Action: act, Resource: on}, l.asks)
			if err != nil {
				return nil, err
			}
			d, err := a.decided(ctx, l, q)
			if err != nil {
				return nil, err
			}
			if d.Allowed && len(d.Rules) > 0 {
				by := d.Rules[0].Policy + "/" + d.Rules[0].ID
				if d.Grant != "" {
					by = "grant " + d.Grant
				}
				row.Actions[act] = by
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
