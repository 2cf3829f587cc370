package schema

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
)

// Consent is what the caller of Complete or Rollback answers for.
type Consent struct {
	Baked        bool // the new version reached everyone and proved itself; only for Complete
	AllowUnknown bool // sessions of which no version is known do not use the one that goes
	Force        bool // sessions of the version that goes may fail; only for Rollback
}

// Complete is the contract of a started migration.
func (e *Engine) Complete(ctx context.Context, name string, c Consent) (Record, error) {
	return e.end(ctx, name, func(r Record) (Act, error) {
		switch {
		case r.Phase == Completed:
			return Act{}, nil
		case r.Phase != Started:
			return Act{}, errs.E(errs.Conflict, "migration %s is %s, it can be completed when it is started", name, r.Phase)
		case !c.Baked:
			return Act{}, errs.E(errs.Conflict, "it is not said that the new version has reached everyone and proved itself").
				Next("Complete it when the last ring has baked: afterwards the old version cannot come back.")
		}
		after := r
		after.Phase = Completed
		gate := r.Plan.Previous
		if gate == "" {
			gate = r.Plan.Schema
		}
		return Act{Step: r.Plan.Contract, Record: after, Gate: gate, Stays: r.Plan.Version, DropViews: r.Plan.Previous, AllowUnknown: c.AllowUnknown}, nil
	})
}

// Rollback takes a migration back that was not completed.
func (e *Engine) Rollback(ctx context.Context, name string, c Consent) (Record, error) {
	return e.end(ctx, name, func(r Record) (Act, error) {
		switch r.Phase {
		case RolledBack:
			return Act{}, nil
		case Completed:
			return Act{}, errs.E(errs.Conflict, "migration %s is completed, which is not taken back", name).Next("Write a migration that goes the other way.")
		}
		after := r
		after.Phase = RolledBack
		a := Act{Step: r.Plan.Undo, Record: after, DropViews: r.Plan.Version, AllowUnknown: c.AllowUnknown}
		if r.Phase == Starting && r.Step == 0 && (len(r.Plan.Expand) == 0 || r.Plan.Expand[0].Kind == ddl.StepQuick) {
			a.Step.SQL, a.Step.Locks = nil, nil // its first transaction was not committed: there is nothing to take back, and an author's down might fail
		}
		if r.Phase == Started && !c.Force {
			a.Gate, a.Stays = r.Plan.Version, cmp.Or(r.Plan.Previous, r.Plan.Schema)
		}
		return a, nil
	})
}

// end carries out what choose makes of the migration's record.
func (e *Engine) end(ctx context.Context, name string, choose func(Record) (Act, error)) (Record, error) {
	lease, err := e.db.Lease(ctx)
	if err != nil {
		return Record{}, err
	}
	defer lease.Close()
	records, err := e.db.Records(ctx, 1000)
	if err != nil {
		return Record{}, err
	}
	i := slices.IndexFunc(records, func(r Record) bool { return r.Name == name })
	if i < 0 {
		return Record{}, errs.E(errs.Missing, "there is no migration %s in this database", name)
	}
	r := records[i]
	a, err := choose(r)
	if err != nil || a.Record.Name == "" {
		return r, err
	}
	if a.Gate != "" { // once without locks; it is asked again in the transaction
		sessions, err := e.db.Sessions(ctx)
		if err != nil {
			return r, err
		}
		if err := InUse(sessions, a.Gate, a.Stays, a.AllowUnknown); err != nil {
			return r, err
		}
	}
	a.Record.Changed, a.Record.Error = e.now(), ""
	a.Record.Finished = a.Record.Changed
	e.o.Report(Report{Step: 1, Steps: 1, Title: a.Step.Title})
	if err := e.do(ctx, lease, r, a); err != nil {
		return r, e.failed(ctx, lease, r, err)
	}
	return a.Record, nil
}

// InUse is the gate: an error when a session uses the version, or might. One that takes a version for each transaction is not in the way
// when it understands the one that stays.
func InUse(sessions []Session, version, stays string, allowUnknown bool) error {
	var using, unknown []string
	for _, s := range sessions {
		who := fmt.Sprintf("process %d (%s)", s.PID, strings.Join(slices.DeleteFunc([]string{s.Application, s.User, s.Client}, func(x string) bool { return x == "" }), ", "))
		switch {
		case slices.Contains(s.Calls, stays):
		case s.Version == version || len(s.Calls) > 0:
			using = append(using, who)
		case s.Version == "" && !allowUnknown:
			unknown = append(unknown, who)
		}
	}
	switch {
	case len(using) > 0:
		return errs.Wrap(errs.Conflict, ErrInUse, "%d sessions use version %s: %s", len(using), version, some(using)).Next("End the programs of that version first.")
	case len(unknown) > 0:
		return errs.Wrap(errs.Conflict, ErrInUse, "of %d sessions it is not known whether they use version %s: %s", len(unknown), version, some(unknown)).
			Next("Have them say which version they use, or answer for them: see docs/schema.md.")
	}
	return nil
}

func some(all []string) string {
	if len(all) > 5 {
		return strings.Join(all[:5], ", ") + fmt.Sprintf(" and %d more", len(all)-5)
	}
	return strings.Join(all, ", ")
}
