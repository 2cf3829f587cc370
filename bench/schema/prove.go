package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/schema"
	"github.com/ringfence/ringfence/internal/schema/postgres"
)

type config struct {
	address               string
	rows, writes, workers int
	each, batch           time.Duration
	out                   io.Writer
}

const change = `{"operations": [
	{"add_column": {"table": "people", "up": "split_part(name, ' ', 1)", "column": {"name": "first_name", "type": "text"}}},
	{"add_column": {"table": "people", "up": "split_part(name, ' ', 2)", "column": {"name": "last_name", "type": "text"}}},
	{"drop_column": {"table": "people", "column": "name", "down": "first_name || ' ' || last_name"}},
	{"alter_column": {"table": "people", "column": "age", "type": "integer", "nullable": false, "up": "coalesce(age, '0')::integer", "down": "age::text"}},
	{"rename_column": {"table": "people", "from": "email", "to": "mail"}}]}`

// worse is how much slower queries may be, by their 99th percentile.
const worse = 1.5

type phase struct {
	name  string
	took  time.Duration
	span  time.Duration // for which traffic was measured
	tally *tally
}

type report struct {
	phases   []phase
	rows     int64
	compared int64
	differ   int64
	example  string
}

type prover struct {
	config
	ctx     context.Context
	engine  *schema.Engine
	traffic *traffic
	report  report
}

func prove(ctx context.Context, c config) (report, error) {
	p := &prover{config: c, ctx: ctx, traffic: &traffic{address: c.address, truth: newTruth(int64(c.rows)), workers: c.workers, into: &tally{}}}
	db, err := postgres.Open(ctx, c.address, "public")
	if err != nil {
		return p.report, err
	}
	defer db.Close()
	p.engine = schema.New(db, schema.Options{Batch: c.batch, Report: p.told()})
	if err := errors.Join(p.fill(), p.baseline()); err != nil {
		return p.report, err
	}
	return p.report, p.run()
}

// told prints what the engine does, at most every few seconds.
func (p *prover) told() func(schema.Report) {
	var last time.Time
	return func(r schema.Report) {
		if time.Since(last) < 5*time.Second && r.Held == "" && r.Filled.Blocks > 0 {
			return
		}
		last = time.Now()
		fmt.Fprintf(p.out, "    %s", r.Title)
		if r.Filled.Blocks > 0 {
			fmt.Fprintf(p.out, ": %d rows, %.0f %%, about %s left", r.Filled.Rows, 100*r.Filled.Share(), r.Filled.Left().Round(time.Second))
		}
		if r.Held != "" {
			fmt.Fprintf(p.out, ": held, %s", r.Held)
		}
		fmt.Fprintln(p.out)
	}
}

func (p *prover) fill() error {
	fmt.Fprintf(p.out, "filling a table with %d rows\n", p.rows)
	conn, err := pgx.Connect(p.ctx, p.address)
	if err != nil {
		return err
	}
	defer conn.Close(p.ctx)
	for _, q := range []string{
		"CREATE TABLE people (id bigserial PRIMARY KEY, name text NOT NULL, age text, email text)",
		fmt.Sprintf("INSERT INTO people (name, age, email) SELECT 'First' || i || ' Last' || i, (i %% 100)::text, 'm' || i || '@example.com' FROM generate_series(1, %d) AS i", p.rows),
		"CREATE INDEX people_age ON people (age)", "VACUUM ANALYZE people", "CHECKPOINT",
	} {
		if _, err := conn.Exec(p.ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// baseline makes the first version of views, for programs to use.
func (p *prover) baseline() error {
	m, err := ddl.Parse("01", []byte(`{"operations": []}`))
	if err != nil {
		return err
	}
	if _, err = p.engine.Start(p.ctx, m); err != nil {
		return err
	}
	_, err = p.engine.Complete(p.ctx, "01", schema.Consent{Baked: true})
	return err
}

// run changes the schema, takes that back, changes it again and takes the old version away.
func (p *prover) run() error {
	m, err := ddl.Parse("02", []byte(change))
	if err != nil {
		return err
	}
	before, after := older("public_01"), newer("public_02")
	stopOld, err := p.traffic.begin(p.ctx, before, p.writes)
	if err != nil {
		return err
	}
	defer func() { stopOld() }()
	if err := errors.Join(p.wait("warm up", p.each/3), p.wait("no migration", p.each), p.during("start", p.start(m))); err != nil {
		return err
	}
	stopOld, err = p.together(stopOld, before, after, func(stopOld, stopNew func()) (func(), error) {
		stopNew()
		stopOld()
		stop, err := p.traffic.begin(p.ctx, before, p.writes)
		if err != nil {
			return stopOld, err
		}
		return stop, p.during("roll back", func() error {
			_, err := p.engine.Rollback(p.ctx, "02", schema.Consent{})
			return err
		})
	})
	if err == nil {
		err = errors.Join(p.wait("no migration", p.each), p.during("start again", p.start(m)))
	}
	if err != nil {
		return err
	}
	stopOld, err = p.together(stopOld, before, after, func(stopOld, stopNew func()) (func(), error) {
		if _, err := p.engine.Complete(p.ctx, "02", schema.Consent{Baked: true}); !errors.Is(err, schema.ErrInUse) {
			return stopOld, fmt.Errorf("the contract was not refused while the old version is used: %w", err)
		}
		stopOld()
		stopNew()
		stop, err := p.traffic.begin(p.ctx, after, p.writes)
		if err != nil {
			return stopOld, err
		}
		return stop, p.during("complete", func() error {
			_, err := p.engine.Complete(p.ctx, "02", schema.Consent{Baked: true})
			return err
		})
	})
	if err == nil {
		err = p.wait("after", p.each)
	}
	if err != nil {
		return err
	}
	stopOld()
	stopOld = func() {}
	return p.compare(after)
}

func (p *prover) start(m ddl.Migration) func() error {
	return func() error {
		_, err := p.engine.Start(p.ctx, m)
		return err
	}
}

// together has both versions work at once, compares all rows, and goes on with end.
func (p *prover) together(stopOld func(), before, after dialect, end func(stopOld, stopNew func()) (func(), error)) (func(), error) {
	stopOld()
	half := p.writes / 2
	stopOld, err := p.traffic.begin(p.ctx, before, half)
	if err != nil {
		return func() {}, err
	}
	stopNew, err := p.traffic.begin(p.ctx, after, half)
	if err != nil {
		return stopOld, err
	}
	if err := p.wait("side by side", p.each); err != nil {
		stopNew()
		return stopOld, err
	}
	stopNew()
	stopOld()
	if err := errors.Join(p.compare(before), p.compare(after)); err != nil {
		return func() {}, err
	}
	if stopOld, err = p.traffic.begin(p.ctx, before, half); err != nil {
		return func() {}, err
	}
	if stopNew, err = p.traffic.begin(p.ctx, after, half); err != nil {
		return stopOld, err
	}
	return end(stopOld, stopNew)
}

func (p *prover) wait(name string, d time.Duration) error {
	return p.during(name, func() error {
		select {
		case <-time.After(d):
			return nil
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	})
}

// settle is how long traffic goes on behind what is over quickly, so that there is something to measure.
const settle = 10 * time.Second

// during measures the traffic while something is done.
func (p *prover) during(name string, do func() error) error {
	fmt.Fprintln(p.out, name)
	p.traffic.measure()
	begin := time.Now()
	err := do()
	took := time.Since(begin)
	if rest := min(settle, p.each) - took; err == nil && rest > 0 {
		select {
		case <-time.After(rest):
		case <-p.ctx.Done():
		}
	}
	p.report.phases = append(p.report.phases, phase{name, took, time.Since(begin), p.traffic.measure()})
	return err
}

func (p *prover) compare(d dialect) error {
	rows, wrong, example, err := p.traffic.compare(p.ctx, d)
	p.report.rows = rows
	p.report.compared += rows
	p.report.differ += wrong
	if example != "" {
		p.report.example = example
	}
	return err
}

// usual is the 99th percentile without a migration, over all of the time that there was none.
func (r report) usual() time.Duration {
	var all tally
	for _, ph := range r.phases {
		if ph.name == "no migration" {
			all.took = append(all.took, ph.tally.took...)
		}
	}
	return all.quantile(0.99)
}

func (r report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "phase\ttook\tqueries\twrites/s\tp50\tp99\tworst\tof usual p99\terrors\twrong\t")
	usual := r.usual()
	for _, p := range r.phases {
		q := p.tally.quantile(0.99)
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%s\t%s\t%s\t%.2f\t%d\t%d\t\n", p.name, p.took.Round(time.Millisecond), len(p.tally.took), float64(p.tally.writes)/p.span.Seconds(),
			short(p.tally.quantile(0.5)), short(q), short(p.tally.quantile(1)), float64(q)/float64(usual), len(p.tally.errors), len(p.tally.wrong))
	}
	_ = w.Flush()
	fmt.Fprintf(out, "\n%d rows compared with what was written, %d differ %s\n", r.compared, r.differ, r.example)
	fmt.Fprint(out, peer)
}

// peer is what was measured of pgroll, at its commit cdbe9b0, with the change of a column from text to integer on 200,000 rows.
const peer = `
pgroll v0.16.2, measured on PostgreSQL 15 with 200,000 rows, a column from text to integer, 0.7-1.9 thousand operations a second:
  start, and side by side             0 errors
  complete, only the new version      2 and 9 errors with 4 clients; 1, 4 and 22 with 8: its triggers refer to a dropped column
  roll back, only the old version     1 and 3 errors, for the same reason
  complete, the old version in use    2558 errors: nothing is checked
`

func short(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// verdict says what was not as promised.
func (r report) verdict(timings bool) error {
	var all []string
	usual := r.usual()
	for _, p := range r.phases {
		if n := len(p.tally.errors); n > 0 {
			all = append(all, fmt.Sprintf("%s: %d errors of clients, such as %s", p.name, n, p.tally.errors[0]))
		}
		if n := len(p.tally.wrong); n > 0 {
			all = append(all, fmt.Sprintf("%s: %d rows read wrong, such as %s", p.name, n, p.tally.wrong[0]))
		}
		q := p.tally.quantile(0.99)
		if timings && p.name != "warm up" && float64(q) > worse*float64(usual) {
			all = append(all, fmt.Sprintf("%s: the 99th percentile is %s, more than %.1f times the usual %s", p.name, q, worse, usual))
		}
	}
	if r.differ > 0 {
		all = append(all, fmt.Sprintf("%d rows differ, such as %s", r.differ, r.example))
	}
	if len(all) > 0 {
		return errors.New(strings.Join(all, "\n"))
	}
	return nil
}
