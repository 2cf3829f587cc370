package wire

import "github.com/ringfence/ringfence/internal/breach"

// Breaches are all breaches.
type Breaches struct {
	Items []breach.State `json:"items"`
}

// Breach is a breach and what is left before it can be closed.
type Breach struct {
	breach.State
	Left []string `json:"left" doc:"what is left to do before it can be closed"`
}

// BreachDraft starts a breach.
type BreachDraft struct {
	Title        string   `json:"title" minLength:"1" maxLength:"200" doc:"what is known, in a line"`
	Severity     int      `json:"severity" minimum:"0" maximum:"4" doc:"0 is the worst"`
	Principals   []string `json:"principals,omitempty" maxItems:"100" doc:"identities that are in wrong hands"`
	NotifyWithin string   `json:"notifyWithin,omitempty" maxLength:"20" doc:"how soon those concerned have to be told, such as 72h"`
}

// Contain says whom.
type Contain struct {
	Principal string `json:"principal,omitempty" maxLength:"200" doc:"an identity; left out: all that the breach names"`
	GoOn      bool   `json:"goOn,omitempty" doc:"do not stop the line"`
}

// Detections are what looks like a breach.
type Detections struct {
	Items []breach.Detection `json:"items"`
	Rules []DetectionRule    `json:"rules"`
}

// DetectionRule is a rule, with who looks at what it finds.
type DetectionRule struct {
	Name     string `json:"name"`
	About    string `json:"about"`
	Owner    string `json:"owner"`
	Playbook string `json:"playbook"`
}

// Honey is bait.
type Honey struct {
	Subject string `json:"subject" minLength:"1" maxLength:"300" doc:"token/NAME, flag/SET:KEY, flagset/NAME or service/NAME"`
	TakenUp bool   `json:"takenUp,omitempty" doc:"it is bait no longer"`
}

// Reach is what an identity gets to.
type Reach struct {
	Principal string           `json:"principal"`
	Reached   []breach.Reached `json:"reached" doc:"the nearest first"`
}
