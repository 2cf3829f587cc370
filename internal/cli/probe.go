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
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/probing"
	"github.com/ringfence/ringfence/internal/synthetic"
)

func probeCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "probe",
		Short: "See what probes see",
		Long: `Probes ask what users would ask, whether there are users or not: over HTTP, in several steps if need be, TCP, DNS, TLS and gRPC.
They are declared as resources of kind Probe. They look at every version that runs, so that a new one is compared with the
one before, and run on the control plane or elsewhere: ringfence prober.`,
		Example: "  ringfence probe list\n  ringfence probe show checkout --compare\n  ringfence probe run checkout",
	})
	cmd.AddCommand(probeList(e), probeShow(e), probeRun(e))
	return cmd
}

func probeList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List probes, and who looks",
		Example: "  ringfence probe list\n  ringfence probe list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Probes, error) { return c.Probes(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) { listProbes(w, all) })
		},
	}
}

func listProbes(w io.Writer, all wire.Probes) {
	if len(all.Items) == 0 {
		fmt.Fprintln(w, "no probe is declared")
		return
	}
	paint := colours(w)
	var rows [][]string
	for _, p := range all.Items {
		name, kept := p.Name, p.Versions
		if len(kept) == 0 {
			rows = append(rows, []string{name, p.Service, p.Way, "", "not seen yet"})
		}
		for _, v := range kept {
			if !v.Looked {
				continue
			}
			rows = append(rows, []string{name, p.Service, p.Way, v.Version, string(v.State), percentOf(v.Availability, v.Rounds), took(v.Median), quietOr(p.Quiet, v.Vote.Says())})
			name = ""
		}
	}
	for i := range rows {
		for len(rows[i]) < 8 {
			rows[i] = append(rows[i], "")
		}
	}
	table(w, []string{"PROBE", "SERVICE", "WAY", "VERSION", "STATE", "GOOD 24H", "MEDIAN", "PROBERS SAY"}, rows)
	var who []string
	for _, p := range all.Probers {
		heard := "never heard"
		if !p.Heard.IsZero() {
			heard = "heard " + ago(p.Heard)
		}
		if p.Dropped > 0 {
			heard += fmt.Sprintf(", lost %d rounds", p.Dropped)
		}
		who = append(who, fmt.Sprintf("%s (%d probes, %s)", printable(p.Name), p.Probes, heard))
	}
	fmt.Fprintln(w, paint.dim("probers: "+strings.Join(who, ", ")))
}

func quietOr(quiet, text string) string {
	if quiet != "" {
		return "quiet: " + quiet
	}
	return text
}

func percentOf(share float64, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100*share)
}

func took(seconds float64) string {
	if seconds == 0 {
		return ""
	}
	return synthetic.Millis(seconds)
}

func probeShow(e *env) *cobra.Command {
	var compare bool
	var version, with string
	var ratio float64
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what was seen of a probe, or compare two versions",
		Long: `Shows what each prober sees of each version. With --compare, two versions beside each other, by the rounds that were made of both
at the same time: those of the newest rollout, or others. The exit status is 0 for any verdict.`,
		Example: "  ringfence probe show checkout\n  ringfence probe show checkout --compare\n  ringfence probe show checkout --compare --version v3 --with v2 --max-ratio 1.2",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if compare || version != "" || with != "" {
				c, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (synthetic.Comparison, error) {
					return c.CompareProbe(ctx, args[0], version, with, ratio)
				})
				if err != nil {
					return err
				}
				return e.show(cmd, c, func(w io.Writer) { showComparison(w, c) })
			}
			p, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (probing.Status, error) { return c.Probe(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, p, func(w io.Writer) { showProbe(w, p) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&compare, "compare", false, "compare the newest version with the one before")
	f.StringVar(&version, "version", "", "the version that is judged")
	f.StringVar(&with, "with", "", "the version beside it")
	f.Float64Var(&ratio, "max-ratio", 0, "largest tolerated ratio of the times (default 1.5)")
	return cmd
}

func showComparison(w io.Writer, c synthetic.Comparison) {
	rows := [][]string{}
	for _, s := range []synthetic.Side{c.New, c.Stable} {
		rows = append(rows, []string{s.Version, fmt.Sprint(s.Rounds), fmt.Sprint(s.Failed), took(s.Median), took(s.P90)})
	}
	table(w, []string{"VERSION", "ROUNDS", "FAILED", "MEDIAN", "P90"}, rows)
	verdict := string(c.Verdict)
	paint := colours(w)
	switch c.Verdict {
	case health.Pass:
		verdict = paint.green(verdict)
	case health.Fail:
		verdict = paint.red(verdict)
	default:
		verdict = paint.yellow(verdict)
	}
	fmt.Fprintf(w, "%s  %s\n", verdict, printable(strings.Join(c.Reasons, " ")))
}

func showProbe(w io.Writer, p probing.Status) {
	fmt.Fprintf(w, "%s  %s of %s, every %s, %d of %d probers make it down\n", printable(p.Name), p.Way, aims(p), p.Spec.Every, p.Spec.Agree, len(p.Spec.From))
	if p.Quiet != "" {
		fmt.Fprintf(w, "quiet: %s\n", printable(p.Quiet))
	}
	if !p.Expires.IsZero() {
		fmt.Fprintf(w, "the certificate expires %s (%s)\n", p.Expires.Format(time.RFC3339), inDays(p.Expires))
	}
	var rows [][]string
	for _, v := range p.Versions {
		state := string(v.State)
		if !v.Looked {
			state = "gone"
		}
		for _, s := range v.Probers {
			last := "ok"
			if !s.Last.OK {
				last = s.Last.Reason
				if s.Last.Step != "" {
					last = s.Last.Step + ": " + last
				}
			}
			rows = append(rows, []string{v.Version, state, percentOf(v.Availability, v.Rounds), s.Name, took(s.Median), phasesOf(s.Last.Phases), ago(s.Last.At), last})
			state = ""
		}
	}
	table(w, []string{"VERSION", "STATE", "GOOD 24H", "PROBER", "MEDIAN", "DNS/CONNECT/TLS/FIRST BYTE", "LAST", "SAW"}, rows)
}

func inDays(t time.Time) string {
	if d := time.Until(t); d > 0 {
		return "in " + short(d)
	}
	return "it has expired"
}

func phasesOf(p synthetic.Phases) string {
	var parts []string
	for _, s := range []float64{p.DNS, p.Connect, p.TLS, p.FirstByte} {
		if s == 0 {
			parts = append(parts, "-")
		} else {
			parts = append(parts, synthetic.Millis(s))
		}
	}
	return strings.Join(parts, " / ")
}

func aims(p probing.Status) string {
	switch {
	case p.Target == "versions":
		return "every version of " + p.Service
	case p.Target == "gateway":
		return p.Service + " through the gateway"
	case p.Spec.DNS != nil:
		return p.Spec.DNS.Name
	}
	return p.Spec.Address
}

func probeRun(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "run NAME",
		Short: "Look once, now, from the control plane",
		Long: `Looks once at everything that the probe is for, and says what it saw. Nothing of it is kept. The exit status is 1 when something
failed.`,
		Example: "  ringfence probe run checkout\n  ringfence probe run checkout --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rounds, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]synthetic.Round, error) {
				return c.RunProbe(ctx, args[0])
			})
			if err != nil {
				return err
			}
			failed := 0
			for _, r := range rounds {
				if !r.OK {
					failed++
				}
			}
			if err := e.show(cmd, rounds, func(w io.Writer) { showRounds(w, rounds) }); err != nil {
				return err
			}
			if failed > 0 {
				return errs.E(errs.Internal, "probe %s fails", args[0])
			}
			return nil
		},
	}
}

func showRounds(w io.Writer, rounds []synthetic.Round) {
	var rows [][]string
	for _, r := range rounds {
		said := "ok"
		if !r.OK {
			if said = r.Reason; r.Step != "" {
				said = r.Step + ": " + r.Reason
			}
		}
		rows = append(rows, []string{r.Version, fmt.Sprintf("%d of %d", r.Targets-r.Failed, r.Targets), took(r.Seconds), phasesOf(r.Phases), said})
		for _, s := range r.Steps {
			rows = append(rows, []string{"  " + s.Name, fmt.Sprint(s.Status), took(s.Seconds), "", ""})
		}
	}
	table(w, []string{"VERSION", "GOOD", "TOOK", "DNS/CONNECT/TLS/FIRST BYTE", "SAW"}, rows)
}
