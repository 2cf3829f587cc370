package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/ringfence/ringfence/bench/child"
)

// options of a run.
type options struct {
	switches, clients int
	think             time.Duration
	pause             time.Duration // between two switches
	modes, only       string
	work              string
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == "version" {
		log.Fatal(serveVersion(os.Args[2], os.Args[3]))
	}
	if len(os.Args) == 5 && os.Args[1] == "ringfence" {
		log.Fatal(serveRingfence(os.Args[2], os.Args[3], os.Args[4]))
	}
	var o options
	flag.IntVar(&o.switches, "switches", 100, "switches of each proxy, mode and work")
	flag.IntVar(&o.clients, "clients", 32, "clients, each with a connection")
	flag.DurationVar(&o.think, "think", 5*time.Millisecond, "what a client waits between an answer and its next request")
	flag.DurationVar(&o.pause, "pause", 200*time.Millisecond, "what passes between two switches")
	flag.StringVar(&o.modes, "modes", "kill", "how the old version ends: kill, graceful, or both")
	flag.StringVar(&o.work, "work", "0s,200ms", "how long a request takes at most, uniformly from 0")
	flag.StringVar(&o.only, "only", "", "comma-separated names of proxies; empty for all")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "ringfence-swap-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var results []result
	for _, mode := range strings.Split(o.modes, ",") {
		if mode != "kill" && mode != "graceful" {
			return fmt.Errorf("-modes has %q, expected kill or graceful", mode)
		}
		for _, w := range strings.Split(o.work, ",") {
			work, err := time.ParseDuration(w)
			if err != nil {
				return fmt.Errorf("-work: %w", err)
			}
			for _, p := range proxies(dir) {
				if o.only != "" && !strings.Contains(","+o.only+",", ","+p.name+",") {
					continue
				}
				r, err := measure(p, o, mode, work)
				if err != nil {
					fmt.Fprintf(os.Stderr, "skipped %s: %v\n", p.name, err)
					continue
				}
				fmt.Fprintln(os.Stderr, r.line())
				results = append(results, r)
			}
		}
	}
	report(os.Stdout, results)
	return nil
}

// measure switches versions behind one proxy under load.
func measure(p *proxy, o options, mode string, work time.Duration) (result, error) {
	r := result{proxy: p.name, mode: mode, work: work}
	var at [2]string
	for i := range at {
		a, err := child.FreeAddress()
		if err != nil {
			return r, err
		}
		at[i] = a
	}
	old, err := child.Role("version", at[0], work.String())
	if err != nil {
		return r, err
	}
	defer func() { old.Kill() }()
	address, err := child.FreeAddress()
	if err != nil {
		return r, err
	}
	if err := p.launch(address, at); err != nil {
		return r, err
	}
	defer p.stop()
	load := startLoad(address, o.clients, o.think)
	defer load.stop()
	load.mark()
	time.Sleep(steady) // what a request takes without switches
	r.steady = load.mark()
	if n := r.steady.losses(); n > 0 {
		return r, fmt.Errorf("lost %d of %d requests without a switch: %s", n, r.steady.requests, kinds(r.steady.lost))
	}
	for n := range o.switches {
		next, err := child.Role("version", at[(n+1)%2], work.String())
		if err != nil {
			return r, err
		}
		if err := p.swap(n%2, at); err != nil {
			next.Kill()
			return r, fmt.Errorf("switch %d: %w", n+1, err)
		}
		if mode == "kill" {
			old.Kill()
		} else {
			time.Sleep(settle)
			old.Stop()
		}
		old = next
		time.Sleep(o.pause)
	}
	r.switching = load.mark()
	return r, nil
}

const (
	steady = 3 * time.Second
	settle = time.Second // before an old version is asked to end
)
