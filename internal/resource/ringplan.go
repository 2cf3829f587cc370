package resource

import "github.com/ringfence/ringfence/internal/fleet"

// RingPlan is the way of a change to everyone.
type RingPlan struct {
	Rings   []Ring    `json:"rings" minItems:"1" maxItems:"20" doc:"from the smallest, most risk-tolerant audience to everyone"`
	Gates   []Gate    `json:"gates,omitempty" maxItems:"20" doc:"conditions in the rings; default errors against stable"`
	Hours   *Hours    `json:"hours,omitempty" doc:"when a change may enter a ring, for rings that do not say otherwise; default at any time"`
	Standby fleet.Dur `json:"standby,omitempty" doc:"how long the version before is kept running after everyone has left it, so that one step returns to it; default none"`
}

// Ring is one step of a plan.
type Ring struct {
	Name        string    `json:"name" doc:"lower-case letters, digits and hyphens, unlike that of any other ring of the plan"`
	Purpose     string    `json:"purpose,omitempty" maxLength:"500" doc:"which bugs it is there to find"`
	Risk        string    `json:"risk,omitempty" maxLength:"500" doc:"which risk its users have accepted"`
	Audience    Audience  `json:"audience,omitzero" doc:"who is in it; the last ring takes everyone and has none"`
	Units       []string  `json:"units,omitempty" maxItems:"50" doc:"only users in these units; with them, a ring may have no audience and then takes everyone there"`
	Bake        fleet.Dur `json:"bake,omitempty" doc:"how long it must stay healthy before the next ring, never shorter than in the ring before; default 24h, or as in the ring before when that is longer"`
	HotfixBake  fleet.Dur `json:"hotfixBake,omitempty" doc:"the bake of a hotfix that goes through all rings; default a twelfth of bake"`
	CoverPeak   bool      `json:"coverPeak,omitempty" doc:"the bake goes on until it has covered the service's peak as well"`
	MinRequests int64     `json:"minRequests,omitempty" minimum:"1" maximum:"1000000000" doc:"fewest requests to the new version in this ring before it may pass"`
	MinUsers    int64     `json:"minUsers,omitempty" minimum:"1" maximum:"1000000000" doc:"fewest users of the new version in this ring before it may pass"`
	Hours       *Hours    `json:"hours,omitempty" doc:"when a change may enter this ring; default as the plan says"`
	Button      string    `json:"button,omitempty" enum:"red,green" doc:"red: flows in until stopped (default); green: waits until approved"`
	Approval    *Approval `json:"approval,omitempty" doc:"who has to approve before a change enters this ring; it makes the button green"`
}

// Hours are business hours.
type Hours struct {
	Days []string `json:"days,omitempty" maxItems:"7" doc:"mon, tue, wed, thu, fri, sat, sun; default mon to fri"`
	From string   `json:"from,omitempty" doc:"when they begin, local to the zone; default 09:00"`
	To   string   `json:"to,omitempty" doc:"when they end; default 17:00; 24:00 is the end of the day, and what is not later than from is on the day after"`
	Zone string   `json:"zone,omitempty" doc:"IANA time zone, such as Europe/Berlin; default UTC"`
}

// Gate is a condition; it judges all the time in every ring it is for.
type Gate struct {
	Name   string `json:"name,omitempty" doc:"unlike that of any other gate of the plan; default its signal"`
	Signal string `json:"signal" enum:"errors,latency,quantile,query,series,webhook,command,probe,alerts" doc:"errors: answers of 500 and above; latency: those slower than over; quantile: a quantile of the latency; query: a PromQL expression; series: two of them by distribution; webhook, command, probe: an answer from outside; alerts: none of the service may begin to fire"`

	Over        fleet.Dur `json:"over,omitempty" doc:"for latency, the threshold"`
	Quantile    float64   `json:"quantile,omitempty" minimum:"0.01" maximum:"0.9999" doc:"for quantile, which one; default 0.99"`
	Compare     string    `json:"compare,omitempty" enum:"stable,none" doc:"judge against the stable version over the same time (default), or by maxShare or max alone"`
	MaxRatio    float64   `json:"maxRatio,omitempty" minimum:"1" maximum:"100" doc:"largest tolerated ratio of the bad shares or quantiles, new to stable; default 1"`
	MaxShare    float64   `json:"maxShare,omitempty" minimum:"0.000001" maximum:"1" doc:"largest tolerated bad share, whatever stable does; default 0.05, for latency none"`
	Alpha       float64   `json:"alpha,omitempty" minimum:"0.000001" maximum:"0.2" doc:"bound on the chance that a healthy change is stopped by this gate; default 0.01"`
	MinRequests int64     `json:"minRequests,omitempty" minimum:"1" maximum:"1000000000" doc:"fewest requests to the new version in a ring before it may pass; default 500"`

	Query    string   `json:"query,omitempty" maxLength:"4000" doc:"for query, the PromQL expression; {service}, {version}, {stable}, {ring}, {rollout} are put in"`
	Max      *float64 `json:"max,omitempty" doc:"largest tolerated value of a query, or seconds of a quantile"`
	Min      *float64 `json:"min,omitempty" doc:"smallest tolerated value of a query"`
	Failures int      `json:"failures,omitempty" minimum:"1" maximum:"100" doc:"for query, probe, webhook, command and alerts, how many bad readings in a row are harm; default 3, for webhook, command and alerts 1"`

	Series  *SeriesGate  `json:"series,omitempty" doc:"for series, what is compared and how"`
	Webhook *WebhookGate `json:"webhook,omitempty" doc:"for webhook, who is asked"`
	Command *CommandGate `json:"command,omitempty" doc:"for command, what is run"`
	Probe   *ProbeGate   `json:"probe,omitempty" doc:"for probe, what is looked at"`

	Every     fleet.Dur `json:"every,omitempty" doc:"time between readings; default 15s for query and series, 5s for alerts, else 1m"`
	Rings     []string  `json:"rings,omitempty" maxItems:"20" doc:"only in these rings; default in all"`
	When      string    `json:"when,omitempty" enum:"during,before,always" doc:"during the time in a ring (default), before it is entered, or both"`
	Informing bool      `json:"informing,omitempty" doc:"its verdict is told and decides nothing"`
	NoData    string    `json:"noData,omitempty" enum:"hold,pass,fail" doc:"what no data means; default hold"`
	OnFail    string    `json:"onFail,omitempty" enum:"rollback,halt,hold,notify" doc:"what a failure does: take the change back (default), stop it where it is, keep it from the next ring while it lasts, or only tell"`
}

// SeriesGate compares two series by their distributions.
type SeriesGate struct {
	Canary    string  `json:"canary" maxLength:"4000" doc:"PromQL of the new version's series; placeholders as in query"`
	Stable    string  `json:"stable" maxLength:"4000" doc:"PromQL of the stable version's series"`
	Method    string  `json:"method,omitempty" enum:"sequential,mannWhitney" doc:"a sequential rank test (default), or the test of Kayenta"`
	Direction string  `json:"direction,omitempty" enum:"increase,decrease,either" doc:"which way is harm; default either"`
	MaxRatio  float64 `json:"maxRatio,omitempty" minimum:"1" maximum:"1000" doc:"for sequential, the tolerated ratio; default 1"`
}

// WebhookGate asks a service of yours.
type WebhookGate struct {
	URL        string    `json:"url" maxLength:"2000" doc:"gets a signed POST; 2xx passes, unless the answer's verdict says otherwise, 4xx fails, anything else is no data"`
	SecretFile string    `json:"secretFile,omitempty" maxLength:"1000" doc:"file on the control plane with the key that signs"`
	Timeout    fleet.Dur `json:"timeout,omitempty" doc:"for one try; default 10s"`
	Retries    int       `json:"retries,omitempty" minimum:"0" maximum:"10" doc:"further tries when there is no answer; default 2"`
}

// CommandGate runs a program on the control plane.
type CommandGate struct {
	Name    string    `json:"name" maxLength:"100" doc:"a program in the control plane's folder of commands"`
	Args    []string  `json:"args,omitempty" maxItems:"100" doc:"its arguments; placeholders as in query"`
	Timeout fleet.Dur `json:"timeout,omitempty" doc:"default 1m"`
}

// ProbeGate looks at what an instance, or a page, answers.
type ProbeGate struct {
	Name     string    `json:"name,omitempty" maxLength:"63" doc:"a Probe: what it sees of the new version is compared with what it sees of stable"`
	MaxRatio float64   `json:"maxRatio,omitempty" minimum:"1" maximum:"1000" doc:"with name, largest tolerated ratio of the times that it takes, new to stable; default 1.5"`
	Rounds   int       `json:"rounds,omitempty" minimum:"1" maximum:"10000" doc:"with name, fewest rounds on the new version before it may pass; default 10"`
	Path     string    `json:"path,omitempty" maxLength:"1000" doc:"asked of every instance of the new version; or give url, or name"`
	URL      string    `json:"url,omitempty" maxLength:"2000" doc:"a page anywhere; or give path"`
	Status   int       `json:"status,omitempty" minimum:"100" maximum:"599" doc:"the expected status; default any from 200 to 399"`
	Contains string    `json:"contains,omitempty" maxLength:"1000" doc:"a text that the answer has to hold"`
	Timeout  fleet.Dur `json:"timeout,omitempty" doc:"default 5s"`
}
