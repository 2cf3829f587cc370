package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// bench measures the same evaluations in all evaluators, in turn, and tells the fastest of several runs of each, and how
// many times faster ours is.
func bench(w io.Writer) error {
	all, err := rivals()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-16s", "ns, B, allocs")
	for _, key := range measuredKeys {
		fmt.Fprintf(w, "%30s", key)
	}
	fmt.Fprintln(w)
	best := make([][]testing.BenchmarkResult, len(all))
	for i := range best {
		best[i] = make([]testing.BenchmarkResult, len(measuredKeys))
	}
	for range 3 {
		for k, key := range measuredKeys {
			for i, r := range all {
				evaluate := r.flags[key]
				fastest(&best[i][k], testing.Benchmark(func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						evaluate()
					}
				}))
			}
		}
	}
	for i, r := range all {
		fmt.Fprintf(w, "%-16s", r.name)
		for k := range measuredKeys {
			cell := figures(best[i][k])
			if i > 0 {
				cell += fmt.Sprintf("  %6.1fx", perOp(best[i][k])/perOp(best[0][k]))
			} else {
				cell += strings.Repeat(" ", 9)
			}
			fmt.Fprintf(w, "%30s", cell)
		}
		fmt.Fprintln(w)
	}
	return nil
}

func fastest(best *testing.BenchmarkResult, r testing.BenchmarkResult) {
	if best.N == 0 || perOp(r) < perOp(*best) {
		*best = r
	}
}

func perOp(r testing.BenchmarkResult) float64 { return float64(r.T.Nanoseconds()) / float64(r.N) }

func figures(r testing.BenchmarkResult) string {
	return fmt.Sprintf("%.0f / %d / %d", perOp(r), r.AllocedBytesPerOp(), r.AllocsPerOp())
}
