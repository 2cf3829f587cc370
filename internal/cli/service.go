package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/fleet"
)

func serviceCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:     "service",
		Short:   "Look at services and their instances",
		Example: "  ringfence service list\n  ringfence service show shop",
	})
	cmd.AddCommand(serviceList(e), serviceShow(e), serviceLogs(e), serviceAvailability(e))
	return cmd
}

func serviceList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the services and where they stand",
		Example: "  ringfence service list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]wire.ServiceSummary, error) {
				return c.Services(ctx)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, s := range all {
					rows[i] = []string{s.Name, s.Stable, inFlight(s), fmt.Sprintf("%d/%d", s.Ready, s.Wanted), s.Plan, s.Owner}
				}
				table(w, []string{"SERVICE", "STABLE", "ROLLOUT", "READY", "PLAN", "OWNER"}, rows)
			})
		},
	}
}

func inFlight(s wire.ServiceSummary) string {
	if s.Rollout == "" {
		return ""
	}
	text := s.Rollout + " of " + s.To + " " + s.Phase
	if s.Ring != "" {
		text += " in " + s.Ring
	}
	return text
}

func serviceShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show SERVICE",
		Short:   "Print what is live of a service, with its instances",
		Example: "  ringfence service show shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Service, error) {
				return c.Service(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, s, func(w io.Writer) { showService(w, s) })
		},
	}
}

func showService(w io.Writer, s wire.Service) {
	fmt.Fprintf(w, "service  %s\nowner    %s\nplan     %s\n", s.Name, orDash(s.Owner), s.Plan)
	for _, u := range s.ByUnit {
		has := ""
		if u.Version != s.Stable {
			has = ", has " + orDash(u.Version)
		}
		fmt.Fprintf(w, "unit     %s, reported %s%s%s\n", u.Unit, cmp.Or(ago(u.Seen), "never"), has, scaledTo(u.Status.Scaled))
	}
	fmt.Fprintf(w, "stable   %s\nrollout  %s\n\n", orDash(s.Stable), orDash(inFlight(s.ServiceSummary)))
	head := []string{"INSTANCE", "STATE", "PID", "ADDRESS", "STARTED", "RESTARTS", "CPU", "MEMORY", "LAST EXIT"}
	var rows [][]string
	for _, u := range s.ByUnit {
		of := instances(s.Name, u.Status)
		if len(s.ByUnit) > 1 {
			for i, row := range of {
				of[i] = append([]string{u.Unit}, row...)
			}
		}
		rows = append(rows, of...)
	}
	if len(s.ByUnit) > 1 {
		head = append([]string{"UNIT"}, head...)
	}
	table(w, head, rows)
}

// scaledTo says how many instances a unit has by its load, and why.
func scaledTo(s *fleet.Scaled) string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf(", %d instances of %d to %d", s.Instances, s.Min, s.Max)
	if s.Reason != "" {
		text += fmt.Sprintf(" since %s: %s", ago(s.Since), s.Reason)
	}
	return text
}

// instances are the rows of one unit.
func instances(service string, status fleet.ServiceStatus) (rows [][]string) {
	for _, slot := range status.Slots {
		for _, in := range slot.Instances {
			state := "ready"
			if !in.Ready {
				state = "not ready"
			}
			rows = append(rows, []string{in.ID, state, fmt.Sprint(in.PID), in.Address, ago(in.Started), fmt.Sprint(in.Restarts),
				fmt.Sprintf("%.1fs", in.CPUSeconds), fmt.Sprintf("%.1f MiB", float64(in.RSSBytes)/(1<<20)), in.LastExit})
		}
		if len(slot.Instances) == 0 || slot.Failure != "" {
			rows = append(rows, []string{service + "/" + slot.Version, fmt.Sprintf("%d/%d ready", slot.Ready, slot.Wanted), "", "", "", "", "", "", slot.Failure})
		}
	}
	return rows
}

func serviceLogs(e *env) *cobra.Command {
	q := wire.LogQuery{}
	cmd := &cobra.Command{
		Use:     "logs SERVICE",
		Short:   "Print what a service's instances wrote, as ringfence logs --files does",
		Hidden:  true,
		Example: "  ringfence service logs shop --tail 50\n  ringfence service logs shop --version v2 -f",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Service = args[0]
			c, err := e.client()
			if err != nil {
				return err
			}
			logs, err := c.Logs(cmd.Context(), q)
			if err != nil {
				return err
			}
			defer logs.Close()
			return copyLogs(cmd, e, logs)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Unit, "unit", "", "in this unit; may be left out of a service that runs in one")
	f.StringVar(&q.Version, "version", "", "only of this version")
	f.IntVar(&q.Instance, "instance", 0, "only of this instance, a number from 1")
	f.IntVar(&q.Tail, "tail", 100, "so many lines from before")
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on with new lines")
	return cmd
}

// copyLogs prints lines; with --json each is an object. On a terminal, what could steer it is taken out.
func copyLogs(cmd *cobra.Command, e *env, logs io.Reader) error {
	w := cmd.OutOrStdout()
	err := eachLine(logs, func(line string) error {
		if e.json {
			return jsonLine(w, map[string]string{"line": line})
		}
		if isTerminal(w) {
			line = printable(strings.ReplaceAll(line, "\t", "    "))
		}
		_, err := fmt.Fprintln(w, line)
		return err
	})
	if cmd.Context().Err() != nil {
		return nil // interrupted, which is how following ends
	}
	return err
}
