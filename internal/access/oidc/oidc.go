package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
)

const (
	patience  = 10 * time.Second
	maxAnswer = 1 << 20
	fresh     = 10 * time.Minute // for which what an issuer says of itself is believed
	skew      = time.Minute      // between its clock and ours
)

// algorithms are those that issuers may sign with; a secret shared with them would not tell who signed.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Issuers asks issuers.
type Issuers struct {
	Secret func(file string) (string, error) // content of a file in the folder of secrets
	Now    func() time.Time                  // nil: time.Now

	mu    sync.Mutex
	known map[string]known
}

type known struct {
	provider *oidc.Provider
	at       time.Time
}

var _ access.Issuers = (*Issuers)(nil)

func (i *Issuers) now() time.Time {
	if i.Now == nil {
		return time.Now()
	}
	return i.Now()
}

// outside is how issuers are asked. Redirects are not followed: an issuer's documents are where it says.
var outside = &http.Client{Timeout: patience, Transport: bounded{http.DefaultTransport},
	CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the issuer redirects") }}

// bounded ends answers that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	}
	return res, err
}

func (i *Issuers) provider(ctx context.Context, issuer string) (*oidc.Provider, error) {
	i.mu.Lock()
	k, ok := i.known[issuer]
	i.mu.Unlock()
	if ok && i.now().Sub(k.at) < fresh {
		return k.provider, nil
	}
	// The provider keeps its context for keys to come: it must outlive the request.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), outside), issuer)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "the issuer %s cannot be asked", issuer)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known == nil {
		i.known = map[string]known{}
	}
	i.known[issuer] = known{p, i.now()}
	return p, nil
}

func (i *Issuers) client(ctx context.Context, p resource.IdentityProvider, back string) (*oidc.Provider, oauth2.Config, error) {
	at, err := i.provider(ctx, p.Issuer)
	if err != nil {
		return nil, oauth2.Config{}, err
	}
	c := oauth2.Config{ClientID: p.People.ClientID, Endpoint: at.Endpoint(), RedirectURL: back, Scopes: append([]string{oidc.ScopeOpenID}, p.People.Scopes...)}
	if p.People.ClientSecretFile != "" {
		if c.ClientSecret, err = i.Secret(p.People.ClientSecretFile); err != nil {
			return nil, c, err
		}
	}
	return at, c, nil
}

func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Begin says where a browser is to be sent.
func (i *Issuers) Begin(ctx context.Context, p resource.IdentityProvider, back string) (access.Attempt, error) {
	_, c, err := i.client(ctx, p, back)
	if err != nil {
		return access.Attempt{}, err
	}
	a := access.Attempt{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier()}
	a.URL = c.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
	to, err := url.Parse(a.URL)
	if err != nil || to.Scheme != "https" && !strings.HasPrefix(p.Issuer, "http:") {
		return a, errs.E(errs.Unavailable, "the issuer %s names no place to sign in that is safe to go to", p.Issuer)
	}
	return a, nil
}

// Redeem gets what the issuer says of who returned with a code.
func (i *Issuers) Redeem(ctx context.Context, p resource.IdentityProvider, back, code string, a access.Attempt) (access.Claims, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, outside), patience)
	defer cancel()
	at, c, err := i.client(ctx, p, back)
	if err != nil {
		return access.Claims{}, err
	}
	got, err := c.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return access.Claims{}, errs.E(errs.Denied, "the issuer refused the sign-in (%.40q)", refused.ErrorCode).Next("Sign in again.")
	case err != nil:
		return access.Claims{}, errs.E(errs.Unavailable, "the issuer %s does not answer", p.Issuer).Next("Try again.")
	}
	raw, _ := got.Extra("id_token").(string)
	return i.check(ctx, at, p.People.ClientID, raw, a.Nonce)
}

// Verify gets what the issuer says in a token of a program.
func (i *Issuers) Verify(ctx context.Context, p resource.IdentityProvider, audience, token string) (access.Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at, err := i.provider(ctx, p.Issuer)
	if err != nil {
		return access.Claims{}, err
	}
	return i.check(ctx, at, audience, token, "")
}

// check is what every token of an issuer has to pass.
func (i *Issuers) check(ctx context.Context, at *oidc.Provider, audience, raw, nonce string) (access.Claims, error) {
	bad := func(err error) (access.Claims, error) {
		return access.Claims{}, errs.Wrap(errs.Denied, err, "the issuer's token is not believed")
	}
	// The library allows a minute of its own; only algorithms that both sides want are left.
	var said struct {
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := at.Claims(&said); err != nil {
		return bad(err)
	}
	usable := slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return len(said.Algorithms) > 0 && !slices.Contains(said.Algorithms, a) })
	if len(usable) == 0 {
		return bad(errors.New("it signs by no algorithm that is safe"))
	}
	token, err := at.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: usable, Now: i.now}).Verify(oidc.ClientContext(ctx, outside), raw)
	if err != nil {
		return bad(err)
	}
	var claims struct {
		Party string  `json:"azp"`
		Auth  float64 `json:"auth_time"`
		ID    string  `json:"jti"`
		From  float64 `json:"nbf"`
	}
	all := map[string]any{}
	if err := errors.Join(token.Claims(&claims), token.Claims(&all)); err != nil {
		return bad(err)
	}
	now := i.now()
	switch {
	case token.Subject == "":
		return bad(errors.New("it names no subject"))
	case token.Expiry.IsZero() || token.IssuedAt.IsZero():
		return bad(errors.New("it does not say when it was made, or until when it holds"))
	case token.IssuedAt.After(now.Add(skew)) || claims.From > float64(now.Add(skew).Unix()):
		return bad(errors.New("it is from the future"))
	case token.Nonce != nonce && nonce != "":
		return bad(errors.New("it answers another sign-in"))
	case nonce != "" && (len(token.Audience) > 1 || claims.Party != "") && claims.Party != audience:
		return bad(errors.New("it was made for another client"))
	}
	out := access.Claims{Issuer: token.Issuer, Subject: token.Subject, ID: claims.ID, Expires: token.Expiry, Authenticated: token.IssuedAt, All: all}
	if claims.Auth > 0 {
		out.Authenticated = time.Unix(int64(claims.Auth), 0)
	}
	return out, nil
}
