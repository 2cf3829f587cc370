package main

import (
	"fmt"
	"io"
	"testing"
	"time"

	ours "github.com/ringfence/ringfence/internal/flag"
)

const measured = `{"flags": {
  "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
  "3 conditions": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"if": [{"and": [
     {"==": [{"var": "plan"}, "beta"]}, {"ends_with": [{"var": "email"}, "@example.com"]}, {"in": [{"var": "country"}, ["de", "fr", "nl"]]}]}, "on", "off"]}},
  "25 %": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": {"fractional": [["on", 25], ["off", 75]]}}}}`

// bench measures the same evaluations in both, in turn, and tells the fastest of several runs of each.
func bench(w io.Writer) error {
	set, problems := ours.Parse([]byte(measured))
	if len(problems) > 0 {
		return fmt.Errorf("%v", problems)
	}
	o, err := newOracle([]byte(measured))
	if err != nil {
		return err
	}
	attributes := map[string]any{"targetingKey": "5c3d8535-f81a-4478-a6d3-afaa4d51199e", "plan": "beta", "email": "carol@example.com", "country": "nl", "tier": "gold"}
	ctx := contextOf(attributes, time.Now())
	fmt.Fprintf(w, "%-14s %22s %26s %8s\n", "ns, B, allocs", "ours", "flagd core", "ratio")
	for _, key := range []string{"static", "3 conditions", "25 %"} {
		var mine, theirs testing.BenchmarkResult
		for range 4 {
			fastest(&mine, testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					set.Evaluate(key, ctx)
				}
			}))
			fastest(&theirs, testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					o.resolve(key, attributes)
				}
			}))
		}
		fmt.Fprintf(w, "%-14s %22s %26s %7.0fx\n", key, figures(mine), figures(theirs), perOp(theirs)/perOp(mine))
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
