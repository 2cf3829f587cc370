package lab

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

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

// errStale is a write of what somebody else has written meanwhile.
var errStale = errors.New("somebody else was faster")

// put writes a run in the place of a revision, and what happened when typ says it.
func (l *Lab) put(ctx context.Context, r Run, rev int64, typ, actor string, data any, now time.Time, with ...store.Doc) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	w := store.Write{Puts: append(with, store.Doc{Kind: KindRun, Name: r.Experiment, Rev: rev, Body: body})}
	if typ != "" {
		e, err := audit.New(now, typ, actor, "experiment/"+r.Experiment, data)
		if err != nil {
			return err
		}
		w.Events = []audit.Event{e}
	}
	if _, err = l.Store.Commit(ctx, w); errs.Is(err, errs.Conflict) {
		return errs.Wrap(errs.Conflict, errStale, "experiment %s was changed meanwhile", r.Experiment)
	}
	return err
}

// attempts bounds how often something is begun again because another write was faster.
const attempts = 10

// retry tries until nobody else is faster.
func retry(ctx context.Context, try func() (Run, error)) (run Run, err error) {
	for range attempts {
		if run, err = try(); !errors.Is(err, errStale) || ctx.Err() != nil {
			break
		}
	}
	return run, err
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
			slices.SortFunc(runs, func(a, b Run) int { return strings.Compare(a.Experiment, b.Experiment) })
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

// InUse says why a resource must not be deleted now: an experiment runs by it.
func (l *Lab) InUse(ctx context.Context, kind, name string) error {
	if kind != resource.KindExperiment {
		return nil
	}
	run, _, err := l.get(ctx, name)
	if err != nil || run.Phase != Running {
		return err
	}
	return errs.E(errs.Conflict, "experiment %s runs", name).Next("end it first: ringfence experiment stop %s", name)
}

// Holds says why a flag must not be shown to more users now: chance decides who gets what while an experiment runs on it.
func (l *Lab) Holds(ctx context.Context, s flag.Subject) error {
	runs, _, err := l.runs(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Phase == Running && subject(r.Spec) == s {
			return errs.E(errs.Conflict, "experiment %s runs on flag %s/%s: who gets what is left to chance", r.Experiment, s.Set, s.Key).
				Next("end it first, and ship what is better: ringfence experiment stop %s --ship …", r.Experiment)
		}
	}
	return nil
}
