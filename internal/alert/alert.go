package alert

import (
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

// Labels that Ringfence sets and reads.
const (
	Name     = "alertname"
	Severity = "severity" // page, ticket or info
	Service  = "service"
	Version  = "version"
	Ring     = "ring"
	Owner    = "owner"
)

// Annotations that Ringfence sets and reads.
const (
	Summary     = "summary"
	Description = "description"
	Runbook     = "runbook_url"
	Impact      = "impact"

	DefaultRunbook = "default_runbook_url" // those that count when the service declares none
	DefaultImpact  = "default_impact"
)

// Severities, the one that wakes people first.
const (
	Paging = "page"
	Ticket = "ticket"
	Info   = "info"
)

// Alert is one condition that holds or held.
type Alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // zero while it is not known to be over
	GeneratorURL string            `json:"generatorURL"`
}

// Fingerprint identifies an alert by its labels, as Prometheus and Alertmanager do: FNV-1a over the sorted names and
// values, each ended by 0xff.
func (a Alert) Fingerprint() uint64 {
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		h.Write([]byte(name))
		h.Write([]byte{0xff})
		h.Write([]byte(a.Labels[name]))
		h.Write([]byte{0xff})
	}
	return h.Sum64()
}

// Firing says whether it holds at a time.
func (a Alert) Firing(now time.Time) bool { return a.EndsAt.IsZero() || a.EndsAt.After(now) }
