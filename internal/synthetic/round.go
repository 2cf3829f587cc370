package synthetic

import (
	"time"

	"github.com/ringfence/ringfence/internal/resource"
)

// Job is a probe with what it has to look at.
type Job struct {
	Probe   string         `json:"probe"`
	Spec    resource.Probe `json:"spec"` // with its defaults
	Targets []Target       `json:"targets"`
}

// Target is one place that is looked at.
type Target struct {
	Version  string `json:"version,omitempty"`  // whose it is; empty for the gateway and for addresses
	Address  string `json:"address"`            // host:port, or the beginning of a URL
	Host     string `json:"host,omitempty"`     // the Host of requests, when it is another than the address
	Instance string `json:"instance,omitempty"` // for messages
	Broken   string `json:"broken,omitempty"`   // why there is nothing to look at
}

// Phases are the parts of a round in seconds: of its first request, when there are several.
type Phases struct {
	DNS       float64 `json:"dns,omitempty"`
	Connect   float64 `json:"connect,omitempty"`
	TLS       float64 `json:"tls,omitempty"`
	FirstByte float64 `json:"firstByte,omitempty"` // from the request being sent
}

// Round is what a prober saw of a version.
type Round struct {
	Probe   string    `json:"probe" maxLength:"63"`
	Service string    `json:"service,omitempty" maxLength:"63"`
	Version string    `json:"version,omitempty" maxLength:"200"`
	Prober  string    `json:"prober,omitempty" maxLength:"63"`
	At      time.Time `json:"at" doc:"when it began"`
	OK      bool      `json:"ok"`
	Reason  string    `json:"reason,omitempty" maxLength:"1000" doc:"why it failed"`
	Step    string    `json:"step,omitempty" maxLength:"200" doc:"at which step it failed"`
	Seconds float64   `json:"seconds" doc:"how long it took, the mean of several instances; of what failed until it did"`
	Phases  Phases    `json:"phases,omitzero"`
	Expires time.Time `json:"expires,omitzero" doc:"when the first certificate of the chain expires"`
	Targets int       `json:"targets,omitempty" doc:"how many instances were looked at"`
	Failed  int       `json:"failed,omitempty" doc:"how many of them failed"`
	Steps   []Step    `json:"steps,omitempty" maxItems:"20" doc:"what each step took, of several"`
}

// Step is one request of several.
type Step struct {
	Name    string  `json:"name" maxLength:"200"`
	Seconds float64 `json:"seconds"`
	Status  int     `json:"status,omitempty"`
}

// Together puts what was seen of several instances of one version into one round: it failed when one of them did.
func Together(all []Round) Round {
	r := all[0]
	r.Targets, r.Failed, r.Seconds = len(all), 0, 0
	good, took := 0, 0.0
	for _, one := range all {
		took += one.Seconds
		if !one.Expires.IsZero() && (r.Expires.IsZero() || one.Expires.Before(r.Expires)) {
			r.Expires = one.Expires
		}
		if one.OK {
			good++
			r.Seconds += one.Seconds
			continue
		}
		if r.Failed++; r.Failed == 1 {
			r.OK, r.Reason, r.Step, r.Steps, r.Phases = false, one.Reason, one.Step, one.Steps, one.Phases
		}
	}
	if good > 0 {
		r.Seconds /= float64(good)
	} else {
		r.Seconds = took / float64(len(all))
	}
	return r
}

// Limits of what is kept.
const (
	KeptPoints = 720
	KeptHours  = 7 * 24
)

// Point is a round in short.
type Point struct {
	At      time.Time `json:"t"`
	OK      bool      `json:"ok"`
	Seconds float64   `json:"s"`
}

// Hour counts the rounds that began in one.
type Hour struct {
	Start time.Time `json:"start"`
	Good  int       `json:"good"`
	Bad   int       `json:"bad"`
}

// View is what one prober sees of one version.
type View struct {
	Last   Round   `json:"last"`
	Row    int     `json:"row"` // failed rounds in a row
	Points []Point `json:"points,omitempty"`
	Hours  []Hour  `json:"hours,omitempty"`
}

// Add takes the next round; one that is not later than the last is not counted.
func (v *View) Add(r Round) bool {
	if !r.At.After(v.Last.At) {
		return false
	}
	v.Last = r
	if v.Row++; r.OK {
		v.Row = 0
	}
	if v.Points = append(v.Points, Point{r.At, r.OK, r.Seconds}); len(v.Points) > KeptPoints {
		v.Points = append(v.Points[:0], v.Points[len(v.Points)-KeptPoints:]...)
	}
	start := r.At.Truncate(time.Hour)
	if n := len(v.Hours); n == 0 || v.Hours[n-1].Start.Before(start) {
		v.Hours = append(v.Hours, Hour{Start: start})
	}
	if h := &v.Hours[len(v.Hours)-1]; r.OK {
		h.Good++
	} else {
		h.Bad++
	}
	if len(v.Hours) > KeptHours {
		v.Hours = append(v.Hours[:0], v.Hours[len(v.Hours)-KeptHours:]...)
	}
	return true
}
