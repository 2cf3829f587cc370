package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/schema"
	"github.com/ringfence/ringfence/internal/store/pgtest"
)

// newDatabase makes a database of the test's own: leases and migrations are by database.
func newDatabase(t testing.TB) string {
	t.Helper()
	address := pgtest.URL(t)
	name := "d_" + strings.ToLower(rand.Text()[:16])
	pgtest.Exec(t, address, "CREATE DATABASE "+name)
	t.Cleanup(func() { pgtest.Exec(t, address, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	settings := u.Query()
	settings.Del("schema")
	u.Path, u.RawQuery = "/"+name, settings.Encode()
	return u.String()
}

// program is a session of a program that uses a version.
type program struct {
	t    testing.TB
	conn *pgx.Conn
}

// connect opens a session. Without a version it is one of which nothing is known.
func connect(t testing.TB, address, version string) *program {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t, conn}
	t.Cleanup(p.close)
	if version != "" {
		p.exec("SELECT ringfence_schema.use('" + version + "')")
	}
	return p
}

func (p *program) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = p.conn.Close(ctx)
}

func (p *program) exec(sql string) {
	p.t.Helper()
	if err := p.try(sql); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
}

func (p *program) try(sql string) error {
	_, err := p.conn.Exec(p.t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

// rows are what a query finds, a line each.
func (p *program) rows(sql string) string {
	p.t.Helper()
	rows, err := p.conn.Query(p.t.Context(), sql)
	if err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			p.t.Fatalf("%s: %v", sql, err)
		}
		cells := make([]string, len(values))
		for i, v := range values {
			cells[i] = fmt.Sprint(v)
			if v == nil {
				cells[i] = "null"
			}
		}
		lines = append(lines, strings.Join(cells, " "))
	}
	if err := rows.Err(); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

func (p *program) want(sql, want string) {
	p.t.Helper()
	if got := p.rows(sql); got != want {
		p.t.Fatalf("%s:\n%s\nexpected:\n%s", sql, got, want)
	}
}

func openEngine(t testing.TB, address string, o schema.Options) (*schema.Engine, *Database) {
	t.Helper()
	d, err := Open(t.Context(), address, "public")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return schema.New(d, o), d
}

func migration(t testing.TB, name, operations string) ddl.Migration {
	t.Helper()
	m, err := ddl.Parse(name, []byte(`{"operations": [`+operations+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// must has a command succeed.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
