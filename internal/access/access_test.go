package access_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

func open(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestFirstTokens(t *testing.T) {
	ctx, s, dir := context.Background(), open(t), t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 2 { // the second start changes nothing
		if err := access.EnsureTokens(ctx, s, dir, now); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]policy.Principal{
		access.AdminFile:     {Name: "admin", Role: policy.Admin},
		access.DataPlaneFile: {Name: "dataplane", Role: policy.DataPlane},
	} {
		path := filepath.Join(dir, file)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", file, info.Mode(), err)
		}
		token, err := access.ReadToken(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := access.Tokens{Store: s}.SignIn(ctx, token)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", file, got, err)
		}
		docs, err := s.List(ctx, store.Page{Kind: access.KindToken})
		if err != nil || len(docs) != 2 {
			t.Fatalf("%d tokens: %v", len(docs), err)
		}
		for _, d := range docs {
			if bytes.Contains(d.Body, []byte(token)) || bytes.Contains([]byte(d.Name), []byte(token)) {
				t.Error("the store holds the token itself")
			}
		}
	}
	if events, err := s.Events(ctx, store.EventQuery{}); err != nil || len(events) != 2 {
		t.Errorf("%d events: %v", len(events), err)
	}
}

// A restored database may not know the tokens of the folder that it is started in.
func TestFilesOutliveTheDatabase(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	var first, second string
	for _, token := range []*string{&first, &second} {
		s := open(t)
		if err := access.EnsureTokens(ctx, s, dir, time.Now()); err != nil {
			t.Fatal(err)
		}
		*token, _ = access.ReadToken(filepath.Join(dir, access.AdminFile))
		if p, err := (access.Tokens{Store: s}).SignIn(ctx, *token); err != nil || p.Role != policy.Admin {
			t.Error(p, err)
		}
	}
	if first != second {
		t.Error("the admin token changed")
	}
}

func TestRefused(t *testing.T) {
	ctx, s := context.Background(), open(t)
	for _, token := range []string{"", "rf_", "admin", access.NewToken(), access.NewToken() + "x"} {
		if _, err := (access.Tokens{Store: s}).SignIn(ctx, token); !errs.Is(err, errs.Denied) {
			t.Errorf("%q: %v", token, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, access.AdminFile), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := access.EnsureTokens(ctx, s, dir, time.Now()); !errs.Is(err, errs.Invalid) {
		t.Errorf("a file that holds no token: %v", err)
	}
	pipe := filepath.Join(dir, "pipe") // nobody will ever write into it
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := access.ReadToken(pipe); !errs.Is(err, errs.Invalid) {
		t.Errorf("a named pipe: %v", err)
	}
}

func TestOthersMayNotReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t")
	if err := os.WriteFile(path, []byte(access.NewToken()), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := access.ReadToken(path); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
}
