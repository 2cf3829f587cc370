package resource

import (
	"encoding/json"
	"time"

	"github.com/ringfence/ringfence/internal/fleet"
)

// APIVersion is the version of every resource.
const APIVersion = "ringfence.dev/v1"

// The kinds, also the kinds of their documents in the store.
const (
	KindService      = "Service"
	KindSegment      = "Segment"
	KindRingPlan     = "RingPlan"
	KindRelease      = "Release"
	KindConfig       = "Config"
	KindFreeze       = "Freeze"
	KindGroup        = "Group"
	KindNotifier     = "Notifier"
	KindFlagSet      = "FlagSet"
	KindExperiment   = "Experiment"
	KindProbe        = "Probe"
	KindRotation     = "Rotation"
	KindAlertRules   = "AlertRules"
	KindAlertRouting = "AlertRouting"
	KindScrape       = "Scrape"
	KindDatabase     = "Database"
	KindIdentity     = "IdentityProvider"
)

// Kinds are all kinds, those that others refer to first.
var Kinds = []string{KindGroup, KindAccessPolicy, KindAccessRules, KindSegment, KindRingPlan, KindDatabase, KindService, KindFreeze, KindNotifier, KindScrape, KindFlagSet, KindExperiment, KindProbe, KindRotation, KindAlertRules, KindAlertRouting, KindIdentity,
	KindDataSource, KindAlertTarget, KindAlertCondition, KindAlertPolicy, KindSLI, KindSLOService, KindSLO, KindBudgetPolicy, KindAdmission,
	KindRelease, KindConfig}

// Declared are the kinds that are applied and deleted; the others are made, and stay as the record.
var Declared = []string{KindGroup, KindAccessPolicy, KindAccessRules, KindSegment, KindRingPlan, KindDatabase, KindService, KindFreeze, KindNotifier, KindScrape, KindFlagSet, KindExperiment, KindProbe, KindRotation, KindAlertRules, KindAlertRouting, KindIdentity,
	KindDataSource, KindAlertTarget, KindAlertCondition, KindAlertPolicy, KindSLI, KindSLOService, KindSLO, KindBudgetPolicy, KindAdmission}

// Resource is one declared thing; Kind says what its Spec holds.
type Resource struct {
	APIVersion string          `json:"apiVersion" enum:"ringfence.dev/v1" doc:"the version of the format"`
	Kind       string          `json:"kind" enum:"Group,AccessPolicy,AccessRules,Segment,RingPlan,Database,Service,Freeze,Notifier,Scrape,FlagSet,Experiment,Probe,Rotation,AlertRules,AlertRouting,IdentityProvider,DataSource,AlertNotificationTarget,AlertCondition,AlertPolicy,SLI,SLOService,SLO,BudgetPolicy,Admission,Release,Config" doc:"what it is"`
	Metadata   Metadata        `json:"metadata" doc:"its name and labels"`
	Spec       json.RawMessage `json:"spec" doc:"what is wanted"`
}

// Metadata names a resource.
type Metadata struct {
	Name   string            `json:"name" doc:"lower-case letters, digits and hyphens, at most 63; for a release service/version"`
	Labels map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"words of your own to sort and find by"`
}

// Service is something that runs and takes requests.
type Service struct {
	Owner     string      `json:"owner,omitempty" maxLength:"200" doc:"the team that is called when it hurts"`
	Run       Run         `json:"run" doc:"how an instance is started"`
	Ready     fleet.Ready `json:"ready,omitzero" doc:"when an instance may be sent requests; default once it accepts connections"`
	Route     fleet.Route `json:"route" doc:"which requests are its own"`
	Plan      string      `json:"plan" doc:"name of the RingPlan that its changes go through"`
	Drain     fleet.Dur   `json:"drain,omitempty" doc:"how long requests in flight may take when a version leaves; default 30s"`
	StopGrace fleet.Dur   `json:"stopGrace,omitempty" doc:"time from SIGTERM to SIGKILL; default 10s"`
	Unit      string      `json:"unit,omitempty" doc:"where it runs, when that is one place; default local"`
	Units     []string    `json:"units,omitempty" maxItems:"50" doc:"where it runs, when that is several places; rings may name some of them"`
	Peak      *Window     `json:"peak,omitempty" doc:"when its traffic peaks, for rings with coverPeak; default the busiest hour of the last week"`
	Metrics   *Metrics    `json:"metrics,omitempty" doc:"the service's own metrics, collected from every instance; default none"`
	DependsOn []string    `json:"dependsOn,omitempty" maxItems:"50" doc:"services that it calls: when one of them fails, its own alerts are symptoms"`
	Runbook   string      `json:"runbook,omitempty" maxLength:"2000" doc:"address of the page that says what to do when it hurts; alerts name it"`
	Impact    string      `json:"impact,omitempty" maxLength:"500" doc:"what users notice when it hurts, in a sentence; alerts name it"`
	AlertsOff []string    `json:"alertsOff,omitempty" maxItems:"50" doc:"built-in alerts that do not watch it, such as TrafficDrop, or * for none of them"`
	Customers *Customers  `json:"customers,omitempty" doc:"what each account may expect, when route.account says which there are"`

	Secrets      []string       `json:"secrets,omitempty" maxItems:"50" doc:"secrets that its instances are given when they start, by name"`
	Interface    *InterfaceRule `json:"interface,omitempty" doc:"what becomes of a release whose interface breaks that of a served version"`
	Availability *Availability  `json:"availability,omitempty" doc:"when a minute counts as bad in its availability; it has sound defaults"`
	Database     string         `json:"database,omitempty" doc:"name of the Database whose schema its versions understand: each release says which versions of it; default none"`
}

// Availability says when a minute of a service is bad.
type Availability struct {
	BadShare float64   `json:"badShare,omitempty" minimum:"0.01" maximum:"100" doc:"a minute is bad when so many percent of its requests failed, were shed or took longer than slowOver; default 1"`
	MinBad   int       `json:"minBad,omitempty" minimum:"1" maximum:"10000" doc:"and at least so many did; default 1"`
	SlowOver fleet.Dur `json:"slowOver,omitempty" doc:"requests that take longer are slow; default 1s"`
}

// Customers is what each account of a service may expect, and when it is told that one does not get it.
type Customers struct {
	Objective   float64 `json:"objective,omitempty" minimum:"50" maximum:"99.999" doc:"percent of its minutes within 28 days that are to be good; default 99.9"`
	BadShare    float64 `json:"badShare,omitempty" minimum:"0.01" maximum:"100" doc:"a minute is bad when so many percent of its requests failed or were slow; default 5"`
	MinBad      int     `json:"minBad,omitempty" minimum:"1" maximum:"10000" doc:"and at least so many were; default 2"`
	MinRequests int     `json:"minRequests,omitempty" minimum:"1" maximum:"10000" doc:"minutes with fewer requests are neither good nor bad; default 5"`
	Minutes     int     `json:"minutes,omitempty" minimum:"1" maximum:"15" doc:"an account is hurt when so many of its last minutes were bad; default 3"`
	Of          int     `json:"of,omitempty" minimum:"1" maximum:"15" doc:"how many last minutes; default 10"`
	Accounts    int     `json:"accounts,omitempty" minimum:"2" maximum:"1000" doc:"so many hurt accounts are one alert together; default 3"`
}

// Metrics says where an instance tells its own metrics, in Prometheus' text or protobuf format or as OpenMetrics.
type Metrics struct {
	Path     string    `json:"path" doc:"path on the instance's address, such as /metrics"`
	Interval fleet.Dur `json:"interval,omitempty" doc:"time between two looks; default that of the control plane, 5s"`
}

// Run says how an instance is started.
type Run struct {
	Command   []string          `json:"command" minItems:"1" maxItems:"256" doc:"program and arguments; {artifact}, {address}, {host}, {port}, {version}, {service}, {config} are put in"`
	Env       map[string]string `json:"env,omitempty" maxProperties:"256" doc:"environment, next to PORT, ADDRESS and LISTEN_ADDR, which every instance gets"`
	Dir       string            `json:"dir,omitempty" doc:"working folder, an absolute path; default a private one for the instance"`
	Instances int               `json:"instances,omitempty" minimum:"1" maximum:"100" doc:"processes for each version; default 1"`
	Scale     *fleet.Scale      `json:"scale,omitempty" doc:"more instances when more is asked of the service; default none"`
}

// Segment is a named audience.
type Segment struct {
	Audience Audience `json:"audience" doc:"who is in it"`
}

// Audience says who: everyone when empty; else exactly one of its forms.
type Audience struct {
	Users   []string        `json:"users,omitempty" maxItems:"10000" doc:"these targeting keys"`
	Segment string          `json:"segment,omitempty" doc:"members of this segment"`
	Tenants []string        `json:"tenants,omitempty" maxItems:"10000" doc:"users whose attribute tenant is one of these"`
	Regions []string        `json:"regions,omitempty" maxItems:"1000" doc:"users whose attribute region is one of these"`
	Percent *float64        `json:"percent,omitempty" minimum:"0.001" maximum:"100" doc:"this share of all targeting keys, above 0 to 100, nested in every larger one"`
	Rule    json.RawMessage `json:"rule,omitempty" doc:"a rule in flagd's targeting grammar (JSONLogic) that is true for members"`
	Any     []Audience      `json:"any,omitempty" maxItems:"100" doc:"members of at least one of these"`
}

// Release is one version of a service, immutable.
type Release struct {
	Service    string            `json:"service" doc:"the service it is a version of"`
	Version    string            `json:"version" doc:"letters, digits and . _ + -, at most 63"`
	Digest     string            `json:"digest" doc:"sha256:… of the artifact"`
	Size       int64             `json:"size" minimum:"1" doc:"bytes of the artifact"`
	Env        map[string]string `json:"env,omitempty" maxProperties:"256" doc:"added to the service's environment for this version"`
	Hypothesis string            `json:"hypothesis,omitempty" maxLength:"2000" doc:"what is expected of it"`
	Metric     *ExperimentMetric `json:"metric,omitempty" doc:"the event in which that would show"`
	Committed  time.Time         `json:"committed,omitzero" doc:"when the newest commit in it was made"`
	Schema     *SchemaUse        `json:"schema,omitempty" doc:"which versions of a database's schema it understands; default it uses none"`
	Interface  *Interface        `json:"interface,omitempty" doc:"what it can be asked for"`
	Created    time.Time         `json:"created" doc:"when it was made"`
	By         string            `json:"by" maxLength:"200" doc:"who made it"`
}

// Interface is what a release can be asked for.
type Interface struct {
	Format     string            `json:"format" enum:"openapi,protobuf" doc:"an OpenAPI 3 document, or protobuf: a source file or a FileDescriptorSet"`
	Digest     string            `json:"digest" maxLength:"100" doc:"sha256:… of the document, which is kept with the artifacts"`
	Operations []fleet.Operation `json:"operations,omitempty" maxItems:"500" doc:"what it declares, as it was read"`
}

// Operations are those that its interface declares; none when it carries none.
func (r Release) Operations() []fleet.Operation {
	if r.Interface == nil {
		return nil
	}
	return r.Interface.Operations
}

// InterfaceRule says what becomes of a release that breaks what callers rely on.
type InterfaceRule struct {
	Rule   string    `json:"rule,omitempty" enum:"refuse,warn,off" doc:"refuse: its rollout does not begin; warn: it does, and that is on the record; default refuse"`
	Window fleet.Dur `json:"window,omitempty" doc:"an operation that nobody called for so long may be broken; default 168h"`
}

// Config is one version of a service's configuration, immutable. What runs is a release with, or without, one.
type Config struct {
	Service string            `json:"service" doc:"the service it is for"`
	Version string            `json:"version" doc:"letters, digits and . _ -, at most 63"`
	Env     map[string]string `json:"env,omitempty" maxProperties:"256" doc:"environment of every instance, over that of the service and the release"`
	Files   map[string]string `json:"files,omitempty" maxProperties:"64" doc:"files by relative path, below the folder that an instance finds in RINGFENCE_CONFIG; at most 256 KiB together"`
	Note    string            `json:"note,omitempty" maxLength:"500" doc:"what it is for"`
	Created time.Time         `json:"created" doc:"when it was made"`
	By      string            `json:"by" maxLength:"200" doc:"who made it"`
}

// Group is a named set of people, who approve for it.
type Group struct {
	Members []string `json:"members" minItems:"1" maxItems:"1000" doc:"principals, as their tokens name them"`
}

// Window is a time that may come again, as an iCalendar event has it.
type Window struct {
	Start  string   `json:"start" doc:"when it begins, local to the zone, such as 2026-12-20T08:00"`
	End    string   `json:"end" doc:"when it ends, local to the zone"`
	Zone   string   `json:"zone,omitempty" doc:"IANA time zone, such as Europe/Berlin; default UTC"`
	Rule   string   `json:"rule,omitempty" maxLength:"500" doc:"when it comes again: an iCalendar recurrence rule (RFC 5545), such as FREQ=WEEKLY;BYDAY=FR; default never"`
	Except []string `json:"except,omitempty" maxItems:"200" doc:"beginnings, as start is written, at which it does not come"`
}

// Freeze is a time in which nothing moves outward.
type Freeze struct {
	Reason   string            `json:"reason" maxLength:"500" doc:"why, for those who wait"`
	When     Window            `json:"when" doc:"the time, which may come again"`
	Services []string          `json:"services,omitempty" maxItems:"1000" doc:"for these services; with labels too, for either; without both for all"`
	Labels   map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"for services that have all of these labels"`
}

// Key names a resource among all others, as it stands in events: service/shop.
func (r Resource) Key() string { return Key(r.Kind, r.Metadata.Name) }
