package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/rollout"
)

func rolloutCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:     "rollout",
		Short:   "Look at rollouts and steer them",
		Long:    "A rollout is named by its ID, or by its service for the newest one.",
		Example: "  ringfence rollout status shop --watch\n  ringfence rollout abort shop --reason \"wrong banner\"",
	})
	cmd.AddCommand(rolloutList(e), rolloutShow(e), rolloutStatus(e), rolloutApprove(e), rolloutRefuse(e))
	for _, v := range []struct {
		verb  rollout.Verb
		short string
	}{
		{rollout.Pause, "Let nothing move outward; harm is still taken back"},
		{rollout.Halt, "Stop a rollout where it is, because it may be hurting"},
		{rollout.Resume, "Let a rollout that is paused or halted go on"},
		{rollout.Promote, "Do not wait for the rest of the current ring's bake; the verdict must still pass"},
		{rollout.Abort, "Take a rollout in flight back"},
		{rollout.Rollback, "Take a rollout back, also after it has succeeded"},
	} {
		cmd.AddCommand(rolloutVerb(e, v.verb, v.short))
	}
	return cmd
}

func rolloutVerb(e *env, verb rollout.Verb, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     string(verb) + " ROLLOUT|SERVICE",
		Short:   short,
		Example: fmt.Sprintf("  ringfence rollout %s shop\n  ringfence rollout %s shop-3 --reason \"as agreed with the team\"", verb, verb),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
				return c.Command(ctx, args[0], verb, reason)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) { showStatus(w, out) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func rolloutList(e *env) *cobra.Command {
	var service string
	var inFlight bool
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List rollouts, newest first",
		Example: "  ringfence rollout list\n  ringfence rollout list --service shop --in-flight",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]rollout.State, error) {
				return c.Rollouts(ctx, service, inFlight, limit)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, s := range all {
					rows[i] = []string{s.ID, s.From, s.To, phaseText(s), ringOfState(s), string(s.Lane), ago(s.Created), s.Reason}
				}
				table(w, []string{"ROLLOUT", "FROM", "TO", "PHASE", "RING", "LANE", "STARTED", "WHY"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only of this service")
	cmd.Flags().BoolVar(&inFlight, "in-flight", false, "only those that have not ended")
	cmd.Flags().IntVar(&limit, "limit", 20, "at most so many, up to 1000")
	return cmd
}

func ringOfState(s rollout.State) string {
	if s.Ring < 0 || s.Ring >= len(s.Rings) {
		return ""
	}
	return s.Rings[s.Ring].Name
}

func rolloutShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show ROLLOUT|SERVICE",
		Short:   "Print all that is known of a rollout, with its events",
		Example: "  ringfence rollout show shop-3\n  ringfence rollout show shop --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			r, err := c.Rollout(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			events, err := c.Events(cmd.Context(), wire.EventQuery{Subject: "rollout/" + r.Rollout.ID, Limit: 1000})
			if err != nil {
				return err
			}
			became, err := c.Outcome(cmd.Context(), r.Rollout.ID)
			if err != nil {
				return err
			}
			answer := struct {
				wire.Rollout
				Outcome *outcome.Report `json:"outcome,omitempty"`
				Events  any             `json:"events"`
			}{r, became.Outcome, events.Items}
			return e.show(cmd, answer, func(w io.Writer) {
				showStatus(w, r)
				showOutcome(w, became.Outcome)
				fmt.Fprintln(w)
				for _, ev := range events.Items {
					fmt.Fprintln(w, eventLine(ev, colours(w)))
				}
			})
		},
	}
}

func rolloutStatus(e *env) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status ROLLOUT|SERVICE",
		Short: "Say where a rollout stands and what it waits for",
		Long: `Says where a rollout stands, what it waits for, and the evidence so far. With --watch it is followed to its end; the
exit status is then 0 when it succeeded and 1 when it was taken back.`,
		Example: "  ringfence rollout status shop\n  ringfence rollout status shop --watch",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if watch {
				return e.watch(cmd, args[0])
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
				return c.Rollout(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) { showStatus(w, out) })
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow it to its end")
	return cmd
}

func showStatus(w io.Writer, r wire.Rollout) {
	fmt.Fprintln(w, strings.Join(view(r, colours(w), 100), "\n"))
}
