package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	ours "github.com/ringfence/ringfence/internal/flag"
)

// differ compares the two for a while, by turns on plain definitions and on lowered ones.
func differ(w io.Writer, length time.Duration, seed uint64, awkward float64, show int) error {
	fmt.Fprintf(w, "seed %d, awkward %g\n", seed, awkward)
	g := &generator{rng: rand.New(rand.NewPCG(seed, 1)), awkward: awkward}
	evaluations, definitions, flags, differences, shown := 0, 0, 0, 0, 0
	told := map[string]bool{}
	reasons := map[string]int{}
	for end := time.Now().Add(length); time.Now().Before(end); definitions++ {
		raw, keys := g.definition()
		if definitions%2 == 1 {
			var err error
			if raw, keys, err = g.lowered(); err != nil {
				return err
			}
		}
		set, problems := ours.Parse(raw)
		if len(problems) > 0 {
			return fmt.Errorf("a definition has problems: %v\n%s", problems, raw)
		}
		o, err := newOracle(raw)
		if err != nil {
			return fmt.Errorf("flagd refuses a definition: %w\n%s", err, raw)
		}
		for range 200 {
			ctx := g.context()
			for _, key := range keys {
				theirs, mine := both(o, set, key, ctx)
				evaluations++
				reasons[mine.Reason+mine.Code]++
				if theirs == mine {
					continue
				}
				differences++
				if shown < show && !told[text(g.last[key])] {
					told[text(g.last[key])] = true
					shown++
					f, c, theirs, mine := shrink(g.evaluators, g.last[key], ctx)
					fmt.Fprintf(w, "\n%s of %s\n  flagd %s\n  ours  %s\n", text(f["targeting"]), text(c), theirs, mine)
				}
			}
		}
		flags += len(keys)
	}
	fmt.Fprintf(w, "%d evaluations of %d flags in %d definitions, %d differences\n", evaluations, flags, definitions, differences)
	for _, r := range slices.Sorted(mapKeys(reasons)) {
		fmt.Fprintf(w, "  %-22s %d\n", r, reasons[r])
	}
	if differences > 0 && awkward == 0 {
		return fmt.Errorf("%d differences", differences)
	}
	return nil
}

// both asks both in the same second, as flagd reads the clock.
func both(o oracle, set *ours.Set, key string, ctx map[string]any) (theirs, mine answer) {
	for {
		now := time.Now()
		theirs, mine = o.answer(key, ctx), ourAnswer(set, key, ctx, now)
		if time.Now().Unix() == now.Unix() {
			return theirs, mine
		}
	}
}

func mapKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
