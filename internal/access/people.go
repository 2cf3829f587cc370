package access

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

// Grantable are the roles that people can be given a token for. Data planes have the one of their folder: a name of
// one's own would stand in the record as that of a part of Ringfence.
var Grantable = []policy.Role{policy.Admin, policy.Operator, policy.Viewer, policy.Prober, policy.Alerter}

// The document that every change of who may sign in replaces, so that two changes cannot miss each other.
const (
	headKind = "Tokens"
	headName = "head"
)

var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}$`)

// idLength is how much of the hash names a token: enough to tell tokens apart, too little to find one by.
const idLength = 12

// ID names a token among others of the same name.
func (t Token) ID() string { return t.Hash[:min(len(t.Hash), idLength)] }

// Create makes a token for a name that has none, and returns it; it is kept nowhere else.
func (t Tokens) Create(ctx context.Context, actor, name string, role policy.Role, now time.Time) (string, Token, error) {
	if !nameRE.MatchString(name) {
		return "", Token{}, errs.E(errs.Invalid, "name %.80q: expected letters, digits and . _ @ + -, at most 63, beginning with a letter or digit", name)
	}
	if !slices.Contains(Grantable, role) {
		return "", Token{}, errs.E(errs.Invalid, "role %.40q: expected one of %v", role, Grantable)
	}
	secret := NewToken()
	made := Token{Hash: hashOf(secret), Name: name, Role: role, Created: now.UTC(), By: actor}
	err := t.change(ctx, now, func(all []kept) (store.Write, error) {
		if slices.ContainsFunc(all, func(k kept) bool { return k.token.Name == name }) {
			return store.Write{}, errs.E(errs.Conflict, "%s has a token", name).Next("Take another name, or revoke it first: ringfence token revoke %s", name)
		}
		return written(made, 0, "token.created", actor, now)
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, made, nil
}

// Revoke ends a token, named by its ID or by its owner's name, at once. Asked twice, it is harmless.
func (t Tokens) Revoke(ctx context.Context, actor, which string, now time.Time) (Token, error) {
	var gone Token
	err := t.change(ctx, now, func(all []kept) (store.Write, error) {
		k, err := named(all, which)
		if err != nil {
			return store.Write{}, err
		}
		if last(all, k.token.Role) {
			return store.Write{}, errs.E(errs.Conflict, "%s has the last token with the role %s; without one nobody could get in again", k.token.Name, k.token.Role).
				Next("%s", another(k.token.Role))
		}
		gone = k.token
		gone.Revoked = now.UTC()
		return written(gone, k.rev, "token.revoked", actor, now)
	})
	return gone, err
}

func another(role policy.Role) string {
	if role == policy.Admin {
		return "Make another one first: ringfence token create NAME --role admin"
	}
	return "Remove " + DataPlaneFile + " and restart the control plane, which makes another one, then revoke this one by its ID."
}

// List returns the tokens that sign somebody in, by name.
func (t Tokens) List(ctx context.Context) ([]Token, error) {
	all, err := t.kept(ctx)
	list := make([]Token, len(all))
	for i, k := range all {
		list[i] = k.token
	}
	slices.SortFunc(list, func(a, b Token) int { return cmp.Or(strings.Compare(a.Name, b.Name), a.Created.Compare(b.Created)) })
	return list, err
}

// kept is a stored token that is not revoked.
type kept struct {
	token Token
	rev   int64
}

func (t Tokens) kept(ctx context.Context) ([]kept, error) {
	var all []kept
	for after := ""; ; {
		docs, err := t.Store.List(ctx, store.Page{Kind: KindToken, After: after})
		if err != nil || len(docs) == 0 {
			return all, err
		}
		for _, d := range docs {
			k := kept{rev: d.Rev}
			if err := json.Unmarshal(d.Body, &k.token); err != nil {
				return nil, errs.Wrap(errs.Internal, err, "a stored token is damaged")
			}
			if k.token.Revoked.IsZero() {
				all = append(all, k)
			}
		}
		after = docs[len(docs)-1].Name
	}
}

func named(all []kept, which string) (kept, error) {
	var found []kept
	for _, k := range all {
		if k.token.ID() == which {
			return k, nil
		}
		if k.token.Name == which {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return kept{}, errs.E(errs.Missing, "nobody called %.80q has a token", which).Next("See who has: ringfence token list")
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, k := range found {
		ids[i] = fmt.Sprintf("%s (of %s)", k.token.ID(), k.token.Created.Format(time.RFC3339))
	}
	return kept{}, errs.E(errs.Conflict, "%s has several tokens: %s", which, strings.Join(ids, ", ")).Next("Name the one to revoke by its ID.")
}

// last says whether a role that must not die out has one token left.
func last(all []kept, role policy.Role) bool {
	n := 0
	for _, k := range all {
		if k.token.Role == role {
			n++
		}
	}
	return n == 1 && (role == policy.Admin || role == policy.DataPlane)
}

func written(tok Token, rev int64, event, actor string, now time.Time) (store.Write, error) {
	body, err := json.Marshal(tok)
	if err != nil {
		return store.Write{}, err
	}
	e, err := audit.New(now, event, actor, "token/"+tok.Name, map[string]any{"role": tok.Role})
	if err != nil {
		return store.Write{}, err
	}
	return store.Write{Puts: []store.Doc{{Kind: KindToken, Name: tok.Hash, Rev: rev, Updated: now, Body: body}}, Events: []audit.Event{e}}, nil
}

// attempts bounds how often a change is judged again because another one was faster.
const attempts = 10

// change decides on who may sign in now, and again when that has changed meanwhile.
func (t Tokens) change(ctx context.Context, now time.Time, decide func([]kept) (store.Write, error)) error {
	return changing(ctx, t.Store, headName, now, func() (store.Write, error) {
		all, err := t.kept(ctx)
		if err != nil {
			return store.Write{}, err
		}
		return decide(all)
	})
}

// changing commits what is decided together with a document that every such change replaces, and has it decided again when
// another change was faster.
func changing(ctx context.Context, s Store, name string, now time.Time, decide func() (store.Write, error)) error {
	for i := 0; ; i++ {
		head, err := s.Get(ctx, headKind, name)
		if err != nil && !errs.Is(err, errs.Missing) {
			return err
		}
		w, err := decide()
		if err != nil {
			return err
		}
		body := json.RawMessage(fmt.Sprintf(`{"changes":%d}`, head.Rev+1))
		w.Puts = append(w.Puts, store.Doc{Kind: headKind, Name: name, Rev: head.Rev, Updated: now, Body: body})
		if _, err = s.Commit(ctx, w); !errs.Is(err, errs.Conflict) || ctx.Err() != nil || i >= attempts {
			return err
		}
	}
}
