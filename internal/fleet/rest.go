package fleet

import "time"

// KindRest is the kind of the documents that say which units rest, named by the unit.
const KindRest = "Rest"

// Rest is the maintenance of a unit: nothing new is brought to it, and with Drain nobody is served there either.
type Rest struct {
	Drain  bool      `json:"drain" doc:"whoever sends requests to the unit is asked to send them elsewhere, and its instances are stopped; else only nothing new is brought there"`
	By     string    `json:"by" doc:"who asked for it"`
	Reason string    `json:"reason" doc:"why"`
	At     time.Time `json:"at" doc:"when"`
	Wait   Dur       `json:"wait,omitempty" doc:"how long whoever sends requests gets to notice before instances are stopped; default 15s"`
}

// DefaultWait is how long a load balancer gets to notice that a unit leaves: a few of its checks.
const DefaultWait = 15 * time.Second

// What a unit does about its rest, as its data plane reports it.
const (
	Serving   = ""          // as ever
	Leaving   = "leaving"   // it says that it is not ready, and still answers
	Resting   = "resting"   // its instances are stopped
	Returning = "returning" // its instances are started again; it is not ready, yet
)
