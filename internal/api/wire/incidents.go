package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

// Incidents are incidents, newest first.
type Incidents struct {
	Items []incident.State `json:"items"`
}

// IncidentAsk is what somebody asks of an incident; which fields count depends on the verb.
type IncidentAsk struct {
	Text        string    `json:"text,omitempty" maxLength:"4000" doc:"the note, the status update, or why"`
	At          time.Time `json:"at,omitzero" doc:"when it was so, when that is not now: of ack, mitigate and resolve"`
	Severity    *int      `json:"severity,omitempty" minimum:"0" maximum:"4" doc:"of rate"`
	Commander   string    `json:"commander,omitempty" maxLength:"200" doc:"of rate"`
	Title       string    `json:"title,omitempty" maxLength:"200" doc:"of rate"`
	ImpactStart time.Time `json:"impactStart,omitzero" doc:"the first bad event: of impact"`
	ImpactEnd   time.Time `json:"impactEnd,omitzero" doc:"the last bad event: of impact, mitigate and resolve"`
	ImpactText  string    `json:"impactText,omitempty" maxLength:"1000" doc:"what users noticed: of impact"`
	Cause       string    `json:"cause,omitempty" maxLength:"300" doc:"of cause: the rank or reference of a candidate"`
	Unknown     bool      `json:"unknown,omitempty" doc:"of cause: it was looked for and not found; the text says where"`
	Well        string    `json:"well,omitempty" maxLength:"4000" doc:"of learn: what went well"`
	Badly       string    `json:"badly,omitempty" maxLength:"4000" doc:"of learn: what did not"`
	Lucky       string    `json:"lucky,omitempty" maxLength:"4000" doc:"of learn: where luck helped"`
	Action      int       `json:"action,omitempty" minimum:"0" doc:"of action: the number of one that is there; none makes one"`
	Owner       string    `json:"owner,omitempty" maxLength:"200" doc:"of action"`
	Due         time.Time `json:"due,omitzero" doc:"of action"`
	Done        bool      `json:"done,omitempty" doc:"of action"`
}

// IncidentRemedy asks for what may end the harm of an incident.
type IncidentRemedy struct {
	Kind   string `json:"kind,omitempty" enum:"rollback,halt,flag-off,redeploy" doc:"default the first that is offered"`
	Ref    string `json:"ref,omitempty" maxLength:"300" doc:"the rollout, flag or service; default the one that is offered"`
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// Trends are what incidents were like, oldest first.
type Trends struct {
	Items []incident.Trend `json:"items"`
}

// Actions are open action items.
type Actions struct {
	Items []responder.OpenAction `json:"items"`
}

// Dora are DORA's four measures, all services together first.
type Dora struct {
	Items []incident.Measures `json:"items"`
}

// OnCall are rotations as they stand.
type OnCall struct {
	Items []responder.OnCall `json:"items"`
}

// Override gives a time of a layer to somebody.
type Override struct {
	Layer  string    `json:"layer,omitempty" maxLength:"63" doc:"default the only one"`
	Person string    `json:"person,omitempty" maxLength:"200" doc:"who takes over; none for nobody"`
	From   time.Time `json:"from,omitzero" doc:"default now"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason,omitempty" maxLength:"500"`
}
