package attest

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	_ "embed" // the root of Sigstore's public instance
	"encoding/hex"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/supply"
)

// MaxBundle is the largest bundle: one with a list of components within it has some megabytes.
const MaxBundle = 32 << 20

//go:embed trust/public-good.json
var publicGood []byte

const statementType = "application/vnd.in-toto+json"

// Verify checks a bundle for an artifact and a signer. What is refused is errs.Denied, what cannot be read errs.Invalid.
func Verify(raw []byte, subject supply.Subject, signer supply.Signer) (v supply.Verified, err error) {
	defer stumbled(&err)
	if err := signer.Check(); err != nil {
		return v, err
	}
	b, err := readBundle(raw)
	if err != nil {
		return v, err
	}
	material, err := materialOf(signer)
	if err != nil {
		return v, err
	}
	verifier, err := verify.NewVerifier(material, demands(b, signer)...)
	if err != nil {
		return v, errs.Wrap(errs.Internal, err, "verifier")
	}
	policy, err := policyOf(subject, signer)
	if err != nil {
		return v, err
	}
	result, err := verifier.Verify(b, policy)
	if err != nil {
		return v, errs.Wrap(errs.Denied, err, "the bundle does not verify")
	}
	return verified(b, result, signer)
}

// stumbled makes an error of a panic: a library reads what strangers made.
func stumbled(err *error) {
	if p := recover(); p != nil {
		*err = errs.E(errs.Invalid, "the bundle cannot be read: %v", p)
	}
}

func readBundle(raw []byte) (*bundle.Bundle, error) {
	if len(raw) > MaxBundle {
		return nil, errs.E(errs.Invalid, "the bundle has more than %d MiB", MaxBundle>>20)
	}
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "expected a Sigstore bundle in JSON")
	}
	if e := b.GetDsseEnvelope(); e != nil && e.GetPayloadType() != statementType {
		return nil, errs.E(errs.Denied, "the bundle's envelope holds %.80q, expected %s", e.GetPayloadType(), statementType)
	}
	return b, nil
}

// demands are what has to be proven of a bundle. In what an identity signs all of it is; beside a key what is there.
func demands(b *bundle.Bundle, signer supply.Signer) []verify.VerifierOption {
	bare := verify.WithoutStatementPredicate() // it is read within limits of our own
	if signer.Keyless() {
		return []verify.VerifierOption{bare, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	}
	options := []verify.VerifierOption{bare}
	entries := b.VerificationMaterial.GetTlogEntries()
	if len(entries) > 0 || signer.Log {
		options = append(options, verify.WithTransparencyLog(1))
	}
	attested := len(b.VerificationMaterial.GetTimestampVerificationData().GetRfc3161Timestamps()) > 0
	for _, e := range entries {
		attested = attested || e.GetIntegratedTime() != 0
	}
	if attested {
		return append(options, verify.WithObserverTimestamps(1))
	}
	return append(options, verify.WithCurrentTime())
}

func policyOf(subject supply.Subject, signer supply.Signer) (verify.PolicyBuilder, error) {
	artifact := verify.WithArtifact(subject.Content)
	if subject.Content == nil {
		algorithm, sum, err := subject.Sum()
		if err != nil {
			return verify.PolicyBuilder{}, err
		}
		artifact = verify.WithArtifactDigest(algorithm, sum)
	}
	if !signer.Keyless() {
		return verify.NewPolicy(artifact, verify.WithKey()), nil
	}
	identity, err := verify.NewShortCertificateIdentity(signer.Issuer, supply.Whole(signer.IssuerPattern), signer.Identity, supply.Whole(signer.IdentityPattern))
	if err != nil {
		return verify.PolicyBuilder{}, errs.Wrap(errs.Invalid, err, "identity")
	}
	return verify.NewPolicy(artifact, verify.WithCertificateIdentity(identity)), nil
}

// material is what is trusted: a root, and a key in place of whatever key a bundle hints at.
type material struct {
	root.TrustedMaterial
	key root.TimeConstrainedVerifier
}

// PublicKeyVerifier is the key that was asked for, whatever a bundle hints at.
func (m material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	if m.key == nil {
		return nil, errs.E(errs.Denied, "it is signed by a key, expected the certificate of an identity")
	}
	return m.key, nil
}

func materialOf(signer supply.Signer) (material, error) {
	raw := []byte(signer.Root)
	if signer.Root == "" {
		raw = publicGood
	}
	trusted, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return material{}, errs.Wrap(errs.Invalid, err, "expected a trusted root in Sigstore's JSON format")
	}
	if signer.Keyless() {
		return material{TrustedMaterial: trusted}, nil
	}
	key, err := supply.PublicKey(signer.Key)
	if err != nil {
		return material{}, err
	}
	// SHA-256 unless a bundle's format says otherwise, as every client has it.
	check, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return material{}, errs.Wrap(errs.Invalid, err, "key")
	}
	return material{TrustedMaterial: trusted, key: root.NewExpiringKey(check, signer.From, signer.Until)}, nil
}

// verified is what the library found, in our own words.
func verified(b *bundle.Bundle, r *verify.VerificationResult, signer supply.Signer) (supply.Verified, error) {
	v := supply.Verified{Signer: signer.Name, Logged: len(b.VerificationMaterial.GetTlogEntries()) > 0}
	for _, t := range r.VerifiedTimestamps {
		v.Times = append(v.Times, supply.Times{Source: t.Type, At: t.Timestamp.UTC().Truncate(time.Second)})
	}
	if c := r.Signature.Certificate; c != nil {
		v.Identity, v.Issuer = c.SubjectAlternativeName, c.Issuer
		v.Source, v.Commit = c.SourceRepositoryURI, c.SourceRepositoryDigest
	} else {
		v.Key = Fingerprint(signer.Key)
	}
	if e := b.GetDsseEnvelope(); e != nil {
		if r.Statement == nil || r.Statement.GetPredicateType() == "" {
			return v, errs.E(errs.Denied, "the statement has no predicate type")
		}
		v.Type, v.Statement = r.Statement.GetPredicateType(), e.GetPayload()
	}
	return v, nil
}

// Fingerprint names a public key: sha256: of its PKIX form; "" when it is none.
func Fingerprint(pem string) string {
	key, err := supply.PublicKey(pem)
	if err != nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Checker is this package as one value.
type Checker struct{}

// Verify is the function of that name.
func (Checker) Verify(raw []byte, subject supply.Subject, signer supply.Signer) (supply.Verified, error) {
	return Verify(raw, subject, signer)
}

// Claimed is the statement in a bundle, whoever signed it; nil for a signature of the artifact itself.
func (Checker) Claimed(raw []byte) (statement []byte, err error) {
	defer stumbled(&err)
	b, err := readBundle(raw)
	if err != nil {
		return nil, err
	}
	return b.GetDsseEnvelope().GetPayload(), nil
}
