package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/policy"
)

func tokenCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "token",
		Short: "Say who may sign in, and as what",
		Long: `A token signs somebody in. Its role says what they may do: an admin everything; an operator release, decide on rollouts,
approve and stop the line, and look; a viewer look; a prober tell what it sees; an alerter send alerts. What they do is recorded under the token's name, and approvals need
different names.`,
		Example: "  ringfence token create ann --role operator\n  ringfence token list",
	})
	cmd.AddCommand(tokenCreate(e), tokenList(e), tokenRevoke(e))
	return cmd
}

func tokenCreate(e *env) *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make a token and print it, this once",
		Long: `Makes a token and prints it to standard output, and everything else to standard error, so that it can be sent into a
file. It is shown this once: only a hash of it is kept.`,
		Example: "  (umask 077; ringfence token create ann --role operator > ann.token)\n  ringfence whoami --token-file ann.token",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.MadeToken, error) {
				return c.CreateToken(ctx, wire.NewToken{Name: args[0], Role: policy.Role(role)})
			})
			if err != nil {
				return err
			}
			if !e.json {
				fmt.Fprintf(cmd.ErrOrStderr(), "token of %s, role %s; it is shown this once\n", made.Name, made.Role)
			}
			return e.show(cmd, made, func(w io.Writer) { fmt.Fprintln(w, made.Secret) })
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "admin, operator, viewer, prober or alerter")
	_ = cmd.MarkFlagRequired("role") // the flag is there: it was added above
	return cmd
}

func tokenList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List who has a token, without the tokens",
		Example: "  ringfence token list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.Token, error) { return c.Tokens(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, t := range all {
					rows[i] = []string{t.Name, string(t.Role), t.ID, ago(t.Created), t.By}
				}
				table(w, []string{"NAME", "ROLE", "ID", "MADE", "BY"}, rows)
			})
		},
	}
}

func tokenRevoke(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME|ID",
		Short:   "End a token, at once",
		Long:    "Ends a token at once. The last token of an admin cannot be revoked: nobody could get in again.",
		Example: "  ringfence token revoke ann",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gone, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Token, error) { return c.RevokeToken(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, gone, func(w io.Writer) { fmt.Fprintf(w, "token of %s (%s) revoked\n", gone.Name, gone.ID) })
		},
	}
}
