package fleet

import (
	"encoding/json"
	"slices"
	"time"
)

// Desired is everything one unit shall run.
type Desired struct {
	Unit     string    `json:"unit"`
	Services []Service `json:"services"`
	Rest     *Rest     `json:"rest,omitempty"`
}

// Service is what a unit shall do for one service. Generation grows with each change of it.
type Service struct {
	Name       string   `json:"name"`
	Generation int64    `json:"generation"`
	Gone       bool     `json:"gone,omitempty"` // the service was deleted: its routes go and its instances are stopped
	Route      Route    `json:"route"`
	Rings      []Ring   `json:"rings"`              // ordered, the last takes everyone
	Salt       string   `json:"salt"`               // percent rings hash salt and targeting key
	Exposure   []string `json:"exposure"`           // per ring, which version its users get; "" = none is out yet
	Slots      []Slot   `json:"slots"`              // versions to keep running, exposed or warm
	SlowOver   []Dur    `json:"slowOver,omitempty"` // latencies over which requests are counted as slow
	Schema     *Schema  `json:"schema,omitempty"`   // of its database, for its instances to ask about
	Ramp       *Ramp    `json:"ramp,omitempty"`     // of a flag's exposure, whose versions are variants; there are no routes and slots
}

// Ramp is what is tried on the users of one ring while a flag's exposure grows: of them, Control percent stay without, and
// the two parts are compared. Which part a user is in is hashed of Salt and the targeting key.
type Ramp struct {
	Counts  string  `json:"counts,omitempty"` // the service whose requests are counted for the comparison
	Ring    int     `json:"ring"`             // in trial; -1 for none
	From    string  `json:"from"`             // the variant of those who stay without
	To      string  `json:"to"`
	Control float64 `json:"control"` // percent
	Salt    string  `json:"salt"`
	Rollout string  `json:"rollout"`
	Base    string  `json:"base,omitempty"` // the name that stands for what the flag gives as it is defined
}

// Ring is one audience with its segments already put in: Audience is a rule in flagd's targeting grammar, empty for everyone.
type Ring struct {
	Name     string          `json:"name"`
	Audience json.RawMessage `json:"audience,omitempty"`
	Percent  float64         `json:"percent,omitempty"` // for a percent ring, 0 to 100; Audience is then empty
	Units    []string        `json:"units,omitempty"`   // only in these units; empty for all
}

// In is the ring as it is in a unit: where it has no members, nobody.
func (r Ring) In(unit string) Ring {
	if len(r.Units) > 0 && !slices.Contains(r.Units, unit) {
		r.Audience, r.Percent = json.RawMessage("false"), 0
	}
	r.Units = nil
	return r
}

// RingsIn are rings as they are in a unit.
func RingsIn(rings []Ring, unit string) []Ring {
	in := make([]Ring, len(rings))
	for i, r := range rings {
		in[i] = r.In(unit)
	}
	return in
}

// Route says which requests belong to a service and where their context comes from.
type Route struct {
	Host          string            `json:"host,omitempty" doc:"host name without port; *.example.com matches one label; empty matches every host"`
	Path          string            `json:"path,omitempty" doc:"path prefix, on segment boundaries; empty means /"`
	StripPath     bool              `json:"stripPath,omitempty" doc:"take the path prefix off before passing the request on"`
	TargetingKey  Source            `json:"targetingKey,omitempty" doc:"where the user's key is found; without one the gateway sets a sticky cookie"`
	Attributes    map[string]Source `json:"attributes,omitempty" doc:"further attributes of the context, by name; a name has no dots, as user.plan in a rule means plan within user"`
	Protocol      string            `json:"protocol,omitempty" enum:"http,h2c" doc:"what the service speaks; gRPC services speak h2c"`
	Timeout       Dur               `json:"timeout,omitempty" doc:"time until the response begins; default 60s"`
	MaxBodyBytes  int64             `json:"maxBodyBytes,omitempty" doc:"largest request body; default 64 MiB, -1 for no limit"`
	StreamTimeout Dur               `json:"streamTimeout,omitempty" doc:"how long WebSockets, event streams and gRPC streams may go on after their version left; default 5m"`
	Health        *Health           `json:"health,omitempty" doc:"when an instance that fails requests gets none for a while; it has sound defaults"`
	Limits        *Limits           `json:"limits,omitempty" doc:"what is let through to the service at one time, and what is refused first"`
	RUM           *RUM              `json:"rum,omitempty" doc:"its pages tell how they are for their users; default not"`
	Assets        *Assets           `json:"assets,omitempty" doc:"static files that are kept for pages which are open while versions change; default not"`
	Account       *Account          `json:"account,omitempty" doc:"whose requests they are: bad minutes are counted for each account; default not"`
}

// Account says to which account, a customer or a tenant, a request belongs; the first source present is taken.
type Account struct {
	Header    string `json:"header,omitempty" doc:"a request header"`
	Cookie    string `json:"cookie,omitempty" doc:"a cookie"`
	Query     string `json:"query,omitempty" doc:"a query parameter"`
	JWT       string `json:"jwt,omitempty" doc:"a claim of the bearer token, which is read but not verified"`
	Attribute string `json:"attribute,omitempty" doc:"an attribute that the route declares, or targetingKey"`
	Hash      bool   `json:"hash,omitempty" doc:"keep a keyed hash in place of the account's name"`
	SlowOver  Dur    `json:"slowOver,omitempty" doc:"requests that take longer are bad for their account; default 1s"`
}

// RUM is what pages tell of how they are for their users: real-user monitoring.
type RUM struct {
	Pages  []string `json:"pages,omitempty" maxItems:"50" doc:"templates of paths such as /product/{id} or /help/*, the first that matches; other paths have {id} for what looks like one"`
	Flags  []string `json:"flags,omitempty" maxItems:"20" doc:"keys of flags whose variants pages are told apart by"`
	Events bool     `json:"events,omitempty" doc:"what users do is kept with their targeting keys, as experiments need it; default it is counted only"`
}

// Source names where in a request a value is found; the first one present is taken.
type Source struct {
	Header string `json:"header,omitempty" doc:"a request header"`
	Cookie string `json:"cookie,omitempty" doc:"a cookie"`
	Query  string `json:"query,omitempty" doc:"a query parameter"`
	JWT    string `json:"jwt,omitempty" doc:"a claim of the bearer token, which is read but not verified: the service verifies it"`
}

// Slot is one version of a service, kept running.
type Slot struct {
	Version   string            `json:"version"`
	Digest    string            `json:"digest"` // sha256:… of the artifact
	Command   []string          `json:"command"`
	Env       map[string]string `json:"env,omitempty"`
	Files     map[string]string `json:"files,omitempty"` // by relative path, below the folder named by RINGFENCE_CONFIG
	Dir       string            `json:"dir,omitempty"`
	Instances int               `json:"instances"`
	Scale     *Scale            `json:"scale,omitempty"` // Instances is then the least
	Ready     Ready             `json:"ready"`
	Drain     Dur               `json:"drain"`     // how long requests in flight may take after the slot has left
	StopGrace Dur               `json:"stopGrace"` // from SIGTERM to SIGKILL
	Schema    *SlotSchema       `json:"schema,omitempty"`

	Operations []Operation `json:"operations,omitempty"` // that its interface declares
	Secrets    []string    `json:"secrets,omitempty"`    // names of those that its instances are given
}

// Ready says when an instance may be sent requests.
type Ready struct {
	HTTP     string `json:"http,omitempty" doc:"path that must answer 200 to 399"`
	TCP      bool   `json:"tcp,omitempty" doc:"accepting connections is enough; the default without http"`
	Interval Dur    `json:"interval,omitempty" doc:"time between checks; default 1s, every 50ms until first ready"`
	Timeout  Dur    `json:"timeout,omitempty" doc:"time for one check; default 1s"`
	Failures int    `json:"failures,omitempty" minimum:"0" maximum:"100" doc:"checks in a row that an instance fails before it gets no more requests; default 3"`
	Within   Dur    `json:"within,omitempty" doc:"how long a new version may take to become ready before its rollout is taken back; default 60s"`
	Restart  Dur    `json:"restart,omitempty" doc:"an instance that is not ready for so long is started anew, one of a version at a time; default 1m, at least within for one that never was ready"`
}

// Scale lets the number of instances follow what is asked of the service.
type Scale struct {
	Max      int     `json:"max" minimum:"1" maximum:"100" doc:"the most instances of a version; the least is instances"`
	InFlight float64 `json:"inFlight,omitempty" minimum:"0" doc:"how many requests at a time one instance shall have"`
	Requests float64 `json:"requests,omitempty" minimum:"0" doc:"how many requests a second one instance shall have; with inFlight, what needs more instances counts"`
	Down     Dur     `json:"down,omitempty" doc:"how long fewer must have been enough before some are stopped; default 5m"`
}

// Observed is what a data plane reports of its unit.
type Observed struct {
	Unit     string          `json:"unit"`
	Time     time.Time       `json:"time"`
	Admin    string          `json:"admin,omitempty"`   // base URL of the data plane's own page, metrics and logs
	Gateway  string          `json:"gateway,omitempty"` // URL under which this machine reaches the gateway
	Services []ServiceStatus `json:"services"`
	Rest     string          `json:"rest,omitempty"` // leaving, resting or returning; empty while it serves
}

// ServiceStatus is what is seen of one service in a unit.
type ServiceStatus struct {
	Name       string       `json:"name"`
	Generation int64        `json:"generation"` // the generation whose routes are in force: no request is answered by an earlier one
	Slots      []SlotStatus `json:"slots"`
	Users      []UserCount  `json:"users,omitempty"`
	Scaled     *Scaled      `json:"scaled,omitempty"`
}

// Scaled is the number of instances that a service's versions have by what is asked of it.
type Scaled struct {
	Instances int       `json:"instances" doc:"of each version"`
	Min       int       `json:"min" doc:"the least"`
	Max       int       `json:"max" doc:"the most"`
	Since     time.Time `json:"since" doc:"it has been that many"`
	Reason    string    `json:"reason,omitempty" doc:"why, when it was changed"`
}

// SlotStatus is what is seen of one version in a unit.
type SlotStatus struct {
	Version   string     `json:"version"`
	Ready     int        `json:"ready"`
	Wanted    int        `json:"wanted"`
	InFlight  int64      `json:"inFlight"`
	Failure   string     `json:"failure,omitempty"` // why it is not ready, in one line
	Instances []Instance `json:"instances,omitempty"`
}

// Instance is one process.
type Instance struct {
	ID         string    `json:"id"` // service/version/n
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Address    string    `json:"address"`
	Ready      bool      `json:"ready"`
	Restarts   int       `json:"restarts"`
	CPUSeconds float64   `json:"cpuSeconds"`
	RSSBytes   int64     `json:"rssBytes"`
	LastExit   string    `json:"lastExit,omitempty"`
}

// ExactUsers is how many users a count is exact for; beyond it, it is an estimate within about 1 %.
const ExactUsers = 8192

// UserCount is an estimate (exact for small numbers) of the distinct targeting keys that a version has answered in a ring.
type UserCount struct {
	Ring    string `json:"ring"`
	Version string `json:"version"`
	Users   int64  `json:"users"`
	Recent  int64  `json:"recent"` // of these, seen since the exposure last changed: both sides over the same time
}

// Endpoint is a ready instance that the gateway may send requests to.
type Endpoint struct {
	Service, Version, ID, Address string
}

// AccountMinute is how the accounts of a service fared at one gateway in one minute.
type AccountMinute struct {
	Service  string         `json:"service" maxLength:"63" doc:"name of the service"`
	Minute   int64          `json:"minute" doc:"when it began, in minutes since 1970"`
	Boot     string         `json:"boot" maxLength:"40" doc:"which life of the gateway counted it: what the same one says of the same minute counts once"`
	Requests int64          `json:"requests" minimum:"0" doc:"of all accounts"`
	Bad      int64          `json:"bad" minimum:"0" doc:"of these, failed or slow"`
	Accounts []AccountCount `json:"accounts" maxItems:"1024" doc:"those with most trouble, and most requests, first"`
}

// AccountCount is how the requests of one account went.
type AccountCount struct {
	ID       string         `json:"id" maxLength:"256"`
	Requests int64          `json:"requests" minimum:"0"`
	Failed   int64          `json:"failed,omitempty" minimum:"0"`
	Slow     int64          `json:"slow,omitempty" minimum:"0" doc:"of those that did not fail"`
	Missed   int64          `json:"missed,omitempty" minimum:"0" doc:"weight of its requests that may have been missed, where a good one weighs 1"`
	Where    []AccountWhere `json:"where,omitempty" maxItems:"32" doc:"where its bad requests were"`
}

// Bad is how many failed or were slow.
func (c AccountCount) Bad() int64 { return c.Failed + c.Slow }

// AccountWhere is how many bad requests were in a version and ring.
type AccountWhere struct {
	Version string `json:"version" maxLength:"200"`
	Ring    string `json:"ring" maxLength:"200"`
	Bad     int64  `json:"bad" minimum:"0"`
}
