package flaggate

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

// UserKey is what an application's server signs its users' tokens with: a secret of at least 32 bytes (HS256) or the public
// half of an Ed25519 key (EdDSA).
type UserKey struct {
	ID     string // kid of the tokens; empty takes tokens of any
	Secret []byte
	Public ed25519.PublicKey
}

// Tokens proves users by JWTs that one of its keys has signed. A token must say whose it is (sub) and until when it holds (exp), at
// most a day ahead, so that one that leaked is not good forever.
type Tokens struct {
	Keys     map[string][]UserKey // by the names of clients; those under "" count for all
	Audience string               // demanded as aud when set
	Now      func() time.Time
}

const (
	maxToken    = 8 << 10
	maxTokenFor = 24 * time.Hour
	clockSkew   = time.Minute
)

// Subject proves the user of a token.
func (t Tokens) Subject(_ context.Context, c flag.Client, token string) (string, error) {
	if len(token) > maxToken {
		return "", errs.E(errs.Denied, "the token has more than 8 KiB")
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256, jose.EdDSA})
	if err != nil {
		return "", errs.Wrap(errs.Denied, err, "this is no signed token")
	}
	for _, keys := range [][]UserKey{t.Keys[c.Name], t.Keys[""]} {
		for _, key := range keys {
			if claims, ok := key.check(parsed); ok {
				return t.subject(claims)
			}
		}
	}
	return "", errs.E(errs.Denied, "no key of %q has signed this token", c.Name)
}

// check takes a signature only by the algorithm that the key is for.
func (k UserKey) check(token *jwt.JSONWebToken) (jwt.Claims, bool) {
	var claims jwt.Claims
	if len(token.Headers) != 1 || k.ID != "" && token.Headers[0].KeyID != k.ID {
		return claims, false
	}
	switch algorithm := jose.SignatureAlgorithm(token.Headers[0].Algorithm); {
	case algorithm == jose.HS256 && len(k.Secret) >= 32:
		return claims, token.Claims(k.Secret, &claims) == nil
	case algorithm == jose.EdDSA && len(k.Public) == ed25519.PublicKeySize:
		return claims, token.Claims(k.Public, &claims) == nil
	}
	return claims, false
}

func (t Tokens) subject(claims jwt.Claims) (string, error) {
	now := time.Now()
	if t.Now != nil {
		now = t.Now()
	}
	expected := jwt.Expected{Time: now}
	if t.Audience != "" {
		expected.AnyAudience = jwt.Audience{t.Audience}
	}
	switch err := claims.ValidateWithLeeway(expected, clockSkew); {
	case err != nil:
		return "", errs.Wrap(errs.Denied, err, "the token does not hold")
	case claims.Subject == "":
		return "", errs.E(errs.Denied, "the token has no sub")
	case claims.Expiry == nil || claims.Expiry.Time().After(now.Add(maxTokenFor)):
		return "", errs.E(errs.Denied, "the token has no exp within the next day")
	}
	return claims.Subject, nil
}
