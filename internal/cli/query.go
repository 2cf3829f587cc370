package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

const pointsOfRange = 60 // when no step is given: as wide as a line of text

func queryCommand(e *env) *cobra.Command {
	var at string
	var span, step time.Duration
	cmd := &cobra.Command{
		Use:   "query EXPR",
		Short: "Ask the metrics, in PromQL",
		Long: `Evaluates a PromQL expression now, at a time, or over a range of time up to that. The metrics hold what the gateways count, what
services and Scrapes expose, and what was sent by remote write or OpenTelemetry.`,
		Example: `  ringfence query up
  ringfence query 'sum by (version) (rate(ringfence_requests_total{service="shop"}[1m]))' --range 30m
  ringfence query 'histogram_quantile(0.99, sum(rate(ringfence_request_duration_seconds{service="shop"}[5m])))' --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := timeOf(at)
			if err != nil {
				return err
			}
			if span < 0 || step < 0 || step > 0 && span == 0 {
				return errs.E(errs.Invalid, "--range %s, --step %s: expected a range, and a step only with one", span, step)
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.QueryResult, error) {
				if span == 0 {
					return c.Evaluate(ctx, args[0], end)
				}
				if end.IsZero() {
					end = time.Now()
				}
				if step == 0 {
					step = max(span/pointsOfRange, time.Second).Truncate(time.Second)
				}
				return c.EvaluateRange(ctx, args[0], end.Add(-span), end, step)
			})
			if err != nil {
				return err
			}
			all, err := out.Series()
			if err != nil {
				return errs.Wrap(errs.Internal, err, "the answer cannot be read")
			}
			for _, w := range out.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", printable(w))
			}
			return e.show(cmd, out, func(w io.Writer) { showSeries(w, all) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "time, such as 2026-03-01T12:00:00Z (default now)")
	f.DurationVar(&span, "range", 0, "evaluate over this time up to --at, such as 1h")
	f.DurationVar(&step, "step", 0, "time between two points of the range (default a sixtieth)")
	return cmd
}

func timeOf(at string) (time.Time, error) {
	if at == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return t, errs.E(errs.Invalid, "--at %q: expected a time such as 2026-03-01T12:00:00Z", at)
	}
	return t, nil
}

func showSeries(w io.Writer, all []wire.QuerySeries) {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing: no series is there at that time")
		return
	}
	if len(all[0].Values)+len(all[0].Histograms) == 0 {
		rows := make([][]string, len(all))
		for i, s := range all {
			rows[i] = []string{seriesText(s.Metric), valueText(s)}
		}
		table(w, []string{"SERIES", "VALUE"}, rows)
		return
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		low, high, last := math.Inf(1), math.Inf(-1), "histograms"
		var values []float64
		for _, p := range s.Values {
			v, err := strconv.ParseFloat(p.Value, 64)
			if err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
				low, high = min(low, v), max(high, v)
				values = append(values, v)
			}
			last = p.Value
		}
		rows[i] = []string{seriesText(s.Metric), "", "", last, sparks(values, low, high)}
		if len(values) > 0 {
			rows[i][1], rows[i][2] = brief(low), brief(high)
		}
	}
	table(w, []string{"SERIES", "LOWEST", "HIGHEST", "LAST", "COURSE"}, rows)
}

func brief(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// sparks draws values as bars, the lowest of which is the least.
func sparks(values []float64, low, high float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	steps := []rune(bars)
	if len(values) > 2*pointsOfRange { // too wide for a line: every so many
		every := (len(values) + pointsOfRange - 1) / pointsOfRange
		var some []float64
		for i := 0; i < len(values); i += every {
			some = append(some, values[i])
		}
		values = some
	}
	var b strings.Builder
	for _, v := range values {
		k := 0
		if high > low {
			k = int((v - low) / (high - low) * float64(len(steps)-1))
		}
		b.WriteRune(steps[k])
	}
	return b.String()
}

func seriesText(labels map[string]string) string {
	var b strings.Builder
	b.WriteString(labels["__name__"])
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k != "__name__" {
			parts = append(parts, k+"="+strconv.Quote(labels[k]))
		}
	}
	if len(parts) > 0 {
		b.WriteString("{" + strings.Join(parts, ", ") + "}")
	}
	if b.Len() == 0 {
		return "{}"
	}
	return b.String()
}

func valueText(s wire.QuerySeries) string {
	if s.Value != nil {
		return s.Value.Value
	}
	var h struct{ Count, Sum string }
	var pair [2]json.RawMessage
	if json.Unmarshal(s.Histogram, &pair) == nil && json.Unmarshal(pair[1], &h) == nil {
		return "histogram of " + h.Count + ", sum " + h.Sum
	}
	return "histogram"
}
