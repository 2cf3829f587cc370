package tsdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/resource"
)

// RulesOptions configure the evaluation of rules.
type RulesOptions struct {
	Declared func(context.Context) (map[string]resource.AlertRules, error) // by name
	Send     func(context.Context, []alert.Alert) error                    // takes alerts
	Firing   func(context.Context) ([]alert.Alert, error)                  // what was sent and is not over, for after a restart
	Off      func(alert.Alert) bool                                        // whether the rule of an alert was switched off for what it is about: it is over; nil: never
	Link     string                                                        // address of the pages
	Logger   *slog.Logger
	Interval time.Duration // between two evaluations where rules do not say; default 15s
	Every    time.Duration // between two looks at what fires; default 1s
}

const (
	rulesInterval = 15 * time.Second
	lookAgain     = 5 * time.Second  // for what is declared
	sendAgain     = time.Minute      // an alert that fires
	outageMost    = time.Hour        // after which the state of for is of no use
	graceAfter    = 10 * time.Second // that for takes at least after a restart
)

// RuleMark is the annotation that says of which rule an alert is: rules/group/name.
const RuleMark = "ringfence_rule"

// Rules evaluates rules, by Prometheus' own evaluation, and sends the alerts that they make.
type Rules struct {
	RulesOptions
	db      *DB
	manager *rules.Manager
	mu      sync.Mutex
	sets    map[string]resource.AlertRules
	begun   time.Time
	sent    map[uint64]*sending // alerts that fire as far as others know
	loaded  bool
	stalled map[string]bool
}

// Rules makes the evaluation of rules over the database; Run begins it.
func (db *DB) Rules(o RulesOptions) *Rules {
	if o.Interval == 0 {
		o.Interval = rulesInterval
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Rules{RulesOptions: o, db: db, sent: map[uint64]*sending{}, stalled: map[string]bool{}, begun: time.Now()}
	db.rules.Store(r)
	return r
}

// Run evaluates what is declared until ctx ends.
func (r *Rules) Run(ctx context.Context) error {
	link, err := url.Parse(r.Link)
	if err != nil {
		return err
	}
	manager := rules.NewManager(&rules.ManagerOptions{
		NameValidationScheme: model.UTF8Validation, ExternalURL: link, Context: ctx, Logger: r.Logger,
		QueryFunc: rules.EngineQueryFunc(r.db.engine, r.db.kept), Queryable: r.db.kept, Appendable: roomy{r.db},
		NotifyFunc:      func(context.Context, string, ...*rules.Alert) {}, // what fires is looked at
		OutageTolerance: outageMost, ForGracePeriod: graceAfter, ResendDelay: sendAgain, RestoreNewRuleGroups: true, GroupLoader: loader{r},
	})
	r.mu.Lock()
	r.manager = manager
	r.mu.Unlock()
	go manager.Run()
	defer manager.Stop()
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	var read time.Time
	for {
		if time.Since(read) >= lookAgain {
			read = time.Now()
			if err := r.update(ctx); err != nil && ctx.Err() == nil {
				r.Logger.Error("rules cannot be read; those of before are evaluated", "err", err)
			}
		}
		if err := r.look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.Logger.Error("alerts cannot be sent; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// groups are those that are evaluated.
func (r *Rules) groups() []*rules.Group {
	r.mu.Lock()
	manager := r.manager
	r.mu.Unlock()
	if manager == nil {
		return nil
	}
	return manager.RuleGroups()
}

// update takes over what is declared.
func (r *Rules) update(ctx context.Context) error {
	sets, err := r.Declared(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	same := r.sets != nil && reflect.DeepEqual(sets, r.sets)
	before := r.sets
	r.sets = sets
	r.mu.Unlock()
	if same {
		return nil
	}
	err = r.manager.Update(r.Interval, slices.Sorted(maps.Keys(sets)), rules.FromMaps(), r.Link, nil)
	if err != nil {
		r.mu.Lock()
		r.sets = before
		r.mu.Unlock()
	}
	return err
}

// loader gives the manager rules where it expects files.
type loader struct{ r *Rules }

func (l loader) Load(name string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	groups, err := RuleGroups(l.r.sets[name])
	if err != nil {
		return nil, []error{err}
	}
	return groups, nil
}

func (l loader) Parse(query string) (parser.Expr, error) { return l.r.db.parser.ParseExpr(query) }

// RuleGroups are rules in Prometheus' own types.
func RuleGroups(set resource.AlertRules) (*rulefmt.RuleGroups, error) {
	var bad error
	dur := func(s string) model.Duration {
		if s == "" || s == "0" {
			return 0
		}
		d, err := model.ParseDuration(s)
		bad = cmp.Or(bad, err)
		return d
	}
	out := &rulefmt.RuleGroups{}
	for _, g := range set.Groups {
		group := rulefmt.RuleGroup{Name: g.Name, Interval: dur(g.Interval), Limit: g.Limit, Labels: g.Labels}
		if g.QueryOffset != "" {
			d := dur(g.QueryOffset)
			group.QueryOffset = &d
		}
		for _, rule := range g.Rules {
			group.Rules = append(group.Rules, rulefmt.Rule{Record: rule.Record, Alert: rule.Alert, Expr: rule.Expr, For: dur(rule.For), KeepFiringFor: dur(rule.KeepFiringFor),
				Labels: rule.Labels, Annotations: rule.Annotations})
		}
		out.Groups = append(out.Groups, group)
	}
	return out, bad
}

// roomy is where rules put their series: nowhere while the disk is full.
type roomy struct{ db *DB }

func (a roomy) Appender(ctx context.Context) storage.Appender {
	return &roomyAppender{a.db.kept.Appender(ctx), a.db}
}

type roomyAppender struct {
	storage.Appender
	db *DB
}

func (a *roomyAppender) Commit() (err error) {
	if err := a.db.space.check(); err != nil {
		return errors.Join(err, a.Appender.Rollback())
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store the series of rules: %v", r)
		}
	}()
	return a.Appender.Commit()
}

// CheckRules says what is wrong with expressions, templates and times of rules.
func CheckRules(set resource.AlertRules) []resource.Problem {
	var problems []resource.Problem
	add := func(path, expected string, err error) {
		problems = append(problems, resource.Problem{Path: path, Msg: err.Error(), Expected: expected})
	}
	p := parser.NewParser(parser.Options{})
	groups, err := RuleGroups(set)
	if err != nil {
		add("spec.groups", "durations", err)
		return problems
	}
	for i, g := range groups.Groups {
		at := resource.Item("spec.groups", i)
		if g.Interval != 0 && time.Duration(g.Interval) < time.Second {
			add(at+".interval", "at least 1s", fmt.Errorf("%s is too often", g.Interval))
		}
		for j, rule := range g.Rules {
			at := resource.Item(at+".rules", j)
			if strings.HasPrefix(rule.Record, reservedPrefix) {
				add(at+".record", "another name", fmt.Errorf("names that begin with %s are Ringfence's own", reservedPrefix))
			}
			if _, err := p.ParseExpr(rule.Expr); err != nil {
				add(at+".expr", "PromQL", err)
				continue
			}
			node := rulefmt.RuleNode{Record: yaml.Node{}, Alert: yaml.Node{}, Expr: yaml.Node{}}
			for _, wrong := range rule.Validate(node, model.UTF8Validation, p) {
				err := error(&wrong)
				if inner := errors.Unwrap(err); inner != nil {
					err = inner
				}
				add(at, "a rule that Prometheus takes", err)
			}
		}
	}
	return problems
}
