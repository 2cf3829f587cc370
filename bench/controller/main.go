// Command controller measures how many rollouts one control plane carries: how late its decisions are, and what they cost
// in memory and processor time. The store is SQLite on disk as in production; units and metrics are made up in memory.
// Usage: go run ./bench/controller [-rollouts 1000,5000,10000] [-for 90s]
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/controller"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

func main() {
	counts := flag.String("rollouts", "1000,5000,10000", "how many rollouts are in flight at once, in turn")
	profile := flag.String("cpuprofile", "", "file for a profile of the processor")
	length := flag.Duration("for", 90*time.Second, "how long each is watched")
	flag.Parse()
	if f, err := os.Create(*profile); *profile != "" && err == nil {
		_ = pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	fmt.Printf("%d processors; first bakes of %s to %s\n", runtime.GOMAXPROCS(0), shortest, longest)
	fmt.Println("rollouts  decisions/s  lag p50  lag p99  lag max  CPU (cores)  CPU/rollout  memory (RSS)")
	for word := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(word)
		if err == nil {
			err = measure(n, *length)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench-controller:", err)
			os.Exit(1)
		}
	}
}

// measure carries n rollouts for a time and prints a row.
func measure(n int, length time.Duration) error {
	dir, err := os.MkdirTemp("", "bench-controller")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	base, err := sqlite.Open(ctx, filepath.Join(dir, "db"))
	if err != nil {
		return err
	}
	defer func() { _ = base.Close() }()
	w := newWorld(base)
	c := controller.New(controller.Options{Store: w, Fleet: w, Metrics: w, Catalog: w, Logger: slog.New(slog.DiscardHandler)})
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	if err := start(ctx, c, w, n); err != nil {
		return err
	}
	w.begin()
	cpu, began := cpuTime(), time.Now()
	time.Sleep(length)
	lags, decisions := w.end()
	spent, took := cpuTime()-cpu, time.Since(began)
	rss := resident()
	cancel()
	running.Wait()
	if len(lags) == 0 {
		return fmt.Errorf("no ring was left in %s", length)
	}
	at := func(q float64) time.Duration {
		return lags[min(len(lags)-1, int(q*float64(len(lags))))].Round(time.Millisecond)
	}
	fmt.Printf("%8d  %11.1f  %7s  %7s  %7s  %11.2f  %9.1fµs/s  %9d MB\n", n, float64(decisions)/took.Seconds(), at(0.5), at(0.99), lags[len(lags)-1].Round(time.Millisecond),
		spent.Seconds()/took.Seconds(), spent.Seconds()/took.Seconds()/float64(n)*1e6, rss>>20)
	return nil
}

// start releases v1 and then v2 of every service.
func start(ctx context.Context, c *controller.Controller, w *world, n int) error {
	for k, version := range []string{"v1", "v2"} {
		group, each := errgroup.WithContext(ctx)
		group.SetLimit(32)
		for i := range n {
			group.Go(func() error {
				_, err := c.Release(each, "user:bench", rollout.Order{Service: name(i), Version: version}, time.Now().UTC())
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err := w.baking(ctx, (k+1)*n); err != nil {
			return err
		}
	}
	return nil
}

func name(i int) string { return fmt.Sprintf("s%05d", i) }

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory that the process has now, in bytes.
func resident() int64 {
	raw, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func sorted(lags []time.Duration) []time.Duration {
	slices.Sort(lags)
	return lags
}
