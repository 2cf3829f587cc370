package supply

import (
	"crypto/x509"
	"encoding/pem"
	"regexp"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Signer is one who may vouch for artifacts: the holder of a key, or an identity in a certificate of an issuer.
type Signer struct {
	Name string `json:"name" maxLength:"63" doc:"what it is called in demands and reasons"`

	Key   string    `json:"key,omitempty" maxLength:"10000" doc:"its public key, in PEM; either this or an identity with its issuer"`
	From  time.Time `json:"from,omitzero" doc:"its key counts from then on; default always"`
	Until time.Time `json:"until,omitzero" doc:"its key counts until then, for signatures with a proven time made before; default always"`
	Log   bool      `json:"log,omitempty" doc:"what its key signs has to be in a transparency log as well"`

	Identity        string `json:"identity,omitempty" maxLength:"2000" doc:"the name in its certificate: a workflow's address, a mail address, a URI"`
	IdentityPattern string `json:"identityPattern,omitempty" maxLength:"500" doc:"a regular expression that the whole name matches, in place of identity"`
	Issuer          string `json:"issuer,omitempty" maxLength:"2000" doc:"who attested the identity, such as https://token.actions.githubusercontent.com"`
	IssuerPattern   string `json:"issuerPattern,omitempty" maxLength:"500" doc:"a regular expression that the whole issuer matches, in place of issuer"`

	Root string `json:"root,omitempty" maxLength:"200000" doc:"trusted root in Sigstore's JSON format, for an instance of one's own; default that of Sigstore's public instance"`
}

// Keyless reports whether the signer is an identity rather than a key.
func (s Signer) Keyless() bool { return s.Key == "" }

// strangers are names that no sensible pattern takes: one that does would let anybody vouch.
var strangers = []string{"", "x", "nobody@stranger.invalid", "https://stranger.invalid/some/where@refs/heads/main"}

// Check says what is wrong with a signer, naming the field below it.
func (s Signer) Check() error {
	if !s.Keyless() {
		return s.checkKey()
	}
	if !s.From.IsZero() || !s.Until.IsZero() || s.Log {
		return errs.E(errs.Invalid, "from, until, log: expected them beside a key; certificates have their own times and are always logged")
	}
	if err := either("identity", s.Identity, "identityPattern", s.IdentityPattern); err != nil {
		return err
	}
	return either("issuer", s.Issuer, "issuerPattern", s.IssuerPattern)
}

func (s Signer) checkKey() error {
	if s.Identity+s.IdentityPattern+s.Issuer+s.IssuerPattern != "" {
		return errs.E(errs.Invalid, "key: expected either a key or an identity with its issuer, got both")
	}
	if !s.Until.IsZero() && !s.From.Before(s.Until) {
		return errs.E(errs.Invalid, "until: expected a time after from")
	}
	_, err := PublicKey(s.Key)
	return err
}

// either wants one of a value and a pattern, and of a pattern that it says something.
func either(name, value, patternName, pattern string) error {
	switch {
	case value == "" && pattern == "":
		return errs.E(errs.Invalid, "%s: missing, expected it or %s: without it anybody's signature would do", name, patternName)
	case value != "" && pattern != "":
		return errs.E(errs.Invalid, "%s: expected either it or %s, got both", name, patternName)
	case value != "":
		if strings.TrimSpace(value) != value {
			return errs.E(errs.Invalid, "%s: begins or ends with a blank", name)
		}
		return nil
	}
	re, err := whole(pattern)
	if err != nil {
		return errs.E(errs.Invalid, "%s: %v", patternName, err)
	}
	for _, other := range strangers {
		if re.MatchString(other) {
			return errs.E(errs.Invalid, "%s: %.80q takes any name, also %q: expected one that only yours match", patternName, pattern, other)
		}
	}
	return nil
}

// whole is a pattern that has to match the whole text. It is read alone first: one that closes the group around it would untie the ends.
func whole(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(Whole(pattern))
}

// Whole is a pattern with its ends tied down, as signers mean theirs.
func Whole(pattern string) string {
	if pattern == "" {
		return ""
	}
	return `\A(?:` + pattern + `)\z`
}

// PublicKey reads a public key in PEM.
func PublicKey(text string) (any, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errs.E(errs.Invalid, "key: expected a public key in PEM, which begins with -----BEGIN PUBLIC KEY-----")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errs.E(errs.Invalid, "key: this is a private key, expected the public one").Next("Keep the private key where releases are signed; openssl pkey -in FILE -pubout prints the public one.")
	case strings.TrimSpace(string(rest)) != "":
		return nil, errs.E(errs.Invalid, "key: more follows after the first key, expected one")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errs.E(errs.Invalid, "key: %v, expected a public key in PEM", err)
	}
	return key, nil
}

// Times is when something was signed, and by whose clock.
type Times struct {
	Source string    `json:"source" doc:"Tlog, TimestampAuthority or CurrentTime"`
	At     time.Time `json:"at"`
}

// Verified is a bundle whose signature holds, by one who may vouch, for one artifact.
type Verified struct {
	Signer   string  `json:"signer" doc:"which of the signers"`
	Identity string  `json:"identity,omitempty" doc:"the name in the certificate"`
	Issuer   string  `json:"issuer,omitempty" doc:"who attested it"`
	Key      string  `json:"key,omitempty" doc:"sha256:… of the public key"`
	Source   string  `json:"source,omitempty" doc:"repository, as the certificate has it"`
	Commit   string  `json:"commit,omitempty" doc:"commit, as the certificate has it"`
	Logged   bool    `json:"logged" doc:"it is in a transparency log"`
	Times    []Times `json:"times,omitempty" doc:"when it was signed, as others attest"`
	Type     string  `json:"type,omitempty" doc:"predicate type of the statement; empty for a signature of the artifact itself"`

	Statement []byte `json:"-"` // as it was signed; nil for a signature of the artifact itself
}
