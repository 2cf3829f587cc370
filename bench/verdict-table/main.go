// Command verdict-table measures false stops and delays of the comparison with stable on simulated releases, next to
// the numbers of the published table. Usage: go run ./bench/verdict-table [-runs N] [-seed N]
package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/ringfence/ringfence/bench/verdict-table/sim"
)

func main() {
	runs := flag.Int("runs", 4000, "simulated releases per row")
	seed := flag.Uint64("seed", 1, "seed of the first row")
	flag.Parse()
	if *runs < 1 {
		fmt.Fprintln(os.Stderr, "verdict-table: -runs must be at least 1")
		os.Exit(2)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "canary/stable a minute, canary errors\talpha\tstopped %\tmean minute\tpublished %\tpublished minute")
	for i, sc := range sim.Table() {
		row(out, sc, 0.01, *runs, *seed+uint64(i))
	}
	for i, traffic := range [][2]int64{{100, 100}, {100, 1900}, {1000, 1000}} {
		for _, day := range []struct{ alpha, published float64 }{{0.01, 0.6}, {0.05, 3.4}} {
			sc := sim.Day(traffic[0], traffic[1])
			sc.Name = fmt.Sprintf("%d/%d %s", traffic[0], traffic[1], sc.Name)
			sc.Table = sim.Expected{Stopped: day.published}
			row(out, sc, day.alpha, *runs, *seed+100+uint64(i))
		}
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "verdict-table:", err)
		os.Exit(1)
	}
}

func row(out *tabwriter.Writer, sc sim.Scenario, alpha float64, runs int, seed uint64) {
	r := sim.Run(sc, sim.ComparisonOnly(alpha), runs, seed)
	fmt.Fprintf(out, "%s\t%g\t%.2f\t%s\t%.1f\t%s\n", sc.Name, alpha, 100*r.Share(),
		minute(r.Mean), sc.Table.Stopped, minute(sc.Table.Minute))
}

func minute(m float64) string {
	if m == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", m)
}
