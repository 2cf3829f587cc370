package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// report prints the medians, and the medians of the ratios to nginx in the same round.
func report(w io.Writer, ps []*proxy) {
	var base *proxy
	for _, p := range ps {
		if p.name == "nginx" {
			base = p
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "proxy\treq/s\tCPU µs/request\tp50 ms\tp99 ms\tRSS MB\treq/s ratio\tCPU ratio\tp99 ratio\t")
	for _, p := range ps {
		col := func(get func(sample) float64) float64 { return median(p.samples, get) }
		ratio := func(get func(sample) float64) string {
			if base == nil || get(p.samples[0]) == 0 {
				return "-"
			}
			rs := make([]sample, len(p.samples))
			for i := range rs {
				rs[i].rate = get(p.samples[i]) / get(base.samples[i])
			}
			return fmt.Sprintf("%.2f", median(rs, rate))
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.1f\t%.2f\t%.1f\t%.0f\t%s\t%s\t%s\t\n", p.name, col(rate), col(cpu)*1e6,
			col(func(s sample) float64 { return s.p50 * 1e3 }), col(p99)*1e3, col(func(s sample) float64 { return s.rss / 1e6 }),
			ratio(rate), ratio(cpu), ratio(p99))
	}
	t.Flush()
}

func rate(s sample) float64 { return s.rate }
func cpu(s sample) float64  { return s.cpu }
func p99(s sample) float64  { return s.p99 }

func median(ss []sample, get func(sample) float64) float64 {
	vs := make([]float64, len(ss))
	for i, s := range ss {
		vs[i] = get(s)
	}
	slices.Sort(vs)
	if n := len(vs); n%2 == 0 {
		return (vs[n/2-1] + vs[n/2]) / 2
	}
	return vs[len(vs)/2]
}
