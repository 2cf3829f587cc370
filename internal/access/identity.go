package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Claims are what an issuer says of somebody, its signature checked.
type Claims struct {
	Issuer, Subject string
	ID              string // jti, "" when it has none
	Expires         time.Time
	Authenticated   time.Time // when they proved who they are, as far as the issuer says; else when the token was made
	All             map[string]any
}

// text is a claim that is a text, a number or a truth value.
func (c Claims) text(name string) string {
	switch v := c.All[name].(type) {
	case string:
		return v
	case bool, float64, json.Number:
		return fmt.Sprint(v)
	}
	return ""
}

// list is a claim that is a list of texts, or one.
func (c Claims) list(name string) []string {
	switch v := c.All[name].(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// Attempt is a sign-in that has begun: what the browser is sent to, and what its return is checked with. It is kept from the
// browser but for State, and from everybody else.
type Attempt struct {
	URL      string `json:"-"`
	State    string `json:"-"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
}

// Issuers ask the issuers of identity providers.
type Issuers interface {
	Begin(ctx context.Context, p resource.IdentityProvider, back string) (Attempt, error)
	Redeem(ctx context.Context, p resource.IdentityProvider, back, code string, a Attempt) (Claims, error)
	Verify(ctx context.Context, p resource.IdentityProvider, audience, token string) (Claims, error)
}

// Providers are the declared identity providers.
type Providers interface {
	Get(ctx context.Context, kind, name string) (resource.Resource, error)
	List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error)
}

// Identity signs in whom identity providers vouch for. Whoever does gets a token like those that admins make, which ends by
// itself: everything that is asked of tokens, and what ends them, holds for all.
type Identity struct {
	Tokens
	Providers Providers
	Issuers   Issuers
}

// Choice is a way to sign in that a page offers.
type Choice struct{ Name, Title string }

// Choices are the identity providers of people, by name.
func (i Identity) Choices(ctx context.Context) ([]Choice, error) {
	all, err := i.declared(ctx)
	var out []Choice
	for _, d := range all {
		if d.spec.People != nil {
			title := d.spec.People.Title
			if title == "" {
				title = d.name
			}
			out = append(out, Choice{d.name, title})
		}
	}
	return out, err
}

type declared struct {
	name string
	spec resource.IdentityProvider
}

func (i Identity) declared(ctx context.Context) ([]declared, error) {
	list, err := i.Providers.List(ctx, resource.KindIdentity, "", 1000)
	if err != nil {
		return nil, err
	}
	out := make([]declared, 0, len(list))
	for _, r := range list {
		spec, err := resource.As[resource.IdentityProvider](r)
		if err != nil {
			return nil, err
		}
		out = append(out, declared{r.Metadata.Name, spec.Defaults()})
	}
	return out, nil
}

func (i Identity) people(ctx context.Context, name string) (resource.IdentityProvider, error) {
	r, err := i.Providers.Get(ctx, resource.KindIdentity, name)
	if err != nil {
		return resource.IdentityProvider{}, err
	}
	spec, err := resource.As[resource.IdentityProvider](r)
	if err == nil && spec.People == nil {
		err = errs.E(errs.Missing, "nobody signs in by %s: it vouches for programs only", name)
	}
	return spec.Defaults(), err
}

// Begin begins a sign-in by an identity provider; back is where the browser returns to.
func (i Identity) Begin(ctx context.Context, provider, back string) (Attempt, error) {
	p, err := i.people(ctx, provider)
	if err != nil {
		return Attempt{}, err
	}
	return i.Issuers.Begin(ctx, p, back)
}

// Finish ends a sign-in with the code that the browser returned with, and gives a token for as long as a sign-in holds.
func (i Identity) Finish(ctx context.Context, provider, back, code, from string, a Attempt, now time.Time) (string, Token, error) {
	p, err := i.people(ctx, provider)
	if err != nil {
		return "", Token{}, err
	}
	claims, err := i.Issuers.Redeem(ctx, p, back, code, a)
	if err != nil {
		return "", Token{}, err
	}
	who, err := Person(*p.People, claims)
	if err != nil {
		return "", Token{}, err
	}
	if err := i.bind(ctx, who.Name, claims, now); err != nil {
		return "", Token{}, err
	}
	return i.issue(ctx, who, time.Duration(p.People.Session), from, now)
}

// Person is whom an issuer's claims are about, by the rules of its provider.
func Person(p resource.People, c Claims) (policy.Principal, error) {
	name := c.text(p.Name)
	if !nameRE.MatchString(name) {
		return policy.Principal{}, errs.E(errs.Denied, "the issuer says %.80q for the claim %s: expected a name of letters, digits and . _ @ + -, at most 63", name, p.Name)
	}
	if p.Name == "email" && c.text("email_verified") != "true" {
		return policy.Principal{}, errs.E(errs.Denied, "the issuer has not verified the address %s", name).Next("Have it verified there, or name another claim in people.name.")
	}
	groups := c.list(p.Groups)
	if len(groups) > 500 {
		return policy.Principal{}, errs.E(errs.Denied, "%s belongs to %d groups, more than the 500 that are looked at", name, len(groups)).Next("Have the issuer tell only those that matter here.")
	}
	who := policy.Principal{Name: name, Groups: groups, Via: policy.OIDC, Authenticated: c.Authenticated}
	for _, how := range append(c.list("amr"), c.list("acr")...) {
		who.Strong = who.Strong || slices.Contains(p.Strong, how)
	}
	if p.DemandStrong && !who.Strong {
		return policy.Principal{}, errs.E(errs.Denied, "%s signed in at the issuer by one factor only (%v)", name, c.list("amr")).Next("Sign in there with a second factor or a passkey.")
	}
	for _, r := range p.Roles {
		if r.Group == "*" || slices.Contains(groups, r.Group) {
			who.Role = policy.Role(r.Role)
			return who, nil
		}
	}
	return policy.Principal{}, errs.E(errs.Denied, "the account %s belongs to no group that has a role here", name).Next("Ask an admin: the roles are in the IdentityProvider, people.roles.")
}

// KindPerson is the kind of the documents that say to which subject of which issuer a name belongs.
const KindPerson = "Person"

type bound struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	Since   time.Time `json:"since"`
}

// bind keeps a name for whom it was first used: what another issuer, or a successor with the same address, says of somebody
// of that name does not make them the same in the record.
func (i Identity) bind(ctx context.Context, name string, c Claims, now time.Time) error {
	want := bound{Issuer: c.Issuer, Subject: c.Subject, Since: now.UTC()}
	doc, err := i.Store.Get(ctx, KindPerson, name)
	if err == nil {
		var is bound
		if err := json.Unmarshal(doc.Body, &is); err != nil {
			return errs.Wrap(errs.Internal, err, "what is kept of %s is damaged", name)
		}
		if is.Issuer != want.Issuer || is.Subject != want.Subject {
			return errs.E(errs.Denied, "the name %s belongs to somebody else, whom %s vouched for first", name, is.Issuer).
				Next("If it is the same person, an admin frees the name: ringfence session forget %s", name)
		}
		return nil
	}
	if !errs.Is(err, errs.Missing) {
		return err
	}
	tokens, err := i.kept(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(tokens, func(k kept) bool { return k.token.Name == name && k.token.Via == "" }) {
		return errs.E(errs.Denied, "there is a token with the name %s, which an admin made", name).Next("An admin revokes it first: ringfence token revoke %s", name)
	}
	body, err := json.Marshal(want)
	if err != nil {
		return err
	}
	e, err := audit.New(now, "person.known", "user:"+name, "person/"+name, map[string]string{"issuer": c.Issuer, "subject": c.Subject})
	if err != nil {
		return err
	}
	_, err = i.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindPerson, Name: name, Updated: now, Body: body}}, Events: []audit.Event{e}})
	return err
}

// Forget frees a name for whoever is called so next, and ends its sessions.
func (i Identity) Forget(ctx context.Context, actor, name string, now time.Time) error {
	doc, err := i.Store.Get(ctx, KindPerson, name)
	if errs.Is(err, errs.Missing) {
		return errs.E(errs.Missing, "nobody called %.80q has signed in by an identity provider", name)
	}
	if err != nil {
		return err
	}
	if _, err := i.End(ctx, actor, name, now); err != nil && !errs.Is(err, errs.Missing) {
		return err
	}
	e, err := audit.New(now, "person.forgotten", actor, "person/"+name, nil)
	if err != nil {
		return err
	}
	_, err = i.Store.Commit(ctx, store.Write{Deletes: []store.Doc{{Kind: doc.Kind, Name: doc.Name, Rev: doc.Rev}}, Events: []audit.Event{e}})
	return err
}

// Exchange gives a program a token of a few minutes for one of an issuer that vouches for it. The issuer's token is good for one.
func (i Identity) Exchange(ctx context.Context, token, program, from string, now time.Time) (string, Token, error) {
	all, err := i.declared(ctx)
	if err != nil {
		return "", Token{}, err
	}
	issuer, err := issuerOf(token)
	if err != nil {
		return "", Token{}, err
	}
	for _, d := range all {
		if d.spec.Issuer != issuer {
			continue
		}
		for _, g := range d.spec.Programs {
			if program != "" && g.Name != program {
				continue
			}
			claims, err := i.Issuers.Verify(ctx, d.spec, g.Audience, token)
			if errs.Is(err, errs.Unavailable) {
				return "", Token{}, err
			}
			if err != nil || !fits(g, claims) {
				continue
			}
			if err := i.spend(ctx, token, claims, now); err != nil {
				return "", Token{}, err
			}
			who := policy.Principal{Name: g.Name, Role: policy.Role(g.Role), Only: actions(g.Only), Via: policy.Exchange, Authenticated: claims.Authenticated}
			return i.issue(ctx, who, time.Duration(g.Life), from, now)
		}
	}
	return "", Token{}, errs.E(errs.Denied, "no identity provider vouches for this token").
		Next("Compare its issuer, audience and claims with what is declared: ringfence get IdentityProvider")
}

func actions(words []string) []policy.Action {
	var all []policy.Action
	for _, w := range words {
		all = append(all, policy.Action(w))
	}
	return all
}

// fits says whether claims are all that is asked of a program's.
func fits(g resource.Program, c Claims) bool {
	for name, want := range g.Claims {
		if !slices.ContainsFunc(append(c.list(name), c.text(name)), func(v string) bool { return v != "" && resource.Fits(want, v) }) {
			return false
		}
	}
	return true
}

// kindSpent is the kind of the documents that name issuers' tokens that were exchanged.
const kindSpent = "SpentToken"

// spend keeps an issuer's token from being exchanged twice: who reads it from a log later gets nothing for it.
func (i Identity) spend(ctx context.Context, token string, c Claims, now time.Time) error {
	sum := sha256.Sum256([]byte(token))
	body, err := json.Marshal(map[string]time.Time{"until": c.Expires.UTC()})
	if err != nil {
		return err
	}
	w := store.Write{Puts: []store.Doc{{Kind: kindSpent, Name: hex.EncodeToString(sum[:]), Updated: now, Body: body}}}
	old, err := i.Store.List(ctx, store.Page{Kind: kindSpent})
	if err != nil {
		return err
	}
	for _, d := range old {
		var kept struct{ Until time.Time }
		if json.Unmarshal(d.Body, &kept) == nil && now.After(kept.Until.Add(time.Hour)) {
			w.Deletes = append(w.Deletes, store.Doc{Kind: d.Kind, Name: d.Name, Rev: d.Rev})
		}
	}
	if _, err := i.Store.Commit(ctx, w); errs.Is(err, errs.Conflict) {
		return errs.E(errs.Denied, "this token was exchanged before").Next("Ask the issuer for another one.")
	} else if err != nil {
		return err
	}
	return nil
}

// lent is what is lent for the command line by somebody who signed in with a token that an admin made.
const lent = 8 * time.Hour

// Lend makes a token for the command line for whom another one signs in: it may the same, ends with it, and within hours.
func (i Identity) Lend(ctx context.Context, secret, from string, now time.Time) (string, Token, error) {
	who, err := i.SignIn(ctx, secret)
	if err != nil {
		return "", Token{}, err
	}
	doc, err := i.Store.Get(ctx, KindToken, hashOf(secret))
	if err != nil {
		return "", Token{}, err
	}
	var of Token
	if err := json.Unmarshal(doc.Body, &of); err != nil {
		return "", Token{}, errs.Wrap(errs.Internal, err, "a stored token is damaged")
	}
	life := lent
	if !of.Expires.IsZero() {
		life = min(life, of.Expires.Sub(now))
	}
	if who.Via == "" {
		who.Via = policy.Lent
	}
	return i.issue(ctx, who, life, from, now)
}

// issue makes a token for whom somebody vouched for.
func (i Identity) issue(ctx context.Context, who policy.Principal, life time.Duration, from string, now time.Time) (string, Token, error) {
	secret := NewToken()
	made := Token{Hash: hashOf(secret), Name: who.Name, Role: who.Role, Only: who.Only, Groups: who.Groups, Via: who.Via, Strong: who.Strong,
		Authenticated: who.Authenticated.UTC(), From: from, Created: now.UTC(), Expires: now.Add(life).UTC()}
	w, err := written(made, 0, "session.opened", who.Actor(), now)
	if err != nil {
		return "", Token{}, err
	}
	for after := ""; ; { // those that are long over go
		docs, err := i.Store.List(ctx, store.Page{Kind: KindToken, After: after})
		if err != nil || len(docs) == 0 {
			break // another sign-in clears them away
		}
		for _, d := range docs {
			var old Token
			if json.Unmarshal(d.Body, &old) == nil && old.Via != "" && now.After(old.Expires.Add(24*time.Hour)) {
				w.Deletes = append(w.Deletes, store.Doc{Kind: d.Kind, Name: d.Name, Rev: d.Rev})
			}
		}
		after = docs[len(docs)-1].Name
	}
	_, err = i.Store.Commit(ctx, w)
	return secret, made, err
}

// End ends all sessions of a name, or the one of an ID, at once and everywhere.
func (t Tokens) End(ctx context.Context, actor, which string, now time.Time) ([]Token, error) {
	var gone []Token
	err := t.change(ctx, now, func(all []kept) (store.Write, error) {
		gone = nil
		var w store.Write
		for _, k := range all {
			if k.token.Via == "" || k.token.Name != which && k.token.ID() != which {
				continue
			}
			k.token.Revoked = now.UTC()
			one, err := written(k.token, k.rev, "session.ended", actor, now)
			if err != nil {
				return w, err
			}
			gone = append(gone, k.token)
			w.Puts, w.Events = append(w.Puts, one.Puts...), append(w.Events, one.Events...)
		}
		if len(gone) == 0 {
			return w, errs.E(errs.Missing, "%.80q has no session", which).Next("See who has: ringfence session list")
		}
		return w, nil
	})
	return gone, err
}

// issuerOf reads who made a token, unverified: only to find whose keys to check it with.
func issuerOf(token string) (string, error) {
	wrong := errs.E(errs.Denied, "not a token of an issuer: expected a signed JWT of at most %d bytes", maxJWT)
	parts := strings.Split(token, ".")
	if len(token) > maxJWT || len(parts) != 3 {
		return "", wrong
	}
	payload, err := base64url(parts[1])
	if err != nil {
		return "", wrong
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &said) != nil || said.Issuer == "" {
		return "", wrong
	}
	return said.Issuer, nil
}

// maxJWT is how long an issuer's token may be.
const maxJWT = 16 << 10
