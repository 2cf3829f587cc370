package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/upkeep"
)

func unitCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unit",
		Short: "Take the places where services run into maintenance and back",
		Long: `A unit is a machine with a data plane. Draining one sends its users elsewhere and then stops its instances, so that the machine
can be worked on; returning it does the same the other way round. Its gateway tells load balancers at /.ringfence/ready.`,
		Example: "  ringfence unit list\n  ringfence unit drain berlin --reason \"new kernel\"\n  ringfence unit return berlin",
	}
	cmd.AddCommand(unitList(e), unitRest(e, "drain"), unitRest(e, "cordon"), unitReturn(e))
	return cmd
}

func unitList(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List units, what runs there, and their maintenance",
		Example: "  ringfence unit list\n  ringfence unit list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]upkeep.Unit, error) { return c.Units(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, wire.Units{Items: all}, func(w io.Writer) { showUnits(w, all) })
		},
	}
	return cmd
}

func showUnits(w io.Writer, all []upkeep.Unit) {
	var rows [][]string
	for _, u := range all {
		var services []string
		for _, s := range u.Services {
			services = append(services, fmt.Sprintf("%s %d/%d", s.Name, s.Ready, s.Wanted))
		}
		why := ""
		if u.Rest != nil {
			why = fmt.Sprintf("%s (%s)", u.Rest.Reason, u.Rest.By)
		}
		rows = append(rows, []string{u.Name, u.State, cmp.Or(ago(u.Seen), "never"), orDash(strings.Join(services, ", ")), printable(why)})
	}
	table(w, []string{"UNIT", "STATE", "REPORTED", "READY", "MAINTENANCE"}, rows)
}

func unitRest(e *env, word string) *cobra.Command {
	m, wait, follow := wire.Maintenance{}, time.Duration(0), false
	short := "Let nothing new be brought to a unit"
	if word == "drain" {
		short = "Send a unit's users elsewhere, then stop its instances"
	}
	cmd := &cobra.Command{
		Use:     word + " UNIT --reason REASON",
		Short:   short,
		Example: fmt.Sprintf("  ringfence unit %s berlin --reason \"new kernel\"", word),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if m.Reason == "" {
				return errs.E(errs.Invalid, "--reason: missing, expected what the maintenance is for").Next("ringfence unit %s %s --reason \"…\"", word, args[0])
			}
			if wait > 0 {
				m.Wait = wait.String()
			}
			u, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (upkeep.Unit, error) {
				return c.RestUnit(ctx, args[0], word, m)
			})
			if err == nil && follow {
				u, err = awaitUnit(cmd, e, args[0], "resting")
			}
			if err != nil {
				return err
			}
			return e.show(cmd, u, func(w io.Writer) { showUnits(w, []upkeep.Unit{u}) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Reason, "reason", "", "what the maintenance is for, for those who wait")
	if word == "drain" {
		f.DurationVar(&wait, "wait", 0, "how long load balancers get to notice before instances are stopped (default 15s)")
		f.BoolVar(&m.Force, "force", false, "though no other unit serves what this one does")
		f.BoolVarP(&follow, "watch", "w", false, "wait until its instances are stopped")
	}
	return cmd
}

func unitReturn(e *env) *cobra.Command {
	reason, follow := "", false
	cmd := &cobra.Command{
		Use:     "return UNIT",
		Short:   "End a unit's maintenance: start its instances, and serve once they are ready",
		Example: "  ringfence unit return berlin --reason \"it is up again\" --watch",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (upkeep.Unit, error) {
				return c.ReturnUnit(ctx, args[0], reason)
			})
			if err == nil && follow {
				u, err = awaitUnit(cmd, e, args[0], "serving")
			}
			if err != nil {
				return err
			}
			return e.show(cmd, u, func(w io.Writer) { showUnits(w, []upkeep.Unit{u}) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "for the record")
	cmd.Flags().BoolVarP(&follow, "watch", "w", false, "wait until it serves")
	return cmd
}

// awaitUnit waits until a unit is in a state, or the command is interrupted.
func awaitUnit(cmd *cobra.Command, e *env, name, state string) (upkeep.Unit, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]upkeep.Unit, error) { return c.Units(ctx) })
		if err != nil {
			return upkeep.Unit{}, err
		}
		if i := slices.IndexFunc(all, func(u upkeep.Unit) bool { return u.Name == name }); i >= 0 && all[i].State == state {
			return all[i], nil
		}
		select {
		case <-cmd.Context().Done():
			return upkeep.Unit{}, cmd.Context().Err()
		case <-tick.C:
		}
	}
}
