package ofrep

import (
	"crypto/ed25519"
	"github.com/ringfence/ringfence/internal/flaggate"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var (
	secret           = []byte("0123456789abcdef0123456789abcdef")
	public, private  = pair("a seed of thirty-two bytes, here")
	_, stranger      = pair("another seed of thirty-two bytes")
	noon             = time.Unix(1_800_000_000, 0)
	inAnHour, before = jwt.NewNumericDate(noon.Add(time.Hour)), jwt.NewNumericDate(noon.Add(-time.Hour))
)

func pair(seed string) (ed25519.PublicKey, ed25519.PrivateKey) {
	k := ed25519.NewKeyFromSeed([]byte(seed))
	return k.Public().(ed25519.PublicKey), k
}

func signed(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string, claims jwt.Claims) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSignedUser(t *testing.T) {
	users := flaggate.Tokens{Audience: "flags", Now: func() time.Time { return noon },
		Keys: map[string][]flaggate.UserKey{"app": {{ID: "h", Secret: secret}, {ID: "e", Public: public}}, "web": {{Secret: []byte("another secret, not of this client")}}}}
	h := New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Keys: clients, Users: users}})
	claims := jwt.Claims{Subject: "alice", Expiry: inAnHour, Audience: jwt.Audience{"flags"}}
	with := func(change func(*jwt.Claims)) jwt.Claims {
		c := claims
		change(&c)
		return c
	}
	good := signed(t, jose.HS256, secret, "h", claims)
	header, rest, _ := strings.Cut(good, ".")
	for _, c := range []struct {
		name, token, key string
		status           int
		has              string
	}{
		{"HS256", good, "alice", 200, `"variant":"alice"`},
		{"EdDSA", signed(t, jose.EdDSA, private, "e", claims), "alice", 200, `"variant":"alice"`},
		{"the key is the token's", good, "", 200, `"variant":"alice"`},
		{"another user's", good, "bob", 403, "another user's"},
		{"none", "", "alice", 401, "has to be proved"},
		{"no token", "x.y.z", "alice", 403, "does not prove"},
		{"unsigned", "eyJhbGciOiJub25lIn0." + strings.Split(rest, ".")[0] + ".", "alice", 403, "does not prove"},
		{"tampered", header + "." + strings.Split(rest, ".")[0] + "A." + strings.Split(rest, ".")[1], "alice", 403, "does not prove"},
		{"a stranger's", signed(t, jose.EdDSA, stranger, "e", claims), "alice", 403, "does not prove"},
		{"public key as secret", signed(t, jose.HS256, []byte(public), "e", claims), "alice", 403, "does not prove"},
		{"another kid", signed(t, jose.HS256, secret, "x", claims), "alice", 403, "does not prove"},
		{"another algorithm", signed(t, jose.HS512, append(secret, secret...), "h", claims), "alice", 403, "does not prove"},
		{"expired", signed(t, jose.HS256, secret, "h", with(func(c *jwt.Claims) { c.Expiry = before })), "alice", 403, "does not prove"},
		{"endless", signed(t, jose.HS256, secret, "h", with(func(c *jwt.Claims) { c.Expiry = nil })), "alice", 403, "does not prove"},
		{"for years", signed(t, jose.HS256, secret, "h", with(func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(noon.Add(1000 * time.Hour)) })), "alice", 403, "does not prove"},
		{"for others", signed(t, jose.HS256, secret, "h", with(func(c *jwt.Claims) { c.Audience = jwt.Audience{"shop"} })), "alice", 403, "does not prove"},
		{"of nobody", signed(t, jose.HS256, secret, "h", with(func(c *jwt.Claims) { c.Subject = "" })), "", 403, "does not prove"},
		{"too long", good + strings.Repeat("x", 9000), "alice", 403, "does not prove"},
	} {
		t.Run(c.name, func(t *testing.T) {
			context := `{"context":{"targetingKey":"` + c.key + `"}}`
			w := ask(h, "/ofrep/v1/evaluate/flags/who", context, "X-API-Key", "signed", "X-User-Token", c.token)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	body := `{"context":{"targetingKey":"alice","targetingToken":"` + good + `"}}`
	if w := ask(h, "/ofrep/v1/evaluate/flags/who", body, "X-API-Key", "signed"); w.Code != 200 || !strings.Contains(w.Body.String(), `"alice"`) {
		t.Errorf("in the context: %d %s", w.Code, w.Body)
	}
	if w := ask(New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Keys: clients}}), "/ofrep/v1/evaluate/flags/who", body, "X-API-Key", "signed"); w.Code != 403 {
		t.Errorf("without a port: %d %s", w.Code, w.Body)
	}
	if w := ask(New(Options{Gate: &flaggate.Gate{Source: newFeed(t, shop), Keys: clients, Users: nobody{}}}), "/ofrep/v1/evaluate/flags/who", body, "X-API-Key", "signed"); w.Code != 403 {
		t.Errorf("nobody's token: %d %s", w.Code, w.Body)
	}
}
