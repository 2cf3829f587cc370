package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

func contextThatEnded(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// increment adds one to a counter, as often as it takes: read, change, write what is based on what was read.
func increment(ctx context.Context, s Store, name string) (conflicts int, err error) {
	for {
		n, rev := 0, int64(0)
		d, err := s.Get(ctx, "counter", name)
		switch {
		case err == nil:
			rev = d.Rev
			if n, err = strconv.Atoi(string(d.Body)); err != nil {
				return conflicts, err
			}
		case !errs.Is(err, errs.Missing):
			return conflicts, err
		}
		_, err = s.Commit(ctx, store.Write{
			Puts:   []store.Doc{doc("counter", name, rev, strconv.Itoa(n+1))},
			Events: []audit.Event{event("counter.raised", name), event("counter.seen", name)},
		})
		if !errs.Is(err, errs.Conflict) {
			return conflicts, err
		}
		conflicts++
	}
}

// race has many goroutines raise two counters through all stores, while others cancel and read.
func race(t *testing.T, stores ...Store) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	var mu sync.Mutex
	conflicts := 0
	for w := range writers {
		wg.Go(func() {
			for range each {
				n, err := increment(t.Context(), stores[w%len(stores)], fmt.Sprint("c", w/2%2))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				conflicts += n
				mu.Unlock()
			}
		})
	}
	cancelled := raceCancelled(t, &wg, stores[0])
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, s := range stores {
		events := Record(t, s)
		if got, want := len(events), 2*writers*each+int(cancelled()); got != want {
			t.Fatalf("%d events, expected %d", got, want)
		}
		for _, name := range []string{"c0", "c1"} {
			same(t, get(t, s, "counter", name), doc("counter", name, writers*each/2, strconv.Itoa(writers*each/2)))
		}
	}
	if conflicts == 0 {
		t.Log("no writer met another: the race was none")
	}
}

// raceCancelled commits with contexts that end at some moment. What was answered as written was written once,
// and what was answered as given up was not.
func raceCancelled(t *testing.T, wg *sync.WaitGroup, s Store) (written func() int64) {
	var n int64
	wg.Go(func() {
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			name := numbered(i)
			_, err := s.Commit(ctx, store.Write{Puts: []store.Doc{doc("cancelled", name, 0, `1`)}, Events: []audit.Event{event("c.done", name)}})
			_, getErr := s.Get(t.Context(), "cancelled", name)
			switch {
			case err == nil && getErr == nil:
				n++
			case errors.Is(err, context.Canceled) && errs.Is(getErr, errs.Missing):
			default:
				t.Errorf("commit said %v, then get said %v", err, getErr)
			}
		}
	})
	return func() int64 { return n }
}

func testConcurrentWriters(t *testing.T, p Place) { race(t, Open(t, p)) }

// testTwoProcesses has two stores on one place, as two control planes would be.
func testTwoProcesses(t *testing.T, p Place) { race(t, Open(t, p), Open(t, p)) }

func testReopen(t *testing.T, p Place) {
	var want []audit.Event
	for i := range 3 {
		s, err := p.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, commit(t, s, store.Write{
			Puts:   []store.Doc{doc("k", "n", int64(i), strconv.Itoa(i)), doc("k", numbered(i), 0, `"x"`)},
			Events: []audit.Event{event("a.done", "k/n")},
		})...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := Open(t, p)
	same(t, Record(t, s), want)
	same(t, get(t, s, "k", "n"), doc("k", "n", 3, `2`))
	docs, err := s.List(t.Context(), store.Page{Kind: "k"})
	if err != nil || len(docs) != 4 {
		t.Fatalf("%d documents, %v, expected 4", len(docs), err)
	}
}
