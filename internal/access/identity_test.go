package access_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/resource"
)

// vouch says what it is told to; who asks really is tested in package oidc.
type vouch struct{ claims access.Claims }

func (v *vouch) Begin(context.Context, resource.IdentityProvider, string) (access.Attempt, error) {
	return access.Attempt{URL: "https://login.example.com"}, nil
}

func (v *vouch) Redeem(context.Context, resource.IdentityProvider, string, string, access.Attempt) (access.Claims, error) {
	return v.claims, nil
}

func (v *vouch) Verify(_ context.Context, _ resource.IdentityProvider, audience, _ string) (access.Claims, error) {
	if v.claims.All["aud"] != audience {
		return access.Claims{}, errs.E(errs.Denied, "another audience")
	}
	return v.claims, nil
}

// shelf holds one identity provider.
type shelf struct{ spec resource.IdentityProvider }

func (s shelf) Get(_ context.Context, _, name string) (resource.Resource, error) {
	if name != "company" {
		return resource.Resource{}, errs.E(errs.Missing, "no %s", name)
	}
	return resource.New(name, s.spec)
}

func (s shelf) List(ctx context.Context, _, _ string, _ int) ([]resource.Resource, error) {
	r, err := s.Get(ctx, "", "company")
	return []resource.Resource{r}, err
}

func company() resource.IdentityProvider {
	return resource.IdentityProvider{Issuer: "https://login.example.com",
		People: &resource.People{ClientID: "ringfence", Roles: []resource.RoleRule{{Group: "sre", Role: "admin"}, {Group: "dev", Role: "operator"}}},
		Programs: []resource.Program{
			{Name: "deploy", Audience: "ringfence", Claims: map[string]string{"repository": "acme/shop", "ref": "refs/tags/*"}, Role: "operator", Only: []string{"decide"}},
			{Name: "look", Audience: "ringfence", Claims: map[string]string{"repository": "acme/shop"}, Role: "viewer"},
		}}
}

func ann(groups ...any) access.Claims {
	return access.Claims{Issuer: "https://login.example.com", Subject: "1", Authenticated: time.Now(), Expires: time.Now().Add(time.Minute),
		All: map[string]any{"email": "ann@example.com", "email_verified": true, "groups": groups}}
}

func TestAPersonOfAnIdentityProvider(t *testing.T) {
	ctx, clock := t.Context(), time.Now()
	tokens := access.Tokens{Store: open(t), Clock: func() time.Time { return clock }}
	said := &vouch{claims: ann("dev")}
	who := access.Identity{Tokens: tokens, Providers: shelf{company()}, Issuers: said}
	finish := func() (string, access.Token, error) {
		return who.Finish(ctx, "company", "https://here/back", "code", "192.0.2.1", access.Attempt{}, clock)
	}
	secret, made, err := finish()
	if err != nil || made.Role != policy.Operator || made.Expires.Sub(clock) != 8*time.Hour {
		t.Fatal(made, err)
	}
	p, err := tokens.SignIn(ctx, secret)
	if err != nil || p.Name != "ann@example.com" || p.Via != policy.OIDC || len(p.Groups) != 1 || p.Actor() != "user:ann@example.com" {
		t.Fatal(p, err)
	}
	if _, _, err := finish(); err != nil {
		t.Errorf("a second session of the same person: %v", err)
	}
	// Who is called so at the same issuer later on is somebody else, and so is one of another issuer.
	for _, other := range []func(*access.Claims){func(c *access.Claims) { c.Subject = "2" }, func(c *access.Claims) { c.Issuer = "https://evil.example.com" }} {
		said.claims = ann("dev")
		other(&said.claims)
		if _, _, err := finish(); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "belongs to somebody else") {
			t.Errorf("took the name of ann: %v", err)
		}
	}
	// Her sessions end by one command, or by their time.
	if gone, err := who.End(ctx, "user:admin", "ann@example.com", clock); err != nil || len(gone) != 2 {
		t.Error(gone, err)
	}
	if _, err := tokens.SignIn(ctx, secret); !errs.Is(err, errs.Denied) {
		t.Errorf("her session was ended, and signs in: %v", err)
	}
	said.claims = ann("dev")
	if secret, _, err = finish(); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(8*time.Hour - time.Second)
	if _, err := tokens.SignIn(ctx, secret); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	lent, of, err := who.Lend(ctx, secret, "192.0.2.1", clock)
	if err != nil || of.Expires.Sub(clock) > time.Second {
		t.Errorf("lent until %s, its session ends sooner: %v", of.Expires, err)
	}
	clock = clock.Add(time.Second)
	for _, over := range []string{secret, lent} {
		if _, err := tokens.SignIn(ctx, over); !errs.Is(err, errs.Denied) {
			t.Errorf("at its end: %v", err)
		}
	}
	if err := who.Forget(ctx, "user:admin", "ann@example.com", clock); err != nil {
		t.Fatal(err)
	}
	said.claims.Subject = "2"
	if _, _, err := finish(); err != nil {
		t.Errorf("the name is free: %v", err)
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*resource.People, map[string]any)
		why    string
	}{
		"no group":           {func(_ *resource.People, all map[string]any) { all["groups"] = []any{"sales"} }, "no group that has a role"},
		"groups of nothing":  {func(_ *resource.People, all map[string]any) { delete(all, "groups") }, "no group that has a role"},
		"a group's prefix":   {func(_ *resource.People, all map[string]any) { all["groups"] = []any{"sre-guests", "SRE"} }, "no group that has a role"},
		"address unverified": {func(_ *resource.People, all map[string]any) { all["email_verified"] = false }, "not verified the address"},
		"address untold":     {func(_ *resource.People, all map[string]any) { delete(all, "email_verified") }, "not verified the address"},
		"no name":            {func(_ *resource.People, all map[string]any) { delete(all, "email") }, "for the claim email"},
		"a name of lines":    {func(_ *resource.People, all map[string]any) { all["email"] = "ann\nadmin" }, "for the claim email"},
		"a name of a system": {func(_ *resource.People, all map[string]any) { all["email"] = "system:controller" }, "for the claim email"},
		"one factor":         {func(p *resource.People, all map[string]any) { p.DemandStrong, all["amr"] = true, []any{"pwd"} }, "one factor only"},
	} {
		p, claims := *company().Defaults().People, ann("sre")
		c.change(&p, claims.All)
		if who, err := access.Person(p, claims); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %+v, %v", what, who, err)
		}
	}
}

func jwt(n int) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"iss":"https://login.example.com","n":%d}`, n))) + ".x"
}

func TestAProgramOfAnIdentityProvider(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	tokens := access.Tokens{Store: open(t)}
	said := &vouch{}
	who := access.Identity{Tokens: tokens, Providers: shelf{company()}, Issuers: said}
	exchange := func(n int, program string, claims map[string]any) (access.Token, error) {
		said.claims = access.Claims{Issuer: "https://login.example.com", Subject: "job", Authenticated: now, Expires: now.Add(time.Minute), All: claims}
		_, made, err := who.Exchange(ctx, jwt(n), program, "192.0.2.1", now)
		return made, err
	}
	tag := map[string]any{"aud": "ringfence", "repository": "acme/shop", "ref": "refs/tags/v1"}
	made, err := exchange(1, "", tag)
	if err != nil || made.Name != "deploy" || made.Role != policy.Operator || len(made.Only) != 1 || made.Expires.Sub(now) != 15*time.Minute {
		t.Fatal(made, err)
	}
	if _, err := exchange(1, "", tag); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "exchanged before") {
		t.Errorf("a token exchanged twice: %v", err)
	}
	if made, err := exchange(2, "look", tag); err != nil || made.Role != policy.Viewer {
		t.Errorf("asked for the program look: %+v, %v", made, err)
	}
	if made, err := exchange(3, "", map[string]any{"aud": "ringfence", "repository": "acme/shop", "ref": "refs/heads/try"}); err != nil || made.Name != "look" {
		t.Errorf("a job of a branch: %+v, %v", made, err)
	}
	for n, claims := range []map[string]any{
		{"aud": "ringfence", "repository": "acme/shop-evil", "ref": "refs/tags/v1"},
		{"aud": "ringfence", "ref": "refs/tags/v1"},
		{"aud": "other", "repository": "acme/shop", "ref": "refs/tags/v1"},
		{"aud": "ringfence", "repository": ""},
	} {
		if made, err := exchange(10+n, "", claims); !errs.Is(err, errs.Denied) {
			t.Errorf("%v: %+v, %v", claims, made, err)
		}
	}
	for _, token := range []string{"", "x", "a.b", "a.b.c.d", "e30.e30.x", strings.Repeat("x", 20_000)} {
		if _, _, err := who.Exchange(ctx, token, "", "", now); !errs.Is(err, errs.Denied) {
			t.Errorf("%.20q: %v", token, err)
		}
	}
}
