package resource

// KindBudgetPolicy are budget policies.
const KindBudgetPolicy = "BudgetPolicy"

// BudgetPolicy says what becomes of changes of services while their error budgets are low, or burn.
type BudgetPolicy struct {
	Services []string     `json:"services,omitempty" maxItems:"1000" doc:"for changes of these services; default all that have an SLO"`
	SLOs     []string     `json:"slos,omitempty" maxItems:"1000" doc:"by the budgets of these SLOs; default all SLOs of the service"`
	Steps    []BudgetStep `json:"steps" minItems:"1" maxItems:"20" doc:"what is done when; all that apply are done"`
}

// BudgetStep is one thing that is done.
type BudgetStep struct {
	Below   *float64 `json:"below,omitempty" minimum:"-1000" maximum:"100" doc:"while less than this many percent of the budget are left"`
	Burning string   `json:"burning,omitempty" enum:"page,ticket" doc:"while an alert of this severity fires; ticket also counts pages"`
	Act     string   `json:"act" enum:"hold,slow,approve" doc:"hold: nothing moves outward; slow: rings bake longer; approve: every further ring needs approval. Hotfixes and the way back are free"`
	Factor  float64  `json:"factor,omitempty" minimum:"1.1" maximum:"50" doc:"of slow: how many times as long a ring bakes; default 2"`
	From    []string `json:"from,omitempty" maxItems:"20" doc:"of approve: groups that approve; default anyone but the author"`
	Need    string   `json:"need,omitempty" enum:"any,all,each" doc:"of approve: any member of any group (default), all members of all, or one member of each"`
}

func (b BudgetPolicy) refs() []Ref {
	var refs []Ref
	for i, name := range b.SLOs {
		refs = append(refs, Ref{item("spec.slos", i), KindSLO, name})
	}
	for i, s := range b.Steps {
		for j, g := range s.From {
			refs = append(refs, Ref{item(item("spec.steps", i)+".from", j), KindGroup, g})
		}
	}
	return refs
}

func (p *problems) budgetPolicy(b *BudgetPolicy) {
	p.names(b.Services, "spec.services")
	for i, s := range b.Steps {
		at := item("spec.steps", i)
		p.need((s.Below != nil) != (s.Burning != ""), at, "below or burning", "has both or none of them")
		p.need(s.Factor == 0 || s.Act == "slow", at+".factor", "only with act slow", "stands with %s", s.Act)
		p.need(len(s.From) == 0 && s.Need == "" || s.Act == "approve", at+".from", "only with act approve", "stands with %s", s.Act)
		p.names(s.From, at+".from")
	}
}
