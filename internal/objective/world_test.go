package objective

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// epoch is when the simulated time begins; a whole number of days, so that slices lie alike in every test.
var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// world is Prometheus' own database and query engine, with a store in memory, and no clock but the one that tests turn.
type world struct {
	t      testing.TB
	db     *promtsdb.DB
	engine *promql.Engine
	mu     sync.Mutex
	docs   map[string]store.Doc
	events []audit.Event
	sent   []alert.Alert
	set    []resource.Resource
	rev    int64
	down   bool // the receiver of alerts
	asked  int
}

func newWorld(t testing.TB) *world {
	opts := promtsdb.DefaultOptions()
	opts.RetentionDuration = (400 * 24 * time.Hour).Milliseconds()
	opts.MinBlockDuration = (400 * 24 * time.Hour).Milliseconds()
	opts.MaxBlockDuration = opts.MinBlockDuration
	opts.StripeSize = 64
	opts.OutOfOrderTimeWindow = (24 * time.Hour).Milliseconds()
	db, err := promtsdb.Open(t.TempDir(), nil, nil, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &world{t: t, db: db, docs: map[string]store.Doc{}, rev: 1, engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute,
		Parser: parser.NewParser(parser.Options{}), EnableAtModifier: true, EnableNegativeOffset: true, NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 }})}
}

// feed appends counters of a case, of so many requests a second and a share of bad ones, every step in (from, to].
func (w *world) feed(name string, from, to time.Time, step time.Duration, c *counter, rate float64, share func(time.Time) float64) {
	w.t.Helper()
	app := w.db.Appender(context.Background())
	total := labels.FromStrings("__name__", "requests_total", "case", name)
	bad := labels.FromStrings("__name__", "errors_total", "case", name)
	for at := from.Add(step); !at.After(to); at = at.Add(step) {
		c.total += rate * step.Seconds()
		c.bad += rate * step.Seconds() * share(at)
		for l, v := range map[*labels.Labels]float64{&total: c.total, &bad: c.bad} {
			if _, err := app.Append(0, *l, at.UnixMilli(), v); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

type counter struct{ total, bad float64 }

func (w *world) Values(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]float64, error) {
	w.asked++
	q, err := w.engine.NewRangeQuery(ctx, w.db, nil, expr, from, to, step)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	defer q.Close()
	m, err := q.Exec(ctx).Matrix()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	if len(m) > 1 {
		return nil, errs.E(errs.Invalid, "%s gives %d series", expr, len(m))
	}
	out := make([]float64, 1+to.Sub(from)/step)
	for i := range out {
		out[i] = math.NaN()
	}
	for _, s := range m {
		for _, p := range s.Floats {
			out[(p.T-from.UnixMilli())/step.Milliseconds()] = p.F
		}
	}
	return out, nil
}

func (w *world) Get(_ context.Context, kind, name string) (store.Doc, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind == "Catalog" && w.rev > 0 {
		return store.Doc{Kind: kind, Name: name, Rev: w.rev}, nil
	}
	d, ok := w.docs[kind+"\x00"+name]
	if !ok {
		return d, errs.E(errs.Missing, "no %s %s", kind, name)
	}
	return d, nil
}

func (w *world) Commit(_ context.Context, wr store.Write) ([]audit.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range slices.Concat(wr.Puts, wr.Deletes) {
		if w.docs[d.Kind+"\x00"+d.Name].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s %s is at %d, not %d", d.Kind, d.Name, w.docs[d.Kind+"\x00"+d.Name].Rev, d.Rev)
		}
	}
	for _, d := range wr.Puts {
		d.Rev++
		w.docs[d.Kind+"\x00"+d.Name] = d
	}
	for _, d := range wr.Deletes {
		delete(w.docs, d.Kind+"\x00"+d.Name)
	}
	w.events = append(w.events, wr.Events...)
	return wr.Events, nil
}

// listing is the store as an engine sees it, and cataloguing the catalog; both have a List.
type listing struct{ *world }

func (l listing) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []store.Doc
	for _, d := range l.docs {
		if d.Kind == p.Kind && strings.HasPrefix(d.Name, p.Prefix) && d.Name > p.After {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b store.Doc) int { return strings.Compare(a.Name, b.Name) })
	if p.Limit > 0 && len(all) > p.Limit {
		all = all[:p.Limit]
	}
	return all, nil
}

type cataloguing struct{ *world }

func (c cataloguing) List(_ context.Context, kind, after string, _ int) ([]resource.Resource, error) {
	if after != "" {
		return nil, nil
	}
	var all []resource.Resource
	for _, r := range c.set {
		if r.Kind == kind {
			all = append(all, r)
		}
	}
	return all, nil
}

func (w *world) Send(_ context.Context, list []alert.Alert) error {
	if w.down {
		return errs.E(errs.Unavailable, "down")
	}
	w.sent = append(w.sent, list...)
	return nil
}

// start is an engine on what the world holds, as after a restart.
func (w *world) start() *Engine {
	return New(Options{Store: listing{w}, Metrics: w, Catalog: cataloguing{w}, Alerts: w, HeadKind: "Catalog", HeadName: "head", Retention: 390 * 24 * time.Hour})
}

func (w *world) declare(kind, name, spec string) {
	w.t.Helper()
	r, ps := resource.Decode([]byte(fmt.Sprintf(`{"apiVersion":"ringfence.dev/v1","kind":%q,"metadata":{"name":%q},"spec":%s}`, kind, name, spec)), nil)
	if len(ps) > 0 {
		w.t.Fatal(ps)
	}
	w.set = append(slices.DeleteFunc(w.set, func(o resource.Resource) bool { return o.Key() == r.Key() }), r)
	w.rev++
}

// slo declares a ratio SLO on the counters of a case.
func (w *world) slo(name, feed, target, window, more string) {
	w.declare("SLO", name, fmt.Sprintf(`{"apiVersion":"openslo/v1","kind":"SLO","metadata":{"name":%q%s},"spec":{"service":"shop","budgetingMethod":"Occurrences",
		"indicator":{"metadata":{"name":"x"},"spec":{"ratioMetric":{"counter":true,
			"bad":{"metricSource":{"type":"Prometheus","spec":{"query":"errors_total{case=\"%s\"}"}}},
			"total":{"metricSource":{"type":"Prometheus","spec":{"query":"requests_total{case=\"%s\"}"}}}}}},
		"timeWindow":[{"duration":%q,"isRolling":true}],"objectives":[{"target":%s}]}}`, name, more, feed, feed, window, target))
}

func (w *world) step(e *Engine, at time.Time) {
	w.t.Helper()
	if err := e.Step(context.Background(), at); err != nil {
		w.t.Fatal(err)
	}
	for id, x := range e.watched {
		if x.failed != "" {
			w.t.Fatal(id, x.failed)
		}
	}
}
