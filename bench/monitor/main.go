// Command monitor measures how Ringfence takes metrics in, what they cost in memory and how fast they are asked, beside a Prometheus
// server of the same version. Both run at once, as processes with their own defaults that are spoken to over HTTP, and take turns of
// a second or so: what else the machine does meets both alike.
//
//	go run ./bench/monitor [-series 100000] [-rounds 24]
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/ringfence/ringfence/bench/beside"
)

type result map[string]float64

// rows are what is measured: the name of a number, what it is, and which ratio is wanted.
var rows = []struct {
	name, unit, goal string
}{
	{"taken", "samples a second, remote write 2.0", "at least 0.9"},
	{"cpu", "samples per CPU-second of the server", "at least 0.9"},
	{"live", "bytes of live heap per series", "at most 1.1"},
	{"memory", "bytes of the machine's memory per series", "at most 1.1"},
	{"sum", "ms, sum of rates of 1,000 series over 24 h", "at most 1.0"},
	{"each", "ms, rates of 1,000 series over 24 h, each", "at most 1.0"},
	{"raw", "ms, 24 h of 1,000 series, each, as they are", "at most 1.0"},
}

// The two that are compared.
const (
	prometheus = iota
	ringfence
)

var names = []string{"Prometheus", "Ringfence"}

// pair are both servers.
type pair [2]*beside.Server

// turns lets each do something, the one that was last the first next time.
func (p pair) turns(n int, do func(side int, s *beside.Server) error) error {
	for i := range p {
		side := (n + i) % len(p)
		if err := do(side, p[side]); err != nil {
			return fmt.Errorf("%s: %w", names[side], err)
		}
	}
	return nil
}

func main() {
	theirs := flag.String("prometheus", "bin/prometheus", "program of Prometheus; make prometheus builds it")
	ours := flag.String("ringfence", "bin/ringfence", "program of Ringfence")
	series := flag.Int("series", 100_000, "series that are sent")
	rounds := flag.Int("rounds", 24, "samples of each that are sent as fast as they are taken")
	flag.Parse()
	if err := run(*theirs, *ours, *series, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(theirs, ours string, series, rounds int) error {
	both := [2]result{{}, {}}
	end := time.Now().Truncate(time.Minute)
	for _, part := range []struct {
		seed beside.Seed
		use  func(pair) ([2]result, error)
	}{
		{nil, func(p pair) ([2]result, error) { return take(p, series, rounds) }},
		{func(folder string) error { return day(folder, end) }, func(p pair) ([2]result, error) { return ask(p, end) }},
	} {
		got, err := with(theirs, ours, part.seed, part.use)
		if err != nil {
			return err
		}
		for i := range both {
			maps.Copy(both[i], got[i])
		}
	}
	p, r := both[prometheus], both[ringfence]
	fmt.Printf("%-46s %12s %12s %7s\n", "", names[prometheus], names[ringfence], "ratio")
	for _, row := range rows {
		goal := ""
		if row.goal != "" {
			goal = "  (goal " + row.goal + ")"
		}
		fmt.Printf("%-46s %12.0f %12.0f %7.2f%s\n", row.unit, p[row.name], r[row.name], r[row.name]/p[row.name], goal)
	}
	return nil
}

// with hands two new servers to use and ends them.
func with(theirs, ours string, seed beside.Seed, use func(pair) ([2]result, error)) (r [2]result, err error) {
	var p pair
	defer func() {
		for _, s := range p {
			if s != nil {
				err = errors.Join(err, s.Stop())
			}
		}
	}()
	if p[prometheus], err = beside.Prometheus(theirs, seed); err != nil {
		return r, err
	}
	if p[ringfence], err = beside.Ringfence(ours, seed); err != nil {
		return r, err
	}
	return use(p)
}
