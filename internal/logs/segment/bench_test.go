package segment_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/logs/segment"
)

func batch(n, from int) logs.Batch {
	var b logs.Batch
	for i := from; i < from+n; i++ {
		e := entry(0, "shop", fmt.Sprintf("v%d", i%3), fmt.Sprintf("request %d of user u%d failed: %x", i, i%977, i*2654435761))
		e.Time, e.Ring = start.Add(time.Duration(i)*time.Millisecond), "canary"
		b.Entries = append(b.Entries, e)
	}
	return b
}

// Every append is flushed to the disk before it returns.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			s := open(b, segment.Options{})
			made := batch(n, 0)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Append(b.Context(), made); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkFind(b *testing.B) {
	s := open(b, segment.Options{SealBytes: 4 << 20})
	const n = 500_000
	for i := 0; i < n; i += 1000 {
		if err := s.Append(b.Context(), batch(1000, i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Stats().Bytes)/n, "B/entry")
	for name, q := range map[string]logs.Query{
		"newest":    {Filter: logs.Filter{Service: []string{"shop"}}},
		"word":      {Filter: logs.Filter{Text: "u976 9e3779"}},
		"rare_word": {Filter: logs.Filter{Text: "nowhere"}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Find(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(n, "entries")
		})
	}
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Count(b.Context(), logs.CountQuery{By: []string{"version", "ring"}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
