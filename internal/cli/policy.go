package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/authority"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/policy"
)

func policyCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "policy",
		Short: "Say who may do what, and why",
		Long: `Rules in Cedar say who may do what: what none permits is denied, what one forbids is denied whatever permits it, and where
one cannot be evaluated the answer is no. Rules of your own are AccessPolicy documents; see docs/policy.md.`,
		Example: "  ringfence policy explain --as ann --action decide --verb promote --resource rollout/shop-7\n  ringfence policy who --resource service/shop\n  ringfence policy test policy_test.yaml",
	})
	cmd.AddCommand(policyShow(e), policyExplain(e), policyWho(e), policyPropose(e), policyChanges(e), policyReview(e, false), policyReview(e, true), policyReset(e))
	return cmd
}

func policyShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Print the rules that decide", Example: "  ringfence policy show", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (authority.Standing, error) { return c.Policy(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, st, func(w io.Writer) {
				for _, s := range st.Sources {
					fmt.Fprintf(w, "// policy %s\n%s\n", s.Name, strings.TrimRight(s.Text, "\n"))
				}
				for _, f := range st.Faults {
					fmt.Fprintf(w, "// WRONG, and so everything is denied: %s\n", printable(f.String()))
				}
			})
		},
	}
}

func policyExplain(e *env) *cobra.Command {
	var q wire.AskPolicy
	var action, role, on string
	cmd := &cobra.Command{
		Use:   "explain --as NAME --action ACTION --resource KIND/NAME",
		Short: "Say whether somebody may do something, and which rule says so",
		Long:  "Decides as a request would be decided, and says by which rule of which policy on which line; when it is denied, what would change that. Nothing is done.",
		Example: `  ringfence policy explain --as ann --action decide --verb promote --resource rollout/shop-7
  ringfence policy explain --as eve --role viewer --group sre --strong --signed-in 5 --action change --resource service/shop`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Action, q.Role = policy.Action(action), policy.Role(role)
			q.Kind, q.Name, _ = strings.Cut(on, "/")
			x, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (authority.Explanation, error) {
				return c.ExplainPolicy(ctx, q)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, x, func(w io.Writer) { showExplanation(w, x) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.As, "as", "", "the principal's name")
	f.StringVar(&action, "action", "", "read, decide, change, …")
	f.StringVar(&on, "resource", "", "kind/name, such as service/shop or rollout/shop-7")
	f.StringVar(&q.Verb, "verb", "", "what exactly, such as promote or redeploy")
	f.StringVar(&role, "role", "", "the role (default that of their token)")
	f.StringArrayVar(&q.Groups, "group", nil, "a group that their issuer says; may be given several times")
	f.StringVar(&q.Via, "via", "", "how they signed in: token, oidc, passkey, exchange")
	f.BoolVar(&q.Strong, "strong", false, "they signed in by a passkey or a second factor")
	f.IntVar(&q.SignedIn, "signed-in", 0, "minutes since they proved who they are (default not known)")
	_ = cmd.MarkFlagRequired("as")
	_ = cmd.MarkFlagRequired("action")
	return cmd
}

func showExplanation(w io.Writer, x authority.Explanation) {
	c := colours(w)
	word := c.red("denied")
	if x.Allowed {
		word = c.green("allowed")
	}
	q := x.Request
	fmt.Fprintf(w, "%s: %s (role %s) %s %s\n", word, printable(q.Principal.Name), printable(string(q.Principal.Role)), printable(string(q.Action)), printable(q.Resource.String()))
	if len(x.Declared) > 0 {
		fmt.Fprintf(w, "  in groups %s\n", printable(strings.Join(x.Declared, ", ")))
	}
	if x.Decision.Grant != "" {
		fmt.Fprintf(w, "  by grant %s\n", printable(x.Decision.Grant))
	}
	for _, r := range x.Rules {
		fmt.Fprintf(w, "  %s by rule %s, policy %s, line %d%s\n", r.Effect, printable(r.ID), printable(r.Policy), r.Line, because(r.Reason))
	}
	for _, text := range x.Errors {
		fmt.Fprintf(w, "  could not be evaluated: %s\n", printable(text))
	}
	if !x.Allowed {
		fmt.Fprintf(w, "  %s\n  %s\n", printable(x.Missing), printable(x.Next))
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + printable(reason)
}

func policyWho(e *env) *cobra.Command {
	var on string
	cmd := &cobra.Command{
		Use: "who --resource KIND/NAME", Short: "List what everyone may do to a resource now, and by which rule",
		Example: "  ringfence policy who --resource service/shop", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kind, name, _ := strings.Cut(on, "/")
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.WhoMay, error) { return c.WhoMay(ctx, kind, name) })
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) {
				var rows [][]string
				for _, r := range out.Items {
					var may []string
					for _, a := range policy.Actions {
						if by := r.Actions[a]; by != "" {
							may = append(may, string(a))
						}
					}
					rows = append(rows, []string{r.Name, string(r.Role), orDash(strings.Join(r.Groups, ", ")), strings.Join(may, ", ")})
				}
				table(w, []string{"NAME", "ROLE", "GROUPS", "MAY"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&on, "resource", "", "kind/name (default whatever names no resource)")
	return cmd
}
