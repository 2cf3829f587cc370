package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

func lineCommand(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "stop-the-line --reason REASON",
		Short: "Let nothing move outward, of any service",
		Long: `Stops the line: every rollout stays where it is, until a second person lifts it. Harm is still taken back, rollbacks go
on, and a hotfix of severity 0 passes. What everyone has stays as it is.`,
		Example: "  ringfence stop-the-line --reason \"checkout is down, cause unknown\"\n  ringfence stop-the-line status\n  ringfence stop-the-line lift --reason \"it was the bank\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" {
				return errs.E(errs.Invalid, "--reason: missing, expected why everyone has to stop").Next("ringfence stop-the-line --reason \"…\"; to look only: ringfence stop-the-line status")
			}
			return turnLine(e, cmd, reason, true)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who wait")
	cmd.AddCommand(lineLift(e), lineStatus(e))
	return cmd
}

func lineLift(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "lift",
		Short:   "Let everything go on, as a second person",
		Example: "  ringfence stop-the-line lift --reason \"it was the bank\"",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return turnLine(e, cmd, reason, false) },
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is safe again, for the record")
	return cmd
}

func lineStatus(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say whether the line is stopped, by whom and why",
		Example: "  ringfence stop-the-line status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (rollout.Line, error) { return c.Line(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, l, func(w io.Writer) { showLine(w, l) })
		},
	}
}

func turnLine(e *env, cmd *cobra.Command, reason string, stop bool) error {
	l, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (rollout.Line, error) {
		return c.TurnLine(ctx, reason, stop)
	})
	if err != nil {
		return err
	}
	return e.show(cmd, l, func(w io.Writer) { showLine(w, l) })
}

func showLine(w io.Writer, l rollout.Line) {
	c := colours(w)
	switch {
	case l.Stopped:
		fmt.Fprintf(w, "the line is %s since %s by %s: %s\n", c.red("stopped"), l.At.Local().Format(time.DateTime), printable(l.By), printable(l.Reason))
	case l.At.IsZero():
		fmt.Fprintln(w, "the line runs")
	default:
		because := ""
		if l.Reason != "" {
			because = ": " + printable(l.Reason)
		}
		fmt.Fprintf(w, "the line runs since %s, lifted by %s%s\n", l.At.Local().Format(time.DateTime), printable(l.By), because)
	}
}
