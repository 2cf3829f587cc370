package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/drill"
	"github.com/ringfence/ringfence/internal/lookout"
	"github.com/ringfence/ringfence/internal/metric"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// past is a database of metrics for a drill's simulated time.
type past struct {
	*tsdb.Past
	lookout *lookout.Lookout
	at      time.Time
}

// openPast opens one in a folder of its own.
func openPast(dir string) (*past, func() error, error) {
	quiet := slog.New(slog.DiscardHandler)
	db, err := tsdb.Open(tsdb.Options{Dir: dir, Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	p := &past{Past: db.Past()}
	p.lookout = lookout.New(lookout.Options{Metrics: pastMetrics{watching{db}, p}, Scrape: 15 * time.Second, Logger: quiet})
	return p, db.Close, nil
}

// Look lets the lookout look at a time.
func (p *past) Look(ctx context.Context, at time.Time) error {
	p.at = at
	return p.lookout.Look(ctx, at)
}

// pastMetrics writes what is seen in simulated time, which is long ago, as a scrape.
type pastMetrics struct {
	watching
	past *past
}

func (m pastMetrics) Write(_ context.Context, samples []metric.Sample) ([]metric.Refusal, error) {
	var b bytes.Buffer
	for _, s := range samples {
		fmt.Fprintf(&b, "%s{service=%q} %v\n", s.Labels[metric.Name], s.Labels["service"], s.Value)
	}
	return nil, m.past.Scrape(map[string]string{"job": "ringfence", "instance": "server"}, m.past.at, "text/plain", b.Bytes())
}

func drillCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "drill", Short: "Rehearse: break things on purpose, and see what Ringfence makes of it", Example: "  ringfence drill detect"}
	cmd.AddCommand(drillDetectCommand())
	return cmd
}

func drillDetectCommand() *cobra.Command {
	c := drill.Config{OpenPast: func(dir string) (drill.Past, func() error, error) { return openPast(dir) }}
	cmd := &cobra.Command{
		Use:   "detect",
		Short: "Rehearse twenty faults and a healthy day: what is detected, how soon, with which cause",
		Long: `Starts Ringfence in a temporary folder with a copy of the example shop for each fault, and users for each. Then the faults
happen: bad releases, a bad config, a bad flag, a dependency that is down, a disk that is full, and more. Printed is of each
whether it was detected, how long after it began to hurt, by what, and whether the incident's first-ranked cause is the true one.
Beside it a healthy day passes in simulated time, through the same rules: nobody should be called.
Exit status 4 when the goal was missed. It needs Go and the repository, to build the shop, and about ten minutes.`,
		Example: "  ringfence drill detect\n  ringfence drill detect --fault leak --fault traffic --hours 0\n  ringfence drill detect --fault none --hours 168 --seed 7\n  ringfence drill detect --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.JSON, _ = cmd.Flags().GetBool("json")
			c.Out, c.Progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return drill.Detect(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Source, "source", ".", "the repository")
	f.StringArrayVar(&c.Faults, "fault", nil, "a fault to rehearse; may be given several times; none for none of them (default all)")
	f.Uint64Var(&c.Seed, "seed", 1, "seed of the healthy hours")
	f.Float64Var(&c.Hours, "hours", 24, "healthy hours")
	f.BoolVar(&c.Keep, "keep", false, "leave the folder with the logs")
	return cmd
}
