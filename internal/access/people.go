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

// Wanted is a token to be made.
type Wanted struct {
	Name string
	Role policy.Role
	Life time.Duration   // 0: until it is revoked
	Only []policy.Action // of what the role may, no more than this; none: all of it
}

// MaxLife is how long a token that ends may live.
const MaxLife = 366 * 24 * time.Hour

func (w Wanted) check() error {
	switch {
	case !nameRE.MatchString(w.Name):
		return errs.E(errs.Invalid, "name %.80q: expected letters, digits and . _ @ + -, at most 63, beginning with a letter or digit", w.Name)
	case !slices.Contains(Grantable, w.Role):
		return errs.E(errs.Invalid, "role %.40q: expected one of %v", w.Role, Grantable)
	case w.Life < 0 || w.Life > MaxLife:
		return errs.E(errs.Invalid, "a life of %s: expected at most a year, or none for a token that does not end", w.Life)
	}
	for _, a := range w.Only {
		if a == policy.Anyone || a == policy.Self || policy.Allow(policy.Principal{Name: w.Name, Role: w.Role}, a) != nil {
			return errs.E(errs.Invalid, "only %.40q: a token with the role %s may not do that anyway", a, w.Role).Next("Choose among %v.", policy.May(w.Role))
		}
	}
	return nil
}

// Create makes a token for a name that has none, and returns it; it is kept nowhere else.
func (t Tokens) Create(ctx context.Context, actor string, want Wanted, now time.Time) (string, Token, error) {
	if err := want.check(); err != nil {
		return "", Token{}, err
	}
	name := want.Name
	secret := NewToken()
	made := Token{Hash: hashOf(secret), Name: name, Role: want.Role, Created: now.UTC(), By: actor, Only: want.Only}
	if want.Life > 0 {
		made.Expires = now.Add(want.Life).UTC()
	}
	err := t.change(ctx, now, func(all []kept) (store.Write, error) {
		if slices.ContainsFunc(all, func(k kept) bool { return k.token.Name == name && k.token.Via == "" && !k.token.over(now) }) {
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
		if k.token.Expires.IsZero() && len(k.token.Only) == 0 && last(all, k.token.Role) {
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
		return "Make another one first: ringfence token create NAME --role admin --expires never"
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

// kept is a stored token that is not over.
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
			if !k.token.over(t.now()) {
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
		if k.token.Role == role && k.token.Expires.IsZero() && len(k.token.Only) == 0 {
			n++
		}
	}
	return n == 1 && (role == policy.Admin || role == policy.DataPlane)
}

// evidence is what the record says of a token.
func (t Token) evidence() map[string]any {
	data := map[string]any{"role": t.Role}
	if !t.Expires.IsZero() {
		data["expires"] = t.Expires
	}
	if len(t.Only) > 0 {
		data["only"] = t.Only
	}
	if t.Via != "" {
		data["via"], data["id"] = t.Via, t.ID()
	}
	if t.From != "" {
		data["from"] = t.From
	}
	return data
}

func written(tok Token, rev int64, event, actor string, now time.Time) (store.Write, error) {
	body, err := json.Marshal(tok)
	if err != nil {
		return store.Write{}, err
	}
	e, err := audit.New(now, event, actor, "token/"+tok.Name, tok.evidence())
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
