package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// kindTally is what clients of one kind have seen.
type kindTally struct {
	name     string
	stream   bool
	done     int
	lost     int
	killed   int // streams that ended with their killed version
	deadline int // streams whose time was over
	messages int
	open     int // at the end
	first    []string
	longest  time.Duration
}

type tally struct {
	w     *world
	mu    sync.Mutex
	kinds []*kindTally
}

func newTally(w *world) *tally { return &tally{w: w} }

func (t *tally) kind(name string, stream bool) *kindTally {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.kinds {
		if k.name == name {
			return k
		}
	}
	k := &kindTally{name: name, stream: stream}
	t.kinds = append(t.kinds, k)
	return k
}

// request counts one that was answered, or lost.
func (t *tally) request(k *kindTally, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k.done++
	k.longest = max(k.longest, took)
	if err != nil {
		t.lose(k, err)
	}
}

func (t *tally) lose(k *kindTally, err error) {
	k.lost++
	if len(k.first) < 5 {
		k.first = append(k.first, time.Now().Format("15:04:05.000 ")+err.Error())
	}
}

// stream counts one that has ended, by why. The kill of a version is noted before it is killed, and the time of its streams begins when it has left.
func (t *tally) stream(k *kindTally, version string, messages int, err error) {
	now := time.Now()
	e := t.w.ending(version)
	t.mu.Lock()
	defer t.mu.Unlock()
	k.done++
	k.messages += messages
	switch {
	case version == "":
		t.lose(k, fmt.Errorf("it did not begin: %w", err))
	case !e.left.IsZero() && now.Sub(e.left) >= streamTimeout && (e.killed.IsZero() || e.killed.Sub(e.left) > streamTimeout):
		k.deadline++
	case !e.killed.IsZero():
		k.killed++
	default:
		t.lose(k, fmt.Errorf("of %s, which was alive, after %d messages: %w", version, messages, err))
	}
}

// stopped counts a stream that its client ends.
func (t *tally) stopped(k *kindTally, messages int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k.open++
	k.messages += messages
}

func (t *tally) sum(of func(*kindTally) int) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.kinds {
		n += of(k)
	}
	return n
}

func (t *tally) requests() int {
	return t.sum(func(k *kindTally) int {
		if k.stream {
			return 0
		}
		return k.done
	})
}

func (t *tally) lost() int { return t.sum(func(k *kindTally) int { return k.lost }) }

func (t *tally) print(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortStableFunc(t.kinds, func(a, b *kindTally) int {
		switch {
		case a.stream == b.stream:
			return 0
		case b.stream:
			return -1
		}
		return 1
	})
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "requests\tanswered\tlost\tlongest\t")
	all, lost := 0, 0
	for _, k := range t.kinds {
		if !k.stream {
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t\n", k.name, k.done-k.lost, k.lost, k.longest.Round(time.Millisecond))
			all, lost = all+k.done, lost+k.lost
		}
	}
	fmt.Fprintf(w, "all\t%d\t%d\t\t\n\n", all-lost, lost)
	fmt.Fprintln(w, "streams\tended\tmessages\ttheir time was over\ttheir version was killed\tlost by the gateway\t")
	for _, k := range t.kinds {
		if k.stream {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", k.name, k.done, k.messages, k.deadline, k.killed, k.lost)
		}
	}
	_ = w.Flush()
	for _, k := range t.kinds {
		for _, f := range k.first {
			fmt.Fprintf(out, "%s: %s\n", k.name, f)
		}
	}
}
