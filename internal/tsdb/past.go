package tsdb

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
)

// Past tells the database what targets said at times of the caller's choosing, and evaluates rules at such times: for days that
// are simulated within seconds. Times may not go back.
type Past struct {
	db      *DB
	targets map[string]*ingest
	groups  []*rules.Group
	every   []time.Duration // of each group
}

// Past begins to tell of simulated time.
func (db *DB) Past() *Past { return &Past{db: db, targets: map[string]*ingest{}} }

var errNoAnswer = errors.New("no answer")

// Scrape stores what a target, known by its labels, answered at a time, as a scrape of it stores it; nil stands for no answer.
// Its names may be Ringfence's own.
func (p *Past) Scrape(target map[string]string, at time.Time, contentType string, body []byte) error {
	in := p.target(target)
	if body == nil {
		if err := p.db.store(in, at.UnixMilli(), "", nil, time.Second, errNoAnswer); !errors.Is(err, errNoAnswer) {
			return err
		}
		return nil
	}
	return p.db.store(in, at.UnixMilli(), contentType, body, 10*time.Millisecond, nil)
}

// Gone says that there is no such target any more.
func (p *Past) Gone(target map[string]string, at time.Time) error {
	in := p.target(target)
	delete(p.targets, labels.FromMap(target).String())
	return p.db.storeGone(in, at.UnixMilli())
}

func (p *Past) target(target map[string]string) *ingest {
	key := labels.FromMap(target).String()
	if p.targets[key] == nil {
		in := newIngest(Target{Labels: target, Own: true})
		p.targets[key] = &in
	}
	return p.targets[key]
}

// Declare sets the rules that are evaluated, every step.
func (p *Past) Declare(set resource.AlertRules, step time.Duration) error {
	groups, err := RuleGroups(set)
	if err != nil {
		return err
	}
	opts := &rules.ManagerOptions{NameValidationScheme: model.UTF8Validation, ExternalURL: &url.URL{}, Context: context.Background(), Logger: slog.New(slog.DiscardHandler),
		QueryFunc: rules.EngineQueryFunc(p.db.engine, p.db.kept), Queryable: p.db.kept, Appendable: roomy{p.db}, NotifyFunc: func(context.Context, string, ...*rules.Alert) {}}
	for _, g := range groups.Groups {
		var all []rules.Rule
		for _, r := range g.Rules {
			expr, err := p.db.parser.ParseExpr(r.Expr)
			if err != nil {
				return err
			}
			if r.Alert == "" {
				all = append(all, rules.NewRecordingRule(r.Record, expr, labels.FromMap(r.Labels)))
				continue
			}
			all = append(all, rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor), labels.FromMap(r.Labels), labels.FromMap(r.Annotations),
				labels.EmptyLabels(), "", true, opts.Logger))
		}
		p.every = append(p.every, max(step, time.Duration(g.Interval)))
		p.groups = append(p.groups, rules.NewGroup(rules.GroupOptions{Name: g.Name, File: g.Name, Interval: step, Rules: all, Opts: opts}))
	}
	return nil
}

// Evaluate evaluates the rules that are due at a time, and returns the alerts that fire.
func (p *Past) Evaluate(ctx context.Context, at time.Time) ([]alert.Alert, error) {
	var all []alert.Alert
	for i, g := range p.groups {
		if at.UnixNano()%int64(p.every[i]) == 0 {
			g.Eval(ctx, at)
		}
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				return nil, errors.Join(errors.New(r.Name()), err)
			}
		}
		for _, r := range g.AlertingRules() {
			r.ForEachActiveAlert(func(a *rules.Alert) {
				if a.State == rules.StateFiring && a.ResolvedAt.IsZero() {
					all = append(all, alert.Alert{Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), StartsAt: a.FiredAt.UTC()})
				}
			})
		}
	}
	return all, ctx.Err()
}
