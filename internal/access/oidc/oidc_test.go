package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/access/oidc"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/issuer"
	"github.com/ringfence/ringfence/internal/resource"
)

const back = "http://127.0.0.1/sign-in/local/back"

// start runs an issuer and says how it is declared.
func start(t *testing.T) (*issuer.Issuer, resource.IdentityProvider) {
	t.Helper()
	var at *issuer.Issuer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { at.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	var err error
	at, err = issuer.New(server.URL, issuer.Config{
		People:   []issuer.Person{{Email: "ann@example.com", Groups: []string{"sre"}, Strong: true}},
		Clients:  []issuer.Client{{ID: "ringfence", Redirect: back}},
		Programs: []issuer.Program{{Name: "build", Claims: map[string]string{"repository": "acme/shop"}}},
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return at, resource.IdentityProvider{Issuer: server.URL, People: &resource.People{ClientID: "ringfence", Roles: []resource.RoleRule{{Group: "sre", Role: "admin"}}}}.Defaults()
}

// visit does as a browser: it goes to the issuer, says who it is, and returns with a code.
func visit(t *testing.T, a access.Attempt) url.Values {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(a.URL, url.Values{"person": {"0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatal(res.Status, err)
	}
	return to.Query()
}

func TestSignInByCode(t *testing.T) {
	_, p := start(t)
	issuers := &oidc.Issuers{}
	a, err := issuers.Begin(t.Context(), p, back)
	if err != nil {
		t.Fatal(err)
	}
	got := visit(t, a)
	if got.Get("state") != a.State {
		t.Fatalf("state %q, expected %q", got.Get("state"), a.State)
	}
	claims, err := issuers.Redeem(t.Context(), p, back, got.Get("code"), a)
	if err != nil {
		t.Fatal(err)
	}
	who, err := access.Person(*p.People, claims)
	if err != nil || who.Name != "ann@example.com" || who.Role != "admin" || !who.Strong || who.Via != "oidc" || len(who.Groups) != 1 || time.Since(who.Authenticated) > time.Minute {
		t.Fatalf("%+v, %v", who, err)
	}
	if _, err := issuers.Redeem(t.Context(), p, back, got.Get("code"), a); !errs.Is(err, errs.Denied) {
		t.Errorf("a code was good twice: %v", err)
	}
	for what, spoil := range map[string]func(*access.Attempt){
		"another verifier": func(a *access.Attempt) { a.Verifier = strings.Repeat("x", 43) },
		"another nonce":    func(a *access.Attempt) { a.Nonce = "other" },
	} {
		a, err := issuers.Begin(t.Context(), p, back)
		if err != nil {
			t.Fatal(err)
		}
		code := visit(t, a).Get("code")
		spoil(&a)
		if _, err := issuers.Redeem(t.Context(), p, back, code, a); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// forge makes a token by hand.
func forge(header, claims map[string]any, sign func(input string) []byte) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

// publicKey is the issuer's, as anybody can have it.
func publicKey(t *testing.T, at string) *ecdsa.PublicKey {
	t.Helper()
	res, err := http.Get(at + "/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set.Keys[0].Key.(*ecdsa.PublicKey)
}

// refused tries tokens that nobody may get in by, and the genuine one.
func refused(t *testing.T, p resource.IdentityProvider, genuine string, cases map[string]string) {
	t.Helper()
	issuers := &oidc.Issuers{}
	if _, err := issuers.Verify(t.Context(), p, "ringfence", genuine); err != nil {
		t.Fatalf("the genuine one: %v", err)
	}
	for what, token := range cases {
		if claims, err := issuers.Verify(t.Context(), p, "ringfence", token); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %+v, %v", what, claims, err)
		}
	}
}

func claimsOf(p resource.IdentityProvider, now time.Time) map[string]any {
	return map[string]any{"sub": "program:build", "aud": "ringfence", "iss": p.Issuer, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
}

// TestTokensForSomethingElse: signed by the issuer, and yet not for this, not now, or not complete.
func TestTokensForSomethingElse(t *testing.T) {
	at, p := start(t)
	now := time.Now()
	signed := func(change map[string]any) string {
		all := claimsOf(p, now)
		maps.Copy(all, change)
		s, err := at.Sign(all)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	refused(t, p, signed(nil), map[string]string{
		"another issuer":       signed(map[string]any{"iss": "https://evil.example.com"}),
		"issuer with a slash":  signed(map[string]any{"iss": p.Issuer + "/"}),
		"another audience":     signed(map[string]any{"aud": "other"}),
		"audience's beginning": signed(map[string]any{"aud": "ring"}),
		"no audience":          signed(map[string]any{"aud": nil}),
		"over":                 signed(map[string]any{"exp": now.Add(-time.Minute).Unix()}),
		"no end":               signed(map[string]any{"exp": nil}),
		"end in words":         signed(map[string]any{"exp": "never"}),
		"not yet":              signed(map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"a little too early":   signed(map[string]any{"nbf": now.Add(3 * time.Minute).Unix()}),
		"from the future":      signed(map[string]any{"iat": now.Add(time.Hour).Unix()}),
		"no beginning":         signed(map[string]any{"iat": nil}),
		"nobody":               signed(map[string]any{"sub": ""}),
	})
}

// TestForgedTokens: the known ways to have a token believed that the issuer did not make for this.
func TestForgedTokens(t *testing.T) {
	at, p := start(t)
	good := claimsOf(p, time.Now())
	public := publicKey(t, p.Issuer)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key []byte) func(string) []byte {
		return func(in string) []byte { m := hmac.New(sha256.New, key); m.Write([]byte(in)); return m.Sum(nil) }
	}
	byOther := func(in string) []byte {
		sum := sha256.Sum256([]byte(in))
		r, s, err := ecdsa.Sign(rand.Reader, other, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	none := func(string) []byte { return nil }
	its, err := other.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(its[1:33]), base64.RawURLEncoding.EncodeToString(its[33:])
	genuine, err := at.Sign(good)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(genuine, ".")
	evil := maps.Clone(good)
	evil["sub"] = "program:other"
	changed, _ := json.Marshal(evil)
	cases := map[string]string{
		"alg none":              forge(map[string]any{"alg": "none"}, good, none),
		"alg None":              forge(map[string]any{"alg": "None"}, good, none),
		"alg nOnE":              forge(map[string]any{"alg": "nOnE", "kid": "1"}, good, none),
		"no alg":                forge(map[string]any{"kid": "1"}, good, none),
		"HS256 by public point": forge(map[string]any{"alg": "HS256", "kid": "1"}, good, mac(point)),
		"HS256 by public DER":   forge(map[string]any{"alg": "HS256", "kid": "1"}, good, mac(der)),
		"HS256 by nothing":      forge(map[string]any{"alg": "HS256", "kid": "1"}, good, mac(nil)),
		"another key":           forge(map[string]any{"alg": "ES256", "kid": "1"}, good, byOther),
		"another key, no kid":   forge(map[string]any{"alg": "ES256"}, good, byOther),
		"kid unknown":           forge(map[string]any{"alg": "ES256", "kid": "2"}, good, byOther),
		"kid a path":            forge(map[string]any{"alg": "HS256", "kid": "../../../../dev/null"}, good, mac(nil)),
		"kid an injection":      forge(map[string]any{"alg": "HS256", "kid": "x' UNION SELECT 'k'--"}, good, mac([]byte("k"))),
		"own key in jwk":        forge(map[string]any{"alg": "ES256", "jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}}, good, byOther),
		"own key by jku":        forge(map[string]any{"alg": "ES256", "kid": "1", "jku": "http://127.0.0.1:1/keys"}, good, byOther),
		"own key by x5u":        forge(map[string]any{"alg": "ES256", "kid": "1", "x5u": "http://127.0.0.1:1/key"}, good, byOther),
		"zero signature":        forge(map[string]any{"alg": "ES256", "kid": "1"}, good, func(string) []byte { return make([]byte, 64) }),
		"empty signature":       parts[0] + "." + parts[1] + ".",
		"no signature":          parts[0] + "." + parts[1],
		"claims changed":        parts[0] + "." + base64.RawURLEncoding.EncodeToString(changed) + "." + parts[2],
		"a part more":           genuine + ".x",
		"unknown crit":          forge(map[string]any{"alg": "ES256", "kid": "1", "crit": []string{"x"}, "x": 1}, good, byOther),
		"RS256 for an EC key":   forge(map[string]any{"alg": "RS256", "kid": "1"}, good, byOther),
		"empty":                 "",
		"dots":                  "..",
		"JSON of two":           `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"},{"protected":"` + parts[0] + `","signature":"AA"}]}`,
	}
	refused(t, p, genuine, cases)
}

// TestAnIssuerThatMisbehaves: one that is not there, answers endlessly, redirects, or says it is another one, lets nobody in.
func TestAnIssuerThatMisbehaves(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer elsewhere.Close()
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"issuer":"https://login.example.com","authorization_endpoint":"https://login.example.com/a","token_endpoint":"https://login.example.com/t","jwks_uri":"https://login.example.com/k"}`))
	}))
	defer liar.Close()
	for what, at := range map[string]string{"not there": "http://127.0.0.1:1", "endless": endless.URL, "redirects": elsewhere.URL, "liar": liar.URL} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := (&oidc.Issuers{}).Verify(ctx, resource.IdentityProvider{Issuer: at}, "ringfence", "a.b.c")
		cancel()
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
