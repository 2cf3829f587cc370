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
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

func oncallCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use: "oncall", Short: "See who is called, and let somebody else be called",
		Long:    "Rotations are declared as resources of kind Rotation: layers of people who take turns, and steps in which they are called\nuntil somebody takes the incident.",
		Example: "  ringfence oncall who\n  ringfence oncall show shop-oncall --ahead 720h\n  ringfence oncall override shop-oncall --person bob --for 8h",
	})
	cmd.AddCommand(oncallWho(e), oncallShow(e), oncallOverride(e))
	return cmd
}

func rotationsOf(cmd *cobra.Command, e *env, name string, ahead time.Duration) ([]responder.OnCall, error) {
	return ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]responder.OnCall, error) {
		return c.OnCall(ctx, name, ahead)
	})
}

func oncallWho(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "who [ROTATION]", Short: "Say who is on call now", Example: "  ringfence oncall who\n  ringfence oncall who shop-oncall", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			all, err := rotationsOf(cmd, e, name, 14*24*time.Hour)
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, o := range all {
					for _, s := range o.Now {
						rows = append(rows, []string{o.Rotation, s.Layer, orNobody(s.Person), s.To.Local().Format("Mon Jan 02 15:04"), overrideMark(s)})
					}
				}
				table(w, []string{"ROTATION", "LAYER", "WHO", "UNTIL", "BY"}, rows)
			})
		},
	}
}

func orNobody(person string) string {
	if person == "" {
		return "nobody"
	}
	return person
}

func overrideMark(s incident.Shift) string {
	if s.Override != "" {
		return "override"
	}
	return "turn"
}

func oncallShow(e *env) *cobra.Command {
	var ahead time.Duration
	cmd := &cobra.Command{
		Use: "show ROTATION", Short: "Show turns, overrides, gaps, and people who have left", Example: "  ringfence oncall show shop-oncall --ahead 720h", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := rotationsOf(cmd, e, args[0], ahead)
			if err != nil {
				return err
			}
			return e.show(cmd, all[0], func(w io.Writer) { showOnCall(w, all[0]) })
		},
	}
	cmd.Flags().DurationVar(&ahead, "ahead", 14*24*time.Hour, "how far to look")
	return cmd
}

func showOnCall(w io.Writer, o responder.OnCall) {
	c := colours(w)
	const form = "Mon Jan 02 15:04"
	var rows [][]string
	for _, s := range o.Shifts {
		rows = append(rows, []string{s.Layer, orNobody(s.Person), s.From.Local().Format(form), s.To.Local().Format(form), overrideMark(s)})
	}
	table(w, []string{"LAYER", "WHO", "FROM", "TO", "BY"}, rows)
	rows = nil
	for i, s := range o.Spec.Steps {
		rows = append(rows, []string{strconv.Itoa(i + 1), few(s.Call, 5), s.Wait.String()})
	}
	table(w, []string{"STEP", "CALLS", "WAITS"}, rows)
	for _, g := range o.Gaps {
		fmt.Fprintf(w, "%s nobody is called first from %s to %s\n", c.red("gap:"), g.From.Local().Format(form), g.To.Local().Format(form))
	}
	for _, p := range o.Gone {
		fmt.Fprintf(w, "%s %s has no token: they cannot take an incident\n", c.red("gone:"), printable(p))
	}
}

func oncallOverride(e *env) *cobra.Command {
	var o wire.Override
	var from, to string
	var length time.Duration
	cmd := &cobra.Command{
		Use: "override ROTATION", Short: "Let somebody else be called for a time",
		Example: "  ringfence oncall override shop-oncall --person bob --for 8h\n  ringfence oncall override shop-oncall --layer first --person bob --from 2026-12-24T09:00:00Z --to 2026-12-27T09:00:00Z --reason holidays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.From, err = moment(from); err == nil {
				o.To, err = moment(to)
			}
			if err != nil {
				return err
			}
			if to == "" {
				o.To = time.Now().Add(length).UTC()
				if from != "" {
					o.To = o.From.Add(length)
				}
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (incident.Override, error) {
				return c.OverrideOnCall(ctx, args[0], o)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "%s is on call in %s of %s from %s to %s\n", orNobody(printable(out.Person)), printable(out.Layer), printable(out.Rotation), out.From.Local().Format(time.DateTime), out.To.Local().Format(time.DateTime))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Layer, "layer", "", "the layer; default the only one")
	f.StringVar(&o.Person, "person", "", "who takes over; default nobody")
	f.StringVar(&from, "from", "", "from when; default now")
	f.StringVar(&to, "to", "", "until when")
	f.DurationVar(&length, "for", 8*time.Hour, "for how long, when --to is not said")
	f.StringVar(&o.Reason, "reason", "", "why, for the record")
	return cmd
}

func doraCommand(e *env) *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use: "dora", Short: "DORA's four measures by service, from the record",
		Long: `Deployment frequency counts changes that everyone got. Lead time is from the newest commit of a release, where that is
known (release --committed, or as a Go program's build says). The change failure rate is of changes that some user got: taken back, or the cause of an incident. Time to
restore is from the first bad event until users were safe. Medians.`,
		Example: "  ringfence dora\n  ringfence dora --days 90 --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]incident.Measures, error) { return c.Dora(ctx, days) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, m := range all {
					name, rate, lead := m.Service, "", ""
					if name == "" {
						name = "all"
					}
					if m.FailureRate != nil {
						rate = fmt.Sprintf("%s (%d of %d)", incident.Percent(*m.FailureRate), m.Failed, m.Reached)
					}
					if m.Lead != nil {
						lead = fmt.Sprintf("%s (known for %d of %d)", lasted(m.Lead), m.LeadKnown, m.Deployments)
					}
					rows = append(rows, []string{name, fmt.Sprintf("%.2f/day (%d)", m.PerDay, m.Deployments), lead, rate, lasted(m.Restore)})
				}
				table(w, []string{"SERVICE", "DEPLOYMENTS", "LEAD TIME", "FAILURE RATE", "TIME TO RESTORE"}, rows)
			})
		},
	}
	cmd.Flags().IntVar(&days, "days", 30, "over how many days until now")
	return cmd
}
