package schema

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
)

// Options are what a caller may choose. The zero value has the defaults.
type Options struct {
	LockTimeout    time.Duration // how long programs may be held up by a wait for locks; 200 ms
	Wait           time.Duration // how long locks, and an end of long transactions and of lag, are waited for; 10 minutes
	Batch          time.Duration // what a batch of a fill shall take; 50 ms
	Rate           float64       // rows a second at most; no limit
	MaxLag         time.Duration // of replicas, beyond which fills pause; 10 s
	MaxTransaction time.Duration // age of a transaction beyond which locks are not asked for; 5 s
	Report         func(Report)  // is told of what goes on; may be nil
}

func (o Options) withDefaults() Options {
	or := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	or(&o.LockTimeout, 200*time.Millisecond)
	or(&o.Wait, 10*time.Minute)
	or(&o.Batch, 50*time.Millisecond)
	or(&o.MaxLag, 10*time.Second)
	or(&o.MaxTransaction, 5*time.Second)
	if o.Report == nil {
		o.Report = func(Report) {}
	}
	return o
}

// Report is told while a command goes on.
type Report struct {
	Step   int      `json:"step"` // counts from 1
	Steps  int      `json:"steps"`
	Title  string   `json:"title"`
	Filled Progress `json:"filled,omitzero"`
	Held   string   `json:"held,omitempty"` // why nothing is done for the moment
}

// Engine changes the schema of a database.
type Engine struct {
	db  Database
	o   Options
	now func() time.Time
}

// New makes an engine for a database.
func New(db Database, o Options) *Engine {
	return &Engine{db: db, o: o.withDefaults(), now: time.Now}
}

// Plan says what Start would do, and changes nothing.
func (e *Engine) Plan(ctx context.Context, m ddl.Migration) (ddl.Plan, error) {
	c, err := e.db.Catalog(ctx)
	if err != nil {
		return ddl.Plan{}, err
	}
	return ddl.MakePlan(m, c)
}

// Status is what is under way and who uses what.
type Status struct {
	Latest   *Record   `json:"latest,omitempty"` // the migration under way, or the last one
	Live     []string  `json:"live"`             // the versions that can be used, the newest first; the schema of the tables when there is no other
	Sessions []Session `json:"sessions"`
	Pressure Pressure  `json:"pressure"`
}

// Using are the sessions that use a version.
func (s Status) Using(version string) []Session {
	var all []Session
	for _, x := range s.Sessions {
		if len(x.Calls) == 0 && x.Version == version || slices.Contains(x.Calls, version) {
			all = append(all, x)
		}
	}
	return all
}

// Status reads how things are.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	var s Status
	records, err := e.db.Records(ctx, 1)
	if err != nil {
		return s, err
	}
	if len(records) > 0 {
		s.Latest = &records[0]
	}
	c, err := e.db.Catalog(ctx)
	if err != nil {
		return s, err
	}
	s.Live = []string{c.Schema}
	if c.Previous != "" {
		s.Live = []string{c.Previous}
	}
	if s.Latest != nil && s.Latest.Phase == Started {
		s.Live = append([]string{s.Latest.Plan.Version}, s.Live...)
	}
	if s.Sessions, err = e.db.Sessions(ctx); err != nil {
		return s, err
	}
	s.Pressure, err = e.db.Pressure(ctx)
	return s, err
}

// Start brings about the new version, and returns when it can be used beside the old one.
func (e *Engine) Start(ctx context.Context, m ddl.Migration) (Record, error) {
	lease, err := e.db.Lease(ctx)
	if err != nil {
		return Record{}, err
	}
	defer lease.Close()
	r, err := e.open(ctx, lease, m)
	if err != nil || r.Phase != Starting {
		return r, err
	}
	for r.Step < len(r.Plan.Expand) {
		if err := e.step(ctx, lease, &r); err != nil {
			return r, e.failed(ctx, lease, r, err)
		}
	}
	return r, nil
}

// open finds the migration's record, or plans it and makes one.
func (e *Engine) open(ctx context.Context, lease Lease, m ddl.Migration) (Record, error) {
	records, err := e.db.Records(ctx, 1000)
	if err != nil {
		return Record{}, err
	}
	for _, r := range records {
		switch {
		case r.Phase.Active() && r.Name != m.Name:
			return r, errs.E(errs.Conflict, "migration %s is under way", r.Name).Next("Complete it or roll it back first.")
		case r.Name == m.Name && r.Phase != RolledBack && r.Digest != m.Digest:
			return r, errs.E(errs.Conflict, "migration %s was started from another file", r.Name).Next("Roll it back, or give the changed file another name.")
		case r.Name == m.Name && r.Phase != RolledBack:
			return r, nil
		}
	}
	p, err := e.Plan(ctx, m)
	if err != nil {
		return Record{}, err
	}
	if err := refused(p.Lint); err != nil {
		return Record{}, err
	}
	if err := lease.Check(ctx, p.Checks); err != nil {
		return Record{}, err
	}
	now := e.now()
	r := Record{Name: m.Name, Digest: m.Digest, Phase: Starting, Plan: p, Started: now, Changed: now}
	return r, lease.Save(ctx, r)
}

func refused(findings []ddl.Finding) error {
	var all []string
	rule := ""
	for _, f := range findings {
		if f.Refuses() {
			all = append(all, f.String())
			rule = f.Rule
		}
	}
	if len(all) == 0 {
		return nil
	}
	return errs.E(errs.Invalid, "the SQL is refused: %s", strings.Join(all, "; ")).
		Next("Change it, or allow a rule by a comment in the SQL that says why: -- ringfence:allow %s REASON", rule)
}

// failed notes in the record why a command did not go on.
func (e *Engine) failed(ctx context.Context, lease Lease, r Record, err error) error {
	r.Error, r.Changed = err.Error(), e.now()
	if len(r.Error) > 2000 {
		r.Error = strings.ToValidUTF8(r.Error[:2000], "")
	}
	if ctx.Err() == nil {
		err = errors.Join(err, lease.Save(ctx, r))
	}
	return err
}

func (e *Engine) step(ctx context.Context, lease Lease, r *Record) error {
	s := r.Plan.Expand[r.Step]
	e.o.Report(Report{Step: r.Step + 1, Steps: len(r.Plan.Expand), Title: s.Title})
	if s.Kind == ddl.StepFill {
		if err := e.fill(ctx, lease, r, s); err != nil {
			return err
		}
	}
	after := *r
	after.Step, after.Filled, after.Error, after.Changed = r.Step+1, Progress{}, "", e.now()
	if after.Step == len(r.Plan.Expand) {
		after.Phase, after.Expanded = Started, after.Changed
	}
	if s.Kind == ddl.StepFill {
		s = ddl.Step{Kind: ddl.StepQuick, Title: s.Title}
	}
	if err := e.do(ctx, lease, *r, Act{Step: s, Record: after}); err != nil {
		return fmt.Errorf("%s: %w", s.Title, err)
	}
	*r = after
	return nil
}

// patience is how many tries find no moment without a call of a program before calls are held.
const patience = 5

// do carries out an act, again and again while locks are not to be had.
func (e *Engine) do(ctx context.Context, lease Lease, r Record, a Act) error {
	a.LockTimeout = e.o.LockTimeout
	begin := e.now()
	for try := 0; ; try++ {
		if len(a.Step.Locks) > 0 && a.Step.Kind == ddl.StepQuick {
			if err := e.hold(ctx, r, a.Step, begin, false); err != nil {
				return err
			}
		}
		a.Insist = try >= patience
		err := lease.Do(ctx, a)
		if !errors.Is(err, ErrBusy) {
			return err
		}
		if e.now().Sub(begin) > e.o.Wait {
			return errs.Wrap(errs.Unavailable, err, "%d tries in %s", try+1, e.o.Wait).Next("See who holds the tables, in pg_locks, and run the command again.")
		}
		e.report(r, a.Step, Progress{}, "waiting for locks on "+tablesOf(a.Step))
		if err := pause(ctx, jitter(e.o.LockTimeout, try)); err != nil {
			return err
		}
	}
}

// jitter is a wait of random length, longer after each try, in which those who were held up have their turn.
func jitter(unit time.Duration, try int) time.Duration {
	most := min(unit*time.Duration(int64(2)<<min(try, 6)), 10*time.Second)
	return unit + rand.N(most)
}

func tablesOf(s ddl.Step) string {
	names := make([]string, len(s.Locks))
	for i, l := range s.Locks {
		names[i] = l.Table
	}
	return strings.Join(names, ", ")
}

func (e *Engine) report(r Record, s ddl.Step, p Progress, held string) {
	e.o.Report(Report{Step: r.Step + 1, Steps: len(r.Plan.Expand), Title: s.Title, Filled: p, Held: held})
}

// hold waits while replicas are too far behind or, before locks are asked for, a transaction is too old.
func (e *Engine) hold(ctx context.Context, r Record, s ddl.Step, since time.Time, onlyLag bool) error {
	for {
		p, err := e.db.Pressure(ctx)
		if err != nil {
			return err
		}
		why := ""
		switch {
		case p.Lag > e.o.MaxLag:
			why = fmt.Sprintf("replica %s is %s behind, more than %s", p.Replica, p.Lag.Round(time.Millisecond), e.o.MaxLag)
		case !onlyLag && p.Transaction > e.o.MaxTransaction:
			why = fmt.Sprintf("a transaction of process %d is open for %s, more than %s", p.PID, p.Transaction.Round(time.Millisecond), e.o.MaxTransaction)
		default:
			return nil
		}
		if e.now().Sub(since) > e.o.Wait {
			return errs.E(errs.Unavailable, "%s, for %s", why, e.o.Wait).Next("End it, or run the command again later: it goes on where it is.")
		}
		e.report(r, s, r.Filled, why)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, ctx.Err(), "interrupted").Next("Run the command again: it goes on where it is.")
	}
}
