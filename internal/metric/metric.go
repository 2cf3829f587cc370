package metric

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Name is the label that holds the name of a metric.
const Name = "__name__"

// Reserved begins the names of metrics that only Ringfence itself may write: verdicts rest on them.
const Reserved = "ringfence_"

// GatewayJob is the job of what the gateways tell of themselves; nobody else's series may carry it.
const GatewayJob = "gateway"

// Sample is one value of one series.
type Sample struct {
	Labels map[string]string // with the name, under Name
	At     time.Time         // to the millisecond
	Value  float64
}

// New makes a sample of labels given as name, value, name, value…
func New(name string, at time.Time, value float64, labels ...string) Sample {
	s := Sample{Labels: map[string]string{Name: name}, At: at, Value: value}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels[labels[i]] = labels[i+1]
	}
	return s
}

// String is the series as it is written in a query.
func (s Sample) String() string {
	var b strings.Builder
	b.WriteString(s.Labels[Name])
	b.WriteByte('{')
	first := true
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		if k == Name {
			continue
		}
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(k + `="` + s.Labels[k] + `"`)
	}
	b.WriteByte('}')
	return b.String()
}

// Refusal says why one of several samples was not stored. The others were.
type Refusal struct {
	Index  int    // among the samples that were given
	Reason Reason // in a word, for counting
	Detail string // in a sentence
}

// Reason is why a sample is refused.
type Reason string

// The reasons.
const (
	Old       Reason = "old"       // older than what is taken late
	Future    Reason = "future"    // its time is ahead of the clock
	Duplicate Reason = "duplicate" // the series has another value at that time
	Labels    Reason = "labels"    // no valid name or labels, too many, too long
	Forbidden Reason = "reserved"  // a name or job that is Ringfence's own
	Limit     Reason = "limit"     // one more series than the service may have
	Histogram Reason = "histogram" // contradicts itself
	Shape     Reason = "shape"     // of a type or temporality that is not kept
)

// Reasons are all of them.
var Reasons = []Reason{Old, Future, Duplicate, Labels, Forbidden, Limit, Histogram, Shape}

// Limited is the data of the event telemetry.limited: a service has as many series as it may have, and new ones are refused.
type Limited struct {
	Service string `json:"service" doc:"whose series they are: the label service, or job where there is none"`
	Series  int    `json:"series" doc:"how many it has"`
	Limit   int    `json:"limit" doc:"how many it may have"`
	Refused int64  `json:"refused" doc:"samples refused since the control plane started"`
	Example string `json:"example" doc:"a series that was refused"`
}

// LimitedEvent is its type.
const LimitedEvent = "telemetry.limited"
