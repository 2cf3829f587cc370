package app

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/attest"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/supply"
)

// attestFlags is what artifact attest is called with.
type attestFlags struct{ key, predicate, predicateType, out string }

func attestCommand() *cobra.Command {
	var a attestFlags
	cmd := &cobra.Command{
		Use:   "attest --key FILE --type TYPE --predicate FILE FILE_OR_DIGEST",
		Short: "Vouch for an artifact with a key: a signed statement about it, as a Sigstore bundle",
		Long: `Makes an in-toto statement that has the artifact as its subject and what a JSON file holds as its predicate, signs it with a private key,
and writes a Sigstore bundle, as cosign attest-blob would. The type is that of the predicate: a list of components has https://cyclonedx.org/bom
or https://spdx.dev/Document, provenance https://slsa.dev/provenance/v1, tests https://in-toto.io/attestation/test-result/v0.1. It needs no
control plane and no network; the key is in PEM without a password, from a file that only its owner should be able to read.`,
		Example: `  openssl genpkey -algorithm ed25519 -out ci.key && openssl pkey -in ci.key -pubout -out ci.pub
  ringfence artifact attest --key ci.key --type https://cyclonedx.org/bom --predicate shop.cdx.json --output shop.sbom.sigstore.json ./shop`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&a.key, "key", "", "file with the private key, in PEM")
	f.StringVar(&a.predicateType, "type", "", "type of the predicate, a URI")
	f.StringVar(&a.predicate, "predicate", "", "file with the predicate, in JSON")
	f.StringVarP(&a.out, "output", "o", "-", "file for the bundle; - for standard output")
	for _, name := range []string{"key", "type", "predicate"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func (a attestFlags) run(cmd *cobra.Command, target string) error {
	key, err := readLimited(a.key, 1<<20)
	if err != nil {
		return err
	}
	predicate, err := readLimited(a.predicate, attest.MaxBundle/2)
	if err != nil {
		return err
	}
	if !json.Valid(predicate) {
		return errs.E(errs.Invalid, "%s: expected JSON", a.predicate)
	}
	name, sum, err := nameAndSum(target)
	if err != nil {
		return err
	}
	statement, err := supply.NewStatement(name, sum, a.predicateType, predicate)
	if err != nil {
		return err
	}
	bundle, err := attest.Sign(statement, string(key))
	if err != nil {
		return err
	}
	bundle = append(bundle, '\n')
	if a.out == "-" {
		_, err = cmd.OutOrStdout().Write(bundle)
		return err
	}
	return os.WriteFile(a.out, bundle, 0o644)
}

// nameAndSum are the name of a file and its digest, or the digest that was given as both.
func nameAndSum(target string) (name, digest string, err error) {
	s, done, err := subjectOf(target)
	if err != nil {
		return "", "", err
	}
	defer done()
	if s.Content == nil {
		return s.Digest, s.Digest, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, s.Content); err != nil {
		return "", "", errs.Wrap(errs.Invalid, err, "cannot be read")
	}
	return filepath.Base(target), "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
