package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/attest"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/supply"
)

// artifactVerifyCommand is the part of the family artifact that needs no control plane.
func artifactVerifyCommand() *cobra.Command {
	family := &cobra.Command{Use: "artifact"}
	family.AddCommand(verifyCommand(), attestCommand())
	return family
}

// verifyFlags is what artifact verify is called with.
type verifyFlags struct {
	bundle, key, root, predicate string
	signer                       supply.Signer
}

func verifyCommand() *cobra.Command {
	var a verifyFlags
	cmd := &cobra.Command{
		Use:   "verify --bundle FILE (--key FILE | --certificate-identity NAME --certificate-oidc-issuer URL) FILE_OR_DIGEST",
		Short: "Verify who vouches for an artifact, by a Sigstore bundle, without a network",
		Long: `Checks that a Sigstore bundle vouches for a file, or for the digest of one (sha256:…), and was signed by the key or the identity that is
named. Nothing is fetched: what is trusted is the file of --trusted-root, or else the root of Sigstore's public instance as it was when this
program was built. A bundle may hold a signature of the artifact, or an in-toto statement that has it among its subjects; with --type
only a statement of that predicate type will do. The exit status is 0 only when all of it verifies, 3 when it does not, 2 when something cannot be read.`,
		Example: `  ringfence artifact verify --bundle shop.sigstore.json --key cosign.pub ./shop
  ringfence artifact verify --bundle shop.sigstore.json --certificate-identity https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v2 \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com --type https://slsa.dev/provenance/v1 ./shop`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&a.bundle, "bundle", "", "file with the bundle")
	f.StringVar(&a.key, "key", "", "file with the public key that signed it, in PEM")
	f.StringVar(&a.signer.Identity, "certificate-identity", "", "the name in the certificate, in full")
	f.StringVar(&a.signer.IdentityPattern, "certificate-identity-regexp", "", "a regular expression that the whole name matches")
	f.StringVar(&a.signer.Issuer, "certificate-oidc-issuer", "", "who attested the name, in full")
	f.StringVar(&a.signer.IssuerPattern, "certificate-oidc-issuer-regexp", "", "a regular expression that the whole issuer matches")
	f.StringVar(&a.root, "trusted-root", "", "file with a trusted root in Sigstore's JSON format (default that of Sigstore's public instance)")
	f.StringVar(&a.predicate, "type", "", "predicate type that the statement has to have")
	_ = cmd.MarkFlagRequired("bundle")
	cmd.MarkFlagsMutuallyExclusive("key", "certificate-identity")
	cmd.MarkFlagsMutuallyExclusive("key", "certificate-identity-regexp")
	return cmd
}

func (a verifyFlags) run(cmd *cobra.Command, target string) error {
	for _, f := range []struct {
		path string
		into *string
	}{{a.key, &a.signer.Key}, {a.root, &a.signer.Root}} {
		if f.path == "" {
			continue
		}
		raw, err := readLimited(f.path, 1<<20)
		if err != nil {
			return err
		}
		*f.into = string(raw)
	}
	if cmd.Flags().Changed("key") && a.signer.Key == "" {
		return errs.E(errs.Invalid, "--key %q: expected a file with a public key in PEM", a.key)
	}
	if err := a.signer.Check(); err != nil {
		return errs.Wrap(errs.Invalid, err, "expected --key, or --certificate-identity with --certificate-oidc-issuer")
	}
	raw, err := readLimited(a.bundle, attest.MaxBundle)
	if err != nil {
		return err
	}
	subject, done, err := subjectOf(target)
	if err != nil {
		return err
	}
	defer done()
	v, err := attest.Verify(raw, subject, a.signer)
	if err != nil {
		return err
	}
	if a.predicate != "" && v.Type != a.predicate {
		return errs.E(errs.Denied, "the bundle vouches by %s, expected a statement of type %s", orPlain(v.Type), a.predicate)
	}
	return showVerified(cmd, v)
}

// subjectOf is the file of that name, or else what the text is the digest of: a file is never taken for a digest.
func subjectOf(target string) (supply.Subject, func(), error) {
	f, err := os.Open(target)
	switch {
	case err == nil:
		return supply.Subject{Content: f}, func() { _ = f.Close() }, nil
	case supply.IsDigest(target):
		return supply.Subject{Digest: target}, func() {}, nil
	default:
		return supply.Subject{}, nil, errs.Wrap(errs.Invalid, err, "expected a file, or sha256: and 64 hexadecimal digits")
	}
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "cannot be read")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, errs.Wrap(errs.Invalid, err, "cannot be read")
	case int64(len(raw)) > limit:
		return nil, errs.E(errs.Invalid, "%s has more than %d MiB, the most that is taken", path, limit>>20)
	}
	return raw, nil
}

func orPlain(predicate string) string {
	if predicate == "" {
		return "a signature of the artifact itself"
	}
	return "a statement of type " + predicate
}

func showVerified(cmd *cobra.Command, v supply.Verified) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "verified: %s\n", orPlain(v.Type))
	if v.Key != "" {
		fmt.Fprintf(w, "  by key     %s\n", v.Key)
	} else {
		fmt.Fprintf(w, "  by         %q\n  issuer     %q\n", v.Identity, v.Issuer)
	}
	for _, t := range v.Times {
		fmt.Fprintf(w, "  time       %s (%s)\n", t.At.Format("2006-01-02T15:04:05Z"), t.Source)
	}
	if v.Source != "" {
		fmt.Fprintf(w, "  source     %q at %q\n", v.Source, v.Commit)
	}
	return nil
}
