package incident

import (
	"slices"
	"strings"
	"time"
)

// The kinds of candidates that are changes.
const (
	ChangeRelease = "release"
	ChangeConfig  = "config"
	ChangeFlag    = "flag"
	ChangeService = "service" // how it is run or reached was declared anew
	ChangePlan    = "plan"    // who is in which ring
	ChangeSchema  = "schema"
	ChangeFreeze  = "freeze" // one was lifted
	ChangeLine    = "line"   // somebody let the line go on
)

// The kinds of candidates that are none.
const (
	Dependency  = "dependency"
	Customer    = "customer"
	Traffic     = "traffic"
	Crash       = "crash"
	Disk        = "disk"
	Memory      = "memory"
	Certificate = "certificate"
	Other       = "other" // none of the candidates
)

// Change is something on the record that may be the cause.
type Change struct {
	Kind     string
	Ref      string // rollout/shop-7, flagset/shop, …
	Title    string
	Service  string // "" when it concerns all
	By       string
	Steps    []Step    // when it reached whom, in order
	Versions []string  // versions that it exposed; none: not a matter of versions
	Rings    []string  // rings that it reached so far; none: all
	Variants []string  // variants that it exposed, as set/flag=variant
	Trial    string    // the variant that a flag's trial gives, as set/flag=variant
	Ended    time.Time // when it was taken back
	Judged   string    // what a verdict said of it, when that was harm
	Pushed   string    // who waived what of its way: a bake cut short, a gate gone past, a freeze gone through
}

// Step is a change's reaching a ring, or happening at all.
type Step struct {
	At   time.Time
	Ring string
}

// before is the newest step until a time.
func (c Change) before(at time.Time) (Step, bool) {
	for _, s := range slices.Backward(c.Steps) {
		if !s.At.After(at) {
			return s, true
		}
	}
	return Step{}, false
}

// exposes reports whether a cell is of what the change exposed.
func (c Change) exposes(cell Cell) bool {
	if len(c.Versions) > 0 && !slices.Contains(c.Versions, cell.Version) {
		return false
	}
	if len(c.Variants) > 0 && cell.Variant != "" {
		return slices.Contains(c.Variants, cell.Variant)
	}
	return len(c.Rings) == 0 || cell.Ring == "" || slices.Contains(c.Rings, cell.Ring)
}

// tries reports whether a cell is of users with the variant on trial.
func (c Change) tries(cell Cell) bool { return cell.Variant == c.Trial }

// Signal is what an alert, or something else than counts of requests, says of a cause.
type Signal struct {
	Kind    string `json:"kind"`
	Service string `json:"service,omitempty"` // that it is about
	Subject string `json:"subject,omitempty"` // the dependency, customer, disk or certificate
	Version string `json:"version,omitempty"`
	Ring    string `json:"ring,omitempty"`
	Text    string `json:"text,omitempty"`

	Own, All Tally `json:"-"` // of a customer: its requests, and those of everyone
	Counted  bool  `json:"-"` // no alert says it: it is in the counts
}

// SignalOf reads what an alert's labels and annotations say of a cause; ok is false when they say nothing. A label
// cause says it outright; else the words of the alert's name are looked at.
func SignalOf(labels, annotations map[string]string) (Signal, bool) {
	s := Signal{Service: labels["service"], Version: labels["version"], Ring: labels["ring"], Text: annotations["summary"]}
	if s.Text == "" {
		s.Text = labels["alertname"]
	}
	kind := labels["cause"]
	if !slices.Contains([]string{Dependency, Customer, Traffic, Crash, Disk, Memory, Certificate}, kind) {
		kind = kindNamed(labels["alertname"])
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := labels[n]; v != "" {
				return v
			}
		}
		return ""
	}
	customer := first("account", "customer", "tenant")
	if kind == "" && customer != "" {
		kind = Customer
	}
	switch kind {
	case "":
		return s, false
	case Dependency:
		s.Subject = first("dependency", "target")
	case Customer:
		s.Subject = customer
	case Disk:
		s.Subject = first("mountpoint", "device", "volume", "unit", "instance")
	case Certificate:
		s.Subject = first("host", "target", "instance", "subject")
	default:
		s.Subject = first("instance", "pod")
	}
	s.Kind = kind
	return s, true
}

// words that an alert's name has for a kind of cause, looked for in this order.
var words = []struct {
	kind  string
	words []string
}{
	{Certificate, []string{"certificate", "certexpir", "tlsexpir", "sslexpir", "expiry"}},
	{Disk, []string{"disk", "filesystem", "volumefull", "nospace", "storagefull"}},
	{Memory, []string{"memory", "oom", "leak"}},
	{Crash, []string{"crash", "restart", "flapping"}},
	{Traffic, []string{"trafficdrop", "notraffic", "lowtraffic", "requestdrop", "nodata"}},
	{Customer, []string{"customer", "tenant", "account"}},
	{Dependency, []string{"dependency", "upstream", "backenddown"}},
}

func kindNamed(name string) string {
	name = strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(name))
	for _, w := range words {
		for _, word := range w.words {
			if strings.Contains(name, word) {
				return w.kind
			}
		}
	}
	return ""
}
