package storetest

import (
	"testing"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/store"
)

// Bench measures appends: of one event each one after the other, of 100 at once, and of one event each 32 for each processor at a time.
func Bench(b *testing.B, place func(b *testing.B) Place) {
	w := store.Write{Events: []audit.Event{event("rollout.checked", "rollout/shop-3")}}
	b.Run("Single", func(b *testing.B) {
		s := Open(b, place(b))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Commit(b.Context(), w); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("Batches", func(b *testing.B) { // of 100 events
		s := Open(b, place(b))
		b.ReportAllocs()
		w := many(100)
		for b.Loop() {
			if _, err := s.Commit(b.Context(), w); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("Parallel", func(b *testing.B) {
		s := Open(b, place(b))
		b.ReportAllocs()
		b.SetParallelism(32) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.Commit(b.Context(), w); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
