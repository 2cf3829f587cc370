package policy

import (
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Role is what a principal is trusted with.
type Role string

// The roles.
const (
	Admin     Role = "admin"     // everything
	Operator  Role = "operator"  // releasing and deciding on rollouts, and reading
	Viewer    Role = "viewer"    // reading, without artifacts and backups
	DataPlane Role = "dataplane" // what a data plane needs to run its unit, and nothing else
	Prober    Role = "prober"    // learning what to probe, and telling what it saw, under the name of its token
	Alerter   Role = "alerter"   // sending alerts, as Prometheus does, and nothing else
	Client    Role = "client"    // a program with a key for flags: tells what became of them. No token has it
)

// Roles are all roles that tokens have.
var Roles = []Role{Admin, Operator, Viewer, Prober, Alerter, DataPlane}

// Action is what a request does, as coarse as roles tell apart.
type Action string

// The actions.
const (
	Anyone  Action = "anyone"  // needs no sign-in: health, the API's own description
	Self    Action = "self"    // asking who one is; every principal may
	Read    Action = "read"    // what is declared, what runs, the record, the metrics
	Decide  Action = "decide"  // releasing, and what people decide of rollouts: approvals, commands, the line
	Change  Action = "change"  // whatever else changes state: what is declared, and who may sign in
	Fetch   Action = "fetch"   // the content of artifacts
	Send    Action = "send"    // events of users, by which rollouts and experiments are judged
	Operate Action = "operate" // what a data plane does for its unit
	Probe   Action = "probe"   // what a prober does
	Alert   Action = "alert"   // sending alerts
	Export  Action = "export"  // a copy of everything, hashed tokens included
	Ask     Action = "ask"     // asking for access, for a time
	Review  Action = "review"  // deciding on what others ask for: access, changes of policy
)

var granted = map[Role][]Action{
	Admin:     {Self, Read, Decide, Change, Fetch, Operate, Export, Send, Probe, Alert, Ask, Review},
	Operator:  {Self, Read, Decide, Send, Alert, Ask, Review},
	Viewer:    {Self, Read, Ask},
	Prober:    {Self, Probe},
	Alerter:   {Self, Alert},
	DataPlane: {Self, Fetch, Operate},
	Client:    {Send},
}

// Actions are all actions that rules are about; Anyone is asked of nobody.
var Actions = []Action{Self, Read, Decide, Change, Fetch, Send, Operate, Probe, Alert, Export, Ask, Review}

// Principal is someone who has signed in. The zero one is nobody.
type Principal struct {
	Name          string    `json:"name" doc:"name of the token, or of whom the issuer knows"`
	Role          Role      `json:"role" enum:"admin,operator,viewer,prober,alerter,dataplane" doc:"what it is trusted with"`
	Only          []Action  `json:"only,omitempty" doc:"of what the role may, no more than this; none: all of it"`
	Groups        []string  `json:"groups,omitempty" doc:"what it belongs to, as its issuer says"`
	Via           string    `json:"via,omitempty" doc:"how it signed in: oidc, passkey, lent or exchange; none: a token that an admin made"`
	Authenticated time.Time `json:"authenticated,omitzero" doc:"when it last proved who it is; not known of a token"`
	Strong        bool      `json:"strong,omitempty" doc:"whether it proved that by more than a secret that can be passed on: a passkey, or a second factor"`
}

// The ways to sign in.
const (
	OIDC     = "oidc"     // by an identity provider, in a browser
	Passkey  = "passkey"  // by a passkey of an account here
	Lent     = "lent"     // by a token that another one was exchanged for in a browser, for the command line
	Exchange = "exchange" // a program, by a token of the issuer that vouches for it
)

// Nobody says whether p has not signed in.
func (p Principal) Nobody() bool { return p.Name == "" && p.Role == "" }

// Actor is the principal as it stands in events.
func (p Principal) Actor() string {
	switch {
	case p.Role == DataPlane:
		return "system:" + p.Name
	case p.Via == Exchange:
		return "service:" + p.Name // a name of their own: who has one like it is somebody else
	}
	return "user:" + p.Name
}

// Allow says whether p may do a; the zero Principal is nobody.
func Allow(p Principal, a Action) error {
	switch {
	case a == Anyone:
		return nil
	case p.Nobody():
		return errs.E(errs.Denied, "not signed in").Next("Send a token: Authorization: Bearer rf_…")
	case len(p.Only) > 0 && a != Self && !slices.Contains(p.Only, a):
		return errs.E(errs.Denied, "the token of %s is for %v only, not for this (%s)", p.Name, p.Only, a).Next("Use a token that is for this as well.")
	case slices.Contains(granted[p.Role], a):
		return nil
	}
	return errs.E(errs.Denied, "%s has the role %s, which may not do this (%s)", p.Name, p.Role, a).
		Next("Use a token whose role may: operator may release and decide on rollouts, admin may do everything.")
}

// May is what tokens with a role may do.
func May(r Role) []Action {
	return slices.DeleteFunc(slices.Clone(granted[r]), func(a Action) bool { return a == Self })
}
