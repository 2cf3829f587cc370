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

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == "backend" {
		log.Fatal(serveBackend(os.Args[2], os.Args[3]))
	}
	if len(os.Args) == 4 && os.Args[1] == "ringfence" {
		log.Fatal(serveRingfence(os.Args[2], os.Args[3]))
	}
	rounds := flag.Int("rounds", 5, "rounds over all proxies")
	seconds := flag.Int("seconds", 5, "length of a sample")
	conns := flag.Int("connections", 64, "keep-alive connections")
	only := flag.String("only", "", "comma-separated names of proxies to measure; empty for all")
	flag.Parse()
	if err := run(*rounds, *seconds, *conns, *only); err != nil {
		log.Fatal(err)
	}
}

func run(rounds, seconds, conns int, only string) error {
	if err := needWrk(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ringfence-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	backend, err := child.Role("backend", "127.0.0.1:0", "")
	if err != nil {
		return err
	}
	defer backend.Kill()
	var ps []*proxy
	for _, p := range append([]*proxy{{name: "backend direct", url: "http://" + backend.Address}}, proxies(dir, backend.Address)...) {
		if only != "" && !strings.Contains(","+only+",", ","+p.name+",") {
			continue
		}
		if err := p.launch(); err != nil {
			fmt.Fprintf(os.Stderr, "skipped %s: %v\n", p.name, err)
			continue
		}
		defer p.stop()
		ps = append(ps, p)
	}
	for round := range rounds {
		for i := range ps {
			p := ps[(round+i)%len(ps)]
			s, err := p.sample(conns, time.Duration(seconds)*time.Second)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.samples = append(p.samples, s)
			fmt.Fprintf(os.Stderr, "round %d  %-15s %8.0f req/s  %6.1f µs CPU  p99 %6.1f ms\n", round+1, p.name, s.rate, s.cpu*1e6, s.p99*1e3)
		}
	}
	report(os.Stdout, ps)
	return nil
}
