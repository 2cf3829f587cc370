// Command flags holds the flag evaluator against flagd's own: random definitions and contexts go through both, and every
// difference in value, variant, reason, error code or metadata is told. Half of the definitions are lowered ones, with
// prerequisites, rings and experiments in them. With -bench it measures the same flags in both, in GO Feature Flag's library
// and in LaunchDarkly's evaluator. It is a module of its own, so that Ringfence depends on none of them.
//
// Usage, in this folder: go run . [-for 60s] [-seed N] [-awkward 0.1] [-bench] [-testbed DIR]
//
// With -awkward, that share of attributes is of another type than the rules expect. What the two then make of it is told by
// kind: docs/decisions says which of them are meant. -testbed runs the evaluator's scenarios of a checkout of
// github.com/open-feature/flagd-testbed.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	length := flag.Duration("for", 60*time.Second, "how long to compare")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random definitions")
	awkward := flag.Float64("awkward", 0, "share of attributes of an unexpected type")
	show := flag.Int("show", 20, "differences to print")
	measure := flag.Bool("bench", false, "measure instead")
	testbed := flag.String("testbed", "", "checkout of flagd-testbed, whose scenarios are run instead")
	flag.Parse()
	var err error
	switch {
	case *measure:
		err = bench(os.Stdout)
	case *testbed != "":
		err = scenarios(os.Stdout, *testbed)
	default:
		err = differ(os.Stdout, *length, *seed, *awkward, *show)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
