package postgres

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/schema"
	"github.com/ringfence/ringfence/internal/store/pgtest"
)

// started is a database in which two versions are live, and an engine for it.
func started(t *testing.T, o schema.Options) (address string, e *schema.Engine, d *Database) {
	t.Helper()
	address = newDatabase(t)
	setup := connect(t, address, "")
	setup.exec(people)
	setup.close()
	e, d = openEngine(t, address, o)
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "01", "")))
	must[schema.Record](t)(e.Complete(t.Context(), "01", schema.Consent{Baked: true, AllowUnknown: true}))
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "02", splitPeople)))
	return address, e, d
}

func named(t *testing.T, address, application string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("application_name", application)
	u.RawQuery = q.Encode()
	return u.String()
}

// However a session says that it uses the old version, the contract waits for its end.
func TestGate(t *testing.T) {
	address, e, d := started(t, schema.Options{})
	baked := schema.Consent{Baked: true}
	for how, open := range map[string]func() *program{
		"lock":             func() *program { return connect(t, address, "public_01") },
		"application_name": func() *program { return connect(t, named(t, address, "shop@public_01"), "") },
		"views": func() *program {
			p := connect(t, address, "")
			p.exec("BEGIN; SELECT count(*) FROM public_01.people")
			return p
		},
		"role": func() *program {
			admin := connect(t, address, "")
			admin.exec("CREATE ROLE shop_v1 LOGIN; ALTER ROLE shop_v1 SET search_path = public_01, public")
			admin.close()
			t.Cleanup(func() { pgtest.Exec(t, address, "DROP ROLE shop_v1") })
			return connect(t, strings.Replace(address, "ringfence@", "shop_v1@", 1), "")
		},
	} {
		p := open()
		if _, err := e.Complete(t.Context(), "02", baked); !errors.Is(err, schema.ErrInUse) || !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: completed while the old version is used: %v", how, err)
		}
		sessions := must[[]schema.Session](t)(d.Sessions(t.Context()))
		if len(sessions) != 1 || sessions[0].Version != "public_01" || sessions[0].How != how {
			t.Errorf("%s: %+v", how, sessions)
		}
		p.end(d)
	}
	silent := connect(t, address, "")
	if _, err := e.Complete(t.Context(), "02", baked); !errors.Is(err, schema.ErrInUse) {
		t.Errorf("completed with a session of which nothing is known: %v", err)
	}
	fresh := connect(t, address, "public_02")
	if _, err := e.Rollback(t.Context(), "02", schema.Consent{AllowUnknown: true}); !errors.Is(err, schema.ErrInUse) {
		t.Errorf("rolled back while the new version is used: %v", err)
	}
	silent.end(d)
	if _, err := e.Complete(t.Context(), "02", schema.Consent{}); !errs.Is(err, errs.Conflict) {
		t.Errorf("completed without a word that it has baked: %v", err)
	}
	must[schema.Record](t)(e.Complete(t.Context(), "02", baked))
	must[schema.Record](t)(e.Complete(t.Context(), "02", baked)) // again: nothing is left to do
	fresh.want("SELECT count(*) FROM people", "1000")
	if err := connect(t, address, "").try("SELECT ringfence_schema.use('public_01')"); err == nil || !strings.Contains(err.Error(), "there is no version") {
		t.Errorf("a version that is gone can be used: %v", err)
	}
}

// end closes a session and waits until the server knows it.
func (p *program) end(d *Database) {
	p.t.Helper()
	p.close()
	for deadline := time.Now().Add(time.Minute); ; {
		sessions := must[[]schema.Session](p.t)(d.Sessions(p.t.Context()))
		open := 0
		for _, s := range sessions {
			if s.PID == int(p.conn.PgConn().PID()) {
				open++
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal("the session does not end")
		}
	}
}

// A transaction that holds a table is waited for, without anybody being held up behind us for longer than a moment.
func TestWaitsForTransactions(t *testing.T) {
	held := make(chan string, 1000)
	address, e, _ := started(t, schema.Options{MaxTransaction: 100 * time.Millisecond, Report: func(r schema.Report) {
		if r.Held != "" {
			select {
			case held <- r.Held:
			default:
			}
		}
	}})
	fresh := connect(t, address, "public_02")
	fresh.exec("BEGIN; UPDATE people SET age = 5 WHERE id = 1")
	done := make(chan error, 1)
	go func() {
		_, err := e.Complete(t.Context(), "02", schema.Consent{Baked: true})
		done <- err
	}()
	select {
	case why := <-held:
		if !strings.Contains(why, "is open for") && !strings.Contains(why, "waiting for locks") {
			t.Error(why)
		}
	case err := <-done:
		t.Fatalf("completed below an open transaction: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("nothing is said of what is waited for")
	}
	fresh.exec("COMMIT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// One at a time: two engines, and two migrations.
func TestOneAtATime(t *testing.T) {
	_, e, d := started(t, schema.Options{})
	if _, err := e.Start(t.Context(), migration(t, "03", "")); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second migration was started: %v", err)
	}
	if _, err := e.Start(t.Context(), migration(t, "02", "")); !errs.Is(err, errs.Conflict) {
		t.Errorf("another file went on with a migration: %v", err)
	}
	lease := must[schema.Lease](t)(d.Lease(t.Context()))
	if _, err := e.Rollback(t.Context(), "02", schema.Consent{AllowUnknown: true}); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "another migration works") {
		t.Errorf("two work at once: %v", err)
	}
	lease.Close()
	must[schema.Record](t)(e.Rollback(t.Context(), "02", schema.Consent{AllowUnknown: true}))
}

// Rows that move while they are filled are filled, and those that are written by the old version while nothing bears upon what up reads.
func TestRowsThatMove(t *testing.T) {
	address := newDatabase(t)
	old := connect(t, address, "")
	old.exec(people)
	moved := false
	e, _ := openEngine(t, address, schema.Options{Report: func(r schema.Report) {
		if strings.HasPrefix(r.Title, "fill") && !moved {
			moved = true // the trigger is there, nothing is filled
			old.exec("UPDATE people SET email = email || '!'")
		}
	}})
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "02", splitPeople)))
	old.want("SELECT count(*) FROM public_02.people WHERE first_name IS NULL", "0")
}

// What the database does not understand is said before anything is done; what its rows do not bear is said, and taken back.
func TestFailures(t *testing.T) {
	address := newDatabase(t)
	p := connect(t, address, "")
	p.exec(people)
	e, _ := openEngine(t, address, schema.Options{})
	before := ""
	for operations, want := range map[string]string{
		`{"sql": {"up": "CREATE TABLE x (id nonsense)", "down": "DROP TABLE x"}}`:                                                                      "type \"nonsense\" does not exist",
		`{"add_column": {"table": "people", "up": "nonsense + 1", "column": {"name": "x", "type": "int"}}}`:                                            "up of column x is not understood",
		`{"drop_column": {"table": "people", "column": "name", "down": "missing"}}`:                                                                    "down of column name is not understood",
		`{"alter_column": {"table": "people", "column": "name", "type": "integer", "up": "name::integer", "down": "name::text"}}`:                      "invalid input syntax",
		`{"alter_column": {"table": "people", "column": "age", "check": {"name": "old", "constraint": "age::int > 500"}, "up": "age", "down": "age"}}`: "is violated by some row",
		`{"add_column": {"table": "people", "up": "'same'", "column": {"name": "x", "type": "text", "unique": true}}}`:                                 "is duplicated",
	} {
		_, err := e.Start(t.Context(), migration(t, "02", operations))
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", operations, err, want)
		}
		if _, err := e.Rollback(t.Context(), "02", schema.Consent{AllowUnknown: true}); err != nil && !errs.Is(err, errs.Missing) {
			t.Fatal(err)
		}
		if after := p.rows(shape); before != "" && after != before {
			t.Fatalf("%s left something behind:\n%s", operations, after)
		} else if p.rows("SELECT to_regnamespace('ringfence_schema') IS NOT NULL") == "true" {
			before = after
		}
	}
}
