package lab

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// Catalog holds what is declared.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Store keeps runs.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Events sum up what users did.
type Events interface {
	Sum(ctx context.Context, q Question) (Answer, error)
}

// Flags are shown to users. Shown says which variant rollouts have left everyone with, and which one is in flight; Expose begins one.
type Flags interface {
	Shown(ctx context.Context, name string) (variant, inFlight string, err error)
	Expose(ctx context.Context, actor string, o rollout.Order, now time.Time) (rollout.State, error)
}

// Question asks what the participants did since a time.
type Question struct {
	Environment, Flag string
	Since, Until      time.Time
	Metric            *resource.ExperimentMetric // nil: users are counted only
	Take              func(user string, attributes map[string]any) bool
	Step              time.Duration // between the points of the series; 0: no series
}

// Answer is what they did. Users who were given several variants are in Several and nowhere else.
type Answer struct {
	Variants []experiment.Summary
	Exposed  map[string]int64
	Several  int64
	Series   []Point
}

// Point is what would have been read at a time.
type Point struct {
	At       time.Time
	Variants []experiment.Summary
}

// Options configure a lab.
type Options struct {
	Store   Store
	Catalog Catalog
	Events  Events
	Flags   Flags
	Choices string // the kind of documents of what users chose about previews; "" when there are none
	Logger  *slog.Logger
	Every   time.Duration // between readings; default 1m
	Now     func() time.Time
}

// Lab runs experiments.
type Lab struct {
	Options
	mu sync.Mutex // starts of this process take turns; only another control plane makes one stale
}

// New makes a lab; Run keeps reading.
func New(o Options) *Lab {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Lab{Options: o}
}

// KindRun are documents of runs, by the experiment's name.
const KindRun = "ExperimentRun"

// The document that every start replaces, so that two control planes do not give the same users to two experiments.
const kindHead, headName = "ExperimentHead", "head"

// Phase is where a run stands.
type Phase string

// The phases.
const (
	Draft   Phase = "draft" // declared, and not begun
	Running Phase = "running"
	Ended   Phase = "ended"
)

// Run is the newest run of an experiment.
type Run struct {
	Experiment string              `json:"experiment"`
	Number     int                 `json:"number" doc:"runs so far"`
	Phase      Phase               `json:"phase"`
	Spec       resource.Experiment `json:"spec" doc:"as it was begun with"`
	Assignment flag.Assignment     `json:"assignment" doc:"who takes part, and with what"`
	Bucketing  exposure.Bucketing  `json:"bucketing,omitempty" doc:"of the flag's set: how users are placed"`
	Planned    int64               `json:"planned,omitempty" doc:"users of all variants together at which it is decided"`
	Started    time.Time           `json:"started,omitzero"`
	Since      time.Time           `json:"since,omitzero" doc:"from when on exposures count: when the assignment is in force everywhere"`
	By         string              `json:"by,omitempty"`
	Read       time.Time           `json:"read,omitzero" doc:"when it was last read"`
	Reading    experiment.Reading  `json:"reading,omitzero" doc:"what it comes to"`
	Report     *experiment.Report  `json:"report,omitempty" doc:"the evidence as of then"`
	Ended      time.Time           `json:"ended,omitzero"`
	EndedBy    string              `json:"endedBy,omitempty" doc:"who ended it; system:lab for a guardrail"`
	Reason     string              `json:"reason,omitempty" doc:"why it was ended"`
	Shipped    string              `json:"shipped,omitempty" doc:"the variant that was then shown to everyone, ring by ring"`
}

// subject is the name of the flag's exposure.
func subject(e resource.Experiment) flag.Subject {
	env := e.Environment
	if env == "" {
		env = flag.Production
	}
	return flag.Subject{Set: e.Set(), Key: e.Key(), Environment: env}
}
