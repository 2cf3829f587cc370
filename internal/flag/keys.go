package flag

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// KindKey is the kind of the documents that hold keys, named by the hash of each.
const KindKey = "FlagKey"

// KeyPrefix begins every key.
const KeyPrefix = "rff_"

// The scopes of keys, as they are written.
const (
	ServerScope  = "server"
	BrowserScope = "browser"
)

// Key says what the clients that send it may ask for. The key itself is kept nowhere.
type Key struct {
	Name        string    `json:"name"`
	Hash        string    `json:"hash" doc:"SHA-256 of the key in hexadecimal"`
	Environment string    `json:"environment"`
	Scope       string    `json:"scope" enum:"server,browser"`
	Selector    string    `json:"selector,omitempty" doc:"the only flags that are there for it; empty for all"`
	UserKey     []byte    `json:"userKey,omitempty" doc:"the public Ed25519 key that its users have to be proved by"`
	Created     time.Time `json:"created"`
	By          string    `json:"by,omitempty" doc:"who made it"`
	Revoked     time.Time `json:"revoked,omitzero"`
}

// ID names a key among others of the same name.
func (k Key) ID() string { return k.Hash[:min(len(k.Hash), 12)] }

// HashKey is what is kept of a key.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// CheckKey says what is wrong with what a key is to be for.
func CheckKey(k Key) error {
	switch {
	case k.Environment == "" || len(k.Environment) > 200:
		return errs.E(errs.Invalid, "environment %.80q: expected a name", k.Environment)
	case k.Scope != ServerScope && k.Scope != BrowserScope:
		return errs.E(errs.Invalid, "scope %.40q: expected server or browser", k.Scope)
	case len(k.Selector) > 300:
		return errs.E(errs.Invalid, "the selector has more than 300 bytes")
	case len(k.UserKey) != 0 && len(k.UserKey) != 32:
		return errs.E(errs.Invalid, "the key that proves users has %d bytes: expected the 32 of a public Ed25519 key", len(k.UserKey))
	}
	_, err := SnapshotOf().Select(k.Selector)
	return err
}

// Keyring knows keys by their hashes. It never changes.
type Keyring struct {
	clients map[string]Client
	users   map[string][]byte // by the names of clients
	locked  bool
}

// NewKeyring takes the keys of all who may ask. Where a key was ever made, even if it is revoked now, one is asked for.
func NewKeyring(keys []Key) *Keyring {
	r := &Keyring{clients: map[string]Client{}, users: map[string][]byte{}, locked: len(keys) > 0}
	for _, k := range keys {
		if !k.Revoked.IsZero() {
			continue
		}
		c := Client{Name: k.Name, Environment: k.Environment, Selector: k.Selector, SignedUser: len(k.UserKey) > 0}
		if k.Scope != ServerScope {
			c.Scope = Browser
		}
		r.clients[k.Hash] = c
		r.users[k.Name] = k.UserKey
	}
	return r
}

// Locked reports whether nobody is let in without a key.
func (r *Keyring) Locked() bool { return r.locked }

// Check returns whose key it is; errs.Missing when it is nobody's.
func (r *Keyring) Check(key string) (Client, error) {
	if strings.HasPrefix(key, KeyPrefix) {
		if c, ok := r.clients[HashKey(key)]; ok {
			return c, nil
		}
	}
	return Client{}, errs.E(errs.Missing, "nobody has this key")
}

// UserKeys are the public keys that users have to be proved by, by the names of clients.
func (r *Keyring) UserKeys() map[string][]byte { return r.users }
