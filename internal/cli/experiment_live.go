package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/lab"
)

func experimentListCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List experiments and what they come to", Example: "  ringfence experiment list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]lab.Run, error) { return c.Experiments(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, r := range all {
					rows[i] = []string{r.Experiment, r.Spec.Flag, string(r.Phase), string(r.Reading.Decision), ago(r.Started), r.Spec.Owner}
				}
				table(w, []string{"EXPERIMENT", "FLAG", "PHASE", "READING", "STARTED", "OWNER"}, rows)
			})
		},
	}
}

func experimentShowCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "show EXPERIMENT", Short: "Read an experiment as it is now", Example: "  ringfence experiment show checkout-button", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (lab.Report, error) { return c.ReadExperiment(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showRun(w, r) })
		},
	}
}

func showRun(w io.Writer, r lab.Report) {
	c := colours(w)
	fmt.Fprintf(w, "%s  %s, on flag %s\n", c.bold(printable(r.Run.Experiment)), r.Run.Phase, printable(r.Run.Spec.Flag))
	fmt.Fprintf(w, "  hypothesis: %s\n", printable(r.Run.Spec.Hypothesis))
	if r.Report == nil {
		fmt.Fprintf(w, "  begin it with: ringfence experiment start %s\n", r.Run.Experiment)
		return
	}
	if r.Edited {
		fmt.Fprintf(w, "  it was declared otherwise since: that is for the next run\n")
	}
	fmt.Fprintf(w, "  %s: %s\n", c.bold(string(r.Report.Reading.Decision)), printable(r.Report.Reading.Why))
	if r.Run.Reason != "" {
		fmt.Fprintf(w, "  ended by %s: %s\n", printable(r.Run.EndedBy), printable(r.Run.Reason))
	}
	p := r.Report.Progress
	users := fmt.Sprintf("%d users", p.Users)
	if p.Planned > 0 {
		users += fmt.Sprintf(" of %d planned, %.0f %% of the plan", p.Planned, 100*min(p.Share, 1))
	}
	fmt.Fprintf(w, "  %s\n", users)
	var rows [][]string
	for _, m := range r.Report.Metrics {
		for _, t := range m.Treatments {
			rows = append(rows, []string{m.Name, string(m.Role), t.Variant, number(t.Control), number(t.Value), effect(m, t), between(m, t), string(t.State)})
		}
	}
	table(w, []string{"METRIC", "ROLE", "VARIANT", "CONTROL", "VALUE", "EFFECT", "INTERVAL", "STATE"}, rows)
}

func number(x *float64) string {
	if x == nil {
		return ""
	}
	return strconv.FormatFloat(*x, 'g', 4, 64)
}

func effect(m experiment.MetricReport, t experiment.Comparison) string {
	if t.Effect == nil {
		return t.Problem
	}
	return m.Difference.Text(*t.Effect)
}

func between(m experiment.MetricReport, t experiment.Comparison) string {
	if t.CI == nil {
		return ""
	}
	return m.Difference.Text(t.CI[0]) + " to " + m.Difference.Text(t.CI[1])
}

func experimentStartCommand(e *env) *cobra.Command {
	var mean, deviation float64
	cmd := &cobra.Command{
		Use: "start EXPERIMENT", Short: "Begin an experiment",
		Long: `Begins an experiment: from now on its participants get their variants by chance, and what they do afterwards is compared. With what
is known of the primary metric, the size of the sample is planned that shows the minimum effect.`,
		Example: "  ringfence experiment start checkout-button --baseline 0.12",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := wire.ExperimentStart{}
			if cmd.Flags().Changed("baseline") {
				s.Baseline = &lab.Baseline{Mean: mean, StdDev: deviation}
			}
			run, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (lab.Run, error) {
				return c.StartExperiment(ctx, args[0], s)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, run, func(w io.Writer) {
				fmt.Fprintf(w, "experiment %s runs since %s\n", run.Experiment, run.Started.Local().Format(time.DateTime))
				if run.Planned > 0 {
					fmt.Fprintf(w, "planned: %d users\n", run.Planned)
				}
			})
		},
	}
	cmd.Flags().Float64Var(&mean, "baseline", 0, "the primary metric as it is without the change: of a proportion, the share")
	cmd.Flags().Float64Var(&deviation, "stddev", 0, "its standard deviation over users; not for a proportion")
	return cmd
}

func experimentStopCommand(e *env) *cobra.Command {
	var s wire.ExperimentStop
	cmd := &cobra.Command{
		Use: "stop EXPERIMENT", Short: "End an experiment, and ship a variant if that is said",
		Long: `Ends an experiment: everyone has what the flag gives without it. With --ship, a variant is then shown to everyone, ring by ring, by
the flag's exposure.`,
		Example: "  ringfence experiment stop checkout-button --reason \"nothing to see\"\n  ringfence experiment stop checkout-button --ship \"on\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (lab.Run, error) { return c.StopExperiment(ctx, args[0], s) })
			if err != nil {
				return err
			}
			return e.show(cmd, run, func(w io.Writer) {
				fmt.Fprintf(w, "experiment %s has ended\n", run.Experiment)
				if run.Shipped != "" {
					fmt.Fprintf(w, "variant %s is being shown to everyone: ringfence flags show %s\n", printable(run.Shipped), printable(run.Spec.Flag))
				}
			})
		},
	}
	cmd.Flags().StringVar(&s.Ship, "ship", "", "the variant that is then shown to everyone")
	cmd.Flags().StringVar(&s.Reason, "reason", "", "why, for the record")
	return cmd
}
