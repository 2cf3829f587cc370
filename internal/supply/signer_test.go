package supply

import (
	"strings"
	"testing"
	"time"
)

const publicKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

func TestSigners(t *testing.T) {
	for name, c := range map[string]struct {
		s     Signer
		wrong string // what the error names; empty for none
	}{
		"key":                        {Signer{Key: publicKey}, ""},
		"key with its times":         {Signer{Key: publicKey, From: time.Unix(1, 0), Until: time.Unix(2, 0)}, ""},
		"identity":                   {Signer{Identity: "ci@acme.example", Issuer: "https://id.acme.example"}, ""},
		"patterns":                   {Signer{IdentityPattern: `https://github\.com/acme/.*`, IssuerPattern: `https://id\.acme\.example(/.*)?`}, ""},
		"nothing":                    {Signer{}, "identity"},
		"no issuer":                  {Signer{Identity: "ci@acme.example"}, "issuer"},
		"key and identity":           {Signer{Key: publicKey, Identity: "ci@acme.example"}, "either"},
		"two identities":             {Signer{Identity: "a", IdentityPattern: "b", Issuer: "c"}, "either"},
		"anybody":                    {Signer{IdentityPattern: `.*`, Issuer: "https://id.acme.example"}, "any name"},
		"anybody with an @":          {Signer{IdentityPattern: `.+@.+`, Issuer: "https://id.acme.example"}, "any name"},
		"nobody or anybody":          {Signer{IdentityPattern: `ci|`, Issuer: "https://id.acme.example"}, "any name"},
		"any issuer":                 {Signer{Identity: "ci", IssuerPattern: `https://.*`}, "any name"},
		"no expression":              {Signer{IdentityPattern: `(`, Issuer: "i"}, "identityPattern"},
		"untied ends":                {Signer{IdentityPattern: `ci)|(?:cd`, Issuer: "i"}, "identityPattern"},
		"a blank":                    {Signer{Identity: "ci ", Issuer: "i"}, "blank"},
		"times beside an identity":   {Signer{Identity: "ci", Issuer: "i", Until: time.Unix(1, 0)}, "until"},
		"times the wrong way round":  {Signer{Key: publicKey, From: time.Unix(2, 0), Until: time.Unix(1, 0)}, "until"},
		"no key":                     {Signer{Key: "abc"}, "PEM"},
		"two keys":                   {Signer{Key: publicKey + publicKey}, "one"},
		"a private key":              {Signer{Key: strings.ReplaceAll(publicKey, "PUBLIC", "PRIVATE")}, "private"},
		"something else in the file": {Signer{Key: strings.ReplaceAll(publicKey, "MCow", "MCox")}, "key"},
	} {
		err := c.s.Check()
		switch {
		case c.wrong == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.wrong != "" && err == nil:
			t.Errorf("%s: accepted", name)
		case c.wrong != "" && !strings.Contains(err.Error(), c.wrong):
			t.Errorf("%s: %v, expected it to name %s", name, err, c.wrong)
		}
	}
}

func TestDigests(t *testing.T) {
	for s, is := range map[string]bool{
		"sha256:" + strings.Repeat("ab", 32): true, "sha512:" + strings.Repeat("ab", 64): true, "sha256:" + strings.Repeat("AB", 32): false,
		"sha256:" + strings.Repeat("ab", 31): false, strings.Repeat("ab", 32): false, "md5:" + strings.Repeat("ab", 16): false, "": false, "sha256:": false,
	} {
		if IsDigest(s) != is {
			t.Errorf("%q: %t", s, !is)
		}
	}
}
