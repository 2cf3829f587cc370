package notify_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// what a write of a cursor is for.
func isClaim(w store.Write) bool {
	return len(w.Puts) == 1 && strings.Contains(string(w.Puts[0].Body), `"by":`)
}

func isAck(w store.Write) bool {
	return len(w.Puts) == 1 && !strings.Contains(string(w.Puts[0].Body), `"sending"`) && w.Puts[0].Rev > 0
}

// A process that dies at any point loses nothing. A message is doubled only when it died between the receiver's taking
// it and the cursor's saying so, and the double says that it may be one.
func TestCrashes(t *testing.T) {
	none := func(store.Write) bool { return false }
	for name, tt := range map[string]struct {
		before, after func(store.Write) bool // the write that it dies at
		sending       string                 // or while sending: before or after the message is taken
		doubled       bool
		repeat        bool // the one that arrives, or the second of two
	}{
		"before the intent is recorded": {before: isClaim, after: none},
		"after the intent is recorded":  {before: none, after: isClaim, repeat: true},
		"before the message is taken":   {before: none, after: none, sending: "before", repeat: true},
		"after the message is taken":    {before: none, after: none, sending: "after", doubled: true, repeat: true},
		"before the answer is recorded": {before: isAck, after: none, doubled: true, repeat: true},
		"after the answer is recorded":  {before: none, after: isAck},
	} {
		for _, channel := range []string{"chat", "hook"} {
			t.Run(name+", "+channel, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					spec := map[string]string{"chat": slackTo("chat", ""), "hook": hookTo("hook", "")}[channel]
					w.apply(resource.KindNotifier, channel, spec)
					p, stop := w.start()
					p.onCommit(func(write store.Write, do func() error) error {
						if tt.before(write) {
							p.die()
						}
						err := do()
						if tt.after(write) {
							p.die()
						}
						return err
					})
					w.answers(func(_ context.Context, on *plane, _ string, _ notify.Message, take func()) error {
						if on == p && tt.sending == "before" {
							p.die()
							return errDead
						}
						take()
						if on == p && tt.sending == "after" {
							p.die()
						}
						return on.alive()
					})
					seq := w.happens(rollout.EvHalted, "rollout/shop-1")
					after(time.Minute)
					if p.alive() == nil {
						t.Fatal("it did not die")
					}
					kill(p, stop)
					_, stop = w.start()
					defer stop()
					after(time.Minute)
					checkCrash(t, w.got(channel), seq, tt.doubled, tt.repeat)
				})
			})
		}
	}
}

func checkCrash(t *testing.T, got []receipt, seq int64, doubled, repeat bool) {
	t.Helper()
	want := 1
	if doubled {
		want = 2
	}
	if len(got) != want {
		t.Fatalf("got %d messages, expected %d", len(got), want)
	}
	for i, m := range got {
		if !slices.Equal(m.seqs(), []int64{seq}) || m.ID != got[0].ID || m.Events[0].ID != got[0].Events[0].ID {
			t.Errorf("message %d is %s of %v", i, m.ID, m.seqs())
		}
	}
	if got[0].Repeat && doubled {
		t.Error("the first one says that it may be a repeat")
	}
	if last := got[len(got)-1]; last.Repeat != repeat {
		t.Errorf("the last one says repeat %t", last.Repeat)
	}
}

// While the process lives, a store that is away, or whose answers are lost, doubles nothing.
func TestStoreAway(t *testing.T) {
	away := errors.New("the store is away")
	for name, tt := range map[string]struct {
		of   func(store.Write) bool
		done bool // it was written, and the answer was lost
	}{
		"the intent is not taken":     {isClaim, false},
		"the intent's answer is lost": {isClaim, true},
		"the end is not taken":        {isAck, false},
		"the end's answer is lost":    {isAck, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.apply(resource.KindNotifier, "chat", slackTo("chat", ""))
				p, stop := w.start()
				defer stop()
				left := 20
				p.onCommit(func(write store.Write, do func() error) error {
					if !tt.of(write) || left == 0 {
						return do()
					}
					left--
					if tt.done {
						left = 0
						return errors.Join(do(), away)
					}
					return away
				})
				a := w.happens(rollout.EvHalted, "rollout/shop-1")
				b := w.happens(rollout.EvHalted, "rollout/shop-2")
				after(10 * time.Minute)
				var got []int64
				for _, m := range w.got("chat") {
					got = append(got, m.seqs()...)
					if m.Repeat {
						t.Error("says that it may be a repeat")
					}
				}
				if d := cmp.Diff([]int64{a, b}, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// A process that is told to end finishes what it is sending.
func TestEndsInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "chat", slackTo("chat", ""))
		_, stop := w.start()
		sending := make(chan struct{})
		w.answers(func(ctx context.Context, _ *plane, _ string, _ notify.Message, take func()) error {
			close(sending)
			select {
			case <-time.After(3 * time.Second):
				take()
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		w.happens(rollout.EvHalted, "rollout/shop-1")
		<-sending
		stop()
		w.answers(nil)
		_, stop = w.start()
		defer stop()
		after(time.Hour)
		if got := w.got("chat"); len(got) != 1 || got[0].Repeat {
			t.Errorf("got %v", got)
		}
	})
}

// One that is not answered is not waited for longer than a moment.
func TestEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "chat", slackTo("chat", `,"timeout":"60s"`))
		_, stop := w.start()
		sending := make(chan struct{})
		w.answers(func(ctx context.Context, _ *plane, _ string, _ notify.Message, _ func()) error {
			close(sending)
			<-ctx.Done()
			return ctx.Err()
		})
		w.happens(rollout.EvHalted, "rollout/shop-1")
		<-sending
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// Several control planes on one database send each message once.
func TestTwoPlanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "chat", slackTo("chat", `,"group":"1s"`))
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		w.answers(func(_ context.Context, p *plane, _ string, _ notify.Message, take func()) error {
			time.Sleep(time.Duration(rand.N(300)) * time.Millisecond)
			take()
			return nil
		})
		slower := 0
		for range 3 {
			p, stop := w.start()
			defer stop()
			p.onCommit(func(_ store.Write, do func() error) error {
				err := do()
				if errs.Is(err, errs.Conflict) {
					w.mu.Lock()
					slower++
					w.mu.Unlock()
				}
				return err
			})
		}
		var want []int64
		for i := range 60 {
			want = append(want, w.happens(rollout.EvStarted, fmt.Sprintf("rollout/shop-%d", i)))
			after(time.Duration(rand.N(500)) * time.Millisecond)
		}
		after(5 * time.Minute)
		for _, to := range []string{"chat", "hook"} {
			var got []int64
			for _, m := range w.got(to) {
				got = append(got, m.seqs()...)
				if m.Repeat {
					t.Errorf("%s: %s says that it may be a repeat", to, m.ID)
				}
			}
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", to, d)
			}
		}
		if slower < 20 {
			t.Errorf("the planes were in each other's way %d times", slower)
		}
	})
}

// A plane takes over what another one was sending only when that must be over.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", `,"timeout":"20s"`))
		a, stopA := w.start()
		sending := make(chan *plane, 2)
		w.answers(func(_ context.Context, p *plane, _ string, _ notify.Message, take func()) error {
			sending <- p
			if p == a {
				time.Sleep(15 * time.Second) // slow, but within its time
				if err := p.alive(); err != nil {
					return err
				}
			}
			take()
			return nil
		})
		w.happens(rollout.EvHalted, "rollout/shop-1")
		<-sending
		_, stopB := w.start()
		defer stopB()
		after(20 * time.Second)
		if n := len(w.got("hook")); n != 1 || w.attempts() != 1 {
			t.Fatalf("%d messages in %d attempts", n, w.attempts())
		}
		w.happens(rollout.EvHalted, "rollout/shop-2")
		first := <-sending
		if first == a {
			begun := time.Now()
			kill(a, stopA)
			<-sending
			if took := time.Since(begun); took < 20*time.Second || took > 30*time.Second {
				t.Errorf("taken over after %s", took)
			}
		}
		after(time.Minute)
		if n := len(w.got("hook")); n != 2 {
			t.Errorf("%d messages", n)
		}
		stopA()
	})
}

// Whatever dies and whenever, everything is told, in order for programs; doubles say that they may be, and programs can
// drop them by their ids.
func TestRandomCrashes(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomCrashes(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func randomCrashes(t *testing.T, r *rand.Rand) {
	w := newWorld(t)
	w.apply(resource.KindNotifier, "chat", slackTo("chat", `,"group":"2s"`))
	w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
	pick := func(n int) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return r.IntN(n)
	}
	chance := func(n int) bool { return pick(n) == 0 }
	w.answers(func(_ context.Context, p *plane, _ string, _ notify.Message, take func()) error {
		if chance(8) {
			p.die()
			return errDead
		}
		if chance(8) {
			return &notify.Failure{Text: "no answer"}
		}
		take()
		if chance(8) {
			p.die()
		}
		if chance(10) {
			return &notify.Failure{Text: "no answer", Unsure: true}
		}
		return p.alive()
	})
	start := func() (*plane, func()) {
		p, stop := w.start()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.commit = func(_ store.Write, do func() error) error {
			if chance(15) {
				p.die()
			}
			err := do()
			if chance(15) {
				p.die()
			}
			return err
		}
		return p, stop
	}
	var want []int64
	p, stop := start()
	for i := range 30 {
		want = append(want, w.happens(rollout.EvStarted, fmt.Sprintf("rollout/shop-%d", i/3)))
		after(time.Duration(pick(2000)) * time.Millisecond)
		if p.alive() != nil {
			stop()
			p, stop = start()
		}
	}
	for range 40 {
		after(30 * time.Second)
		if p.alive() != nil {
			stop()
			p, stop = start()
		}
	}
	w.answers(nil)
	kill(p, stop)
	_, stop = w.start()
	defer stop()
	after(time.Hour)
	if failed := w.recorded(notify.EvFailed); len(failed) > 0 {
		t.Fatalf("given up: %s", failed[0].Data)
	}
	checkTold(t, w, want)
}

// checkTold wants each event told, and repeats to say that they are or to be known by their IDs.
func checkTold(t *testing.T, w *world, want []int64) {
	t.Helper()
	for _, to := range []string{"chat", "hook"} {
		told := map[int64]int{}
		for _, m := range w.got(to) {
			for _, seq := range m.seqs() {
				if told[seq]++; told[seq] > 1 && !m.Repeat {
					t.Errorf("%s: event %d is told again and does not say so", to, seq)
				}
			}
		}
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(told))); d != "" {
			t.Errorf("%s: %s", to, d)
		}
	}
	var first []int64
	ids := map[string]int64{}
	for _, m := range w.got("hook") {
		if _, again := ids[m.Events[0].ID]; !again {
			first = append(first, m.Events[0].Seq)
		}
		ids[m.Events[0].ID] = m.Events[0].Seq
	}
	if d := cmp.Diff(want, first); d != "" || len(ids) != len(want) {
		t.Errorf("without repeats, by id, a program gets %d: %s", len(ids), d)
	}
}
