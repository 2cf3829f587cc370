package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var shared struct {
	sync.Mutex
	servers map[bool]*Server // by durable
}

// Main runs the tests of a package and stops what they started: func TestMain(m *testing.M) { pgtest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	for _, s := range shared.servers {
		s.Stop()
	}
	os.Exit(code)
}

// URL returns the address of a schema of the test's own, which does not exist yet and is dropped afterwards.
// The server forgets everything when the machine dies, which makes it fast.
func URL(t testing.TB) string { return schemaOf(t, false) }

// DurableURL is URL on a server that flushes to disk as in earnest, for measurements.
func DurableURL(t testing.TB) string { return schemaOf(t, true) }

func schemaOf(t testing.TB, durable bool) string {
	t.Helper()
	s := sharedServer(t, durable)
	schema := "t_" + strings.ToLower(rand.Text()[:16])
	t.Cleanup(func() { Exec(t, s.Address(""), "DROP SCHEMA IF EXISTS "+schema+" CASCADE") })
	return s.Address(schema)
}

func sharedServer(t testing.TB, durable bool) *Server {
	t.Helper()
	bin := NeedBinaries(t)
	shared.Lock()
	defer shared.Unlock()
	if s := shared.servers[durable]; s != nil {
		return s
	}
	s, err := Start(bin, durable)
	if err != nil {
		t.Fatal(err)
	}
	if shared.servers == nil {
		shared.servers = map[bool]*Server{}
	}
	shared.servers[durable] = s
	return s
}

// NeedBinaries returns the folder of PostgreSQL's programs. It skips the test when there is none, or fails it in CI.
func NeedBinaries(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("no server is started in a short run")
	}
	bin := findBinaries()
	switch {
	case bin != "":
	case os.Getenv("CI") == "true":
		t.Fatal("PostgreSQL is not installed: no initdb and postgres in PATH or /usr/lib/postgresql/*/bin")
	default:
		t.Skip("PostgreSQL is not installed: no initdb and postgres in PATH or /usr/lib/postgresql/*/bin")
	}
	return bin
}

// Exec runs one statement. SCHEMA in it stands for the address's schema.
func Exec(t testing.TB, address, statement string, args ...any) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	settings := u.Query()
	statement = strings.ReplaceAll(statement, "$schema", settings.Get("schema"))
	settings.Del("schema")
	u.RawQuery = settings.Encode()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement, args...); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", statement, err))
	}
}
