// Command monitor measures how Ringfence takes metrics in, what they cost in memory and how fast they are asked, beside a Prometheus
// server of the same version. Both are processes with their own defaults, spoken to over HTTP, in turns.
//
//	go run ./bench/monitor [-series 100000] [-rounds 16]
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/ringfence/ringfence/bench/beside"
)

type result map[string]float64

// rows are what is measured: the name of a number, and which ratio is wanted.
var rows = []struct {
	name, unit, goal string
}{
	{"taken", "samples a second, remote write 2.0", "at least 0.9"},
	{"cpu", "samples per CPU-second of the server", "at least 0.9"},
	{"memory", "bytes of memory per series", "at most 1.1"},
	{"live", "of these, bytes of live heap", ""},
	{"sum", "ms, sum of rates of 1,000 series over 24 h", "at most 1.0"},
	{"each", "ms, rates of 1,000 series over 24 h, each", "at most 1.0"},
	{"raw", "ms, 24 h of 1,000 series, each, as they are", "at most 1.0"},
}

func main() {
	prometheus := flag.String("prometheus", "bin/prometheus", "program of Prometheus; make prometheus builds it")
	ringfence := flag.String("ringfence", "bin/ringfence", "program of Ringfence")
	series := flag.Int("series", 100_000, "series that are sent")
	rounds := flag.Int("rounds", 16, "samples of each")
	repeats := flag.Int("repeats", 3, "times that each side is measured; the medians count")
	flag.Parse()
	if err := run(*prometheus, *ringfence, *series, *rounds, *repeats); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(prometheus, ringfence string, series, rounds, repeats int) error {
	starts := map[string]start{
		"prometheus": func(s beside.Seed) (*beside.Server, error) { return beside.Prometheus(prometheus, s) },
		"ringfence":  func(s beside.Seed) (*beside.Server, error) { return beside.Ringfence(ringfence, s) },
	}
	all := map[string][]result{}
	for n := range repeats {
		names := []string{"prometheus", "ringfence"}
		if n%2 == 1 { // nobody is always the first
			slices.Reverse(names)
		}
		for _, name := range names {
			r, err := measure(starts[name], series, rounds)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name] = append(all[name], r)
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, r)
		}
	}
	p, r := medians(all["prometheus"]), medians(all["ringfence"])
	fmt.Printf("%-46s %12s %12s %7s\n", "", "Prometheus", "Ringfence", "ratio")
	for _, row := range rows {
		goal := ""
		if row.goal != "" {
			goal = "  (goal " + row.goal + ")"
		}
		fmt.Printf("%-46s %12.0f %12.0f %7.2f%s\n", row.unit, p[row.name], r[row.name], r[row.name]/p[row.name], goal)
	}
	return nil
}

func medians(all []result) result {
	m := result{}
	for _, row := range rows {
		var vs []float64
		for _, r := range all {
			vs = append(vs, r[row.name])
		}
		slices.Sort(vs)
		m[row.name] = vs[len(vs)/2]
	}
	return m
}
