package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/objective"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/slo"
)

func sloCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use: "slo", Short: "See error budgets, and make rules for Prometheus of SLOs",
		Example: "  ringfence slo list\n  ringfence slo show shop-errors\n  ringfence slo customers shop\n  ringfence slo rules -f slo.yaml",
	})
	cmd.AddCommand(sloListCommand(e), sloShowCommand(e), sloCustomersCommand(e), sloRulesCommand())
	return cmd
}

func sloListCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List SLOs with what is left of their budgets", Example: "  ringfence slo list\n  ringfence slo list --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]objective.Status, error) { return c.SLOs(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, s := range all {
					rows[i] = []string{s.Objective, s.Service, s.State, inPercent(s.Target), s.Window, left(s.Remaining), fires(s.Alerts)}
				}
				table(w, []string{"SLO", "SERVICE", "STATE", "TARGET", "WINDOW", "BUDGET LEFT", "FIRES"}, rows)
			})
		},
	}
}

func inPercent(f float64) string { return strconv.FormatFloat(100*f, 'g', 7, 64) + " %" }

func left(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(100**f, 'f', 1, 64) + " %"
}

func fires(alerts []objective.Fires) string {
	out := ""
	for _, a := range alerts {
		if out != "" {
			out += ", "
		}
		out += a.Severity + " for " + short(time.Since(a.Since))
	}
	return out
}

func sloShowCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "show SLO", Short: "See an SLO: its budget, its burn rates, what it asks of the metrics", Example: "  ringfence slo show shop-errors", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (objective.Report, error) { return c.ReadSLO(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showSLO(w, r) })
		},
	}
}

func showSLO(w io.Writer, r objective.Report) {
	c := colours(w)
	tone := map[string]func(string) string{objective.Healthy: c.green, objective.Burning: c.red, objective.Exhausted: c.red}[r.State]
	if tone == nil {
		tone = c.yellow
	}
	fmt.Fprintf(w, "%s  %s\n", c.bold(printable(r.Objective)), tone(r.State))
	fmt.Fprintf(w, "  %s %% of %s over %s, by %s\n", strconv.FormatFloat(100*r.Target, 'g', 7, 64), printable(r.Service), printable(r.Window), r.Method)
	if r.Reason != "" {
		fmt.Fprintf(w, "  %s\n", printable(r.Reason))
	}
	if r.Remaining != nil {
		fmt.Fprintf(w, "  budget left: %s (%.0f bad of %.0f since %s)\n", left(r.Remaining), r.Bad, r.Total, r.From.Format(time.DateTime))
	}
	if !r.Known.IsZero() {
		fmt.Fprintf(w, "  counted from %s on\n", r.Known.Format(time.DateTime))
	}
	if a := r.Restraint; a != nil {
		for _, why := range []string{a.Hold, a.Slow, a.Approve} {
			if why != "" {
				fmt.Fprintf(w, "  changes of %s: %s\n", printable(r.Service), printable(why))
			}
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", printable(n))
	}
	rows := make([][]string, len(r.Rates))
	for i, x := range r.Rates {
		holds := ""
		if x.Holds {
			holds = "yes"
		}
		rows[i] = []string{x.Severity, x.Condition, x.Long.String(), rate(x.LongRate), x.Short.String(), rate(x.ShortRate), strconv.FormatFloat(x.Threshold, 'g', 6, 64), holds}
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, []string{"SEVERITY", "CONDITION", "LONG", "BURNS", "SHORT", "BURNS", "THRESHOLD", "HOLDS"}, rows)
	}
}

func rate(f *float64) string {
	if f == nil {
		return "no data"
	}
	return strconv.FormatFloat(*f, 'f', 2, 64)
}

func sloRulesCommand() *cobra.Command {
	var paths []string
	var interval time.Duration
	cmd := &cobra.Command{
		Use: "rules -f FILE", Short: "Print rules for Prometheus that fire when the alerts of SLOs do, without a server",
		Long: `Reads SLOs, in OpenSLO's format or the short one, with what they refer to, and prints a file of rules for Prometheus: what is counted
over each window, and alerts on it. They fire at the same times as Ringfence's own, and go on firing while there is no data.`,
		Example: "  ringfence slo rules -f slo.yaml > rules.yaml\n  ringfence slo rules -f ./slos --interval 30s", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < time.Second {
				return errs.E(errs.Invalid, "interval %s: expected at least 1s", interval)
			}
			sources, err := manifest.Load(paths, cmd.InOrStdin())
			if err != nil {
				return err
			}
			all, problems := objectivesIn(sources)
			if len(problems) > 0 {
				return errs.Wrap(errs.Invalid, manifest.Problems(problems), "no rules were made")
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), slo.Rules(all, interval))
			return err
		},
	}
	cmd.Flags().StringArrayVarP(&paths, "filename", "f", nil, "a file, a folder, or - for standard input; may be given several times")
	cmd.Flags().DurationVar(&interval, "interval", 30*time.Second, "time between evaluations")
	_ = cmd.MarkFlagRequired("filename") // the flag is there: it was added above
	return cmd
}

func objectivesIn(sources []manifest.Source) ([]slo.Objective, []manifest.Problem) {
	set, problems := manifest.Read(sources)
	if len(problems) > 0 {
		return nil, problems
	}
	var all []slo.Objective
	var found []resource.Problem
	for _, c := range slo.Compile(set.Resources) {
		all, found = append(all, c.Objectives...), append(found, c.Problems...)
	}
	if len(all) == 0 && len(found) == 0 {
		problems = append(problems, manifest.Problem{File: sources[0].Name, Msg: "has no SLO", Expected: "one at least"})
	}
	return all, append(problems, set.Locate(found)...)
}
