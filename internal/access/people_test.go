package access_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

func TestAPersonsToken(t *testing.T) {
	ctx, s, dir, now := context.Background(), open(t), t.TempDir(), time.Now()
	if err := access.EnsureTokens(ctx, s, dir, now); err != nil {
		t.Fatal(err)
	}
	tokens := access.Tokens{Store: s}
	secret, made, err := tokens.Create(ctx, "user:admin", access.Wanted{Name: "ann", Role: policy.Operator}, now)
	if err != nil || made.ID() == "" {
		t.Fatal(made, err)
	}
	if who, err := tokens.SignIn(ctx, secret); err != nil || !reflect.DeepEqual(who, policy.Principal{Name: "ann", Role: policy.Operator}) {
		t.Fatal(who, err)
	}
	if _, _, err := tokens.Create(ctx, "user:admin", access.Wanted{Name: "ann", Role: policy.Admin}, now); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second one of the same name: %v", err)
	}
	list, err := tokens.List(ctx)
	if err != nil || len(list) != 3 || list[1].Name != "ann" || list[1].By != "user:admin" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := tokens.Revoke(ctx, "user:admin", "ann", now); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.SignIn(ctx, secret); !errs.Is(err, errs.Denied) {
		t.Errorf("revoked, it signs in: %v", err)
	}
	if _, err := tokens.Revoke(ctx, "user:admin", "ann", now); !errs.Is(err, errs.Missing) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, _, err := tokens.Create(ctx, "user:admin", access.Wanted{Name: "ann", Role: policy.Viewer}, now); err != nil {
		t.Errorf("the name is free again: %v", err)
	}
	events, err := s.Events(ctx, store.EventQuery{Subject: "token/ann"})
	if err != nil || len(events) != 3 || events[1].Type != "token.revoked" {
		t.Fatalf("%+v, %v", events, err)
	}
	for _, e := range events {
		if strings.Contains(string(e.Data), secret) || strings.Contains(string(e.Data), made.Hash) {
			t.Errorf("the record tells of the token: %s", e.Data)
		}
	}
}

func TestNamesAndRolesThatAreRefused(t *testing.T) {
	tokens := access.Tokens{Store: open(t)}
	for _, name := range []string{"", "a b", "user:ann", "-ann", "a/b", "a\nb", strings.Repeat("a", 64)} {
		if _, _, err := tokens.Create(t.Context(), "user:admin", access.Wanted{Name: name, Role: policy.Viewer}, time.Now()); !errs.Is(err, errs.Invalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, role := range []policy.Role{"", "root", policy.DataPlane} {
		if _, _, err := tokens.Create(t.Context(), "user:admin", access.Wanted{Name: "ann", Role: role}, time.Now()); !errs.Is(err, errs.Invalid) {
			t.Errorf("role %q: %v", role, err)
		}
	}
}

// The file in the data folder does not bring a revoked token back.
func TestARevokedTokenStaysRevoked(t *testing.T) {
	ctx, s, dir, now := context.Background(), open(t), t.TempDir(), time.Now()
	tokens := access.Tokens{Store: s}
	if err := access.EnsureTokens(ctx, s, dir, now); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Revoke(ctx, "user:admin", "admin", now); !errs.Is(err, errs.Conflict) {
		t.Errorf("the last admin: %v", err)
	}
	if _, err := tokens.Revoke(ctx, "user:admin", "dataplane", now); !errs.Is(err, errs.Conflict) {
		t.Errorf("the last data plane: %v", err)
	}
	if _, _, err := tokens.Create(ctx, "user:admin", access.Wanted{Name: "ann", Role: policy.Admin}, now); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Revoke(ctx, "user:ann", "admin", now); err != nil {
		t.Fatal(err)
	}
	if err := access.EnsureTokens(ctx, s, dir, now); err != nil {
		t.Fatal(err)
	}
	token, err := access.ReadToken(dir + "/" + access.AdminFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.SignIn(ctx, token); !errs.Is(err, errs.Denied) {
		t.Errorf("after a restart it signs in: %v", err)
	}
}

// Two admins who revoke each other at the same moment leave one of them.
func TestSomeoneIsLeft(t *testing.T) {
	ctx, s, now := context.Background(), open(t), time.Now()
	tokens := access.Tokens{Store: s}
	names := []string{"a", "b", "c", "d"}
	for _, n := range names {
		if _, _, err := tokens.Create(ctx, "user:x", access.Wanted{Name: n, Role: policy.Admin}, now); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	failed := make([]error, len(names))
	for i, n := range names {
		wg.Go(func() { _, failed[i] = tokens.Revoke(ctx, "user:x", n, now) })
	}
	wg.Wait()
	list, err := tokens.List(ctx)
	if err != nil || len(list) != 1 || !errs.Is(errors.Join(failed...), errs.Conflict) {
		t.Errorf("left: %+v, %v, %v", list, err, failed)
	}
}

func TestOneOfSeveralOfAName(t *testing.T) {
	ctx, s, now := context.Background(), open(t), time.Now()
	tokens := access.Tokens{Store: s}
	for range 2 {
		if err := tokens.Register(ctx, "system:start", access.NewToken(), "admin", policy.Admin, now); err != nil {
			t.Fatal(err)
		}
	}
	list, err := tokens.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Revoke(ctx, "user:admin", "admin", now); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), list[0].ID()) {
		t.Errorf("ambiguous: %v", err)
	}
	if gone, err := tokens.Revoke(ctx, "user:admin", list[0].ID(), now); err != nil || gone.Hash != list[0].Hash {
		t.Errorf("%+v, %v", gone, err)
	}
}
