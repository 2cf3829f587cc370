package objective

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Restraint is what low budgets ask of a service's changes; see package rollout.
type Restraint = rollout.Restraint

// policy is a budget policy.
type policy struct {
	name   string
	spec   resource.BudgetPolicy
	groups map[string][]string
}

func policiesOf(set []resource.Resource) []policy {
	var all []policy
	groups := map[string][]string{}
	for _, r := range set {
		if g, err := resource.As[resource.Group](r); err == nil {
			groups[r.Metadata.Name] = g.Members
		}
	}
	for _, r := range set {
		if spec, err := resource.As[resource.BudgetPolicy](r); err == nil {
			all = append(all, policy{r.Metadata.Name, spec, groups})
		}
	}
	return all
}

// concerns says whether a policy is for a budget.
func (p policy) concerns(s Status) bool {
	return (len(p.spec.Services) == 0 || slices.Contains(p.spec.Services, s.Service)) && (len(p.spec.SLOs) == 0 || slices.Contains(p.spec.SLOs, s.SLO))
}

// asks says why a step applies to a budget, "" when it does not. A sentence without numbers that change: it is recorded once.
func asks(step resource.BudgetStep, s Status, guard float64) string {
	if step.Burning != "" {
		for _, a := range s.Alerts {
			if a.Severity == alert.Paging || a.Severity == step.Burning {
				return fmt.Sprintf("%s burns its error budget (%s)", s.Objective, a.Severity)
			}
		}
		return ""
	}
	if s.Remaining == nil || s.Bad < guard || 100**s.Remaining >= *step.Below {
		return ""
	}
	if *step.Below == 0 {
		return fmt.Sprintf("the error budget of %s is spent", s.Objective)
	}
	return fmt.Sprintf("less than %s %% of the error budget of %s is left", strconv.FormatFloat(*step.Below, 'f', -1, 64), s.Objective)
}

// restraints is what the policies ask of the changes of each service.
func restraints(policies []policy, all []Status, guard func(objective string) float64) map[string]Restraint {
	out := map[string]Restraint{}
	for _, s := range all {
		for _, p := range policies {
			if !p.concerns(s) {
				continue
			}
			for _, step := range p.spec.Steps {
				why := asks(step, s, guard(s.Objective))
				if why == "" {
					continue
				}
				r := out[s.Service]
				why += " (policy " + p.name + ")"
				switch step.Act {
				case "hold":
					r.Hold = first(r.Hold, why)
				case "slow":
					factor := step.Factor
					if factor == 0 {
						factor = 2
					}
					if factor > r.Factor {
						r.Factor, r.Slow = factor, why
					}
				case "approve":
					if r.Approval == nil {
						r.Approval = &resource.Approval{From: step.From, Need: step.Need}
						r.Approve = why
						for _, g := range step.From {
							if r.Groups == nil {
								r.Groups = map[string][]string{}
							}
							r.Groups[g] = p.groups[g]
						}
					}
				}
				out[s.Service] = r
			}
		}
	}
	return out
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// act records what the policies ask of the changes of services, when that is something else than before.
func (e *Engine) act(ctx context.Context, now time.Time) error {
	var all []Status
	guards := map[string]float64{}
	unread := map[string]bool{} // services of which something was not read yet
	for _, id := range e.order() {
		w := e.watched[id]
		if w.objective.Unmeasured != "" {
			continue
		}
		if w.counts == nil {
			unread[w.objective.Service] = true
			continue
		}
		all = append(all, w.status(now))
		guards[id] = w.objective.Guard
	}
	want := restraints(e.policies, all, func(id string) float64 { return guards[id] })
	docs, err := e.Store.List(ctx, store.Page{Kind: KindRestraint})
	if err != nil {
		return err
	}
	var w store.Write
	for _, d := range docs {
		var have Restraint
		if json.Unmarshal(d.Body, &have) != nil {
			have = Restraint{}
		}
		is, still := want[d.Name]
		delete(want, d.Name)
		if unread[d.Name] { // what was asked before still is
			is, still = rollout.Stricter(have, is), true
		}
		if still && reflect.DeepEqual(have, is) {
			e.remember(d.Name, is, true)
			continue
		}
		e.remember(d.Name, is, still)
		if err := put(&w, d.Name, d.Rev, is, still, now); err != nil {
			return err
		}
	}
	for _, service := range slices.Sorted(maps.Keys(want)) {
		e.remember(service, want[service], true)
		if err := put(&w, service, 0, want[service], true, now); err != nil {
			return err
		}
	}
	if len(w.Events) == 0 {
		return nil
	}
	if _, err = e.Store.Commit(ctx, w); errs.Is(err, errs.Conflict) {
		return nil // the other control plane saw it first
	}
	return err
}

func (e *Engine) remember(service string, r Restraint, is bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.restrain == nil {
		e.restrain = map[string]Restraint{}
	}
	delete(e.restrain, service)
	if is {
		e.restrain[service] = r
	}
}

func put(w *store.Write, service string, rev int64, r Restraint, is bool, now time.Time) error {
	typ := "budget.restrains"
	if !is {
		typ = "budget.released"
		w.Deletes = append(w.Deletes, store.Doc{Kind: KindRestraint, Name: service, Rev: rev})
	} else {
		body, err := json.Marshal(r)
		if err != nil {
			return err
		}
		w.Puts = append(w.Puts, store.Doc{Kind: KindRestraint, Name: service, Rev: rev, Updated: now, Body: body})
	}
	var data any
	if is {
		data = r
	}
	ev, err := audit.New(now, typ, actor, "service/"+service, data)
	w.Events = append(w.Events, ev)
	return err
}
