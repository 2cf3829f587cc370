package drill

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/internal/errs"
)

// Config configures a drill of detection.
type Config struct {
	Source   string   // the repository, for examples/shop
	Faults   []string // names of those that are rehearsed; none: all
	Seed     uint64
	Hours    float64 // healthy hours
	Keep     bool    // leave the folder with logs
	JSON     bool
	Out      io.Writer
	Progress io.Writer

	OpenPast func(dir string) (Past, func() error, error)
}

// run is a drill under way.
type run struct {
	Config
	dir     string
	rig     *rig
	rng     *rand.Rand
	faults  []*trial
	traffic *traffic
	outside *outside
	began   time.Time
	result  Result
}

// trial is a fault as it is rehearsed here.
type trial struct {
	fault
	service string
	begun   time.Time // of what was done
	start   time.Time // when it began to hurt
	seen    sighting
	cause   cause
	quiet   atomic.Bool // no user comes
}

// warmup is how long everything is healthy at first, lastWave when what needs a longer past begins.
const (
	warmup   = 90 * time.Second
	between  = 75 * time.Second
	lastWave = 390 * time.Second
	patience = 4 * time.Minute // for a fault to be seen
)

// Detect rehearses faults and healthy hours, and prints what came of them. It returns an error when the goal was missed.
func Detect(ctx context.Context, c Config) error {
	r := &run{Config: c, began: time.Now(), rng: rand.New(rand.NewPCG(c.Seed, 11))}
	defer r.close()
	if err := r.choose(); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	if c.Hours > 0 {
		group.Go(func() error { return r.healthy(inner) })
	}
	if len(r.faults) > 0 {
		group.Go(func() error { return r.rehearse(inner) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.conclude()
}

// choose picks the faults that were asked for.
func (r *run) choose() error {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
		if len(r.Faults) == 0 || slices.Contains(r.Faults, f.name) {
			r.faults = append(r.faults, &trial{fault: f, service: "shop-" + f.name})
		}
	}
	for _, name := range r.Faults {
		if name != "none" && !slices.Contains(names, name) {
			return errs.E(errs.Invalid, "there is no fault %q, expected some of %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func (r *run) say(format string, args ...any) {
	fmt.Fprintf(r.Progress, "%6.1fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

func (r *run) prepare(ctx context.Context) error {
	var err error
	if r.dir, err = os.MkdirTemp("", "ringfence-drill-"); err != nil {
		return err
	}
	if len(r.faults) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.Source, "examples", "shop", "main.go")); err != nil {
		return errs.E(errs.Missing, "no examples/shop in %s", r.Source).Next("run the drill in the repository, or give it with --source")
	}
	if r.outside, err = newOutside(); err != nil {
		return err
	}
	if r.rig, err = newRig(r.dir, r.Source); err != nil {
		return err
	}
	return r.build(ctx)
}

func (r *run) close() {
	if r.rig != nil {
		r.rig.stop()
	}
	if r.outside != nil {
		r.outside.close()
	}
	if r.dir == "" {
		return
	}
	if r.Keep {
		r.say("kept: %s", r.dir)
		return
	}
	_ = os.RemoveAll(r.dir)
}

// healthy lets the healthy hours pass.
func (r *run) healthy(ctx context.Context) error {
	past, closed, err := r.OpenPast(filepath.Join(r.dir, "past"))
	if err != nil {
		return err
	}
	began, last := time.Now(), 0.0
	h, err := RunHealthy(ctx, past, Time{Seed: r.Seed, Hours: r.Hours}, func(done float64) {
		if done-last >= 0.25 {
			last = done
			r.say("healthy hours: %.0f %% are over", 100*done)
		}
	})
	if err == nil {
		err = closed()
	}
	r.say("%.0f healthy hours took %.0f s", h.Hours, time.Since(began).Seconds())
	r.result.Healthy = &h
	return err
}

// rehearse lets the faults happen.
func (r *run) rehearse(ctx context.Context) error {
	if err := r.rig.start(ctx, r.needsDisk()); err != nil {
		return err
	}
	r.say("Ringfence is up at %s", r.rig.url)
	if err := r.declare(ctx); err != nil {
		return err
	}
	r.say("%d services are out, and their users come", len(r.faults))
	driving, stop := context.WithCancel(ctx)
	defer stop()
	r.traffic = newTraffic(r)
	done := make(chan struct{})
	go func() { r.traffic.goOn(driving); close(done) }()
	open := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, t := range r.faults {
		group.Go(func() error {
			at := open.Add(warmup + time.Duration(i)*time.Second)
			switch t.wave {
			case 1:
				at = at.Add(between)
			case 2:
				at = open.Add(lastWave)
			}
			return r.try(ctx, t, at)
		})
	}
	err := group.Wait()
	stop()
	<-done
	if err == nil {
		r.bystanders(context.WithoutCancel(ctx))
	}
	return err
}

// try lets one fault happen at a time, and waits until it is seen.
func (r *run) try(ctx context.Context, t *trial, at time.Time) error {
	if err := sleep(ctx, time.Until(at)); err != nil {
		return err
	}
	t.begun = time.Now()
	if err := t.begin(ctx, r, t); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if t.start.IsZero() {
		t.start = t.begun
	}
	r.say("%s: %s", t.name, t.about)
	if err := r.watch(ctx, t); err != nil {
		return err
	}
	switch {
	case t.seen.At.IsZero():
		r.say("%s: not detected", t.name)
	default:
		r.say("%s: %s after %.0f s; cause: %s", t.name, t.seen.By, t.seen.At.Sub(t.start).Seconds(), t.cause)
	}
	if t.end != nil {
		t.end(r, t)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
