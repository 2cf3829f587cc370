// Command track measures taking in exposures and metric events: a server process of its own on loopback, its files
// on the disk that is named, clients that send as fast as they are answered or at a steady rate. Every answer is after the
// data's flush to disk. At the end the events are counted: as many as were acknowledged must be there.
//
// With -users it also fills a store and measures how long a summary of so many exposures takes.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/ringfence/ringfence/internal/experiment"
	"github.com/ringfence/ringfence/internal/track"
)

func main() {
	serve := flag.String("serve", "", "folder: be the server")
	folder := flag.String("folder", "", "where files go, default a temporary folder")
	seconds := flag.Duration("for", 6*time.Second, "how long each load lasts")
	only := flag.String("load", "", "only loads whose names contain this")
	users := flag.Int("users", 300_000, "exposures of the summary that is measured, 0: none")
	flag.Parse()
	if *serve != "" {
		fail(beServer(*serve))
	}
	dir := *folder
	if dir == "" {
		var err error
		dir, err = os.MkdirTemp("", "bench-track")
		fail(err)
		defer os.RemoveAll(dir)
	}
	fmt.Printf("%d CPUs, a flush of 4 KiB to this disk takes %s\n\n", runtime.NumCPU(), flushTime(dir))
	fmt.Printf("%-44s %10s %8s %8s %8s %10s %10s %8s\n", "load", "events/s", "p50 ms", "p99 ms", "max ms", "server µs", "allocs", "refused")
	for i, l := range []load{
		{name: "JSON, 8 clients, 100 events", encode: asJSON, clients: 8, batch: 100},
		{name: "JSON with ids, 8 clients, 100 events", encode: withIDs, clients: 8, batch: 100},
		{name: "OTLP protobuf, 8 clients, 100 records", encode: asOTLP, clients: 8, batch: 100},
		{name: "JSON, 8 clients, 1 event", encode: asJSON, clients: 8, batch: 1},
		{name: "JSON with ids, 20,000/s in batches of 100", encode: withIDs, clients: 16, batch: 100, rate: 20_000},
		{name: "OTLP protobuf, 20,000/s in batches of 100", encode: asOTLP, clients: 16, batch: 100, rate: 20_000},
	} {
		if !strings.Contains(l.name, *only) {
			continue
		}
		fail(l.run(filepath.Join(dir, fmt.Sprint(i)), *seconds))
	}
	if *users > 0 {
		fail(reading(filepath.Join(dir, "reading"), *users))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/track:", err)
		os.Exit(1)
	}
}

// flushTime is the median of some writes that are flushed, so that numbers of two machines can be set side by side.
func flushTime(dir string) time.Duration {
	f, err := os.CreateTemp(dir, "flush")
	fail(err)
	defer os.Remove(f.Name())
	defer f.Close()
	var all []time.Duration
	block := make([]byte, 4096)
	for range 51 {
		begin := time.Now()
		_, err := f.Write(block)
		fail(err)
		fail(f.Sync())
		all = append(all, time.Since(begin))
	}
	return quantile(all, 0.5).Round(10 * time.Microsecond)
}

// reading fills a store with exposures and twice as many metric events, and reads it.
func reading(folder string, users int) error {
	ctx := context.Background()
	s, err := track.Open(ctx, track.Options{Folder: folder})
	if err != nil {
		return err
	}
	defer s.Close()
	begin := time.Now()
	since := begin.Add(-24 * time.Hour)
	const step = 1500
	for i := 0; i < users; i += step {
		var events []track.Event
		for j := i; j < min(i+step, users); j++ {
			u := uint32(j) * 2654435761 // in no order
			key := fmt.Sprintf("user-%d", u)
			at := since.Add(time.Duration(u%3600) * time.Second)
			events = append(events, track.Event{Kind: track.Exposure, Time: at, Key: key, Name: "checkout", Variant: []string{"off", "on"}[j%2]},
				track.Event{Kind: track.Metric, Time: at.Add(-time.Minute), Key: key, Name: "order", Value: float64(u % 100)},
				track.Event{Kind: track.Metric, Time: at.Add(time.Hour), Key: key, Name: "order", Value: float64(u % 90)})
		}
		for {
			_, err := s.Append(ctx, track.Batch{Environment: "bench", Events: events})
			if err == nil {
				break
			}
			if err := s.Settle(ctx); err != nil { // it was too busy
				return err
			}
		}
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	fmt.Printf("\n%d exposures and %d metric events taken in and folded in %s\n", users, 2*users, time.Since(begin).Round(time.Millisecond))
	q := track.Query{Environment: "bench", Flag: "checkout", Since: since.Add(-time.Hour), Until: time.Now()}
	order := track.Measure{Kind: experiment.Mean, Event: "order"}
	covariate, series := order, q
	covariate.Before = 24 * time.Hour
	series.Measure, series.Step = covariate, time.Hour
	for _, c := range []struct {
		name    string
		query   track.Query
		measure track.Measure
	}{{"users by variant", q, track.Measure{}}, {"mean", q, order}, {"mean with covariate", q, covariate}, {"and a series by hour", series, covariate}} {
		c.query.Measure = c.measure
		begin, used := time.Now(), processor()
		res, err := s.Summaries(ctx, c.query)
		if err != nil {
			return err
		}
		n := int64(0)
		for _, v := range res.Variants {
			n += v.N
		}
		fmt.Printf("  %-24s %8s, of the processor %8s (%d users)\n", c.name, time.Since(begin).Round(time.Millisecond), (processor() - used).Round(time.Millisecond), n)
	}
	return nil
}

// processor is the time that this process has had of the processors, which a busy machine does not lengthen.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var everyone = track.KeysFunc(func(*http.Request) (string, error) { return "bench", nil })
