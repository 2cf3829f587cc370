package postgres

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/pgtest"
	"github.com/ringfence/ringfence/internal/store/sqlite"
	"github.com/ringfence/ringfence/internal/store/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func placeAt(address string) storetest.Place {
	return storetest.Place{
		Open: func(ctx context.Context) (storetest.Store, error) {
			s, err := Open(ctx, address)
			if err != nil {
				return nil, err // not a nil *Store in an interface
			}
			return s, nil
		},
		Exec:       func(t testing.TB, statement string) { pgtest.Exec(t, address, statement) },
		Newer:      "INSERT INTO $schema.schema_version (version, name) VALUES (999, 'later')",
		Compatible: "INSERT INTO $schema.schema_version (version, name) VALUES (999, 'later for 1')",
		Empty:      `''`, Bytes: func(b []byte) string { return fmt.Sprintf(`'\x%x'`, b) },
		Check: func(ctx context.Context) error { return Check(ctx, address) },
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place { return placeAt(pgtest.URL(t)) })
}

func BenchmarkAppend(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) storetest.Place { return placeAt(pgtest.DurableURL(b)) })
}

// TestBackupCrosses carries a store from SQLite to PostgreSQL and back, and compares the three.
func TestBackupCrosses(t *testing.T) {
	file := func(name string) storetest.Store {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	first, second, third := file("first"), storetest.Open(t, placeAt(pgtest.URL(t))), file("third")
	storetest.Fill(t, first)
	saved := storetest.Backup(t, first)
	if err := second.Restore(t.Context(), bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	storetest.SameContent(t, first, second)
	carried := storetest.Backup(t, second)
	if !bytes.Equal(saved, carried) {
		t.Fatal("SQLite and PostgreSQL back up the same content differently")
	}
	if err := third.Restore(t.Context(), bytes.NewReader(carried)); err != nil {
		t.Fatal(err)
	}
	storetest.SameContent(t, first, third)
}

func oneEvent() store.Write {
	return store.Write{Events: []audit.Event{{Time: time.Now(), Type: "a.done", Actor: "user:test", Subject: "k/n"}}}
}

func TestServerLost(t *testing.T) {
	server, err := pgtest.Start(pgtest.NeedBinaries(t), false) // only the server dies, not the machine
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	t.Run("Idle", func(t *testing.T) { lostWhileIdle(t, server) })
	t.Run("Writing", func(t *testing.T) { lostWhileWriting(t, server) })
}

// lostWhileIdle kills the server between two writes. Nothing acknowledged is lost and the store comes back by itself.
func lostWhileIdle(t *testing.T, server *pgtest.Server) {
	s := storetest.Open(t, placeAt(server.Address("lost")))
	if _, err := s.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	for range 2 {
		_, err := s.Commit(t.Context(), oneEvent())
		if !errs.Is(err, errs.Unavailable) {
			t.Fatalf("commit without a server: %v of kind %v", err, errs.KindOf(err))
		}
		if _, err = s.Events(t.Context(), store.EventQuery{}); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("read without a server: %v of kind %v", err, errs.KindOf(err))
		}
	}
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatalf("with the server back: %v", err)
	}
	if got := storetest.Record(t, s); len(got) != 2 {
		t.Fatalf("%d events, expected 2", len(got))
	}
}

// lostWhileWriting kills the server under load. A write whose outcome is not known must be there whole,
// once, or not at all; the others as they were answered.
func lostWhileWriting(t *testing.T, server *pgtest.Server) {
	s := storetest.Open(t, placeAt(server.Address("killed")))
	type result struct{ kept, unknown int }
	results := make(chan result)
	started := make(chan struct{}, 1000)
	for range 4 {
		go func() {
			var r result
			for {
				_, err := s.Commit(context.Background(), oneEvent())
				if err != nil {
					if !errs.Is(err, errs.Unavailable) {
						t.Errorf("%v of kind %v", err, errs.KindOf(err))
					}
					r.unknown++
					results <- r
					return
				}
				r.kept++
				select {
				case started <- struct{}{}:
				default:
				}
			}
		}()
	}
	for range 200 {
		<-started
	}
	server.Kill()
	kept, unknown := 0, 0
	for range 4 {
		r := <-results
		kept, unknown = kept+r.kept, unknown+r.unknown
	}
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	if got := len(storetest.Record(t, s)); got < kept || got > kept+unknown {
		t.Fatalf("%d events after %d acknowledged and %d of unknown outcome", got, kept, unknown)
	}
}

func TestOpenRefuses(t *testing.T) {
	for address, want := range map[string]string{
		"":                            "expected postgres://",
		"mysql://user:geheim@host/db": "expected postgres://",
		"postgres://user:geheim@host/db?schema=A":     "schema",
		"postgres://user:geheim@host/db?schema=pg_x":  "schema",
		"postgres://user:geheim@host/db?sslmode=best": "sslmode",
		"postgres://user:geheim@host:port/db":         "expected postgres://",
	} {
		_, err := Open(t.Context(), address)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", address, err)
		}
	}
	_, err := Open(t.Context(), "postgres://user:geheim@127.0.0.1:1/db")
	if !errs.Is(err, errs.Unavailable) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("a server that is not there: %v", err)
	}
	address := pgtest.URL(t)
	_, err = Open(t.Context(), strings.Replace(address, "/postgres?", "/missing?", 1))
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("a database that is not there: %v of kind %v", err, errs.KindOf(err))
	}
}

// TestWithoutRights opens a schema as a user who may use it and not make one, and one who may do nothing.
func TestWithoutRights(t *testing.T) {
	address := pgtest.URL(t)
	storetest.Open(t, placeAt(address))
	for _, user := range []string{"guest", "stranger"} {
		pgtest.Exec(t, address, "CREATE ROLE "+user+" LOGIN")
		t.Cleanup(func() { pgtest.Exec(t, address, "DROP ROLE "+user) })
	}
	pgtest.Exec(t, address, "GRANT ALL ON SCHEMA $schema TO guest")
	pgtest.Exec(t, address, "GRANT ALL ON ALL TABLES IN SCHEMA $schema TO guest")
	t.Cleanup(func() { pgtest.Exec(t, address, "DROP OWNED BY guest") })

	guest := storetest.Open(t, placeAt(strings.Replace(address, "ringfence@", "guest@", 1)))
	if _, err := guest.Commit(t.Context(), oneEvent()); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), strings.Replace(address, "ringfence@", "stranger@", 1))
	if !errs.Is(err, errs.Denied) {
		t.Fatalf("a user without rights: %v of kind %v", err, errs.KindOf(err))
	}
}

func TestSynchronousCommit(t *testing.T) {
	address := pgtest.URL(t)
	s, err := Open(t.Context(), address+"&options=-csynchronous_commit%3Doff")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, within string
	if err := s.pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&before); err != nil {
		t.Fatal(err)
	}
	err = s.inTx(t.Context(), func(tx *writeTx) error {
		if _, _, err := tx.begin(t.Context(), nil, "0"); err != nil {
			return err
		}
		return tx.tx.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&within)
	})
	if err != nil || before != "off" || within != "on" {
		t.Fatalf("synchronous_commit is %s, in a write %s, %v: expected off and on", before, within, err)
	}
}

// TestOpenTogether has several processes find an empty database at once.
func TestOpenTogether(t *testing.T) {
	address := pgtest.URL(t)
	results := make(chan error, 6)
	for range cap(results) {
		go func() {
			s, err := Open(context.Background(), address)
			if err == nil {
				err = s.Close()
			}
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
