package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
)

func approvalsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "approvals",
		Short: "List the approvals that rollouts wait for",
		Long: `Lists the approvals that rollouts in flight wait for, or will wait for once their current ring has baked: then nothing
stands below SINCE yet, and an approval that is given already counts as well.`,
		Example: "  ringfence approvals\n  ringfence rollout approve shop --reason \"looked at the charts\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.Approval, error) { return c.Approvals(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, a := range all {
					rows[i] = []string{a.Rollout, change(a.From, a.To), a.Ring, a.Missing, ago(a.Since), a.By, a.Digest}
				}
				table(w, []string{"ROLLOUT", "CHANGE", "RING", "MISSING", "SINCE", "BY", "DIGEST"}, rows)
			})
		},
	}
}

func rolloutApprove(e *env) *cobra.Command {
	return decision(e, false, &cobra.Command{
		Use:   "approve ROLLOUT|SERVICE",
		Short: "Approve that a rollout enters its next ring",
		Long: `Approves that a rollout enters its next ring. Who may is said by the ring's approval in the plan; who released a
change does not approve it, unless the plan says so. An approval that is given before the ring before has baked counts.`,
		Example: "  ringfence rollout approve shop --reason \"looked at the charts\"\n  ringfence rollout approve shop-7 --ring all",
	})
}

func rolloutRefuse(e *env) *cobra.Command {
	return decision(e, true, &cobra.Command{
		Use:   "refuse ROLLOUT|SERVICE",
		Short: "Refuse that a rollout enters its next ring, and halt it where it is",
		Long: `Refuses that a rollout enters its next ring, which halts it where it is. Then take it back with rollout rollback, or let
it go on with rollout resume. Who released the change may refuse it too.`,
		Example: "  ringfence rollout refuse shop --reason \"not before the sale\"",
	})
}

func decision(e *env, refuse bool, cmd *cobra.Command) *cobra.Command {
	var d wire.Decision
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
			return c.Approve(ctx, args[0], d, refuse)
		})
		if err != nil {
			return err
		}
		return e.show(cmd, out, func(w io.Writer) { showStatus(w, out) })
	}
	cmd.Flags().StringVar(&d.Ring, "ring", "", "the ring, so that no other one is meant (default the one that is next)")
	cmd.Flags().StringVar(&d.Digest, "digest", "", "what was seen, as ringfence approvals shows it: when it is another one now, nothing is decided")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why, for the record")
	return cmd
}

// change is what a rollout does, in a few words.
func change(from, to string) string {
	if from == "" {
		from = "nothing"
	}
	return fmt.Sprintf("%s → %s", from, to)
}
