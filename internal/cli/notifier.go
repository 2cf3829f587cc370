package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

func notifierCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:     "notifier",
		Short:   "Look whether messages arrive",
		Long:    "Looks whether those who are to be told of what happens are told. Notifiers are declared with ringfence apply.",
		Example: "  ringfence notifier list\n  ringfence notifier test shop-channel",
	})
	cmd.AddCommand(notifierList(e), notifierTest(e))
	return cmd
}

func notifierList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List who is told, what waits to be told, and whose receiver fails",
		Long: `Lists the notifiers. WAITING counts the events of which one is still to be told, most of them for a moment only: until
their group is complete. FAILING says since when the receiver takes nothing.`,
		Example: "  ringfence notifier list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.NotifierStatus, error) { return c.Notifiers(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, n := range all {
					rows[i] = []string{n.Name, n.Channel, strconv.Itoa(n.Waiting), ago(n.Failing), n.Error}
				}
				table(w, []string{"NAME", "CHANNEL", "WAITING", "FAILING", "ERROR"}, rows)
			})
		},
	}
}

func notifierTest(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "test NOTIFIER",
		Short:   "Send a test message, and say what the receiver answers",
		Long:    "Sends one message by the notifier's channel, with its secrets, at once, and records that. It fails when the message\ndid not arrive.",
		Example: "  ringfence notifier test shop-channel",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.NotifierTest, error) {
				return c.TestNotifier(ctx, args[0])
			})
			if err != nil {
				return err
			}
			if out.Delivered || e.json {
				err = e.show(cmd, out, func(w io.Writer) { fmt.Fprintf(w, "%s was told by %s\n", printable(out.Notifier), out.Channel) })
			}
			if err == nil && !out.Delivered {
				err = errs.E(errs.Unavailable, "the message did not arrive: %s", printable(out.Error)).
					Next("Look at spec.to of notifier %s, and on the control plane's machine at the file that it names, in the folder secrets.", out.Notifier)
			}
			return err
		},
	}
}
