// Command verdict-table measures false stops and delays of verdicts on simulated releases: the comparison with stable
// beside plain thresholds, Kayenta's judge and Wald's sequential test, and what they say of canaries that Kayenta is known to
// pass. Usage: go run ./bench/verdict-table [-runs N] [-seed N]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/ringfence/ringfence/bench/verdict-table/sim"
)

const alpha = 0.01

func main() {
	runs := flag.Int("runs", 1500, "simulated releases per row")
	seed := flag.Uint64("seed", 1, "seed of the first row")
	flag.Parse()
	if *runs < 1 {
		fmt.Fprintln(os.Stderr, "verdict-table: -runs must be at least 1")
		os.Exit(2)
	}
	for i, part := range []func(io.Writer, int, uint64){methods, days, wald, reported} {
		if i > 0 {
			fmt.Println()
		}
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		part(out, *runs, *seed)
		if err := out.Flush(); err != nil {
			fmt.Fprintln(os.Stderr, "verdict-table:", err)
			os.Exit(1)
		}
	}
}

// methods is the table of the published simulation, with the numbers that it gives for the e-process.
func methods(out io.Writer, runs int, seed uint64) {
	fmt.Fprintf(out, "Stopped %% (mean minute) of %d releases a row; one look a minute, alpha %g\n", runs, alpha)
	head := []string{"canary/stable a minute, canary errors"}
	all := sim.Methods(alpha)
	for _, m := range all {
		head = append(head, m.Name)
	}
	fmt.Fprintln(out, strings.Join(append(head, "published e-process"), "\t"))
	for i, sc := range sim.Table() {
		cells := []string{sc.Name}
		for _, r := range sim.Compare(sc, all, runs, seed+uint64(i)) {
			cells = append(cells, cell(100*r.Share(), r.Mean))
		}
		fmt.Fprintln(out, strings.Join(append(cells, cell(sc.Table.Stopped, sc.Table.Minute)), "\t"))
	}
}

func cell(percent, minute float64) string {
	if minute == 0 {
		return fmt.Sprintf("%.1f", percent)
	}
	return fmt.Sprintf("%.1f (%.0f)", percent, minute)
}

// days are healthy releases that are judged each minute for a day.
func days(out io.Writer, runs int, seed uint64) {
	fmt.Fprintln(out, "Healthy, judged each minute for 24 h\talpha\tours: stopped %\tpublished %")
	for i, traffic := range [][2]int64{{100, 100}, {100, 1900}, {1000, 1000}} {
		for _, day := range []struct{ alpha, published float64 }{{0.01, 0.6}, {0.05, 3.4}} {
			sc := sim.Day(traffic[0], traffic[1])
			r := sim.Compare(sc, sim.Methods(day.alpha)[:1], runs, seed+100+uint64(i))[0]
			fmt.Fprintf(out, "%d/%d\t%g\t%.2f\t%.1f\n", traffic[0], traffic[1], day.alpha, 100*r.Share(), day.published)
		}
	}
}

// wald compares with the test that knows the effect.
func wald(out io.Writer, runs int, seed uint64) {
	fmt.Fprintf(out, "Requests to the canary until it is stopped, alpha %g: Wald's test knows the effect, ours does not\n", alpha)
	fmt.Fprintln(out, "canary's share\ttimes the errors\tours\tWald\tratio\tfalse stops %, ours\tWald\tWald, told stable's share too")
	var races []sim.Race
	for i, e := range sim.Effects() {
		r := e.Run(alpha, runs, seed+200+uint64(i))
		races = append(races, r)
		fmt.Fprintf(out, "%g %%\t%g\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\n", 100*r.Share, r.Times, r.Ours, r.Wald, r.Ratio(), 100*r.OursFalse, 100*r.WaldFalse, r.Omniscient)
	}
	fmt.Fprintf(out, "mean\t\t\t\t%.2f\t%.2f\t%.2f\tours needs %.2f times as many\n", sim.Mean(races, sim.Race.Ratio),
		100*sim.Mean(races, func(r sim.Race) float64 { return r.OursFalse }), 100*sim.Mean(races, func(r sim.Race) float64 { return r.WaldFalse }),
		sim.Mean(races, func(r sim.Race) float64 { return r.Ours / r.Omniscient }))
}

// reported are bad canaries that were reported to pass.
func reported(out io.Writer, _ int, _ uint64) {
	fmt.Fprintln(out, "Bad canaries of which it is reported that Kayenta passes them\tours, defaults\tKayenta")
	for _, c := range sim.Cases() {
		ours, kayenta := c.Verdicts()
		said := string(ours.Verdict)
		if ours.StoppedAt != nil {
			said += fmt.Sprintf(" (window %d of %d)", *ours.StoppedAt+1, len(c.Series.Canary))
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", c.Name, said, kayenta.Verdict)
	}
}
