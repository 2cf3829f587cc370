package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
)

func flagsKeyCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "key",
		Short: "Say which clients may ask for flags",
		Long: `As long as there is no key, programs on the machines of the planes get the flags without one, and others get none. Once a key
was made for an environment, its flags are given only to clients that send one, as X-API-Key or as a Bearer token.
A key of server scope gets values and definitions; one of browser scope, which everyone can read in a page, gets values only.`,
		Example: "  ringfence flags key create checkout-api\n  ringfence flags key create web --scope browser --selector flagSetId=web\n  ringfence flags key list",
	})
	cmd.AddCommand(flagsKeyCreate(e), flagsKeyList(e), flagsKeyRevoke(e))
	return cmd
}

func flagsKeyCreate(e *env) *cobra.Command {
	var k wire.NewClientKey
	var userKey string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key for flags and print it, this once",
		Long: `Makes a key and prints it to standard output, and everything else to standard error, so that it can be sent into a file.
It is shown this once: only a hash of it is kept. With --user-key, the public half of an Ed25519 key in PEM, a client's users have
to be proved by tokens (JWT) that your own server signs with the other half.`,
		Example: "  (umask 077; ringfence flags key create checkout-api > flags.key)\n  ringfence flags key create web --scope browser --selector flagSetId=web --user-key users.pub.pem",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			k.Name = args[0]
			if userKey != "" {
				if k.UserKey, err = readUserKey(userKey); err != nil {
					return err
				}
			}
			made, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.MadeClientKey, error) {
				return c.CreateFlagKey(ctx, k)
			})
			if err != nil {
				return err
			}
			if !e.json {
				fmt.Fprintf(cmd.ErrOrStderr(), "key %s for the flags of %s, scope %s; it is shown this once\n", made.Name, made.Environment, made.Scope)
			}
			return e.show(cmd, made, func(w io.Writer) { fmt.Fprintln(w, made.Secret) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&k.Environment, "environment", flag.Production, "whose flags it gets")
	f.StringVar(&k.Scope, "scope", flag.ServerScope, "server, or browser for what stands in a page")
	f.StringVar(&k.Selector, "selector", "", "the only flags that are there for it, such as flagSetId=web (default all)")
	f.StringVar(&userKey, "user-key", "", "file with the public key that its users' tokens are checked by")
	return cmd
}

// readUserKey reads a public Ed25519 key in PEM.
func readUserKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "--user-key")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errs.E(errs.Invalid, "--user-key: %s is not PEM", path).Next("Make one with: openssl genpkey -algorithm ed25519 -out users.pem; openssl pkey -in users.pem -pubout -out users.pub.pem")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "--user-key: %s holds no public key", path)
	}
	public, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, errs.E(errs.Invalid, "--user-key: %s holds a key of another kind; expected Ed25519", path)
	}
	return public, nil
}

func flagsKeyList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List which clients have a key, without the keys",
		Example: "  ringfence flags key list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.ClientKey, error) { return c.FlagKeys(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, k := range all {
					users := "as told"
					if k.SignedUser {
						users = "proved"
					}
					rows[i] = []string{k.Name, k.Environment, k.Scope, k.Selector, users, k.ID, ago(k.Created), k.By}
				}
				table(w, []string{"NAME", "ENVIRONMENT", "SCOPE", "SELECTOR", "USERS", "ID", "MADE", "BY"}, rows)
			})
		},
	}
}

func flagsKeyRevoke(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME|ID",
		Short: "End a key for flags",
		Long: `Ends a key. Data planes hear of it within moments, and those that are away when they are back. A key is asked for all the same
when it was the last one.`,
		Example: "  ringfence flags key revoke web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gone, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.ClientKey, error) {
				return c.RevokeFlagKey(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, gone, func(w io.Writer) { fmt.Fprintf(w, "key %s (%s) revoked\n", gone.Name, gone.ID) })
		},
	}
}
