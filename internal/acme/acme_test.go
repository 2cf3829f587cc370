package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// authority is a small RFC 8555 server. It checks challenges as a real one does, by connecting to the host, which for it is at one address.
type authority struct {
	*httptest.Server
	t         *testing.T
	kind      string // of the challenge that it offers
	tlsAddr   string
	plainAddr string
	key       *ecdsa.PrivateKey
	root      *x509.Certificate
	lasts     time.Duration

	mu     sync.Mutex
	orders []*order
}

type order struct {
	host  string
	valid bool
	why   string
	der   []byte
}

func newAuthority(t *testing.T, kind string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, kind: kind, key: key, root: root, lasts: 90 * 24 * time.Hour}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
	var jws struct{ Payload string }
	_ = json.NewDecoder(r.Body).Decode(&jws)
	payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n := 0
	_, _ = fmt.Sscan(rest, &n)
	var o *order
	if n > 0 && n <= len(a.orders) {
		o = a.orders[n-1]
	}
	say := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	switch name {
	case "":
		say(200, map[string]string{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/order"})
	case "nonce":
	case "account":
		w.Header().Set("Location", a.URL+"/account/1")
		say(201, map[string]string{"status": "valid"})
	case "order":
		if o == nil {
			var ask struct{ Identifiers []struct{ Value string } }
			_ = json.Unmarshal(payload, &ask)
			o = &order{host: ask.Identifiers[0].Value}
			a.orders = append(a.orders, o)
			n = len(a.orders)
			w.Header().Set("Location", fmt.Sprint(a.URL, "/order/", n))
			say(201, a.state(o, n))
			return
		}
		say(200, a.state(o, n))
	case "authz":
		say(200, map[string]any{"status": status(o), "identifier": map[string]string{"type": "dns", "value": o.host}, "challenges": []any{a.challenge(o, n)}})
	case "challenge":
		if err := a.check(o, n); err != nil {
			o.why = err.Error()
		} else {
			o.valid = true
		}
		say(200, a.challenge(o, n))
	case "finalize":
		var ask struct{ CSR string }
		_ = json.Unmarshal(payload, &ask)
		a.issue(o, ask.CSR)
		w.Header().Set("Location", fmt.Sprint(a.URL, "/order/", n))
		say(200, a.state(o, n))
	case "certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...))
	}
}

func status(o *order) string {
	switch {
	case o.valid:
		return "valid"
	case o.why != "":
		return "invalid"
	}
	return "pending"
}

func (a *authority) state(o *order, n int) map[string]any {
	s := map[string]any{"status": "pending", "identifiers": []any{map[string]string{"type": "dns", "value": o.host}}, "authorizations": []string{fmt.Sprint(a.URL, "/authz/", n)}, "finalize": fmt.Sprint(a.URL, "/finalize/", n)}
	if o.valid {
		s["status"] = "ready"
	}
	if o.der != nil {
		s["status"], s["certificate"] = "valid", fmt.Sprint(a.URL, "/certificate/", n)
	}
	return s
}

func token(n int) string { return fmt.Sprint("token-", n) }

func (a *authority) challenge(o *order, n int) map[string]any {
	c := map[string]any{"type": a.kind, "url": fmt.Sprint(a.URL, "/challenge/", n), "token": token(n), "status": status(o)}
	if o.why != "" {
		c["error"] = map[string]any{"type": "urn:ietf:params:acme:error:connection", "detail": o.why, "status": 400}
	}
	return c
}

// check is the challenge. Whose key answers is left out of it.
func (a *authority) check(o *order, n int) error {
	if a.kind == "http-01" {
		req, err := http.NewRequest("GET", "http://"+a.plainAddr+"/.well-known/acme-challenge/"+token(n), nil)
		if err != nil {
			return err
		}
		req.Host = o.host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if b, _ := io.ReadAll(res.Body); !bytes.HasPrefix(b, []byte(token(n)+".")) {
			return fmt.Errorf("got %q", b)
		}
		return nil
	}
	c, err := tls.Dial("tcp", a.tlsAddr, &tls.Config{ServerName: o.host, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, e := range c.ConnectionState().PeerCertificates[0].Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && e.Critical {
			return nil
		}
	}
	return fmt.Errorf("the certificate of %s answers no challenge", o.host)
}

func (a *authority) issue(o *order, csr string) {
	der, _ := base64.RawURLEncoding.DecodeString(csr)
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		a.t.Error(err)
		return
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: req.DNSNames, NotBefore: time.Now().Add(a.lasts - 91*24*time.Hour), NotAfter: time.Now().Add(a.lasts)}
	if o.der, err = x509.CreateCertificate(rand.Reader, template, a.root, req.PublicKey, a.key); err != nil {
		a.t.Error(err)
	}
}

func (a *authority) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.orders)
}

// serve serves HTTPS by an issuer, and plain HTTP.
func (a *authority) serve(folder string) *Issuer {
	a.t.Helper()
	i, err := New(Options{Directory: a.URL + "/", Email: "ops@example.com", Folder: folder, Serves: func(h string) bool { return h == "shop.example" || h == "api.example" }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		a.t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", i.Config(tls.VersionTLS12, nil))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { ln.Close() })
	go func() {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	}()
	plain := httptest.NewServer(i.HTTP())
	a.t.Cleanup(plain.Close)
	a.mu.Lock()
	a.tlsAddr, a.plainAddr = ln.Addr().String(), plain.Listener.Addr().String()
	a.mu.Unlock()
	return i
}

func (a *authority) connect(host string) error {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.tlsAddr)
	if err != nil {
		return err
	}
	defer nc.Close()
	return tls.Client(nc, &tls.Config{ServerName: host, RootCAs: pool}).HandshakeContext(ctx)
}

func TestCertificatesAreIssued(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			a := newAuthority(t, kind)
			folder := filepath.Join(t.TempDir(), "acme")
			a.serve(folder)
			for _, host := range []string{"shop.example", "shop.example", "api.example"} {
				if err := a.connect(host); err != nil {
					t.Fatal(err)
				}
			}
			if n := a.asked(); n != 2 {
				t.Errorf("%d certificates were ordered, want 2", n)
			}
			for _, host := range []string{"other.example", "www.shop.example"} {
				if a.connect(host) == nil {
					t.Errorf("a certificate for %s, which is not served", host)
				}
			}
			if n := a.asked(); n != 2 {
				t.Errorf("%d were ordered in the end", n)
			}
			files, err := os.ReadDir(folder)
			if err != nil || len(files) < 3 {
				t.Fatal(files, err)
			}
			for _, f := range files {
				if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
				}
			}
			a.serve(folder) // started again
			if err := a.connect("shop.example"); err != nil || a.asked() != 2 {
				t.Errorf("after a restart: %v, %d orders", err, a.asked())
			}
		})
	}
}

// TestRenewal: a certificate that ends soon is served, and another one ordered meanwhile.
func TestRenewal(t *testing.T) {
	a := newAuthority(t, "tls-alpn-01")
	a.lasts = time.Hour
	a.serve(t.TempDir())
	if err := a.connect("shop.example"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); a.asked() < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it was not renewed")
		}
	}
	if err := a.connect("shop.example"); err != nil {
		t.Error(err)
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, o := range []Options{{Directory: "example.com"}, {Email: "ops"}} {
		if _, err := New(o); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
