package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/incident"
)

// incidentTypes is what the types of events of incidents begin with.
const incidentTypes = "incident."

// incidentOf is what an event says of an incident; nothing for other events, and for what cannot be read.
func incidentOf(ev audit.Event) incident.Event {
	var e incident.Event
	if !strings.HasPrefix(ev.Type, incidentTypes) {
		return e
	}
	_ = json.Unmarshal(ev.Data, &e)
	e.Type, e.Time, e.Actor = ev.Type, ev.Time, ev.Actor
	return e
}

// ofIncident is the sentence for the events of an incident's life.
func (t told) ofIncident(name string) string {
	who, e := person(t.Actor), t.incident
	switch t.Type {
	case incident.EvOpened:
		s := fmt.Sprintf("%s opened: %s", name, e.Title)
		if e.Severity != nil {
			s += fmt.Sprintf(" (severity %d)", *e.Severity)
		}
		return s
	case incident.EvJoined:
		switch {
		case e.Rollout != "":
			return fmt.Sprintf("Rollout %s belongs to %s", e.Rollout, name)
		case e.Page != nil:
			return fmt.Sprintf("Another alert belongs to %s: %s", name, cmp.Or(e.Page.Summary, e.Page.Key))
		}
	case incident.EvCleared:
		return "An alert of " + name + " is over"
	case incident.EvCalled:
		return fmt.Sprintf("%s is called for %s: %s", strings.Join(e.People, ", "), name, e.Title)
	case incident.EvAcked:
		return who + " takes " + name
	case incident.EvNoted:
		return fmt.Sprintf("%s notes on %s: %s", who, name, e.Text)
	case incident.EvUpdated:
		return fmt.Sprintf("%s, %s: %s", name, e.Phase, e.Text)
	case incident.EvActed:
		return fmt.Sprintf("%s, on %s: %s", who, name, e.Text)
	case incident.EvMitigated:
		return name + " is mitigated: users are not hurt any more"
	case incident.EvResolved:
		return name + " is resolved"
	case incident.EvReopened:
		return name + " is back"
	case incident.EvClosed:
		return who + " closed " + name
	case incident.EvReminded:
		return fmt.Sprintf("Action item of %s is open: %s", name, e.Text)
	}
	return ""
}

// calling is the headline of a message that somebody is called by.
func calling(t told) string {
	s := fmt.Sprintf("%s: %s", strings.TrimPrefix(t.Subject, "incident/"), t.incident.Title)
	if t.incident.Severity != nil {
		s = fmt.Sprintf("SEV%d %s", *t.incident.Severity, s)
	}
	return s
}

func onIncident(format string) func(told) string {
	return func(t told) string {
		return strings.ReplaceAll(format, "{incident}", strings.TrimPrefix(t.Subject, "incident/"))
	}
}

func init() {
	headlines[incident.EvCalled] = headline{99, Bad, calling, onIncident("Take it with: ringfence incident ack {incident}. What may be the cause: ringfence incident causes {incident}")}
	headlines[incident.EvOpened] = headline{97, Bad, calling, onIncident("Who may: ringfence incident ack {incident}")}
	headlines[incident.EvReopened] = headline{96, Bad, onIncident("{incident} is back"), onIncident("Who may: ringfence incident ack {incident}")}
	headlines[incident.EvUpdated] = headline{94, Warn, func(t told) string { return t.Text }, nothing}
	headlines[incident.EvResolved] = headline{74, Good, onIncident("{incident} is resolved"), nothing}
	headlines[incident.EvMitigated] = headline{73, Good, onIncident("{incident} is mitigated"), nothing}
	headlines[incident.EvReminded] = headline{52, Warn, func(t told) string { return t.Text }, onIncident("When it is done: ringfence incident show {incident}")}
}
