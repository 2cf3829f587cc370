package ship_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
	"github.com/ringfence/ringfence/internal/ship"
)

// world is the files of instances, a disk and a control plane.
type world struct {
	mu    sync.Mutex
	files map[string][]byte
	gone  map[string]int64 // bytes at the beginning that a rotation took away
	disk  []byte
	has   map[string]int64
	got   []logs.Entry
	fail  error
	lose  bool // what was taken is not answered
	notes []logs.Entry
}

func (w *world) Streams() []logs.Stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []logs.Stream
	for id, b := range w.files {
		out = append(out, logs.Stream{ID: id, Size: int64(len(b)), Labels: logs.Labels{Service: id, Version: "v1", Instance: "1"}})
	}
	return out
}

func (w *world) Read(id string, at int64, most int) ([]byte, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at = max(at, w.gone[id])
	b := w.files[id][at:]
	return b[:min(len(b), most)], at, nil
}

func (w *world) SendLogs(_ context.Context, unit string, b logs.Batch) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return 0, w.fail
	}
	if b.From >= w.has[b.Stream] {
		w.has[b.Stream] = b.To
		w.got = append(w.got, b.Entries...)
	}
	if w.lose {
		return 0, errors.New("connection reset")
	}
	return w.has[b.Stream], nil
}

func (w *world) Save(b []byte) error { w.disk = b; return nil }

func (w *world) Load() ([]byte, error) { return w.disk, nil }

func (w *world) write(id, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[id] = append(w.files[id], text...)
}

func (w *world) texts() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.got {
		out = append(out, e.Text)
	}
	return out
}

func newWorld() *world {
	return &world{files: map[string][]byte{}, gone: map[string]int64{}, has: map[string]int64{}}
}

func (w *world) shipper() *ship.Shipper {
	return ship.New(ship.Options{Unit: "local", Boot: "a", Outputs: w, Sender: w, Disk: w, Notes: func() []logs.Entry {
		w.mu.Lock()
		defer w.mu.Unlock()
		n := w.notes
		w.notes = nil
		return n
	}})
}

func TestWholeLinesAreSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.shipper().Run(ctx) }()
		w.write("shop", "level=error msg=one\n\ntwo\nhalf")
		time.Sleep(2 * time.Second)
		if got := w.texts(); len(got) != 2 || got[0] != "level=error msg=one" || w.got[0].Severity != logs.Error || w.got[0].Source != logs.Output || w.got[0].Unit != "local" {
			t.Errorf("%+v", w.got)
		}
		w.write("shop", " a line\n")
		time.Sleep(2 * time.Second)
		if got := w.texts(); len(got) != 3 || got[2] != "half a line" {
			t.Errorf("%q", got)
		}
		stop()
		<-done
	})
}

// Whatever is lost on the way, and whenever either side begins again, each line arrives once.
func TestEachLineOnceThroughTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var want []string
		rnd := rand.New(rand.NewPCG(1, 2))
		for round := range 30 {
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			w.mu.Lock()
			w.lose, w.fail = round%3 == 1, nil
			if round%5 == 4 {
				w.fail = errs.E(errs.Unavailable, "the disk is full")
			}
			if round%7 == 6 {
				w.disk = nil // the places are lost: the control plane has them
			}
			w.mu.Unlock()
			s := w.shipper()
			go func() { defer close(done); _ = s.Run(ctx) }()
			for i := range rnd.IntN(300) {
				line := fmt.Sprintf("%d-%d %s", round, i, strings.Repeat("x", rnd.IntN(2000)))
				want = append(want, line)
				w.write("shop", line+"\n")
			}
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			stop()
			<-done
		}
		w.mu.Lock()
		w.lose, w.fail = false, nil
		w.mu.Unlock()
		s := w.shipper()
		for n := -1; n < len(w.got); {
			n = len(w.got)
			if err := s.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.texts(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%d lines, expected %d", len(got), len(want))
		}
	})
}

func TestAFloodIsFollowedAtItsEndAndSaidSo(t *testing.T) {
	w := newWorld()
	var b strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&b, "line %d of a flood of lines that nobody reads\n", i)
	}
	w.write("shop", b.String())
	w.write("blog", "calm\n")
	s := w.shipper()
	for n := -1; n < len(w.got); {
		n = len(w.got)
		if err := s.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	passed, last, calm := 0, "", false
	for _, e := range w.got {
		if e.Source == logs.Notes && strings.Contains(e.Text, "passed over") && e.Service == "shop" {
			passed++
		}
		if e.Service == "shop" {
			last = e.Text
		}
		calm = calm || e.Text == "calm"
	}
	if passed != 1 || !strings.HasPrefix(last, "line 299999 ") || !calm || len(w.got) > 150_000 {
		t.Errorf("%d entries, %d notes of what was passed over, the last %q, the other service's %t", len(w.got), passed, last, calm)
	}
	w = newWorld()
	w.write("shop", "one\ntwo\n")
	s = w.shipper()
	_ = s.Pass(t.Context())
	w.write("shop", "three\nfour\nfive\n")
	w.gone["shop"] = 10 // in the middle of three
	_ = s.Pass(t.Context())
	if got := strings.Join(w.texts(), "|"); got != "one|two|6 bytes of output were passed over: more was written than could be sent|four|five" {
		t.Error(got)
	}
}

func TestNotesWaitWhileTheControlPlaneIsAwayAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fail = errs.E(errs.Unavailable, "away")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.shipper().Run(ctx) }()
		for range 20 {
			w.mu.Lock()
			for range 500 {
				w.notes = append(w.notes, logs.Entry{Time: time.Now(), Text: "GET / 500", Labels: logs.Labels{Service: "shop"}})
			}
			w.mu.Unlock()
			time.Sleep(20 * time.Second)
		}
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		<-done
		got := w.texts()
		if len(got) != 4001 || got[4000] != "6000 entries of the gateway were dropped: the control plane was away for too long" {
			t.Errorf("%d notes, the last %q", len(got), got[len(got)-1])
		}
	})
}

func TestALineThatIsTooLongIsCut(t *testing.T) {
	w := newWorld()
	w.write("shop", strings.Repeat("a", 40_000)+"\nnext\n")
	if err := w.shipper().Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.texts(); len(got) != 4 || len(got[0]) != 16<<10 || got[3] != "next" {
		t.Errorf("%d lines", len(got))
	}
}
