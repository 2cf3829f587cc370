package notify_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
)

func TestPeopleAreToldInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "chat", slackTo("chat", ""))
		_, stop := w.start()
		defer stop()
		first := time.Now()
		a := w.happens(rollout.EvStarted, "rollout/shop-1")
		after(10 * time.Second)
		b := w.happens(rollout.EvStarted, "rollout/cart-1")
		c := w.happens(rollout.EvBaking, "rollout/shop-1")
		after(19 * time.Second)
		if n := len(w.got("chat")); n > 0 {
			t.Fatalf("%d messages before the group's time was over", n)
		}
		after(2 * time.Second)
		d := w.happens(rollout.EvPassed, "rollout/shop-1") // too late for the first message
		after(time.Minute)
		got := w.got("chat")
		var groups [][]int64
		for _, m := range got {
			groups = append(groups, m.seqs())
			if m.Repeat {
				t.Errorf("%s is said to be a repeat", m.ID)
			}
		}
		if d := cmp.Diff([][]int64{{a, c}, {b}, {d}}, groups); d != "" {
			t.Fatal(d)
		}
		if late := got[0].at.Sub(first); late < 30*time.Second || late > 31*time.Second {
			t.Errorf("told after %s", late)
		}
		if c := w.cursor("chat"); c.Seq != d || c.Sending != nil || len(c.Done) > 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestProgramsGetEachEventInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		_, stop := w.start()
		defer stop()
		var want, got []int64
		for i := range 25 {
			want = append(want, w.happens(rollout.EvJudged, fmt.Sprintf("rollout/shop-%d", i%3)))
			if i%10 == 0 {
				after(time.Second)
			}
		}
		after(time.Second)
		ids := map[string]bool{}
		for _, m := range w.got("hook") {
			got = append(got, m.seqs()...)
			ids[m.Events[0].ID] = true
			if m.ID != m.Events[0].ID {
				t.Errorf("message %s of event %s", m.ID, m.Events[0].ID)
			}
		}
		if d := cmp.Diff(want, got); d != "" || len(ids) != len(want) {
			t.Errorf("%d ids, %s", len(ids), d)
		}
	})
}

func TestFilters(t *testing.T) {
	events := [][2]string{
		{rollout.EvHalted, "rollout/shop-1"}, {rollout.EvJudged, "rollout/shop-1"}, {rollout.EvHalted, "rollout/cart-12"},
		{"line.stopped", "line"}, {"release.created", "release/shop/v1"}, {"resource.applied", "service/shop"}, {"freeze.began", "freeze/xmas"},
		{"notify.failed", "notifier/n"}, {"notify.failed", "notifier/other"}, {rollout.EvWarned, "rollout/shop-1"}, {rollout.EvHalted, "rollout/gone-3"},
		{"resource.applied", "freeze/xmas"},
	}
	for name, tt := range map[string]struct {
		spec string
		want []int // of events
	}{
		"default":                {slackTo("n", ""), []int{0, 2, 3, 6, 9, 10, 11}},
		"a program":              {hookTo("n", ""), []int{0, 1, 2, 3, 6, 9, 10, 11}},
		"everything":             {hookTo("n", `,"events":["*"]`), []int{0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11}},
		"steps only by name":     {slackTo("n", `,"events":["stage."]`), nil},
		"steps by name":          {slackTo("n", `,"events":["stage.judged"]`), []int{1}},
		"one type":               {slackTo("n", `,"events":["rollout.halted"]`), []int{0, 2, 10}},
		"a service":              {slackTo("n", `,"services":["cart"]`), []int{2, 3, 6, 11}},
		"a label":                {slackTo("n", `,"labels":{"tier":"1"},"events":["*"]`), []int{0, 3, 4, 5, 6, 8, 9, 11}},
		"label of another value": {slackTo("n", `,"labels":{"tier":"9"},"events":["rollout."]`), nil},
		"failures of others":     {slackTo("n", `,"events":["notify."]`), []int{8}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.apply(resource.KindService, "shop", `{}`, "tier", "1")
				w.apply(resource.KindService, "cart", `{}`, "tier", "2")
				w.apply(resource.KindNotifier, "n", tt.spec)
				_, stop := w.start()
				defer stop()
				var seqs, want, got []int64
				for _, e := range events {
					seqs = append(seqs, w.happens(e[0], e[1]))
					after(time.Minute)
				}
				for _, i := range tt.want {
					want = append(want, seqs[i])
				}
				for _, m := range w.got("n") {
					got = append(got, m.seqs()...)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// What happened before a notifier was declared is not told, and nothing after that is missed.
func TestBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.happens(rollout.EvHalted, "rollout/shop-1")
		_, stop := w.start()
		defer stop()
		after(time.Minute)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		a := w.happens(rollout.EvHalted, "rollout/shop-2") // before any worker knows of it
		after(time.Minute)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", `,"timeout":"5s"`)) // a change is no new beginning
		b := w.happens(rollout.EvHalted, "rollout/shop-3")
		after(time.Minute)
		w.remove(resource.KindNotifier, "hook")
		w.happens(rollout.EvHalted, "rollout/shop-4")
		after(time.Minute)
		if _, err := w.store.Get(t.Context(), notify.KindCursor, "hook"); err == nil {
			t.Error("the cursor of a notifier that is gone is still there")
		}
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		c := w.happens(rollout.EvHalted, "rollout/shop-5")
		after(time.Minute)
		var got []int64
		for _, m := range w.got("hook") {
			got = append(got, m.seqs()...)
		}
		if d := cmp.Diff([]int64{a, b, c}, got); d != "" {
			t.Error(d)
		}
	})
}

// A receiver that is dead holds up only itself, and gets everything when it is back.
func TestDeadReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "dead", slackTo("dead", `,"timeout":"5s"`))
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		w.answers(func(ctx context.Context, _ *plane, to string, _ notify.Message, take func()) error {
			if to == "dead" {
				<-ctx.Done()
				return &notify.Failure{Text: "no answer in time"}
			}
			take()
			return nil
		})
		_, stop := w.start()
		defer stop()
		var want []int64
		for i := range 5 {
			want = append(want, w.happens(rollout.EvStarted, fmt.Sprintf("rollout/shop-%d", i)))
			after(time.Second)
			if n := len(w.got("hook")); n != i+1 {
				t.Fatalf("the hook got %d of %d", n, i+1)
			}
		}
		after(2 * time.Hour)
		c := w.cursor("dead")
		if c.Failing == nil || c.Sending == nil || c.Sending.Attempts < 15 || c.Sending.Attempts > 60 || c.Failing.Error != "no answer in time" {
			t.Fatalf("%+v %+v", c.Failing, c.Sending)
		}
		w.answers(nil)
		after(10 * time.Minute)
		var got []int64
		for _, m := range w.got("dead") {
			got = append(got, m.seqs()...)
			if m.Repeat {
				t.Error("it is known that nothing arrived, and yet this may be a repeat")
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if c := w.cursor("dead"); c.Failing != nil {
			t.Errorf("%+v", c)
		}
	})
}

func TestGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		refused bool
		after   time.Duration
	}{"dead": {false, 6 * time.Hour}, "refused": {true, 10 * time.Minute}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.apply(resource.KindNotifier, "hook", hookTo("hook", `,"giveUp":"6h"`))
				w.apply(resource.KindNotifier, "watch", hookTo("watch", `,"events":["notify."]`))
				w.answers(func(_ context.Context, _ *plane, to string, _ notify.Message, take func()) error {
					if to == "hook" {
						return &notify.Failure{Text: "answered 400", Refused: tt.refused}
					}
					take()
					return nil
				})
				_, stop := w.start()
				defer stop()
				lost := w.happens(rollout.EvStarted, "rollout/shop-1")
				after(tt.after - time.Minute)
				if n := len(w.recorded(notify.EvFailed)); n > 0 {
					t.Fatal("given up too early")
				}
				later := w.happens(rollout.EvStarted, "rollout/shop-2")
				after(10 * time.Minute)
				failed := w.recorded(notify.EvFailed)
				if len(failed) != 1 || failed[0].Subject != "notifier/hook" || failed[0].Actor != notify.Actor {
					t.Fatalf("%+v", failed)
				}
				for _, part := range []string{fmt.Sprintf(`"events":[%d]`, lost), `"error":"answered 400"`, `"attempts":`} {
					if !strings.Contains(string(failed[0].Data), part) {
						t.Errorf("%s lacks %s", failed[0].Data, part)
					}
				}
				if got := w.got("watch"); len(got) != 1 {
					t.Errorf("the other notifier was told %d times", len(got))
				}
				w.answers(nil)
				after(10 * time.Minute)
				if got := w.got("hook"); len(got) != 1 || got[0].seqs()[0] != later {
					t.Errorf("after it: %v", got)
				}
			})
		})
	}
}

// After a long stop of the control plane messages are overdue, but the receiver has not failed for long.
func TestLongStopLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", `,"giveUp":"1h"`))
		p, stop := w.start()
		after(time.Minute)
		kill(p, stop)
		seq := w.happens(rollout.EvStarted, "rollout/shop-1")
		after(100 * time.Hour)
		failures := 3
		w.answers(func(_ context.Context, _ *plane, _ string, _ notify.Message, take func()) error {
			if failures--; failures >= 0 {
				return &notify.Failure{Text: "no answer"}
			}
			take()
			return nil
		})
		_, stop = w.start()
		defer stop()
		after(time.Minute)
		if got := w.got("hook"); len(got) != 1 || got[0].seqs()[0] != seq {
			t.Errorf("got %v", got)
		}
	})
}

func TestReceiverAsksForPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		_, stop := w.start()
		defer stop()
		w.answers(func(context.Context, *plane, string, notify.Message, func()) error {
			return &notify.Failure{Text: "answered 429", After: 3 * time.Minute}
		})
		w.happens(rollout.EvStarted, "rollout/shop-1")
		after(time.Second)
		w.answers(nil)
		after(170 * time.Second)
		if n := w.attempts(); n != 1 {
			t.Fatalf("tried %d times before the time was over", n)
		}
		after(15 * time.Second)
		if n := len(w.got("hook")); n != 1 {
			t.Errorf("got %d", n)
		}
	})
}

// What some of the receivers got is not sent again, and who did not get it is on the record.
func TestPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "mail", slackTo("mail", ""))
		_, stop := w.start()
		defer stop()
		w.answers(func(_ context.Context, _ *plane, _ string, _ notify.Message, take func()) error {
			take()
			return &notify.Failure{Text: "not taken for bob@example.com", Partly: true}
		})
		w.happens(rollout.EvStarted, "rollout/shop-1")
		after(time.Hour)
		failed := w.recorded(notify.EvFailed)
		if len(w.got("mail")) != 1 || len(failed) != 1 || !strings.Contains(string(failed[0].Data), `"partly":true`) {
			t.Errorf("%d messages, %v", len(w.got("mail")), failed)
		}
	})
}

// A message that was begun is told as it was begun, whatever becomes of the filter and of the channel.
func TestChangedWhileFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "n", slackTo("n", ""))
		_, stop := w.start()
		defer stop()
		w.answers(func(context.Context, *plane, string, notify.Message, func()) error {
			return &notify.Failure{Text: "no answer"}
		})
		a, b := w.happens(rollout.EvStarted, "rollout/shop-1"), w.happens(rollout.EvBaking, "rollout/shop-1")
		after(time.Minute)
		w.apply(resource.KindNotifier, "n", hookTo("n2", `,"events":["line."]`))
		w.answers(nil)
		after(10 * time.Minute)
		got := w.got("n2")
		if len(got) != 1 || !slices.Equal(got[0].seqs(), []int64{a, b}) || len(w.got("n")) > 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestManyUnwantedEventsAreNotReadForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", `,"events":["line."]`))
		_, stop := w.start()
		defer stop()
		after(5 * time.Second)
		begun := w.cursor("hook").Seq
		for range 4990 {
			w.happens(rollout.EvStarted, "rollout/shop-1")
		}
		after(5 * time.Second)
		if c := w.cursor("hook"); c.Seq != begun {
			t.Errorf("the cursor was written for nothing, at %d", c.Seq)
		}
		var last int64
		for range 20 {
			last = w.happens(rollout.EvStarted, "rollout/shop-1")
		}
		after(5 * time.Second)
		if c := w.cursor("hook"); c.Seq < last-20 {
			t.Errorf("the cursor stands at %d of %d", c.Seq, last)
		}
	})
}
