package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/store"
)

// flagHead is the document that every change of the keys for flags replaces.
const flagHead = "flags"

// FlagKeys are the keys by which clients ask for flags. Whoever serves flags checks them by their hashes.
type FlagKeys struct {
	Store Store
}

// Create makes a key for what k says, and returns it; it is kept nowhere else.
func (f FlagKeys) Create(ctx context.Context, actor string, k flag.Key, now time.Time) (string, flag.Key, error) {
	if !nameRE.MatchString(k.Name) {
		return "", k, errs.E(errs.Invalid, "name %.80q: expected letters, digits and . _ @ + -, at most 63, beginning with a letter or digit", k.Name)
	}
	if err := flag.CheckKey(k); err != nil {
		return "", k, err
	}
	var b [32]byte
	rand.Read(b[:]) // never fails
	secret := flag.KeyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	k.Hash, k.Created, k.By, k.Revoked = flag.HashKey(secret), now.UTC(), actor, time.Time{}
	err := f.change(ctx, now, func(all []flag.Key, _ map[string]int64) (store.Write, error) {
		if slices.ContainsFunc(all, func(o flag.Key) bool { return o.Name == k.Name }) {
			return store.Write{}, errs.E(errs.Conflict, "there is a key %s", k.Name).Next("Take another name, or revoke it first: ringfence flags key revoke %s", k.Name)
		}
		return keyWritten(k, 0, "flagkey.created", actor, now)
	})
	if err != nil {
		return "", flag.Key{}, err
	}
	return secret, k, nil
}

// Revoke ends a key, named by its ID or its name. What serves flags elsewhere hears of it with the next feed.
func (f FlagKeys) Revoke(ctx context.Context, actor, which string, now time.Time) (flag.Key, error) {
	var gone flag.Key
	err := f.change(ctx, now, func(all []flag.Key, revs map[string]int64) (store.Write, error) {
		i := slices.IndexFunc(all, func(k flag.Key) bool { return k.Name == which || k.ID() == which })
		if i < 0 {
			return store.Write{}, errs.E(errs.Missing, "there is no key %.80q", which).Next("See which there are: ringfence flags key list")
		}
		gone = all[i]
		gone.Revoked = now.UTC()
		return keyWritten(gone, revs[gone.Hash], "flagkey.revoked", actor, now)
	})
	return gone, err
}

// List returns the keys that are not revoked, by name.
func (f FlagKeys) List(ctx context.Context) ([]flag.Key, error) {
	all, _, err := f.kept(ctx)
	return all, err
}

// kept are the keys that are not revoked, with the revisions of their documents by hash.
func (f FlagKeys) kept(ctx context.Context) ([]flag.Key, map[string]int64, error) {
	all, revs := []flag.Key{}, map[string]int64{}
	for after := ""; ; {
		docs, err := f.Store.List(ctx, store.Page{Kind: flag.KindKey, After: after})
		if err != nil {
			return nil, nil, err
		}
		if len(docs) == 0 {
			slices.SortFunc(all, func(a, b flag.Key) int { return cmp.Or(strings.Compare(a.Name, b.Name), a.Created.Compare(b.Created)) })
			return all, revs, nil
		}
		for _, d := range docs {
			var k flag.Key
			if err := json.Unmarshal(d.Body, &k); err != nil {
				return nil, nil, errs.Wrap(errs.Internal, err, "a stored key is damaged")
			}
			if k.Revoked.IsZero() {
				all, revs[k.Hash] = append(all, k), d.Rev
			}
		}
		after = docs[len(docs)-1].Name
	}
}

func keyWritten(k flag.Key, rev int64, event, actor string, now time.Time) (store.Write, error) {
	body, err := json.Marshal(k)
	if err != nil {
		return store.Write{}, err
	}
	e, err := audit.New(now, event, actor, "flagkey/"+k.Name, map[string]any{
		"id": k.ID(), "environment": k.Environment, "scope": k.Scope, "selector": k.Selector, "provesUsers": len(k.UserKey) > 0})
	if err != nil {
		return store.Write{}, err
	}
	return store.Write{Puts: []store.Doc{{Kind: flag.KindKey, Name: k.Hash, Rev: rev, Updated: now, Body: body}}, Events: []audit.Event{e}}, nil
}

// change decides on the keys of now, and again when they have changed meanwhile.
func (f FlagKeys) change(ctx context.Context, now time.Time, decide func([]flag.Key, map[string]int64) (store.Write, error)) error {
	return changing(ctx, f.Store, flagHead, now, func() (store.Write, error) {
		all, revs, err := f.kept(ctx)
		if err != nil {
			return store.Write{}, err
		}
		return decide(all, revs)
	})
}
