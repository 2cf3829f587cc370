package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/ringfence/ringfence/internal/errs"
)

// envelope, material and the bundle around them are Sigstore's format 0.3, as far as a key's signature needs it.
type (
	envelopeJSON struct {
		Payload     []byte          `json:"payload"`
		PayloadType string          `json:"payloadType"`
		Signatures  []signatureJSON `json:"signatures"`
	}
	signatureJSON struct {
		Sig []byte `json:"sig"`
	}
	bundleJSON struct {
		MediaType string       `json:"mediaType"`
		Material  materialJSON `json:"verificationMaterial"`
		Envelope  envelopeJSON `json:"dsseEnvelope"`
	}
	materialJSON struct {
		PublicKey struct {
			Hint string `json:"hint"`
		} `json:"publicKey"`
	}
)

// Sign makes a bundle that holds an in-toto statement, signed by a private key in PEM: ECDSA on P-256, Ed25519 or RSA.
func Sign(statement []byte, key string) ([]byte, error) {
	signer, err := privateKey(key)
	if err != nil {
		return nil, err
	}
	message := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(statementType), statementType, len(statement), statement)
	digest, options := message, crypto.SignerOpts(crypto.Hash(0))
	if _, ok := signer.(ed25519.PrivateKey); !ok {
		sum := sha256.Sum256(message)
		digest, options = sum[:], crypto.SHA256
	}
	sig, err := signer.Sign(rand.Reader, digest, options)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "sign")
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "key")
	}
	b := bundleJSON{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		Envelope: envelopeJSON{Payload: statement, PayloadType: statementType, Signatures: []signatureJSON{{sig}}}}
	b.Material.PublicKey.Hint = fmt.Sprintf("%x", sha256.Sum256(public))
	return json.Marshal(b)
}

// privateKey reads PKCS #8, as openssl genpkey writes it, and SEC 1, as openssl ecparam does.
func privateKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errs.E(errs.Invalid, "key: expected a private key in PEM, as openssl genpkey writes it")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errs.E(errs.Invalid, "key: got %.40q, expected a private key without a password", block.Type)
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, "key: it cannot be read as a private key")
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize != 256 {
			return nil, errs.E(errs.Invalid, "key: its curve is %s, expected P-256", k.Curve.Params().Name)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	}
	return nil, errs.E(errs.Invalid, "key: expected ECDSA on P-256, Ed25519 or RSA")
}
