package workload

import (
	"context"
	"log/slog"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// Artifacts finds what a release pinned.
type Artifacts interface {
	// Fetch returns the path of a local file with this digest ("sha256:…"). The runtime checks it again.
	Fetch(ctx context.Context, digest string) (path string, err error)
}

// Traffic is the gateway, as far as instances are concerned. It must not call back into the Runtime.
type Traffic interface {
	// SetEndpoints replaces the endpoints of a version. When it returns, no new request goes to one left out.
	SetEndpoints(service, version string, eps []fleet.Endpoint)
	// Drain returns when no request is in flight at an endpoint that was left out, when ctx ends, or after limit;
	// streams may be given longer.
	Drain(ctx context.Context, ep fleet.Endpoint, limit time.Duration)
	// Load is how many requests of a service are in flight, in all its versions, and how many were begun so far.
	Load(service string) (inFlight, begun int64)
}

// Options of a Runtime. Dir, Traffic and, for slots with a digest, Artifacts are required.
type Options struct {
	Dir       string
	Logger    *slog.Logger
	Artifacts Artifacts
	Traffic   Traffic
	OnChange  func() // something in Status changed; may call Status, must not block for long

	Env func() map[string]string // what instances find in their environment unless their slot says otherwise; may be nil

	// Secrets are what an instance is given of the secrets that its slot names, as JSON; may be nil where none does.
	Secrets func(ctx context.Context, service, version, instance string) ([]byte, error)

	PortLow, PortHigh int   // ports given to instances on 127.0.0.1; default 20000 to 29999
	LogMaxBytes       int64 // a log is rotated when it grows over this; default 10 MiB
	LogKeep           int   // rotated logs kept beside the present one; default 3
}

// Defaults of a slot that leaves them out.
const (
	defaultDrain     = 30 * time.Second
	defaultStopGrace = 10 * time.Second
	defaultInterval  = time.Second
	defaultTimeout   = time.Second
	defaultWithin    = time.Minute
	defaultRestart   = time.Minute
)

func (o *Options) fill() error {
	if o.Dir == "" || o.Traffic == nil {
		return errs.E(errs.Invalid, "the process runtime needs a folder and a gateway")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnChange == nil {
		o.OnChange = func() {}
	}
	if o.PortLow == 0 && o.PortHigh == 0 {
		o.PortLow, o.PortHigh = 20000, 29999
	}
	if o.PortLow < 1 || o.PortHigh > 65535 || o.PortLow > o.PortHigh {
		return errs.E(errs.Invalid, "ports %d to %d are no range within 1 to 65535", o.PortLow, o.PortHigh)
	}
	if o.LogMaxBytes <= 0 {
		o.LogMaxBytes = 10 << 20
	}
	if o.LogKeep <= 0 {
		o.LogKeep = 3
	}
	return nil
}
