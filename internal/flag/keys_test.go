package flag

import (
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

func TestKeyring(t *testing.T) {
	key := func(secret, name, scope string) Key {
		return Key{Name: name, Hash: HashKey(secret), Environment: "staging", Scope: scope, Selector: "flagSetId=web"}
	}
	server, browser, revoked := key("rff_a", "api", ServerScope), key("rff_b", "page", BrowserScope), key("rff_c", "old", ServerScope)
	browser.UserKey = make([]byte, 32)
	revoked.Revoked = time.Unix(1, 0)
	odd := key("rff_d", "odd", "of a later version")
	ring := NewKeyring([]Key{server, browser, revoked, odd})
	for secret, want := range map[string]Client{
		"rff_a": {Name: "api", Environment: "staging", Selector: "flagSetId=web"},
		"rff_b": {Name: "page", Environment: "staging", Selector: "flagSetId=web", Scope: Browser, SignedUser: true},
		"rff_d": {Name: "odd", Environment: "staging", Selector: "flagSetId=web", Scope: Browser}, // the least
	} {
		if got, err := ring.Check(secret); err != nil || got != want {
			t.Errorf("%s: %+v, %v", secret, got, err)
		}
	}
	for _, secret := range []string{"rff_c", "", "rff_", server.Hash, "a"} {
		if c, err := ring.Check(secret); !errs.Is(err, errs.Missing) {
			t.Errorf("%q is let in as %+v, %v", secret, c, err)
		}
	}
	if NewKeyring(nil).Locked() || !ring.Locked() || !NewKeyring([]Key{revoked}).Locked() {
		t.Error("a key is asked for where one was ever made, and nowhere else")
	}
}

func TestCheckKey(t *testing.T) {
	good := Key{Environment: "production", Scope: ServerScope, Selector: "flagSetId=web", UserKey: make([]byte, 32)}
	if err := CheckKey(good); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*Key){
		"environment": func(k *Key) { k.Environment = "" },
		"scope":       func(k *Key) { k.Scope = "all" },
		"selector":    func(k *Key) { k.Selector = "owner=me" },
		"more than":   func(k *Key) { k.Selector = strings.Repeat("x", 301) },
		"Ed25519":     func(k *Key) { k.UserKey = make([]byte, 31) },
	} {
		k := good
		spoil(&k)
		if err := CheckKey(k); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
