package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/outcome"
	"github.com/ringfence/ringfence/internal/synthetic"
)

func rumCommand(e *env) *cobra.Command {
	var window time.Duration
	var usage bool
	cmd := &cobra.Command{
		Use:   "rum SERVICE",
		Short: "See how a service's pages are for their users, and how they use it",
		Long: `Shows the web vitals that three of four views of a page were at most, by page, version and ring, and the errors of its scripts. With
--usage, requests, users and what they did, by version and ring, and by variants of flags.

Pages tell it when the service declares route.rum and they load /.ringfence/rum.js.`,
		Example: "  ringfence rum shop\n  ringfence rum shop --window 24h --usage",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.RUM, error) { return c.RUM(ctx, args[0], window) })
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) {
				if usage {
					showUsage(w, r)
				} else {
					showRUM(w, r)
				}
			})
		},
	}
	cmd.Flags().DurationVar(&window, "window", time.Hour, "the time until now that is looked at")
	cmd.Flags().BoolVar(&usage, "usage", false, "how it is used, by version, ring and variant")
	return cmd
}

func showRUM(w io.Writer, r wire.RUM) {
	if len(r.Pages) == 0 {
		fmt.Fprintln(w, "no page has told anything in this time")
	} else {
		var rows [][]string
		for _, p := range r.Pages {
			rows = append(rows, []string{p.Page, p.Version, p.Ring, whole(p.Views), vital(p.P75, "lcp"), vital(p.P75, "fcp"), vital(p.P75, "ttfb"), vital(p.P75, "inp"), shift(p.P75), whole(p.Errors)})
		}
		table(w, []string{"PAGE", "VERSION", "RING", "VIEWS", "LCP P75", "FCP P75", "TTFB P75", "INP P75", "CLS P75", "ERRORS"}, rows)
	}
	if len(r.Errors) > 0 {
		fmt.Fprintln(w)
		var rows [][]string
		for _, x := range r.Errors[:min(len(r.Errors), 20)] {
			rows = append(rows, []string{fmt.Sprint(x.Count), x.Version, x.Ring, x.Page, x.Message, x.Source, ago(x.Last)})
		}
		table(w, []string{"TIMES", "VERSION", "RING", "PAGE", "ERROR", "AT", "LAST"}, rows)
	}
	if r.Refused >= 0.5 {
		fmt.Fprintf(w, "%s reports were not taken\n", whole(r.Refused))
	}
}

func whole(x float64) string { return fmt.Sprintf("%.0f", x) }

func vital(m map[string]float64, name string) string {
	if v, ok := m[name]; ok {
		return synthetic.Millis(v)
	}
	return ""
}

func shift(m map[string]float64) string {
	if v, ok := m["cls"]; ok {
		return fmt.Sprintf("%.3g", v)
	}
	return ""
}

func showUsage(w io.Writer, r wire.RUM) {
	var rows [][]string
	for _, u := range r.Usage {
		rows = append(rows, []string{u.Version, u.Ring, whole(u.Requests), whole(u.Users), whole(u.Views), eventsOf(u.Events)})
	}
	table(w, []string{"VERSION", "RING", "REQUESTS", "USERS", "VIEWS", "EVENTS"}, rows)
	if len(r.Variants) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows = nil
	for _, v := range r.Variants {
		rows = append(rows, []string{v.Flag, v.Variant, whole(v.Views), whole(v.Errors), vital(v.P75, "lcp"), vital(v.P75, "inp"), eventsOf(v.Events)})
	}
	table(w, []string{"FLAG", "VARIANT", "VIEWS", "ERRORS", "LCP P75", "INP P75", "EVENTS"}, rows)
}

func eventsOf(m map[string]float64) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+" "+whole(m[k]))
	}
	return strings.Join(parts, ", ")
}

// showOutcome tells what became of a hypothesis.
func showOutcome(w io.Writer, r *outcome.Report) {
	if r == nil {
		return
	}
	paint := colours(w)
	verdict := map[string]string{outcome.Confirmed: paint.green(outcome.Confirmed), outcome.Refuted: paint.red(outcome.Refuted), outcome.Open: paint.yellow(outcome.Open)}[r.Verdict]
	fmt.Fprintf(w, "\nhypothesis  %s\noutcome     %s: %s\n", printable(r.Hypothesis), verdict, printable(r.Says))
	for _, s := range []outcome.Side{r.New, r.Before} {
		if s.Value != nil {
			fmt.Fprintf(w, "            %s: %s of %d users\n", printable(s.Version), r.Written(*s.Value), s.Users)
		}
	}
	if r.Caution != "" {
		fmt.Fprintf(w, "            %s\n", printable(r.Caution))
	}
}
