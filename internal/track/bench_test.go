package track

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
)

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"events":[`)
	for i := range 100 {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"type":"exposure","id":"0198c0de-%012d","time":"2026-03-04T12:00:00.123Z","targetingKey":"user-%d","flag":"checkout","variant":"on"}`, i, i)
	}
	body = append(body, "]}"...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseTrack(body, noon); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

// fill stores so many exposures and twice as many metric events, of users in no order.
func fill(b testing.TB, s *Store, users int) {
	const batch = 2000
	for i := 0; i < users; i += batch {
		events := make([]Event, 0, 3*batch)
		for j := i; j < min(i+batch, users); j++ {
			key := fmt.Sprintf("user-%d", uint32(j)*2654435761)
			events = append(events, exposure(key, "checkout", []string{"off", "on"}[j%2], time.Duration(j%3600)*time.Second),
				did(key, "order", float64(j%100), 2*time.Hour), did(key, "order", float64(j%7), 3*time.Hour))
		}
		for {
			_, err := s.Append(context.Background(), Batch{Environment: "prod", Events: events})
			if err == nil {
				break
			}
			if err != error(ErrBusy) {
				b.Fatal(err)
			}
			if err := s.Settle(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Settle(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSummary(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "events"), func() time.Time { return at(24 * time.Hour) })
	const users = 100_000
	begin := time.Now()
	fill(b, s, users)
	b.Logf("filled with %d events/s", int(3*users/time.Since(begin).Seconds()))
	q := week()
	q.Measure = Measure{Kind: experiment.Mean, Event: "order", Before: time.Hour}
	q.Step = time.Hour
	b.ResetTimer()
	for b.Loop() {
		res, err := s.Summaries(b.Context(), q)
		if err != nil || res.Variants[0].N != users/2 {
			b.Fatal(res, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/user")
}
