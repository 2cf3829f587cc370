package secrecy

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/secret"
	"github.com/ringfence/ringfence/internal/store"
)

// KindSecret is the kind of the documents that hold secrets.
const KindSecret = "Secret"

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Catalog holds what people declared.
type Catalog interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
}

// Sealer encrypts values, bound to what they are of.
type Sealer interface {
	Seal(value []byte, of string) ([]byte, error)
	Open(sealed []byte, of string) ([]byte, error)
}

// Options of a Keeper.
type Options struct {
	Store   Store
	Catalog Catalog
	Sealer  Sealer
	Now     func() time.Time
}

// Keeper keeps secrets.
type Keeper struct{ Options }

// New makes a keeper.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Keeper{o}
}

// Value is a version's value.
type Value struct {
	Version int    `json:"version"`
	Value   string `json:"value"`
}

func of(name string, version int) string { return fmt.Sprintf("%s/%d", name, version) }

// tries is how often a write is tried again when another was faster.
const tries = 20

// change writes what edit makes of a secret, with an event. An edit that changes nothing is not written.
func (k *Keeper) change(ctx context.Context, actor, name, event string, edit func(s secret.Secret) (secret.Secret, any, error)) (secret.Secret, error) {
	for range tries {
		s, rev, err := k.get(ctx, name)
		if err != nil {
			return s, err
		}
		after, data, err := edit(s)
		if err != nil || data == nil {
			return after, err
		}
		body, err := json.Marshal(after)
		if err != nil {
			return after, err
		}
		e, err := audit.New(k.Now(), event, actor, "secret/"+name, data)
		if err != nil {
			return after, err
		}
		_, err = k.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindSecret, Name: name, Rev: rev, Body: body}}, Events: []audit.Event{e}})
		if !errs.Is(err, errs.Conflict) {
			return after, err
		}
	}
	return secret.Secret{}, errs.E(errs.Conflict, "secret %s is changed by others at the same time, try again", name)
}

// get reads a secret, an empty one when there is none.
func (k *Keeper) get(ctx context.Context, name string) (secret.Secret, int64, error) {
	s := secret.Secret{Name: name}
	if err := secret.CheckName(name); err != nil {
		return s, 0, err
	}
	doc, err := k.Store.Get(ctx, KindSecret, name)
	if errs.Is(err, errs.Missing) {
		return s, 0, nil
	}
	if err != nil {
		return s, 0, err
	}
	if err := json.Unmarshal(doc.Body, &s); err != nil {
		return s, 0, errs.E(errs.Internal, "secret %s is damaged", name) // what is wrong with it might show of it
	}
	return s, doc.Rev, nil
}

// Set makes a value the current one. The one before stays valid beside it. Setting the value that is current changes nothing.
func (k *Keeper) Set(ctx context.Context, actor, name, value string) (secret.Secret, error) {
	if value == "" || len(value) > secret.MaxValue {
		return secret.Secret{}, errs.E(errs.Invalid, "value: has %d bytes, expected 1 to %d", len(value), secret.MaxValue)
	}
	s, err := k.change(ctx, actor, name, "secret.set", func(s secret.Secret) (secret.Secret, any, error) {
		if old, there := s.Current(); there {
			was, err := k.Sealer.Open(old.Sealed, of(name, old.Number))
			if err == nil && subtle.ConstantTimeCompare(was, []byte(value)) == 1 {
				return s, nil, nil
			}
		}
		v := secret.Version{Number: s.Next(), Created: k.Now().UTC().Truncate(time.Microsecond), By: actor}
		var err error
		if v.Sealed, err = k.Sealer.Seal([]byte(value), of(name, v.Number)); err != nil {
			return s, nil, err
		}
		return s.Add(v), map[string]any{"version": v.Number}, nil
	})
	return s.Public(), err
}

// List are all secrets, without values.
func (k *Keeper) List(ctx context.Context) ([]secret.Secret, error) {
	all := []secret.Secret{}
	after := ""
	for {
		docs, err := k.Store.List(ctx, store.Page{Kind: KindSecret, After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		for _, d := range docs {
			var s secret.Secret
			if err := json.Unmarshal(d.Body, &s); err != nil {
				return nil, errs.E(errs.Internal, "secret %s is damaged", d.Name)
			}
			all, after = append(all, s.Public()), d.Name
		}
	}
}

// Show is a secret, without values.
func (k *Keeper) Show(ctx context.Context, name string) (secret.Secret, error) {
	s, rev, err := k.get(ctx, name)
	if err == nil && rev == 0 {
		err = errs.E(errs.Missing, "there is no secret %s", name).Next("Set its value: ringfence secret set %s < FILE", name)
	}
	return s.Public(), err
}

// Read gives the value of a version, 0 for the current one, once that is on the record.
func (k *Keeper) Read(ctx context.Context, actor, name string, version int) (Value, error) {
	all, err := k.read(ctx, actor, actor, name, func(s secret.Secret) ([]secret.Version, error) {
		v, there := s.Version(version)
		switch {
		case !there:
			return nil, errs.E(errs.Missing, "there is no such version of secret %s", name)
		case v.State == secret.Revoked:
			return nil, errs.E(errs.Conflict, "version %d of secret %s was revoked: its value is gone", v.Number, name)
		}
		return []secret.Version{v}, nil
	})
	if err != nil {
		return Value{}, err
	}
	return all[0], nil
}

func (k *Keeper) read(ctx context.Context, actor, who, name string, pick func(secret.Secret) ([]secret.Version, error)) ([]Value, error) {
	var values []Value
	_, err := k.change(ctx, actor, name, "secret.read", func(s secret.Secret) (secret.Secret, any, error) {
		values = nil
		versions, err := pick(s)
		if err != nil {
			return s, nil, err
		}
		var numbers []int
		for _, v := range versions {
			value, err := k.Sealer.Open(v.Sealed, of(name, v.Number))
			if err != nil {
				return s, nil, err
			}
			values, numbers = append(values, Value{v.Number, string(value)}), append(numbers, v.Number)
		}
		return s.Read(who, slices.Max(numbers), k.Now().UTC().Truncate(time.Microsecond)), map[string]any{"reader": who, "versions": numbers}, nil
	})
	return values, err
}

// Instance names who asks for the secrets of a service.
type Instance struct{ Unit, Service, Version, ID string }

// ForInstance gives an instance the secrets that its service declares, the current and the overlapping version of each, newest first.
func (k *Keeper) ForInstance(ctx context.Context, actor string, in Instance) (map[string][]Value, error) {
	r, err := k.Catalog.Get(ctx, resource.KindService, in.Service)
	if err != nil {
		return nil, err
	}
	svc, err := resource.As[resource.Service](r)
	if err != nil {
		return nil, err
	}
	who := fmt.Sprintf("instance:%s@%s", in.ID, in.Unit)
	out := map[string][]Value{}
	for _, name := range svc.Secrets {
		values, err := k.read(ctx, actor, who, name, func(s secret.Secret) ([]secret.Version, error) {
			valid := slices.DeleteFunc(slices.Clone(s.Versions), func(v secret.Version) bool { return v.State == secret.Revoked })
			if len(valid) == 0 {
				return nil, errs.E(errs.Conflict, "secret %s, which service %s declares, has no value", name, in.Service).Next("Set it: ringfence secret set %s < FILE", name)
			}
			return valid, nil
		})
		if err != nil {
			return nil, err
		}
		out[name] = values
	}
	return out, nil
}

// Revoke ends a version that is not the current one: its value is gone.
func (k *Keeper) Revoke(ctx context.Context, actor, name string, version int, reason string) (secret.Secret, error) {
	if strings.TrimSpace(reason) == "" {
		return secret.Secret{}, errs.E(errs.Invalid, "reason: missing, expected why version %d is revoked", version)
	}
	s, err := k.change(ctx, actor, name, "secret.revoked", func(s secret.Secret) (secret.Secret, any, error) {
		if v, there := s.Version(version); there && v.State == secret.Revoked {
			return s, nil, nil
		}
		after, err := s.Revoke(version, reason, k.Now().UTC().Truncate(time.Microsecond))
		return after, map[string]any{"version": version, "reason": reason}, err
	})
	return s.Public(), err
}
