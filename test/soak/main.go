package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(instanceEnv) != "" {
		instance(os.Getenv(instanceEnv))
		return
	}
	switches := flag.Int("switches", 1000, "how often the version is switched")
	clients := flag.Int("clients", 2, "clients of each kind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := soak(ctx, *switches, *clients, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// soak runs the whole and prints what came of it; a lost request is an error.
func soak(ctx context.Context, switches, clients int, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	if err := w.turn(ctx); err != nil {
		return errors.Join(err, w.end())
	}
	tally := newTally(w)
	load := startLoad(ctx, w.address, tally, clients)
	began, said := time.Now(), time.Now()
	var slowest time.Duration
	for w.kills < switches && ctx.Err() == nil {
		from := time.Now()
		if err = w.turn(ctx); err != nil {
			break
		}
		slowest = max(slowest, time.Since(from))
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			fmt.Fprintf(out, "%d of %d switches, %d requests, %d lost\n", w.kills, switches, tally.requests(), tally.lost())
		}
	}
	took := time.Since(began)
	load.stop()
	err = errors.Join(err, w.end())
	fmt.Fprintf(out, "%d switches in %s, the old instance killed as soon as each had returned, and %d more whose streams had their time; the longest took %s\n",
		w.kills, took.Round(time.Second), w.turns-1-w.kills, slowest.Round(time.Millisecond))
	tally.print(out)
	if n := tally.lost(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d requests or streams were lost by the gateway", n))
	}
	return err
}
