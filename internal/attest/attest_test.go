package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/testing/data"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/supply"
)

// pair is a new key in PEM, private and public.
func pair(t testing.TB, key crypto.Signer) (private, public string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
}

func p256(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" // of "test"

func statement(digest, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"shop","digest":{"sha256":%q}}],"predicateType":%q,"predicate":{"a":1}}`,
		strings.TrimPrefix(digest, "sha256:"), predicate)
}

func signed(t testing.TB, statement []byte, private string) []byte {
	t.Helper()
	b, err := Sign(statement, private)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeysOfEachKindVouch(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ecdsa": p256(t), "ed25519": ed, "rsa": r} {
		private, public := pair(t, key)
		b := signed(t, statement(digest, "https://example.org/tests/v1"), private)
		for _, subject := range []supply.Subject{{Digest: digest}, {Content: strings.NewReader("test")}} {
			v, err := Verify(b, subject, supply.Signer{Name: "ci", Key: public})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if v.Type != "https://example.org/tests/v1" || v.Key != Fingerprint(public) || v.Signer != "ci" || !bytes.Equal(v.Statement, statement(digest, v.Type)) {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	private, public := pair(t, p256(t))
	_, other := pair(t, p256(t))
	good := signed(t, statement(digest, "https://example.org/t"), private)
	change := func(f func(m map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		f(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	envelope := func(m map[string]any) map[string]any { return m["dsseEnvelope"].(map[string]any) }
	forged := signed(t, statement(digest, "https://example.org/other"), private)
	for name, c := range map[string]struct {
		bundle  []byte
		subject string
		signer  supply.Signer
		kind    errs.Kind
	}{
		"another artifact":         {good, strings.Replace(digest, "9f", "9e", 1), supply.Signer{Key: public}, errs.Denied},
		"another key":              {good, digest, supply.Signer{Key: other}, errs.Denied},
		"an identity is asked for": {good, digest, supply.Signer{Identity: "a@b.example", Issuer: "https://i.example"}, errs.Denied},
		"no identity":              {good, digest, supply.Signer{}, errs.Invalid},
		"no issuer":                {good, digest, supply.Signer{Identity: "a@b.example"}, errs.Invalid},
		"the key has expired":      {good, digest, supply.Signer{Key: public, Until: time.Now().Add(-time.Hour)}, errs.Denied},
		"the key is not valid yet": {good, digest, supply.Signer{Key: public, From: time.Now().Add(time.Hour)}, errs.Denied},
		"a log is asked for":       {good, digest, supply.Signer{Key: public, Log: true}, errs.Denied},
		"payload exchanged": {change(func(m map[string]any) {
			var f map[string]any
			if err := json.Unmarshal(forged, &f); err != nil {
				t.Fatal(err)
			}
			envelope(m)["payload"] = envelope(f)["payload"]
		}), digest, supply.Signer{Key: public}, errs.Denied},
		"payload of another type": {change(func(m map[string]any) { envelope(m)["payloadType"] = "text/plain" }), digest, supply.Signer{Key: public}, errs.Denied},
		"no signature":            {change(func(m map[string]any) { envelope(m)["signatures"] = []any{} }), digest, supply.Signer{Key: public}, errs.Denied},
		"two signatures": {change(func(m map[string]any) {
			s := envelope(m)["signatures"].([]any)
			envelope(m)["signatures"] = []any{s[0], s[0]}
		}), digest, supply.Signer{Key: public}, errs.Denied},
		"no predicate type":   {signed(t, statement(digest, ""), private), digest, supply.Signer{Key: public}, errs.Denied},
		"no bundle":           {[]byte("{}"), digest, supply.Signer{Key: public}, errs.Invalid},
		"too large":           {make([]byte, MaxBundle+1), digest, supply.Signer{Key: public}, errs.Invalid},
		"no digest":           {good, "sha256:12", supply.Signer{Key: public}, errs.Invalid},
		"a root that is none": {good, digest, supply.Signer{Key: public, Root: "{"}, errs.Invalid},
	} {
		if _, err := Verify(c.bundle, supply.Subject{Digest: c.subject}, c.signer); err == nil || errs.KindOf(err) != c.kind {
			t.Errorf("%s: %v, expected %s", name, err, c.kind)
		}
	}
}

// A key's validity is held against the attested time of the signature, not against the clock.
func TestAttestedTimeCounts(t *testing.T) {
	b, err := data.Bundle(t, "public-key-validity.sigstore.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := data.TrustedRoot(t, "public-key-validity.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(data.PublicKey(t, "public-key-validity.pem"))
	if err != nil {
		t.Fatal(err)
	}
	signer := supply.Signer{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), Root: string(trusted)}
	try := func(s supply.Signer) (supply.Verified, error) {
		return Verify(b, supply.Subject{Content: strings.NewReader("test content")}, s)
	}
	v, err := try(signer)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Times) == 0 || v.Times[0].Source != "TimestampAuthority" || v.Statement != nil {
		t.Fatalf("%+v", v)
	}
	at := v.Times[0].At
	signer.From, signer.Until = at.Add(-time.Hour), at.Add(time.Hour)
	if _, err := try(signer); err != nil {
		t.Error("valid when it signed:", err)
	}
	signer.From, signer.Until = at.Add(time.Hour), time.Time{}
	if _, err := try(signer); !errs.Is(err, errs.Denied) {
		t.Error("signed before the key was valid:", err)
	}
	signer.From, signer.Root = time.Time{}, ""
	if _, err := try(signer); !errs.Is(err, errs.Denied) {
		t.Error("a time by an authority that is not trusted:", err)
	}
}

// A bundle of a public project, by GitHub's identity, against the root that is shipped.
func TestPublicIdentity(t *testing.T) {
	b, err := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	subject := supply.Subject{Digest: "sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"}
	good := supply.Signer{Identity: "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main", Issuer: "https://token.actions.githubusercontent.com"}
	v, err := Verify(b, subject, good)
	if err != nil {
		t.Fatal(err)
	}
	if v.Type != "https://slsa.dev/provenance/v1" || !v.Logged || v.Identity != good.Identity || v.Source != "https://github.com/sigstore/sigstore-js" || v.Commit == "" {
		t.Errorf("%+v", v)
	}
	pattern := supply.Signer{IdentityPattern: `https://github\.com/sigstore/sigstore-js/.*`, IssuerPattern: `https://token\.actions\.githubusercontent\.com`}
	if _, err := Verify(b, subject, pattern); err != nil {
		t.Error("by pattern:", err)
	}
	for name, s := range map[string]supply.Signer{
		"another identity": {Identity: good.Identity + "x", Issuer: good.Issuer},
		"another issuer":   {Identity: good.Identity, Issuer: "https://accounts.google.com"},
		"part of a name":   {IdentityPattern: `sigstore-js`, Issuer: good.Issuer},
	} {
		if _, err := Verify(b, subject, s); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, key := pair(t, p256(t))
	if _, err := Verify(b, subject, supply.Signer{Key: key}); !errs.Is(err, errs.Denied) {
		t.Error("a key is asked for:", err)
	}
}

func FuzzBundle(f *testing.F) {
	private, public := pair(f, p256(f))
	good := signed(f, statement(digest, "https://example.org/t"), private)
	f.Add(good)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"messageSignature":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := Verify(raw, supply.Subject{Digest: digest}, supply.Signer{Key: public})
		if err == nil && !bytes.Equal(v.Statement, statement(digest, "https://example.org/t")) {
			t.Fatalf("verified what nobody signed: %s", v.Statement)
		}
	})
}
