package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/grant"
	"github.com/ringfence/ringfence/internal/policy"
)

func accessCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use: "access", Short: "Ask for access for a time, and decide on what others ask for",
		Long:    "A grant gives a role for a while, within a scope. Who may ask for what, and who approves, the access rules say; see docs/access.md.",
		Example: "  ringfence access request --role operator --service shop --minutes 30 --reason \"roll v2 back\"\n  ringfence access list\n  ringfence access approve ann-1",
	})
	cmd.AddCommand(accessRequest(e), accessList(e), accessBreak(e), accessOffboard(e),
		accessSay(e, "approve", "Approve access that somebody else asked for"), accessSay(e, "refuse", "Refuse access that was asked for"),
		accessSay(e, "revoke", "End access at once"), accessSay(e, "review", "Record what the review of an emergency found, as its --reason"))
	return cmd
}

func accessRequest(e *env) *cobra.Command {
	var w grant.Wish
	var role string
	cmd := &cobra.Command{
		Use: "request --role ROLE --reason REASON", Short: "Ask for access for a time",
		Example: "  ringfence access request --role operator --service shop --ring early --minutes 30 --reason \"roll v2 back\"", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w.Role = policy.Role(role)
			return showGrant(e, cmd, func(ctx context.Context, c *client.Client) (wire.Grant, error) { return c.RequestAccess(ctx, w) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "", "viewer, operator or admin")
	f.StringVar(&w.Service, "service", "", "only for this service (default for everything, where a rule allows that)")
	f.StringVar(&w.Ring, "ring", "", "only for rollouts that are to enter this ring")
	f.IntVar(&w.Minutes, "minutes", 0, "for how long (default 60, or the longest that the rule allows)")
	f.StringVar(&w.Reason, "reason", "", "why, for those who approve")
	_ = cmd.MarkFlagRequired("role")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func showGrant(e *env, cmd *cobra.Command, do func(context.Context, *client.Client) (wire.Grant, error)) error {
	g, err := ask(cmd.Context(), e, do)
	if err != nil {
		return err
	}
	return e.show(cmd, g, func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s: %s for %s on %s: %s\n  digest %s\n", g.ID, g.State, g.Role, printable(g.Who), printable(g.Scope()), printable(g.Reason), g.Digest)
		if g.State == grant.Active {
			fmt.Fprintf(w, "  until %s\n", g.Until.Local().Format(time.DateTime))
		}
		if g.Missing != "" {
			fmt.Fprintf(w, "  waits for %s\n", printable(g.Missing))
		}
		if g.Emergency && g.Reviewed == "" {
			fmt.Fprintf(w, "  somebody else has to review it until %s: ringfence access review %s --reason FINDING\n", g.Review.Local().Format(time.DateTime), g.ID)
		}
	})
}

func accessList(e *env) *cobra.Command {
	var past bool
	cmd := &cobra.Command{
		Use: "list", Short: "List access that is asked for, holds or waits for a review", Example: "  ringfence access list\n  ringfence access list --past", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.Grant, error) { return c.Grants(ctx, past) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, g := range all {
					left := orDash(g.Missing)
					if g.State == grant.Active {
						left = "until " + g.Until.Local().Format(time.DateTime)
					}
					if g.State == grant.Over {
						left = orDash(g.EndedWhy)
					}
					rows[i] = []string{g.ID, g.State, string(g.Role), g.Scope(), left, g.Reason, g.Digest}
				}
				table(w, []string{"ID", "STATE", "ROLE", "SCOPE", "WAITS OR ENDS", "REASON", "DIGEST"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&past, "past", false, "also those that are over")
	return cmd
}

func accessBreak(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "break-glass --reason REASON", Short: "Take emergency access, at once and loudly",
		Long:    "Gives the emergency role at once. An alert is sent, and somebody else has to review it within a day.",
		Example: "  ringfence access break-glass --reason \"checkout is down, nobody answers\"", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showGrant(e, cmd, func(ctx context.Context, c *client.Client) (wire.Grant, error) { return c.BreakGlass(ctx, reason) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what the emergency is")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func accessSay(e *env, verb, short string) *cobra.Command {
	var word wire.Word
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Example: "  ringfence access list\n  ringfence access " + verb + " ann-1 --reason \"seen\"", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return showGrant(e, cmd, func(ctx context.Context, c *client.Client) (wire.Grant, error) {
				return c.SayAccess(ctx, args[0], verb, word)
			})
		},
	}
	cmd.Flags().StringVar(&word.Reason, "reason", "", "why, for the record")
	if verb == "approve" {
		cmd.Flags().StringVar(&word.Digest, "digest", "", "what was seen, as ringfence access list shows it: when it is another one, nothing is approved")
	}
	return cmd
}

func accessOffboard(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "offboard NAME", Short: "Revoke everything of somebody who leaves: tokens, sessions, grants", Example: "  ringfence access offboard ann", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Offboarded, error) { return c.Offboard(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d tokens and sessions revoked, %d grants ended\n", printable(out.Who), len(out.Tokens), len(out.Grants))
				if len(out.Groups) > 0 {
					fmt.Fprintf(w, "  still named by groups %s: change these\n", printable(strings.Join(out.Groups, ", ")))
				}
			})
		},
	}
}
