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
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
)

func policyPropose(e *env) *cobra.Command {
	var paths []string
	var p wire.ProposePolicy
	cmd := &cobra.Command{
		Use: "propose -f FILE --reason REASON", Short: "Ask for a change of policy",
		Long:    "The change is applied when those who have to approve it did; at once where nobody has to. Who that is, the access rules say.",
		Example: "  ringfence policy propose -f access.yaml --reason \"the shop has its own team now\"\n  ringfence policy propose --delete old --reason \"nobody needs it\"", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(paths) > 0 {
				sources, err := manifest.Load(paths, cmd.InOrStdin())
				if err != nil {
					return err
				}
				for _, s := range sources {
					p.Files = append(p.Files, wire.File{Name: s.Name, Text: string(s.Data)})
				}
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (authority.Proposal, error) {
				return c.ProposePolicy(ctx, p)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) { showProposal(w, out) })
		},
	}
	cmd.Flags().StringArrayVarP(&paths, "filename", "f", nil, "a file, a folder, or - for standard input; may be given several times")
	cmd.Flags().StringArrayVar(&p.Delete, "delete", nil, "an AccessPolicy that is not to be any more")
	cmd.Flags().StringVar(&p.Reason, "reason", "", "why, for those who approve")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func policyChanges(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "changes [ID]", Short: "List the changes of policy that were asked for, or show one with what it would make",
		Example: "  ringfence policy changes\n  ringfence policy changes policy-3", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]authority.Proposal, error) { return c.PolicyChanges(ctx) })
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return e.show(cmd, all, func(w io.Writer) {
					rows := make([][]string, len(all))
					for i, p := range all {
						rows[i] = []string{p.ID, p.State, p.By, p.Digest, orDash(p.Missing), p.Reason}
					}
					table(w, []string{"ID", "STATE", "BY", "DIGEST", "MISSING", "REASON"}, rows)
				})
			}
			for _, p := range all {
				if p.ID == args[0] {
					return e.show(cmd, p, func(w io.Writer) {
						showProposal(w, p)
						_ = manifest.Write(w, p.Set)
						for _, g := range p.Gone {
							fmt.Fprintf(w, "# deletes %s\n", g.Key())
						}
					})
				}
			}
			return errs.E(errs.Missing, "there is no change of policy %.60q", args[0]).Next("List them: ringfence policy changes")
		},
	}
}

func showProposal(w io.Writer, p authority.Proposal) {
	fmt.Fprintf(w, "%s is %s, by %s: %s\n  digest %s\n", p.ID, p.State, printable(p.By), printable(p.Reason), p.Digest)
	for _, a := range p.Approved {
		fmt.Fprintf(w, "  approved by %s%s\n", printable(a.By), because(a.Why))
	}
	if p.Missing != "" {
		fmt.Fprintf(w, "  waits for %s\n", printable(p.Missing))
	}
	if p.Stale {
		fmt.Fprintln(w, "  what it replaces was changed since; it cannot be approved any more")
	}
}

func policyReview(e *env, refuse bool) *cobra.Command {
	var r wire.ReviewPolicy
	verb, short := "approve", "Approve a change of policy, as it was seen"
	if refuse {
		verb, short = "refuse", "Refuse a change of policy"
	}
	cmd := &cobra.Command{
		Use: verb + " ID --digest DIGEST", Short: short,
		Long:    strings.ToUpper(short[:1]) + short[1:] + ". The digest is the one that ringfence policy changes shows with it: of what was changed since, nothing is decided.",
		Example: "  ringfence policy changes policy-3\n  ringfence policy " + verb + " policy-3 --digest 5f0c… --reason \"read it\"", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (authority.Proposal, error) {
				return c.ReviewPolicy(ctx, args[0], r, refuse)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) { showProposal(w, out) })
		},
	}
	cmd.Flags().StringVar(&r.Digest, "digest", "", "the digest of what was seen")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("digest")
	return cmd
}

func policyReset(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "reset --reason REASON", Short: "Restore the default rules, with the token in the data folder",
		Long: `Removes every AccessPolicy and the AccessRules, whatever they say and whoever would have to approve. It takes the first
admin token, which lies in the control plane's data folder. What was removed is printed, and on the record.`,
		Example: "  ringfence policy reset --reason \"locked out by policy shop\"", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.PolicyReset, error) {
				return c.ResetPolicy(ctx, reason)
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "the default rules hold again; %d documents were removed\n", len(out.Gone))
			return e.show(cmd, out, func(w io.Writer) { _ = manifest.Write(w, out.Gone) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}
