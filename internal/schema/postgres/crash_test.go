package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/schema"
	"github.com/ringfence/ringfence/internal/store/pgtest"
)

// helper in the environment has the test's own program be one that migrates, and stops at each step until it is told to go on.
const helper = "RINGFENCE_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if address := os.Getenv(helper); address != "" {
		if err := migrate(address); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("done")
		os.Exit(0)
	}
	pgtest.Main(m)
}

// crashing changes a table in every way that a step can be: columns, fills, indexes, constraints, views.
const crashing = splitPeople + `,
	{"create_index": {"name": "people_mail", "table": "people", "columns": [{"column": "mail"}]}},
	{"create_table": {"name": "pets", "columns": [{"name": "id", "type": "bigint", "pk": true}, {"name": "owner", "type": "integer", "references": {"name": "owned", "table": "people", "column": "id"}}]}}`

func migrate(address string) error {
	ctx := context.Background()
	d, err := Open(ctx, address, "public")
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	stop := func(r schema.Report) {
		fmt.Println("step", r.Step)
		_, _ = in.ReadString('\n') // told to go on, or killed
	}
	m, err := ddl.Parse("02", []byte(`{"operations": [`+crashing+`]}`))
	if err != nil {
		return err
	}
	_, err = schema.New(d, schema.Options{Report: stop, Batch: time.Millisecond, Rate: 20_000}).Start(ctx, m)
	return err
}

// killAt starts the migration in a process of its own and kills it at the n-th stop. It returns false when it was done before.
func killAt(t *testing.T, address string, n int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+address)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	for stops := 0; lines.Scan(); {
		switch line := lines.Text(); {
		case line == "done":
			return false
		case strings.HasPrefix(line, "failed"):
			t.Fatal(line)
		}
		if stops == n {
			return true
		}
		stops++
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("the migrating program ended: %v", lines.Err())
	return false
}

// A program that migrates is killed at each of its stops. Another goes on to the end, or takes everything back; programs of the
// old version read and write all the time, and nothing of theirs is lost.
func TestKilledAtEachStep(t *testing.T) {
	address := newDatabase(t)
	admin := connect(t, address, "")
	admin.exec(people)
	e, d := openEngine(t, address, schema.Options{})
	anyway := schema.Consent{AllowUnknown: true, Baked: true}
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "01", "")))
	must[schema.Record](t)(e.Complete(t.Context(), "01", anyway))
	before := admin.rows(shape)
	old := connect(t, address, "public_01")
	m := migration(t, "02", crashing)
	n := 0
	for ; killAt(t, address, n); n++ {
		old.exec(fmt.Sprintf("UPDATE people SET email = email || '.' WHERE id <= 10; INSERT INTO people (name, age, email) VALUES ('at stop', '%d', 'stop%d')", n, n))
		if n%2 == 0 { // gone on with by another, up to where both versions are live
			must[schema.Record](t)(e.Start(t.Context(), m))
			fresh := connect(t, address, "public_02")
			fresh.want("SELECT count(*) FROM people WHERE first_name IS NULL OR last_name IS NULL", "0")
			fresh.want(fmt.Sprintf("SELECT first_name, last_name, age FROM people WHERE mail = 'stop%d'", n), fmt.Sprintf("at stop %d", n))
			fresh.end(d)
		}
		must[schema.Record](t)(e.Rollback(t.Context(), "02", anyway))
		admin.want(shape, before)
		old.want("SELECT count(*) FROM people", fmt.Sprint(1001+n))
	}
	if n < 10 {
		t.Errorf("only %d stops were tried", n)
	}
	old.end(d)
	must[schema.Record](t)(e.Complete(t.Context(), "02", anyway))
	connect(t, address, "public_02").want("SELECT count(*) FROM people WHERE first_name = 'at'", fmt.Sprint(n))
}

// The session that migrates is ended while locks are waited for, and while an index is built: what it did is undone or done again.
func TestSessionLost(t *testing.T) {
	address := newDatabase(t)
	admin := connect(t, address, "")
	admin.exec(people)
	e, _ := openEngine(t, address, schema.Options{})
	must[schema.Record](t)(e.Start(t.Context(), migration(t, "01", "")))
	must[schema.Record](t)(e.Complete(t.Context(), "01", schema.Consent{AllowUnknown: true, Baked: true}))
	ended := 0
	breaking, _ := openEngine(t, address, schema.Options{Report: func(r schema.Report) {
		if ended < r.Step {
			ended = r.Step
			admin.exec("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1380337253")
		}
	}})
	m := migration(t, "02", crashing)
	for tries := 0; ; tries++ {
		_, err := breaking.Start(t.Context(), m)
		if err == nil {
			break
		}
		if tries > 50 {
			t.Fatal(err)
		}
	}
	if ended < 8 {
		t.Errorf("the session was ended at %d steps only", ended)
	}
	connect(t, address, "public_02").want("SELECT count(*), count(first_name), max(age) FROM people", "1000 1000 1000")
}
