package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ringfence/ringfence/internal/errs"
)

// Config is whom the issuer knows.
type Config struct {
	People   []Person  `json:"people"`
	Clients  []Client  `json:"clients"`
	Programs []Program `json:"programs"`
}

// Person is somebody who can sign in.
type Person struct {
	Email  string   `json:"email"`
	Groups []string `json:"groups"`
	Strong bool     `json:"strong"` // signs in by a second factor
}

// Client is who asks for people's sign-in.
type Client struct {
	ID       string `json:"id"`
	Redirect string `json:"redirect"`
}

// Program gets tokens with these claims.
type Program struct {
	Name   string            `json:"name"`
	Claims map[string]string `json:"claims"`
}

const (
	codeLife  = time.Minute
	tokenLife = 5 * time.Minute
	most      = 1000 // codes that wait
)

// Issuer answers as an issuer does.
type Issuer struct {
	url string
	c   Config
	mux *http.ServeMux
	key *ecdsa.PrivateKey
	now func() time.Time

	mu    sync.Mutex
	codes map[string]code
}

// code stands for somebody who has signed in.
type code struct {
	client, redirect, nonce, challenge string
	who                                Person
	until                              time.Time
}

// New makes an issuer that is reached at a URL.
func New(at string, c Config, now func() time.Time) (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	i := &Issuer{url: at, c: c, mux: http.NewServeMux(), key: key, now: now, codes: map[string]code{}}
	i.mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	i.mux.HandleFunc("GET /keys", i.keys)
	i.mux.HandleFunc("GET /authorize", i.choose)
	i.mux.HandleFunc("POST /authorize", i.chosen)
	i.mux.HandleFunc("POST /token", i.redeem)
	i.mux.HandleFunc("GET /programs/{program}/token", i.program)
	return i, nil
}

// ServeHTTP answers one request.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	i.mux.ServeHTTP(w, r)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, what string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": what})
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
		"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
}

var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Who are you?</title>
<style>body{font:16px system-ui;max-width:26rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}button{display:block;width:100%;font:inherit;padding:.7rem;margin:.5rem 0;cursor:pointer}</style>
<h1>Who are you?</h1><p>An issuer for trying things out: nobody is asked for a password.</p>
<form method="post">{{range $n, $p := .}}<button name="person" value="{{$n}}">{{$p.Email}}{{range $p.Groups}} · {{.}}{{end}}</button>{{end}}</form></html>`))

// asked is what a client wants, with its redirect checked against what is declared.
func (i *Issuer) asked(q url.Values) (code, bool) {
	for _, c := range i.c.Clients {
		if q.Get("client_id") == c.ID && q.Get("redirect_uri") == c.Redirect && q.Get("response_type") == "code" && q.Get("code_challenge_method") == "S256" && len(q.Get("code_challenge")) == 43 {
			return code{client: c.ID, redirect: c.Redirect, nonce: q.Get("nonce"), challenge: q.Get("code_challenge")}, true
		}
	}
	return code{}, false
}

func (i *Issuer) choose(w http.ResponseWriter, r *http.Request) {
	if _, ok := i.asked(r.URL.Query()); !ok {
		refuse(w, "unauthorized_client")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, i.c.People)
}

func (i *Issuer) chosen(w http.ResponseWriter, r *http.Request) {
	want, ok := i.asked(r.URL.Query())
	var n int
	if !ok || json.Unmarshal([]byte(r.PostFormValue("person")), &n) != nil || n < 0 || n >= len(i.c.People) {
		refuse(w, "invalid_request")
		return
	}
	want.who, want.until = i.c.People[n], i.now().Add(codeLife)
	id := random()
	i.mu.Lock()
	maps.DeleteFunc(i.codes, func(_ string, c code) bool { return i.now().After(c.until) })
	full := len(i.codes) >= most
	if !full {
		i.codes[id] = want
	}
	i.mu.Unlock()
	if full {
		refuse(w, "temporarily_unavailable")
		return
	}
	q := url.Values{"code": {id}, "state": {r.URL.Query().Get("state")}}
	http.Redirect(w, r, want.redirect+"?"+q.Encode(), http.StatusSeeOther)
}

func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// redeem gives a token for a code, once.
func (i *Issuer) redeem(w http.ResponseWriter, r *http.Request) {
	id := r.PostFormValue("code")
	i.mu.Lock()
	c, ok := i.codes[id]
	delete(i.codes, id)
	i.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	proved := subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(c.challenge)) == 1
	client := r.PostFormValue("client_id")
	if name, _, given := r.BasicAuth(); given {
		client = name
	}
	if !ok || !proved || i.now().After(c.until) || r.PostFormValue("redirect_uri") != c.redirect || client != c.client || r.PostFormValue("grant_type") != "authorization_code" {
		refuse(w, "invalid_grant")
		return
	}
	amr := []string{"pwd"}
	if c.who.Strong {
		amr = append(amr, "mfa")
	}
	now := i.now().Unix()
	token, err := i.Sign(map[string]any{"sub": c.who.Email, "aud": c.client, "nonce": c.nonce, "email": c.who.Email, "email_verified": true, "groups": c.who.Groups, "amr": amr, "auth_time": now})
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": random(), "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "id_token": token})
}

func (i *Issuer) program(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(i.c.Programs, func(p Program) bool { return p.Name == r.PathValue("program") })
	if at < 0 || r.URL.Query().Get("audience") == "" {
		refuse(w, "invalid_request")
		return
	}
	claims := map[string]any{"sub": "program:" + i.c.Programs[at].Name, "aud": r.URL.Query().Get("audience"), "jti": random()}
	for k, v := range i.c.Programs[at].Claims {
		claims[k] = v
	}
	token, err := i.Sign(claims)
	if err != nil {
		refuse(w, "server_error")
		return
	}
	answer(w, http.StatusOK, map[string]string{"value": token})
}

// Sign makes a token with claims; who made it and its times are set where the claims do not say.
func (i *Issuer) Sign(claims map[string]any) (string, error) {
	all := map[string]any{"iss": i.url, "iat": i.now().Unix(), "exp": i.now().Add(tokenLife).Unix()}
	maps.Copy(all, claims)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", errs.Wrap(errs.Internal, err, "cannot sign")
	}
	body, err := json.Marshal(all)
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, "claims")
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", errs.Wrap(errs.Internal, err, "cannot sign")
	}
	return signed.CompactSerialize()
}

// Check says what is wrong with a configuration.
func (c Config) Check() error {
	for n, p := range c.People {
		if p.Email == "" {
			return errs.E(errs.Invalid, "people[%d]: expected an email", n)
		}
	}
	for n, k := range c.Clients {
		if u, err := url.Parse(k.Redirect); k.ID == "" || err != nil || u.Host == "" {
			return errs.E(errs.Invalid, "clients[%d]: expected an id, and the redirect address as Ringfence has it", n)
		}
	}
	for n, p := range c.Programs {
		if p.Name == "" {
			return errs.E(errs.Invalid, "programs[%d]: expected a name", n)
		}
	}
	return nil
}
