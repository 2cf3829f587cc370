package tsdb

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/health"
)

// fill stores scrapes of one gateway with eight series of requests, every five seconds.
func fill(tb testing.TB, db *DB, from time.Time, scrapes int) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	in := newIngest(childTarget())
	var n [8]int
	for i := range scrapes {
		body := make([]byte, 0, 1<<10)
		k := 0
		for _, version := range []string{"v1", "v2"} {
			for _, ring := range []string{"canary", "early"} {
				for _, code := range []string{"200", "500"} {
					n[k] += rng.IntN(50)
					if i == scrapes/2 {
						n[k] = 0
					}
					body = fmt.Appendf(body, "%s %d\n", req(version, ring, code), n[k])
					k++
				}
			}
		}
		if err := db.store(&in, from.UnixMilli()+int64(i)*5000, "text/plain", body, time.Millisecond, nil); err != nil {
			tb.Fatal(err)
		}
	}
}

// Samples that have moved into blocks count as before, wherever the window is cut.
func TestCountsAcrossBlocks(t *testing.T) {
	db := openTest(t, Options{})
	const scrapes = 6 * 720
	begin := time.Now().Truncate(time.Second).Add(-scrapes * 5 * time.Second)
	fill(t, db, begin, scrapes)
	counts := func(from, to time.Time) ([]health.Sample, []time.Time) {
		s, at, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v2", Stable: "v1", From: from, To: to})
		if err != nil {
			t.Fatal(err)
		}
		return s, at
	}
	end := time.Now()
	before, times := counts(begin, end)
	if len(before) != scrapes-1 || sum(before).Canary.Bad == 0 {
		t.Fatalf("%d samples, %+v", len(before), sum(before).Canary)
	}
	if err := db.maintainOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(db.tsdb.Blocks()) == 0 {
		t.Fatal("no block was cut")
	}
	if after, _ := counts(begin, end); !cmp.Equal(before, after) {
		t.Errorf("%+v before, %+v after blocks were cut", sum(before), sum(after))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	var pieces []health.Sample
	for from := begin; from.Before(end); {
		to := from.Add(time.Duration(rng.Int64N(int64(40 * time.Minute))))
		if rng.IntN(2) == 0 {
			to = times[rng.IntN(len(times))]
		}
		if !to.After(from) {
			continue
		}
		s, _ := counts(from, to)
		pieces, from = append(pieces, s...), to
	}
	if !cmp.Equal(before, pieces) {
		t.Errorf("%+v at once, %+v in pieces", sum(before), sum(pieces))
	}
}

func BenchmarkCounts24h(b *testing.B) {
	db := openTest(b, Options{})
	const scrapes = 24 * 720
	end := time.Now().Truncate(time.Second)
	fill(b, db, end.Add(-scrapes*5*time.Second), scrapes)
	if err := db.maintainOnce(b.Context()); err != nil {
		b.Fatal(err)
	}
	for name, window := range map[string]time.Duration{"24h": 24 * time.Hour, "5s": 5 * time.Second} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			cpu := cpuTime(b)
			for b.Loop() {
				s, _, err := db.Counts(b.Context(), CountsQuery{Service: "shop", Canary: "v2", Stable: "v1", From: end.Add(-window - 5*time.Second), To: end})
				if err != nil || len(s) == 0 {
					b.Fatal(len(s), err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

func BenchmarkScrapeStored(b *testing.B) {
	db := openTest(b, Options{})
	in := newIngest(childTarget())
	var body []byte
	const series = 200
	for i := range series {
		body = fmt.Appendf(body, "%s %d\n", req("v1", fmt.Sprint("r", i), "200"), i)
	}
	at := time.Now().Add(-time.Hour).UnixMilli()
	b.ReportAllocs()
	cpu := cpuTime(b)
	for i := 0; b.Loop(); i++ {
		if err := db.store(&in, at+int64(i)*10, "text/plain", body, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N)/series, "cpu-ns/sample")
}

// cpuTime is what this process has used: wall time says little on a shared machine.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
