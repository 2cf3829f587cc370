package lab

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/experiment"
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
	Logger  *slog.Logger
	Every   time.Duration // between readings; default 1m
	Now     func() time.Time
}

// Lab runs experiments.
type Lab struct {
	Options
	mu sync.Mutex // starts take turns, so that two do not want the same users
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
	Planned    int64               `json:"planned,omitempty" doc:"users of all variants together at which it is decided"`
	Started    time.Time           `json:"started,omitzero"`
	Since      time.Time           `json:"since,omitzero" doc:"from when on exposures count: when the assignment is in force everywhere"`
	By         string              `json:"by,omitempty"`
	Read       time.Time           `json:"read,omitzero" doc:"when it was last read"`
	Reading    experiment.Reading  `json:"reading,omitzero" doc:"what it comes to"`
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

// get is the run of an experiment with the revision of its document; a draft when there was none.
func (l *Lab) get(ctx context.Context, name string) (Run, int64, error) {
	doc, err := l.Store.Get(ctx, KindRun, name)
	if errs.Is(err, errs.Missing) {
		return Run{Experiment: name, Phase: Draft}, 0, nil
	} else if err != nil {
		return Run{}, 0, err
	}
	var r Run
	if err := json.Unmarshal(doc.Body, &r); err != nil {
		return r, 0, errs.Wrap(errs.Internal, err, "the run of experiment %s is damaged", name)
	}
	return r, doc.Rev, nil
}

func (l *Lab) put(ctx context.Context, r Run, rev int64, typ, actor string, data any, now time.Time) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	w := store.Write{Puts: []store.Doc{{Kind: KindRun, Name: r.Experiment, Rev: rev, Body: body}}}
	if typ != "" {
		e, err := audit.New(now, typ, actor, "experiment/"+r.Experiment, data)
		if err != nil {
			return err
		}
		w.Events = []audit.Event{e}
	}
	_, err = l.Store.Commit(ctx, w)
	return err
}

// runs are all runs, by name.
func (l *Lab) runs(ctx context.Context) ([]Run, string, error) {
	var all []Run
	version := ""
	for after := ""; ; {
		docs, err := l.Store.List(ctx, store.Page{Kind: KindRun, After: after})
		if err != nil || len(docs) == 0 {
			return all, version, err
		}
		for _, d := range docs {
			var r Run
			if err := json.Unmarshal(d.Body, &r); err != nil {
				return nil, "", errs.Wrap(errs.Internal, err, "the run of experiment %s is damaged", d.Name)
			}
			all = append(all, r)
			if r.Phase == Running { // readings replace documents too: what is served does not change by them
				version += r.Experiment + "@" + r.Started.String() + " "
			}
		}
		after = docs[len(docs)-1].Name
	}
}

// Assignments are those of all experiments that run, by the subject of their flag.
func (l *Lab) Assignments(ctx context.Context) (map[string]flag.Assignment, string, error) {
	runs, version, err := l.runs(ctx)
	all := map[string]flag.Assignment{}
	for _, r := range runs {
		if r.Phase == Running {
			all[subject(r.Spec).String()] = r.Assignment
		}
	}
	return all, version, err
}

// List is every declared experiment with its newest run, and runs of those that are no longer declared.
func (l *Lab) List(ctx context.Context) ([]Run, error) {
	runs, _, err := l.runs(ctx)
	if err != nil {
		return nil, err
	}
	for after := ""; ; {
		rs, err := l.Catalog.List(ctx, resource.KindExperiment, after, 0)
		if err != nil || len(rs) == 0 {
			slices.SortFunc(runs, func(a, b Run) int { return compare(a.Experiment, b.Experiment) })
			return runs, err
		}
		for _, r := range rs {
			spec, err := resource.As[resource.Experiment](r)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(runs, func(o Run) bool { return o.Experiment == r.Metadata.Name }) {
				runs = append(runs, Run{Experiment: r.Metadata.Name, Phase: Draft, Spec: spec})
			}
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}
