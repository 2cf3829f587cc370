package secrecy

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/sealing"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

type services map[string]resource.Service

func (s services) Get(_ context.Context, kind, name string) (resource.Resource, error) {
	svc, there := s[name]
	if !there {
		return resource.Resource{}, errs.E(errs.Missing, "no %s %s", kind, name)
	}
	return resource.New(name, svc)
}

func keeper(t *testing.T) (*Keeper, *sqlite.Store, string) {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	key, err := sealing.Open(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Store: db, Sealer: key, Catalog: services{"shop": {Secrets: []string{"db"}}, "cart": {}}}), db, dir
}

func TestLifeOfASecret(t *testing.T) {
	k, db, dir := keeper(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "swordfish-1-canary", "swordfish-2-canary"
	_, err := k.Set(ctx, "user:ann", "db", first)
	must(err)
	_, err = k.Set(ctx, "user:ann", "db", first) // again: nothing changes
	must(err)
	s, err := k.Set(ctx, "user:ann", "db", second)
	must(err)
	if len(s.Versions) != 2 || s.Versions[0].Number != 2 || s.Versions[1].State != "overlap" || s.Versions[0].Sealed != nil {
		t.Errorf("%+v", s)
	}
	v, err := k.Read(ctx, "user:bob", "db", 0)
	must(err)
	if v.Version != 2 || v.Value != second {
		t.Errorf("%+v", v)
	}
	got, err := k.ForInstance(ctx, "system:local", Instance{"local", "shop", "v1", "shop/v1/1"})
	must(err)
	if len(got["db"]) != 2 || got["db"][0].Value != second || got["db"][1].Value != first {
		t.Errorf("%+v", got)
	}
	if got, err := k.ForInstance(ctx, "system:local", Instance{"local", "cart", "v1", "cart/v1/1"}); err != nil || len(got) != 0 {
		t.Errorf("a service gets what it does not declare: %+v, %v", got, err)
	}
	if _, err := k.Revoke(ctx, "user:ann", "db", 2, "leaked"); !errs.Is(err, errs.Conflict) {
		t.Errorf("the current one is revoked: %v", err)
	}
	_, err = k.Revoke(ctx, "user:ann", "db", 1, "leaked")
	must(err)
	if _, err := k.Read(ctx, "user:bob", "db", 1); !errs.Is(err, errs.Conflict) {
		t.Errorf("a revoked one is read: %v", err)
	}
	s, err = k.Show(ctx, "db")
	must(err)
	if len(s.Readers) != 2 || s.Readers[0].Who != "instance:shop/v1/1@local" || s.Readers[1].Who != "user:bob" {
		t.Errorf("%+v", s.Readers)
	}
	events, err := db.Events(ctx, store.EventQuery{Limit: 100})
	must(err)
	raw, err := json.Marshal(events)
	must(err)
	if strings.Contains(string(raw), "canary") || strings.Count(string(raw), `secret.read`) != 2 {
		t.Errorf("the record: %s", raw)
	}
	must(db.Close())
	files, err := filepath.Glob(filepath.Join(dir, "a.db*"))
	must(err)
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || strings.Contains(string(b), "canary") {
			t.Errorf("%s holds a value in clear, or %v", f, err)
		}
	}
}

func TestValuesAreBoundToTheirPlace(t *testing.T) {
	k, db, dir := keeper(t)
	for _, name := range []string{"a", "b"} {
		if _, err := k.Set(t.Context(), "user:ann", name, "value of "+name); err != nil {
			t.Fatal(err)
		}
	}
	a, err := db.Get(t.Context(), KindSecret, "a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := db.Get(t.Context(), KindSecret, "b")
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(string(a.Body), `"a"`, `"b"`, 1)
	if _, err := db.Commit(t.Context(), store.Write{Puts: []store.Doc{{Kind: KindSecret, Name: "b", Rev: b.Rev, Body: json.RawMessage(moved)}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Read(t.Context(), "user:ann", "b", 0); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a value that was moved is read: %v", err)
	}
	other, err := sealing.Open(filepath.Join(dir, "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	k.Sealer = other
	if _, err := k.Read(t.Context(), "user:ann", "a", 0); !errs.Is(err, errs.Unavailable) {
		t.Errorf("another key opens it: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "secret.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sealing.Open(filepath.Join(dir, "secret.key")); !errs.Is(err, errs.Invalid) {
		t.Errorf("a key that others may read is used: %v", err)
	}
}

func TestRefusedSecrets(t *testing.T) {
	k, _, _ := keeper(t)
	for name, value := range map[string]string{"Upper": "x", "": "x", "a/b": "x", "ok": "", "long": strings.Repeat("x", 20000)} {
		if _, err := k.Set(t.Context(), "user:ann", name, value); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := k.ForInstance(t.Context(), "system:local", Instance{"local", "shop", "v1", "shop/v1/1"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a secret without a value: %v", err)
	}
	if _, err := k.Show(t.Context(), "none"); !errs.Is(err, errs.Missing) {
		t.Error(err)
	}
}
