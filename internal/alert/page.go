package alert

import "time"

// Status says whether a page is on or over.
type Status string

// The statuses.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// Page is what people are told at once: the alerts of one cause. It is told again whenever it changes and last as
// resolved; the same key may come back later, as another page.
type Page struct {
	Key         string            `json:"key" doc:"the same as long as it lasts, and when the same alerts come back"`
	Status      Status            `json:"status"`
	Severity    string            `json:"severity" doc:"the gravest of its alerts: page, ticket or info"`
	Service     string            `json:"service,omitempty" doc:"the service that hurts; of several, the one that others depend on"`
	Owner       string            `json:"owner,omitempty" doc:"the team that is called"`
	Labels      map[string]string `json:"labels" doc:"those that all its alerts have in common"`
	Annotations map[string]string `json:"annotations" doc:"of its first alert: summary, runbook_url, impact, …"`
	Alerts      []Alert           `json:"alerts" doc:"those that fire, the gravest first; of a resolved page all that did"`
	Symptoms    []Alert           `json:"symptoms,omitempty" doc:"those that others explain: the same cause, seen elsewhere"`
	Ack         *Ack              `json:"ack,omitempty" doc:"who has taken it"`
	Started     time.Time         `json:"started" doc:"when its first alert began to hold"`
	At          time.Time         `json:"at" doc:"when this was decided"`
}

// Ack says that somebody has taken an alert: nobody else is called for it.
type Ack struct {
	By    string    `json:"by"`
	Note  string    `json:"note,omitempty"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero" doc:"when others are called again if it still fires"`
}

// Holds says whether an acknowledgement counts at a time.
func (a *Ack) Holds(now time.Time) bool {
	return a != nil && (a.Until.IsZero() || a.Until.After(now))
}
