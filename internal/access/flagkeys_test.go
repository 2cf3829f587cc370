package access_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/store"
)

func TestAKeyForFlags(t *testing.T) {
	ctx, s, now := context.Background(), open(t), time.Now()
	keys := access.FlagKeys{Store: s}
	wanted := flag.Key{Name: "web", Environment: "production", Scope: flag.BrowserScope, Selector: "flagSetId=web"}
	secret, made, err := keys.Create(ctx, "user:admin", wanted, now)
	if err != nil || made.Hash != flag.HashKey(secret) || made.By != "user:admin" {
		t.Fatal(made, err)
	}
	if _, _, err := keys.Create(ctx, "user:admin", wanted, now); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second one of the same name: %v", err)
	}
	list, err := keys.List(ctx)
	if err != nil || len(list) != 1 || list[0].Selector != "flagSetId=web" {
		t.Errorf("%+v, %v", list, err)
	}
	if gone, err := keys.Revoke(ctx, "user:admin", made.ID(), now); err != nil || gone.Revoked.IsZero() {
		t.Fatal(gone, err)
	}
	if _, err := keys.Revoke(ctx, "user:admin", "web", now); !errs.Is(err, errs.Missing) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, _, err := keys.Create(ctx, "user:admin", wanted, now); err != nil {
		t.Errorf("the name is free again: %v", err)
	}
	events, err := s.Events(ctx, store.EventQuery{Subject: "flagkey/web"})
	if err != nil || len(events) != 3 || events[1].Type != "flagkey.revoked" {
		t.Fatalf("%+v, %v", events, err)
	}
	for _, e := range events {
		if strings.Contains(string(e.Data), secret) || strings.Contains(string(e.Data), made.Hash) {
			t.Errorf("the record tells of the key: %s", e.Data)
		}
	}
	for what, k := range map[string]flag.Key{
		"name":        {Name: "-", Environment: "production", Scope: flag.ServerScope},
		"environment": {Name: "a", Scope: flag.ServerScope},
		"scope":       {Name: "a", Environment: "production", Scope: "all"},
	} {
		if _, _, err := keys.Create(ctx, "user:admin", k, now); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
