package ui

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ringfence/ringfence/internal/incident"
)

// closingStep is a point of what has to be so before an incident is closed, with what does it beside it.
type closingStep struct {
	incident.Item
	Entry  *slip
	Button *incidentButton
	To     string // the id of a form further down that does it
}

// itemRow is an action item.
type itemRow struct {
	incident.Action
	Tone, State string
	Entry       *slip
}

// closing fills in what is left to do, with a form or a button at each point for those who may do it.
func (s *Server) closing(r *http.Request, p *incidentPage) error {
	st := p.S
	form := func(of slipOf) (*slip, error) {
		e, err := of(r, p.visit, p.View)
		return &e, err
	}
	nothingLeft := true
	for _, it := range p.Checklist {
		step := closingStep{Item: it}
		nothingLeft = nothingLeft && it.Done
		open := p.May() && st.Phase != incident.Closed
		var err error
		switch {
		case it.Verb == incident.Mitigate && open && st.Live():
			step.Button = &incidentButton{Verb: string(incident.Mitigate), Label: "Users are safe"}
		case it.Verb == incident.Resolve && open && st.Phase == incident.Mitigated:
			step.Button = &incidentButton{Verb: string(incident.Resolve), Label: "Resolve"}
		case it.Verb == incident.Measure && open:
			step.Entry, err = form(impactSlip)
		case it.Verb == incident.Blame && open:
			step.Entry, err = form(causeSlip)
		case it.Verb == incident.Learn && p.May():
			step.Entry, err = form(learnSlip)
		case it.Verb == incident.Act && p.May() && !it.Done:
			step.To = lackingItem(st)
		}
		if err != nil {
			return err
		}
		p.Steps = append(p.Steps, step)
	}
	p.Closable = nothingLeft && p.May() && st.Phase == incident.Resolved
	if err := p.items(); err != nil || !p.May() {
		return err
	}
	var err error
	if p.Add, err = form(actionSlip); err == nil {
		p.People, err = s.namesOf(r.Context(), p.visit)
	}
	return err
}

// lackingItem is the id of the form of the first open action item without an owner or a date; of a new one when there is none.
func lackingItem(st incident.State) string {
	for _, a := range st.Actions {
		if a.Done.IsZero() && (a.Owner == "" || a.Due.IsZero()) {
			return fmt.Sprint("do-action-", a.Number)
		}
	}
	return "do-action"
}

// items are the action items as they stand.
func (p *incidentPage) items() error {
	for _, a := range p.S.Actions {
		row := itemRow{Action: a}
		row.Tone, row.State = itemState(a, p.Now)
		if p.May() {
			e, err := itemSlip(p.visit, p.S, a.Number)
			if err != nil {
				return err
			}
			row.Entry = &e
		}
		p.Items = append(p.Items, row)
	}
	return nil
}

// itemState is how an action item stands.
func itemState(a incident.Action, now time.Time) (tone, state string) {
	switch {
	case !a.Done.IsZero():
		return "pass", "done"
	case !a.Due.IsZero() && a.Due.Before(now):
		return "fail", "overdue"
	case a.Owner == "" || a.Due.IsZero():
		return "hold", "without " + map[bool]string{true: "an owner", false: "a date"}[a.Owner == ""]
	}
	return "wait", "open"
}
