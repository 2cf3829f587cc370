package probing

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/synthetic"
)

// Catalog says which probes there are.
type Catalog interface {
	Probes(ctx context.Context) ([]Declared, error)
}

// Declared is a probe, and what it has to look at.
type Declared struct {
	Name    string
	Spec    resource.Probe // with its defaults
	Targets []synthetic.Target
	Unseen  bool      // its targets are not known now
	Quiet   string    // why nobody is told now; empty when people are
	Pairs   [2]string // the newest version, and the one before it
}

// Metrics keeps samples.
type Metrics interface {
	Write(ctx context.Context, samples []metric.Sample) ([]metric.Refusal, error)
}

// Alerts takes alerts for as long as they hold, and once more when they are over.
type Alerts interface {
	Send(ctx context.Context, alerts []alert.Alert) error
}

// Record keeps events.
type Record interface {
	Record(ctx context.Context, events []audit.Event) error
}

// Disk keeps what is known over restarts.
type Disk interface {
	Load() ([]byte, error)
	Save(b []byte) error
}

// The types of events.
const (
	EvDown   = "probe.down"
	EvUp     = "probe.up"
	EvExpiry = "probe.certificate"
)

// Changed is the data of these events.
type Changed struct {
	Service string         `json:"service,omitempty"`
	Version string         `json:"version,omitempty"`
	Vote    synthetic.Vote `json:"vote,omitzero"`
	Since   time.Time      `json:"since,omitzero" doc:"since when it was down"`
	Expires time.Time      `json:"expires,omitzero"`
}

// Board keeps what probers saw.
type Board struct {
	Catalog Catalog
	Metrics Metrics // nil: rounds are in no metrics
	Alerts  Alerts  // nil: nobody is told
	Record  Record  // nil: nothing is recorded
	Disk    Disk    // nil: nothing is kept over restarts
	Logger  *slog.Logger
	Now     func() time.Time // default time.Now

	opened   time.Time // before it nobody could be heard
	deciding sync.Mutex
	mu       sync.Mutex
	probes   map[string]*watched
	probers  map[string]*heard
	alerts   map[string]*told
	dirty    bool
	changed  chan struct{}
}

// watched is one probe.
type watched struct {
	Declared
	versions map[string]*known
}

// known is what is known of one version.
type known struct {
	Views   map[string]*synthetic.View `json:"views"` // by prober
	State   synthetic.State            `json:"state"`
	Since   time.Time                  `json:"since"`  // of State
	Looked  bool                       `json:"looked"` // it is a target
	Expired time.Time                  `json:"expired,omitzero"`
	vote    synthetic.Vote
}

// heard is what is known of a prober.
type heard struct {
	At      time.Time `json:"at"`
	Rounds  int64     `json:"rounds"`
	Dropped int64     `json:"dropped"`
	Version string    `json:"version,omitempty"`
}

const (
	mostVersions = 20 // of one probe
	forgetAfter  = 7 * 24 * time.Hour
	mostAhead    = time.Minute
	mostBehind   = 24 * time.Hour
)

func (b *Board) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now().UTC()
}

// Open reads what was kept.
func (b *Board) Open() error {
	b.probes, b.probers, b.alerts = map[string]*watched{}, map[string]*heard{}, map[string]*told{}
	b.changed, b.opened = make(chan struct{}), b.now()
	if b.Disk == nil {
		return nil
	}
	return b.load()
}

// Take adds what a prober saw. Rounds of probes that do not name it, and from other times, are left out.
func (b *Board) Take(ctx context.Context, prober string, rounds []synthetic.Round, dropped int64) (int, error) {
	now := b.now()
	var samples []metric.Sample
	b.mu.Lock()
	h := b.probers[prober]
	if h == nil {
		if len(b.probers) >= 1000 {
			b.mu.Unlock()
			return 0, errs.E(errs.Invalid, "there are too many probers")
		}
		h = &heard{}
		b.probers[prober] = h
	}
	h.At, h.Dropped = now, h.Dropped+dropped
	taken := 0
	for _, r := range rounds {
		r.Prober = prober
		w := b.probes[r.Probe]
		if w == nil || !slices.Contains(w.Spec.From, prober) || r.At.After(now.Add(mostAhead)) || r.At.Before(now.Add(-mostBehind)) || !valid(r) {
			continue
		}
		r.Service = w.Spec.Service
		if !w.version(r.Version).view(prober).Add(r) {
			continue
		}
		taken++
		h.Rounds++
		samples = append(samples, samplesOf(r)...)
	}
	b.dirty = true
	b.mu.Unlock()
	b.decide(ctx)
	if b.Metrics == nil || len(samples) == 0 {
		return taken, nil
	}
	if refused, err := b.Metrics.Write(ctx, samples); err != nil || len(refused) > 0 && refused[0].Reason != metric.Duplicate {
		b.Logger.Warn("what probes saw is not all in the metrics", "refused", refused, "err", err)
	}
	return taken, nil
}

func valid(r synthetic.Round) bool {
	sane := func(f float64) bool { return f >= 0 && f < 1e6 }
	return sane(r.Seconds) && sane(r.Phases.DNS) && sane(r.Phases.Connect) && sane(r.Phases.TLS) && sane(r.Phases.FirstByte) && len(r.Version) <= 200 && len(r.Reason) <= 2000 && len(r.Steps) <= 20
}

// version is what is known of a version, from now on; the one that was not seen for longest goes when there are too many.
func (w *watched) version(name string) *known {
	k := w.versions[name]
	if k != nil {
		return k
	}
	if len(w.versions) >= mostVersions {
		oldest, at := "", time.Time{}
		for v, other := range w.versions {
			if last := other.last().At; oldest == "" || last.Before(at) {
				oldest, at = v, last
			}
		}
		delete(w.versions, oldest)
	}
	k = &known{Views: map[string]*synthetic.View{}, State: synthetic.Unknown}
	w.versions[name] = k
	return k
}

func (k *known) view(prober string) *synthetic.View {
	v := k.Views[prober]
	if v == nil {
		v = &synthetic.View{}
		k.Views[prober] = v
	}
	return v
}

// last is the newest round of all probers.
func (k *known) last() (r synthetic.Round) {
	for _, v := range k.Views {
		if v.Last.At.After(r.At) {
			r = v.Last
		}
	}
	return r
}

// samplesOf are a round as metrics.
func samplesOf(r synthetic.Round) []metric.Sample {
	of := func(name string, value float64, more ...string) metric.Sample {
		s := metric.New(name, r.At, value, append(more, "probe", r.Probe, "prober", r.Prober, "job", "probe")...)
		if r.Service != "" {
			s.Labels["service"] = r.Service
		}
		if r.Version != "" {
			s.Labels["version"] = r.Version
		}
		return s
	}
	ok := 0.0
	if r.OK {
		ok = 1
	}
	all := []metric.Sample{of("ringfence_probe_success", ok), of("ringfence_probe_duration_seconds", r.Seconds)}
	for _, p := range []struct {
		name string
		took float64
	}{{"dns", r.Phases.DNS}, {"connect", r.Phases.Connect}, {"tls", r.Phases.TLS}, {"first_byte", r.Phases.FirstByte}} {
		if p.took > 0 {
			all = append(all, of("ringfence_probe_phase_seconds", p.took, "phase", p.name))
		}
	}
	if !r.Expires.IsZero() {
		all = append(all, of("ringfence_probe_certificate_expiry_timestamp_seconds", float64(r.Expires.Unix())))
	}
	return all
}
