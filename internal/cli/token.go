package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
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
	cmd.AddCommand(tokenCreate(e), tokenList(e), tokenRevoke(e), tokenExchange(e))
	return cmd
}

func tokenCreate(e *env) *cobra.Command {
	var role, expires string
	var only []string
	cmd := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make a token and print it, this once",
		Long: `Makes a token and prints it to standard output, and everything else to standard error, so that it can be sent into a
file. It is shown this once: only a hash of it is kept. It ends by itself after 90 days, or as --expires says; people who sign in by an identity
provider (ringfence login) and programs of which one vouches (ringfence token exchange) need none.`,
		Example: "  (umask 077; ringfence token create ann --role operator > ann.token)\n  ringfence token create ci --role operator --only decide --expires 30d\n  ringfence whoami --token-file ann.token",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := lifeOf(expires)
			if err != nil {
				return err
			}
			want := wire.NewToken{Name: args[0], Role: policy.Role(role), Life: fleet.Dur(life)}
			for _, a := range only {
				want.Only = append(want.Only, policy.Action(a))
			}
			made, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.MadeToken, error) {
				return c.CreateToken(ctx, want)
			})
			if err != nil {
				return err
			}
			if !e.json {
				fmt.Fprintf(cmd.ErrOrStderr(), "token of %s, role %s, %s; it is shown this once\n", made.Name, made.Role, until(made.Expires))
			}
			return e.show(cmd, made, func(w io.Writer) { fmt.Fprintln(w, made.Secret) })
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "admin, operator, viewer, prober or alerter")
	cmd.Flags().StringVar(&expires, "expires", "90d", "how long it signs them in, such as 12h or 90d, at most a year; never: until it is revoked")
	cmd.Flags().StringSliceVar(&only, "only", nil, "of what the role may, no more than this: read, decide, change, fetch, export, send, probe, alert")
	_ = cmd.MarkFlagRequired("role") // the flag is there: it was added above
	return cmd
}

// lifeOf reads how long a token shall live: 0 for one that does not end.
func lifeOf(text string) (time.Duration, error) {
	if text == "never" {
		return 0, nil
	}
	days, ok := strings.CutSuffix(text, "d")
	d, err := time.ParseDuration(text)
	if n, bad := strconv.Atoi(days); ok && bad == nil && n < 10_000 {
		d, err = time.Duration(n)*24*time.Hour, nil
	}
	if err != nil || d <= 0 {
		return 0, errs.E(errs.Invalid, "--expires %q: expected a duration such as 12h or 90d, or never", text)
	}
	return d, nil
}

// until says when something ends.
func until(t time.Time) string {
	if t.IsZero() {
		return "until it is revoked"
	}
	return "until " + t.Local().Format("2006-01-02 15:04")
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
					rows[i] = []string{t.Name, string(t.Role), t.ID, ago(t.Created), t.By, endOf(t.Expires), only(t.Only)}
				}
				table(w, []string{"NAME", "ROLE", "ID", "MADE", "BY", "ENDS", "ONLY"}, rows)
			})
		},
	}
}

func endOf(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func only(actions []policy.Action) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return strings.Join(words, ",")
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
