package incident

import (
	"time"
)

// Phase is where an incident stands.
type Phase string

// The phases, in their order.
const (
	Open         Phase = "open"         // nobody has taken it
	Acknowledged Phase = "acknowledged" // somebody is on it
	Mitigated    Phase = "mitigated"    // users are not hurt any more
	Resolved     Phase = "resolved"     // what was wrong is put right
	Closed       Phase = "closed"       // and learned from
)

// Phases are all phases, in their order.
var Phases = []Phase{Open, Acknowledged, Mitigated, Resolved, Closed}

func (p Phase) rank() int {
	for i, q := range Phases {
		if p == q {
			return i
		}
	}
	return 0
}

// Before reports whether p comes before q.
func (p Phase) Before(q Phase) bool { return p.rank() < q.rank() }

// MaxSeverity is the mildest severity; 0 is the worst.
const MaxSeverity = 4

// Severities say what each severity means.
var Severities = [MaxSeverity + 1]string{"everything is down", "most users are hurt", "some users are hurt", "few users are hurt, or it is taken back already", "nobody was hurt"}

// Origin is what opened an incident.
type Origin string

// The origins.
const (
	ByPage    Origin = "page"    // an alert that wakes people
	ByRollout Origin = "rollout" // a rollout that was halted or taken back
	ByPerson  Origin = "person"
)

// State is an incident.
type State struct {
	ID        string    `json:"id" doc:"inc-number"`
	Number    int       `json:"number"`
	Title     string    `json:"title"`
	Service   string    `json:"service,omitempty"`
	Owner     string    `json:"owner,omitempty" doc:"the team that is called"`
	Severity  int       `json:"severity" minimum:"0" maximum:"4" doc:"0 is the worst"`
	Phase     Phase     `json:"phase" enum:"open,acknowledged,mitigated,resolved,closed"`
	Origin    Origin    `json:"origin" enum:"page,rollout,person" doc:"what opened it"`
	By        string    `json:"by" doc:"who opened it; system:responder for a page or a rollout"`
	Commander string    `json:"commander,omitempty" doc:"who leads"`
	Pages     []PageRef `json:"pages,omitempty" doc:"alerts that belong to it"`
	Rollouts  []string  `json:"rollouts,omitempty" doc:"rollouts that were halted or taken back for it"`

	Impact       Impact    `json:"impact"`
	Opened       time.Time `json:"opened"`
	Detected     time.Time `json:"detected" doc:"when it was noticed"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	AckedBy      string    `json:"ackedBy,omitempty"`
	Mitigated    time.Time `json:"mitigated,omitzero" doc:"when users were not hurt any more"`
	MitigatedBy  string    `json:"mitigatedBy,omitempty"`
	Resolved     time.Time `json:"resolved,omitzero"`
	Closed       time.Time `json:"closed,omitzero"`
	ClosedBy     string    `json:"closedBy,omitempty"`
	Told         time.Time `json:"told,omitzero" doc:"when the first status update went out"`
	Reopened     int       `json:"reopened,omitempty" doc:"how often it came back"`

	Cause    *Cause   `json:"cause,omitempty" doc:"as a person confirmed it, or named it unknown"`
	Learned  *Learned `json:"learned,omitempty" doc:"what the postmortem says beyond the record"`
	Actions  []Action `json:"actions,omitempty"`
	Calls    Calls    `json:"calls,omitzero" doc:"how far people have been called"`
	Followed int64    `json:"followed,omitempty" doc:"number of the last event of the record that was taken into it"`
}

// PageRef is an alert that belongs to an incident.
type PageRef struct {
	Key      string    `json:"key"`
	Service  string    `json:"service,omitempty"`
	Summary  string    `json:"summary,omitempty"`
	Severity string    `json:"severity,omitempty" doc:"of the alert: page, ticket or info"`
	At       time.Time `json:"at" doc:"when it came"`
	Since    time.Time `json:"since,omitzero" doc:"since when its alerts say that it holds"`
	Resolved time.Time `json:"resolved,omitzero" doc:"when its alerts were over"`
	Signals  []Signal  `json:"signals,omitempty" doc:"what its labels say of a cause"`
	Slow     bool      `json:"slow,omitempty" doc:"it is about slowness, not errors"`
	Services []string  `json:"services,omitempty" doc:"services of its alerts"`
}

// Impact is when users were hurt, and how that is known.
type Impact struct {
	Start  time.Time `json:"start,omitzero" doc:"the first bad event"`
	End    time.Time `json:"end,omitzero" doc:"the last one"`
	Source string    `json:"source,omitempty" doc:"what says so: data, rollout, alert or a person"`
	Where  string    `json:"where,omitempty" doc:"the part of the traffic in which it was seen first, such as version v2"`
	Text   string    `json:"text,omitempty" doc:"what users noticed"`
}

// Cause is what a person says that it was.
type Cause struct {
	Unknown bool      `json:"unknown,omitempty" doc:"it was looked for and not found"`
	Ref     string    `json:"ref,omitempty" doc:"the candidate, such as rollout/shop-7"`
	Text    string    `json:"text"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Rank    int       `json:"rank,omitempty" doc:"where the candidate stood in the ranking then, from 1"`
}

// Learned is what people write into a postmortem: everything else in it is from the record.
type Learned struct {
	Well  string    `json:"well,omitempty" doc:"what went well"`
	Badly string    `json:"badly,omitempty" doc:"what did not"`
	Lucky string    `json:"lucky,omitempty" doc:"where luck helped"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

// Action is something to be done so that it does not happen again.
type Action struct {
	Number   int       `json:"number" doc:"within the incident, from 1"`
	Text     string    `json:"text"`
	Owner    string    `json:"owner,omitempty"`
	Due      time.Time `json:"due,omitzero"`
	Made     time.Time `json:"made"`
	Done     time.Time `json:"done,omitzero"`
	DoneBy   string    `json:"doneBy,omitempty"`
	Reminded time.Time `json:"reminded,omitzero"`
}

// Calls is how far people have been called. They are timers as data: whoever reads the incident goes on from here.
type Calls struct {
	Rotation string    `json:"rotation,omitempty"`
	Step     int       `json:"step,omitempty" doc:"the step that comes next"`
	Round    int       `json:"round,omitempty" doc:"how often all steps were gone through"`
	Next     time.Time `json:"next,omitzero" doc:"when the next step begins"`
	Done     bool      `json:"done,omitempty" doc:"nobody is left to call"`
	Called   []string  `json:"called,omitempty" doc:"who was called last"`
}

// Live reports whether users are, as far as is known, being hurt.
func (s State) Live() bool { return s.Phase.Before(Mitigated) }

// Firing are the keys of the pages whose alerts are not over.
func (s State) Firing() []string {
	var keys []string
	for _, p := range s.Pages {
		if p.Resolved.IsZero() {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// Times are the durations of an incident, nil where an end is not known. They are counted from the first bad event.
type Times struct {
	Detect      *float64 `json:"detect,omitempty" doc:"TTD: seconds from the first bad event until it was noticed"`
	Acknowledge *float64 `json:"acknowledge,omitempty" doc:"seconds from when it was noticed until somebody took it"`
	Tell        *float64 `json:"tell,omitempty" doc:"TTN: seconds from the first bad event until the first status update"`
	Mitigate    *float64 `json:"mitigate,omitempty" doc:"TTM: seconds from the first bad event until users were not hurt any more"`
	Remediate   *float64 `json:"remediate,omitempty" doc:"TTR: seconds from the first bad event until what was wrong was put right"`
}

// Times measures an incident.
func (s State) Times() Times {
	start := s.Impact.Start
	safe := s.Mitigated
	if end := s.Impact.End; !end.IsZero() && !safe.IsZero() && end.Before(safe) {
		safe = end // the data knows better than when somebody said so
	}
	return Times{Detect: between(start, s.Detected), Acknowledge: between(s.Detected, s.Acknowledged), Tell: between(start, s.Told),
		Mitigate: between(start, safe), Remediate: between(start, s.Resolved)}
}

func between(from, to time.Time) *float64 {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	d := max(0, to.Sub(from).Seconds())
	return &d
}
