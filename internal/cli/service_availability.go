package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/availability"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

func serviceAvailability(e *env) *cobra.Command {
	since, until := 24*time.Hour, ""
	cmd := &cobra.Command{
		Use: "availability SERVICE", Short: "See minute by minute how a service was there, and what happened beside its bad minutes",
		Long: `A minute is bad when too many of its requests failed, were shed or slow, as the service declares under spec.availability. Each row of
the strip is an hour: . is a good minute, ! a bad one, - one without a request, and a blank one of which nothing is known.`,
		Example: "  ringfence service availability shop\n  ringfence service availability shop --since 6h --until 2026-11-22T12:00:00Z --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var end time.Time
			if until != "" {
				var err error
				if end, err = time.Parse(time.RFC3339, until); err != nil {
					return errs.E(errs.Invalid, "until %q: expected a time such as 2026-11-22T12:00:00Z", until)
				}
			}
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (availability.Report, error) {
				return c.Availability(ctx, args[0], since, end)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) { showAvailability(w, r) })
		},
	}
	cmd.Flags().DurationVar(&since, "since", since, "how long a time is looked at, at most 24h")
	cmd.Flags().StringVar(&until, "until", "", "its end, such as 2026-11-22T12:00:00Z; default now")
	return cmd
}

var minuteSigns = map[string]byte{availability.Good: '.', availability.Bad: '!', availability.Idle: '-', availability.Unknown: ' '}

func showAvailability(w io.Writer, r availability.Report) {
	c := colours(w)
	fmt.Fprintf(w, "%s  %d good minutes, %d bad, %d without requests, %d not known; %d of %d requests failed, were shed or slow\n\n", c.bold(printable(r.Service)), r.Good, r.Bad, r.Idle, r.Unknown, r.Hurt, r.Requests)
	row, begun := []byte(strings.Repeat(" ", 60)), false
	for i, m := range r.Minutes {
		begun = begun || m.State != availability.Unknown // hours before anything was known are not worth a row
		row[m.At.Minute()] = minuteSigns[m.State]
		if begun && (m.At.Minute() == 59 || i == len(r.Minutes)-1) {
			fmt.Fprintf(w, "%s  %s\n", m.At.Format("01-02 15h"), strings.TrimRight(string(row), " "))
			row = []byte(strings.Repeat(" ", 60))
		}
	}
	var rows, happened [][]string
	for _, m := range r.Minutes {
		if m.State != availability.Bad {
			continue
		}
		var why []string
		for _, x := range m.Reasons {
			why = append(why, fmt.Sprintf("%s %d", x.Reason, x.Requests))
		}
		rows = append(rows, []string{m.At.Format("01-02 15:04"), strconv.FormatFloat(100*m.Share, 'f', 1, 64) + " %", strconv.FormatInt(m.Requests, 10), strconv.FormatInt(m.Failed, 10),
			strconv.FormatInt(m.Shed, 10), strconv.FormatInt(m.Slow, 10), orDash(strings.Join(why, ", ")), strconv.Itoa(len(m.Beside))})
	}
	if rows == nil {
		return
	}
	fmt.Fprintln(w)
	table(w, []string{"BAD MINUTE", "BAD", "REQUESTS", "FAILED", "SHED", "SLOW", "GATEWAY'S REASONS", "BESIDE IT"}, rows)
	for _, h := range r.Happened {
		happened = append(happened, []string{h.At.Format("01-02 15:04:05"), h.Kind, printable(h.Text), orDash(h.Actor)})
	}
	if happened != nil {
		fmt.Fprintln(w)
		table(w, []string{"HAPPENED BESIDE THEM", "KIND", "WHAT", "BY"}, happened)
	}
}
