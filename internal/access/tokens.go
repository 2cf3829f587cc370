package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store"
)

// KindToken is the kind of the documents that hold tokens, named by the hash of each.
const KindToken = "Token"

// Store keeps documents and events.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Token is what is kept of a token.
type Token struct {
	Hash    string      `json:"hash"` // SHA-256 in hexadecimal
	Name    string      `json:"name"`
	Role    policy.Role `json:"role"`
	Created time.Time   `json:"created"`
	By      string      `json:"by,omitempty"`     // who made it
	Revoked time.Time   `json:"revoked,omitzero"` // since when it signs nobody in; kept, or its file would make it known again
	Expires time.Time   `json:"expires,omitzero"` // from when on it signs nobody in; zero: never

	Only          []policy.Action `json:"only,omitempty"` // no more than this of what its role may; none: all of it
	Groups        []string        `json:"groups,omitempty"`
	Via           string          `json:"via,omitempty"` // what it was given for; "" for one that an admin made
	Authenticated time.Time       `json:"authenticated,omitzero"`
	Strong        bool            `json:"strong,omitempty"`
	From          string          `json:"from,omitempty"` // address of who signed in
}

// principal is whom the token signs in.
func (t Token) principal() policy.Principal {
	p := policy.Principal{Name: t.Name, Role: t.Role, Only: t.Only, Groups: t.Groups, Via: t.Via, Authenticated: t.Authenticated, Strong: t.Strong}
	return p
}

// over says whether the token signs nobody in any more.
func (t Token) over(now time.Time) bool {
	return !t.Revoked.IsZero() || !t.Expires.IsZero() && !now.Before(t.Expires)
}

// Tokens signs people, programs and data planes in.
type Tokens struct {
	Store Store
	Clock func() time.Time // nil: time.Now
}

func (t Tokens) now() time.Time {
	if t.Clock == nil {
		return time.Now()
	}
	return t.Clock()
}

var tokenRE = regexp.MustCompile(`^rf_[A-Za-z0-9_-]{43}$`)

// NewToken makes a token.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return "rf_" + base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// SignIn returns whose token it is. What is no token and a token that is not known are told apart in nothing.
func (t Tokens) SignIn(ctx context.Context, token string) (policy.Principal, error) {
	unknown := errs.E(errs.Denied, "the token is not known").Next("Check which server the token is for.")
	if !tokenRE.MatchString(token) {
		return policy.Principal{}, unknown
	}
	hash := hashOf(token)
	doc, err := t.Store.Get(ctx, KindToken, hash)
	if errs.Is(err, errs.Missing) {
		return policy.Principal{}, unknown
	}
	if err != nil {
		return policy.Principal{}, errs.Wrap(errs.KindOf(err), err, "cannot sign in")
	}
	var known Token
	if err := json.Unmarshal(doc.Body, &known); err != nil {
		return policy.Principal{}, errs.Wrap(errs.Internal, err, "a stored token is damaged")
	}
	if subtle.ConstantTimeCompare([]byte(known.Hash), []byte(hash)) != 1 || known.over(t.now()) {
		return policy.Principal{}, unknown
	}
	return known.principal(), nil
}

// Register makes a token known under a name; one that is known already stays as it is.
func (t Tokens) Register(ctx context.Context, actor, token, name string, role policy.Role, now time.Time) error {
	if !tokenRE.MatchString(token) {
		return errs.E(errs.Invalid, "not a token: expected rf_ and 43 letters, digits, - or _")
	}
	if name == "" || !slices.Contains(policy.Roles, role) {
		return errs.E(errs.Invalid, "token %q with role %q: expected a name and one of %v", name, role, policy.Roles)
	}
	hash := hashOf(token)
	if _, err := t.Store.Get(ctx, KindToken, hash); !errs.Is(err, errs.Missing) {
		return err
	}
	body, err := json.Marshal(Token{Hash: hash, Name: name, Role: role, Created: now.UTC()})
	if err != nil {
		return err
	}
	e, err := audit.New(now, "token.created", actor, "token/"+name, map[string]any{"role": role})
	if err != nil {
		return err
	}
	w := store.Write{Puts: []store.Doc{{Kind: KindToken, Name: hash, Updated: now, Body: body}}, Events: []audit.Event{e}}
	if _, err = t.Store.Commit(ctx, w); errs.Is(err, errs.Conflict) {
		return nil // another process of the same start was faster
	}
	return err
}
