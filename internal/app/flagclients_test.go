package app

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/policy"
)

// Only this machine's programs get flags without a key, and only as long as there is none.
func TestWhoMayAskForFlags(t *testing.T) {
	const secret = "rff_secret"
	key := flag.Key{Name: "api", Hash: flag.HashKey(secret), Environment: "production", Scope: flag.ServerScope}
	gone := key
	gone.Revoked = time.Unix(1, 0)
	for _, c := range []struct {
		what, addr string
		keys       []flag.Key
		err        error
		send       string
		want       int // status of the refusal, 0 for none
	}{
		{"this machine, no keys", "127.0.0.1:7402", nil, nil, "", 0},
		{"this machine, no keys, but one is sent", "127.0.0.1:7402", nil, nil, secret, 0},
		{"this machine, a key", "[::1]:7402", []flag.Key{key}, nil, secret, 0},
		{"this machine, none is sent", "localhost:7402", []flag.Key{key}, nil, "", http.StatusUnauthorized},
		{"this machine, all are revoked", "127.0.0.1:7402", []flag.Key{gone}, nil, "", http.StatusUnauthorized},
		{"this machine, a revoked one", "127.0.0.1:7402", []flag.Key{gone}, nil, secret, http.StatusUnauthorized},
		{"other machines, no keys", "10.0.0.1:7402", nil, nil, "", http.StatusUnauthorized},
		{"every machine, no keys", ":7402", nil, nil, "", http.StatusUnauthorized},
		{"other machines, a key", "10.0.0.1:7402", []flag.Key{key}, nil, secret, 0},
		{"nobody knows", "127.0.0.1:7402", nil, errors.New("the disk is gone"), secret, http.StatusInternalServerError},
		{"nobody knows, and none is sent", "127.0.0.1:7402", nil, errors.New("the disk is gone"), "", http.StatusUnauthorized},
	} {
		g := flagGate(c.addr, "production", nil, func() (*flag.Keyring, error) { return flag.NewKeyring(c.keys), c.err }, slog.New(slog.DiscardHandler))
		h := http.Header{}
		if c.send != "" {
			h.Set("X-API-Key", c.send)
		}
		_, refused := g.Who(t.Context(), h, "")
		if got := 0; refused != nil {
			got = refused.Status
			if got != c.want {
				t.Errorf("%s: refused with %d, want %d", c.what, got, c.want)
			}
		} else if c.want != 0 {
			t.Errorf("%s: let in, want %d", c.what, c.want)
		}
	}
}

// A client's users are who its own server says.
func TestWhoTheUserIs(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{Subject: "ann", Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	keys := []flag.Key{{Name: "web", Hash: "1", UserKey: public}, {Name: "other", Hash: "2", UserKey: make([]byte, 32)}, {Name: "none", Hash: "3"}}
	c := flagClients{keys: func() (*flag.Keyring, error) { return flag.NewKeyring(keys), nil }}
	if who, err := c.Subject(t.Context(), flag.Client{Name: "web"}, token); err != nil || who != "ann" {
		t.Errorf("%q, %v", who, err)
	}
	for _, of := range []string{"other", "none", "unknown"} {
		if who, err := c.Subject(t.Context(), flag.Client{Name: of}, token); !errs.Is(err, errs.Denied) {
			t.Errorf("of %s: %q, %v", of, who, err)
		}
	}
}

// A key for flags of a program lets it tell of its users, and nothing else; one that stands in pages does not.
func TestWhoMaySendEvents(t *testing.T) {
	key := func(name, scope string) flag.Key {
		return flag.Key{Name: name, Hash: flag.HashKey("rff_" + name), Environment: "staging", Scope: scope}
	}
	gone := key("gone", flag.ServerScope)
	gone.Revoked = time.Unix(1, 0)
	ring := flag.NewKeyring([]flag.Key{key("shop", flag.ServerScope), key("page", flag.BrowserScope), gone})
	s := senders{access.Tokens{Store: shelf{}}, flagClients{keys: func() (*flag.Keyring, error) { return ring, nil }}}
	who, err := s.SignIn(t.Context(), "rff_shop")
	if err != nil || who.Name != "key:shop" || policy.Allow(who, policy.Send) != nil || policy.Allow(who, policy.Read) == nil || policy.Allow(who, policy.Self) == nil {
		t.Errorf("%+v, %v", who, err)
	}
	for _, token := range []string{"rff_page", "rff_gone", "rff_none", "rf_none"} {
		if who, err := s.SignIn(t.Context(), token); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %+v, %v", token, who, err)
		}
	}
}
