package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result of one proxy in one mode.
type result struct {
	proxy, mode       string
	work              time.Duration
	steady, switching tally
}

func (r result) line() string {
	return fmt.Sprintf("%-9s %-6s %-12s lost %d of %d %s", r.mode, r.work, r.proxy, r.switching.losses(), r.switching.requests, kinds(r.switching.lost))
}

func report(w io.Writer, rs []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OLD VERSION\tWORK\tPROXY\tREQUESTS\tLOST\tP99\tP99 WITHOUT SWITCHES\tWORST\tHOW")
	for _, r := range rs {
		s := r.switching
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.mode, r.work, r.proxy, s.requests, s.losses(), ms(s.percentile(0.99)), ms(r.steady.percentile(0.99)), ms(s.percentile(1)), kinds(s.lost))
	}
	t.Flush()
}

func ms(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

func kinds(lost map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(lost)) {
		out = append(out, fmt.Sprintf("%d %s", lost[k], k))
	}
	return strings.Join(out, ", ")
}
