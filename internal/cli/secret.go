package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/secrecy"
	"github.com/ringfence/ringfence/internal/secret"
)

func secretCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "secret",
		Short: "Keep secrets, give them to services, and see who read them",
		Long: `Secrets are kept encrypted. An instance of a service is given those that the service declares in spec.secrets when it starts, on a pipe:
they stand in no file, argument or environment. The current version and the one before it are valid; every read is on the record.`,
		Example: "  ringfence secret set shop-database < password.txt\n  ringfence secret show shop-database\n  ringfence secret readers shop-database",
	})
	cmd.AddCommand(secretSet(e), secretList(e), secretShow(e), secretVersions(e), secretReaders(e), secretRead(e), secretRevoke(e))
	return cmd
}

func secretSet(e *env) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make a value the current one; the one before stays valid beside it", Args: cobra.ExactArgs(1),
		Long:    "Reads the value from standard input, or from a file; one line break at its end is taken off. It is never an argument, as every user of the machine can read these.",
		Example: "  ringfence secret set shop-database < password.txt\n  openssl rand -hex 32 | ringfence secret set shop-session-key",
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := secretValue(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			s, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (secret.Secret, error) {
				return c.SetSecret(ctx, args[0], value)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, s, func(w io.Writer) { fmt.Fprintf(w, "secret/%s is at version %d\n", s.Name, s.Versions[0].Number) })
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file that holds the value (default standard input)")
	return cmd
}

func secretValue(in io.Reader, file string) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", errs.Wrap(errs.Invalid, err, "value")
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, secret.MaxValue+3))
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, "value")
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r"), nil
}

func secretList(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List secrets", Example: "  ringfence secret list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]secret.Secret, error) { return c.Secrets(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, s := range all {
					v, _ := s.Current()
					overlap := "-"
					for _, o := range s.Versions {
						if o.State == secret.Overlap {
							overlap = strconv.Itoa(o.Number)
						}
					}
					rows = append(rows, []string{s.Name, strconv.Itoa(v.Number), overlap, ago(v.Created), strconv.Itoa(len(s.Readers))})
				}
				table(w, []string{"SECRET", "CURRENT", "STILL VALID", "SET", "READERS"}, rows)
			})
		},
	}
}

// secretView is a command that prints a part of what is known of a secret.
func secretView(e *env, verb, short string, parts ...func(io.Writer, secret.Secret)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Example: "  ringfence secret " + verb + " shop-database", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (secret.Secret, error) { return c.Secret(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, s, func(w io.Writer) {
				for i, part := range parts {
					if i > 0 {
						fmt.Fprintln(w)
					}
					part(w, s)
				}
			})
		},
	}
}

func secretShow(e *env) *cobra.Command {
	return secretView(e, "show", "Print a secret's versions and readers, without values", showVersions, showReaders)
}

func secretVersions(e *env) *cobra.Command {
	return secretView(e, "versions", "List a secret's versions", showVersions)
}

func secretReaders(e *env) *cobra.Command {
	return secretView(e, "readers", "List who ever read a secret", showReaders)
}

func showVersions(w io.Writer, s secret.Secret) {
	var rows [][]string
	for _, v := range s.Versions {
		rows = append(rows, []string{strconv.Itoa(v.Number), v.State, v.Created.Format(time.DateTime), printable(v.By), orDash(printable(v.Why))})
	}
	table(w, []string{"VERSION", "STATE", "SET", "BY", "REVOKED FOR"}, rows)
}

func showReaders(w io.Writer, s secret.Secret) {
	var rows [][]string
	for _, r := range s.Readers {
		rows = append(rows, []string{printable(r.Who), strconv.Itoa(r.Version), strconv.Itoa(r.Count), ago(r.First), ago(r.Last)})
	}
	table(w, []string{"READER", "NEWEST VERSION", "TIMES", "FIRST", "LAST"}, rows)
}

func secretRead(e *env) *cobra.Command {
	version := 0
	cmd := &cobra.Command{
		Use: "read NAME", Short: "Print a secret's value; that is on the record", Example: "  ringfence secret read shop-database > password.txt", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (secrecy.Value, error) {
				return c.ReadSecret(ctx, args[0], version)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, v, func(w io.Writer) { fmt.Fprintln(w, v.Value) })
		},
	}
	cmd.Flags().IntVar(&version, "version", 0, "number of the version (default the current one)")
	return cmd
}

func secretRevoke(e *env) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use: "revoke NAME VERSION", Short: "End a version that is not the current one: its value is gone", Example: "  ringfence secret revoke shop-database 3 --reason \"everything runs with 4\"",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[1])
			if err != nil || number < 1 {
				return errs.E(errs.Invalid, "version %q: expected a number from 1 on", args[1])
			}
			if err := needReason(reason, "the version is revoked"); err != nil {
				return err
			}
			s, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (secret.Secret, error) {
				return c.RevokeSecret(ctx, args[0], number, reason)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, s, func(w io.Writer) { showVersions(w, s) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}
