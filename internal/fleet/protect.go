package fleet

// Health says when an instance that answers its checks, but fails requests, gets none for a while.
type Health struct {
	Failures  int `json:"failures,omitempty" minimum:"-1" maximum:"1000" doc:"after so many failures in a row, by 5xx or no answer, an instance is left out, if others of its version do not fail so; default 5, -1 for never"`
	Out       Dur `json:"out,omitempty" doc:"for how long at first; twice as long each time that it fails again, at most 32 times as long; default 10s"`
	Share     int `json:"share,omitempty" minimum:"1" maximum:"100" doc:"percent of a version's instances that are left out at most; default 50"`
	SlowStart Dur `json:"slowStart,omitempty" doc:"time over which an instance that is new or back gets its full share of requests, beside others; default 10s, 1ms for at once"`
}

// Limits bound what a gateway lets through to a service at one time. Streams do not count.
type Limits struct {
	InFlight int      `json:"inFlight,omitempty" minimum:"0" maximum:"1000000" doc:"plain requests in flight; default no limit"`
	Adaptive bool     `json:"adaptive,omitempty" doc:"find the limit: it falls when the service becomes slower than it was, and grows while it does not; inFlight is then the most"`
	Pending  int      `json:"pending,omitempty" minimum:"0" maximum:"1000000" doc:"requests that wait while no instance is ready; default 1024"`
	Priority Priority `json:"priority,omitempty" doc:"whose requests are refused first when a limit is near"`
}

// Priority gives requests a class: critical ones are refused last, at the limit; normal ones at nine tenths of it, low ones at seven.
type Priority struct {
	Header  string            `json:"header,omitempty" doc:"request header that says critical, normal or low; clients can set it, unless a proxy before the gateway does"`
	Paths   map[string]string `json:"paths,omitempty" doc:"class by path prefix, the longest that matches; it is tried before the header"`
	Default string            `json:"default,omitempty" enum:"critical,normal,low" doc:"class of other requests; default normal"`
}
