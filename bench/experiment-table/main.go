// Command experiment-table measures the statistics of experiments on simulated users: false alarms at one look and under
// peeking, coverage of intervals, power at the planned size, what a covariate takes away, false alarms of the checks and the
// guardrails. Usage: go run ./bench/experiment-table [-runs N] [-seed N]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/ringfence/ringfence/bench/experiment-table/sim"
	"github.com/ringfence/ringfence/internal/experiment"
)

const (
	alpha = 0.05
	looks = 100
	each  = 100 // users of each variant between looks
)

var methods = []experiment.Method{experiment.Welch, experiment.Sequential, experiment.Bayesian}

func main() {
	runs := flag.Int("runs", 800, "simulated experiments a row")
	seed := flag.Uint64("seed", 1, "seed of the first row")
	flag.Parse()
	if *runs < 10 {
		fmt.Fprintln(os.Stderr, "experiment-table: -runs must be at least 10")
		os.Exit(2)
	}
	began := time.Now()
	for _, part := range []func(io.Writer, int, uint64){alarms, coverage, power, covariates, shares, guardrails} {
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		part(out, *runs, *seed)
		fmt.Fprintln(out)
		if err := out.Flush(); err != nil {
			fmt.Fprintln(os.Stderr, "experiment-table:", err)
			os.Exit(1)
		}
	}
	fmt.Printf("%d experiments a row, in %.0f s\n", *runs, time.Since(began).Seconds())
}

func alarms(out io.Writer, runs int, seed uint64) {
	fmt.Fprintf(out, "False alarms %%: variants alike, alpha %g, %d users in each\tone look: Welch\tsequential\tBayesian\t%d looks: Welch\tsequential\tBayesian\n", alpha, looks*each, looks)
	for i, p := range sim.Populations() {
		r := sim.Trial{Population: p, Lift: 1, Looks: looks, Each: each, Alpha: alpha, Methods: methods}.Many(runs, seed+uint64(i))
		fmt.Fprintf(out, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\n", p.Name, 100*r[0].Last, 100*r[1].Last, 100*r[2].Last, 100*r[0].Called, 100*r[1].Called, 100*r[2].Called)
	}
}

func coverage(out io.Writer, runs int, seed uint64) {
	fmt.Fprintf(out, "Intervals that hold the true effect of +10 %%, %%\tat one look: Welch\tsequential\tBayesian\tat all of %d: Welch\tsequential\tBayesian\n", looks)
	for i, p := range sim.Populations() {
		r := sim.Trial{Population: p, Lift: 1.1, Looks: looks, Each: each, Alpha: alpha, Methods: methods}.Many(runs, seed+100+uint64(i))
		fmt.Fprintf(out, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\n", p.Name, 100*r[0].Covered, 100*r[1].Covered, 100*r[2].Covered, 100*r[0].Always, 100*r[1].Always, 100*r[2].Always)
	}
}

// power runs experiments of the planned size.
func power(out io.Writer, runs int, seed uint64) {
	fmt.Fprintln(out, "Power at the planned size, 80 % planned\teffect\tusers planned\tfound at the end %\tfound at any of 50 looks %\tusers until found or the end")
	all := sim.Populations()
	for i, c := range []struct {
		population sim.Population
		sizing     experiment.Sizing
	}{
		{all[0], experiment.Sizing{Kind: experiment.Proportion, Mean: 0.1, Effect: 0.15}},
		{all[2], experiment.Sizing{Kind: experiment.Mean, Mean: 10, StdDev: 20, Effect: 0.1}},
	} {
		for k, method := range methods[:2] {
			c.sizing.Method = method
			users, err := c.sizing.Users()
			if err != nil {
				fmt.Fprintln(out, err)
				continue
			}
			const at = 50
			r := sim.Trial{Population: c.population, Lift: 1 + c.sizing.Effect, Looks: at, Each: int(users) / 2 / at, Alpha: alpha, Methods: []experiment.Method{method}}.Many(runs/2, seed+200+uint64(2*i+k))[0]
			found, until := "-", "-" // a fixed horizon has one look
			if method == experiment.Sequential {
				found, until = fmt.Sprintf("%.1f", 100*r.Called), fmt.Sprintf("%.0f", r.Looks/at*float64(users))
			}
			fmt.Fprintf(out, "%s, %s\t+%.0f %%\t%d\t%.1f\t%s\t%s\n", c.population.Name, method, 100*c.sizing.Effect, users, 100*r.Last, found, until)
		}
	}
}

func covariates(out io.Writer, runs int, seed uint64) {
	fmt.Fprintln(out, "A covariate (CUPED) that explains\tvariance taken away %\tfalse alarms %, Welch, one look\tsequential, 100 looks\tWelch's interval holds +10 % in %")
	for i, explained := range []float64{0, 0.25, 0.5, 0.8} {
		p := sim.Paired(explained)
		r := sim.Trial{Population: p, Lift: 1, Looks: looks, Each: each, Covariate: true, Alpha: alpha, Methods: methods}.Many(runs/2, seed+300+uint64(i))
		c := sim.Trial{Population: p, Lift: 1.1, Looks: 1, Each: 2000, Covariate: true, Alpha: alpha, Methods: methods[:1]}.Many(runs, seed+400+uint64(i))
		fmt.Fprintf(out, "%.0f %%\t%.1f\t%.1f\t%.1f\t%.1f\n", 100*explained, 100*r[0].Reduced, 100*r[0].Last, 100*r[1].Called, 100*c[0].Covered)
	}
}

func shares(out io.Writer, runs int, seed uint64) {
	fmt.Fprintf(out, "Users wrongly split, p below %g; %% of experiments called broken\tat the last of %d looks\tat any\n", experiment.MismatchAt, looks)
	for i, c := range []struct {
		name   string
		chance float64
	}{{"50 / 50 as meant, 20,000 users", 0.5}, {"49 / 51", 0.51}, {"48 / 52", 0.52}} {
		ever, last := sim.Split(c.chance, looks, 2*each, 5*runs, seed+500+uint64(i))
		fmt.Fprintf(out, "%s\t%.2f\t%.2f\n", c.name, 100*last, 100*ever)
	}
}

func guardrails(out io.Writer, runs int, seed uint64) {
	fmt.Fprintf(out, "Guardrails at %d looks, errors of 1 %% of the users\tstopped %%\n", looks)
	errors := sim.Populations()[1]
	for i, c := range []struct {
		name         string
		lift, margin float64
	}{{"as many as the control", 1, 0}, {"20 % more, and 20 % is tolerated", 1.2, 0.2}, {"1.5 times as many", 1.5, 0}, {"twice as many", 2, 0}, {"three times as many", 3, 0}} {
		fmt.Fprintf(out, "%s\t%.1f\n", c.name, 100*sim.Guarded(errors, c.lift, c.margin, looks, each, runs/2, seed+600+uint64(i)))
	}
}
