package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// Failure is something that did not come as it was expected.
type Failure struct {
	Test     string   `json:"test"`
	At       string   `json:"at"`
	What     string   `json:"what"` // alert, expression or rule
	Name     string   `json:"name"` // of the alert or rule; the expression
	Message  string   `json:"message,omitempty"`
	Expected []string `json:"expected,omitempty"`
	Got      []string `json:"got,omitempty"`
}

// Result is what became of a file.
type Result struct {
	Tests    int       `json:"tests"`
	Checks   int       `json:"checks"` // what was expected in all of them
	Failures []Failure `json:"failures"`
}

const (
	maxSamples = 5_000_000
	evalTime   = 30 * time.Second
	epoch      = 1000 * 365 * 24 * 3600 * 1000 // ms: the one block of a test's database holds any time
)

// Run runs the tests of a file. An error means that one could not be run.
func (f *File) Run(ctx context.Context) (Result, error) {
	r := Result{Tests: len(f.Tests), Failures: []Failure{}}
	for i := range f.Tests {
		t := &f.Tests[i]
		r.Checks += len(t.Alerts) + len(t.Expressions)
		failures, err := f.run(ctx, t)
		if err != nil {
			return r, errs.Wrap(errs.KindOf(err), err, "%s", t.Name)
		}
		r.Failures = append(r.Failures, failures...)
	}
	return r, nil
}

// world is what a test runs in.
type world struct {
	file   *File
	test   *Test
	db     *promtsdb.DB
	engine *promql.Engine
	parser parser.Parser
	groups []*rules.Group
	feeds  []feed
	found  []Failure
}

// feed is a series that comes in as time goes on.
type feed struct {
	labels labels.Labels
	values []parser.SequenceValue
	next   int
}

func (f *File) run(ctx context.Context, t *Test) (failures []Failure, err error) {
	dir, err := os.MkdirTemp("", "ringfence-rehearsal-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	opts := promtsdb.DefaultOptions()
	opts.MinBlockDuration, opts.MaxBlockDuration, opts.RetentionDuration = epoch, epoch, 0
	opts.StripeSize, opts.WALSegmentSize = 1<<8, -1
	db, err := promtsdb.Open(dir, nil, nil, opts, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := &world{file: f, test: t, db: db, parser: parser.NewParser(parser.Options{})}
	w.engine = promql.NewEngine(promql.EngineOpts{Logger: slog.New(slog.DiscardHandler), Parser: w.parser, MaxSamples: maxSamples, Timeout: evalTime, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Duration(f.Interval).Milliseconds() }})
	defer w.engine.Close()
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	return w.found, w.pass(ctx)
}

// prepare reads series and rules.
func (w *world) prepare(ctx context.Context) error {
	for _, s := range w.test.Series {
		ls, values, err := w.parser.ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return errs.Wrap(errs.Invalid, err, "input_series %s: expected values such as 0+10x60", s.Series)
		}
		w.feeds = append(w.feeds, feed{labels: ls, values: values})
	}
	manager := rules.NewManager(&rules.ManagerOptions{Context: ctx, Logger: slog.New(slog.DiscardHandler), Parser: w.parser, NameValidationScheme: model.UTF8Validation, GroupLoader: loader{w},
		QueryFunc: rules.EngineQueryFunc(w.engine, w.db), Appendable: w.db, Queryable: w.db, NotifyFunc: func(context.Context, string, ...*rules.Alert) {}})
	groups, wrong := manager.LoadGroups(time.Duration(w.test.Interval), labels.FromMap(w.test.ExternalLabels), w.test.ExternalURL, nil, false, slices.Sorted(maps.Keys(w.file.rules))...)
	if len(wrong) > 0 {
		return errs.Wrap(errs.Invalid, errors.Join(wrong...), "the rules")
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		w.groups = append(w.groups, g)
		for _, r := range g.AlertingRules() {
			r.SetRestored(true) // there is nothing from before
		}
	}
	slices.SortStableFunc(w.groups, func(a, b *rules.Group) int {
		return cmp.Compare(slices.Index(w.file.Order, a.Name()), slices.Index(w.file.Order, b.Name()))
	})
	return nil
}

// loader gives rules where the manager expects files.
type loader struct{ w *world }

func (l loader) Load(name string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	groups, err := tsdb.RuleGroups(l.w.file.rules[name])
	if err != nil {
		return nil, []error{err}
	}
	return groups, nil
}

func (l loader) Parse(expr string) (parser.Expr, error) { return l.w.parser.ParseExpr(expr) }

// pass lets the time pass, and compares what is expected on the way.
func (w *world) pass(ctx context.Context) error {
	begin, every := w.test.begin(), time.Duration(w.file.Interval)
	for n := range w.test.end()/every + 1 {
		since := n * every
		if err := ctx.Err(); err != nil {
			return err
		}
		at := begin.Add(since)
		if err := w.come(ctx, at); err != nil {
			return err
		}
		failed := false
		for _, g := range w.groups {
			g.Eval(ctx, at)
			for _, r := range g.Rules() {
				if err := r.LastError(); err != nil {
					failed = true
					w.found = append(w.found, Failure{Test: w.test.Name, At: model.Duration(since).String(), What: "rule", Name: r.Name(), Message: err.Error()})
				}
			}
		}
		if failed {
			return nil // what follows says nothing
		}
		for _, a := range w.test.Alerts {
			if d := time.Duration(a.At); since <= d && d-since < every {
				w.compareAlerts(a)
			}
		}
	}
	for _, e := range w.test.Expressions {
		w.compareSamples(ctx, e, begin)
	}
	return nil
}

// come stores the samples of the series up to a time.
func (w *world) come(ctx context.Context, until time.Time) error {
	app := w.db.Appender(ctx)
	for i := range w.feeds {
		f := &w.feeds[i]
		for ; f.next < len(f.values); f.next++ {
			at := w.test.begin().Add(time.Duration(f.next) * time.Duration(w.test.Interval))
			if at.After(until) {
				break
			}
			if err := put(app, f.labels, at.UnixMilli(), f.values[f.next]); err != nil {
				return errors.Join(errs.Wrap(errs.Invalid, err, "input_series %s", f.labels), app.Rollback())
			}
		}
	}
	return app.Commit()
}

func put(app storage.Appender, ls labels.Labels, at int64, v parser.SequenceValue) (err error) {
	switch {
	case v.Omitted:
	case v.Histogram != nil:
		_, err = app.AppendHistogram(0, ls, at, nil, v.Histogram.Copy())
	default:
		_, err = app.Append(0, ls, at, v.Value)
	}
	return err
}

func (w *world) compareAlerts(want alertTest) {
	var expected, got []string
	for _, a := range want.Expected {
		of := maps.Clone(a.Labels)
		if of == nil {
			of = map[string]string{}
		}
		of[model.AlertNameLabel] = want.Name
		expected = append(expected, alertText(labels.FromMap(of), labels.FromMap(a.Annotations)))
	}
	for _, g := range w.groups {
		for _, r := range g.AlertingRules() {
			if r.Name() != want.Name {
				continue
			}
			for _, a := range r.ActiveAlerts() {
				if a.State == rules.StateFiring {
					got = append(got, alertText(a.Labels, a.Annotations))
				}
			}
		}
	}
	slices.Sort(expected)
	slices.Sort(got)
	if !slices.Equal(expected, got) {
		w.found = append(w.found, Failure{Test: w.test.Name, At: want.At.String(), What: "alert", Name: want.Name, Expected: expected, Got: got})
	}
}

func alertText(ls, notes labels.Labels) string {
	if notes.IsEmpty() {
		return ls.String()
	}
	return ls.String() + " annotations " + notes.String()
}

// sample is one element of a result.
type sample struct {
	labels    labels.Labels
	value     float64
	histogram *histogram.FloatHistogram
}

func (s sample) String() string {
	if s.histogram != nil {
		return s.labels.String() + " " + s.histogram.TestExpression()
	}
	return fmt.Sprint(s.labels, " ", s.value)
}

func (w *world) compareSamples(ctx context.Context, want exprTest, begin time.Time) {
	fail := func(f Failure) {
		f.Test, f.At, f.What, f.Name = w.test.Name, want.At.String(), "expression", want.Expr
		w.found = append(w.found, f)
	}
	expected, err := w.expected(want)
	if err != nil {
		fail(Failure{Message: "exp_samples: " + err.Error()})
		return
	}
	got, err := w.ask(ctx, want.Expr, begin.Add(time.Duration(want.At)))
	if err != nil {
		fail(Failure{Message: err.Error()})
		return
	}
	for _, s := range [][]sample{expected, got} {
		slices.SortFunc(s, func(a, b sample) int { return labels.Compare(a.labels, b.labels) })
	}
	if !slices.EqualFunc(expected, got, w.same) {
		fail(Failure{Expected: texts(expected), Got: texts(got)})
	}
}

func texts(all []sample) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.String()
	}
	return out
}

func (w *world) same(a, b sample) bool {
	if !labels.Equal(a.labels, b.labels) || (a.histogram == nil) != (b.histogram == nil) {
		return false
	}
	if a.histogram != nil {
		return a.histogram.TestExpression() == b.histogram.TestExpression()
	}
	x, y := a.value, b.value
	return x == y || math.IsNaN(x) && math.IsNaN(y) || w.file.Fuzzy && (math.Nextafter(x, math.Inf(1)) == y || math.Nextafter(x, math.Inf(-1)) == y)
}

func (w *world) expected(want exprTest) ([]sample, error) {
	var all []sample
	for _, e := range want.Expected {
		s := sample{value: e.Value}
		var err error
		if s.labels, err = w.parser.ParseMetric(e.Labels); err != nil {
			return nil, err
		}
		if e.Histogram != "" {
			_, values, err := w.parser.ParseSeriesDesc("{} " + e.Histogram)
			if err != nil {
				return nil, err
			}
			if len(values) != 1 || values[0].Histogram == nil {
				return nil, fmt.Errorf("histogram: expected one such as {{schema:0 count:3 sum:4 buckets:[1 2]}}, got %s", e.Histogram)
			}
			s.histogram = values[0].Histogram
		}
		all = append(all, s)
	}
	return all, nil
}

func (w *world) ask(ctx context.Context, expr string, at time.Time) ([]sample, error) {
	q, err := w.engine.NewInstantQuery(ctx, w.db, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return nil, r.Err
	}
	switch v := r.Value.(type) {
	case promql.Scalar:
		return []sample{{value: v.V}}, nil
	case promql.Vector:
		all := make([]sample, 0, len(v))
		for _, s := range v {
			out := sample{labels: s.Metric.Copy(), value: s.F}
			if s.H != nil {
				out.histogram, out.value = s.H.Copy(), 0
			}
			all = append(all, out)
		}
		return all, nil
	}
	return nil, fmt.Errorf("gives a %s, expected a vector or a number", r.Value.Type())
}
