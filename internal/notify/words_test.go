package notify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// of is an event of a rollout for a table.
func of(typ, actor string, data rollout.Event) func(w *world) audit.Event {
	return func(w *world) audit.Event {
		e, err := audit.New(time.Now(), typ, actor, "rollout/shop-7", data)
		if err != nil {
			w.t.Fatal(err)
		}
		return e
	}
}

func other(typ, actor, subject string, data any) func(w *world) audit.Event {
	return func(w *world) audit.Event {
		e, err := audit.New(time.Now(), typ, actor, subject, data)
		if err != nil {
			w.t.Fatal(err)
		}
		return e
	}
}

const (
	ringfence = "system:controller"
	ann       = "user:ann"
)

var rings = []rollout.Ring{{Name: "canary"}, {Name: "early"}, {Name: "all"}}

// told is a message as people read it.
func text(m notify.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", m.Mood, m.Title)
	for _, s := range []string{m.Why, m.Next} {
		if s != "" {
			fmt.Fprintf(&b, "%s\n", s)
		}
	}
	var facts []string
	for _, f := range m.Facts {
		facts = append(facts, f.Name+": "+f.Value)
	}
	fmt.Fprintf(&b, "[%s]\n", strings.Join(facts, "; "))
	for _, l := range m.Lines {
		fmt.Fprintf(&b, "- %s\n", l.Text)
	}
	fmt.Fprintf(&b, "%s", m.Link)
	return b.String()
}

// shop7 is the rollout that most messages here are about.
var shop7 = rollout.State{ID: "shop-7", Service: "shop", From: "v2", To: "v3", By: ann, Plan: "standard", Rings: rings, Phase: rollout.Baking,
	Stages: []rollout.Stage{{Ring: "canary"}}}

func TestWords(t *testing.T) {
	hurt := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble's time begins
	with := func(change func(*rollout.State)) rollout.State {
		s := shop7
		change(&s)
		return s
	}
	back := with(func(s *rollout.State) {
		s.Phase, s.Reason = rollout.RolledBack, "ring canary: errors are 4 times those of v2"
		s.HurtAt, s.HaltedAt, s.SafeAt = hurt, hurt.Add(31*time.Second), hurt.Add(35*time.Second)
		s.Stages = []rollout.Stage{{Ring: "canary", Users: 112}}
	})
	checkWords(t, map[string]wording{
		"begun": {shop7, []func(*world) audit.Event{of(rollout.EvStarted, ann, rollout.Event{From: "v2", To: "v3"})}, `calm shop v3: release begun
[Service: shop; Version: v2 → v3; Ring: canary (1 of 3); Released by: ann]
- ann began to release v3 in place of v2
https://ringfence.example.com/rollouts/shop-7`},
		"harm, all the way back": {back, []func(*world) audit.Event{
			of(rollout.EvHalted, ringfence, rollout.Event{Ring: "canary", Reason: "ring canary: errors are 4 times those of v2", Users: 120, HurtAt: hurt.Add(-31 * time.Second)}),
			of(rollout.EvReverting, ringfence, rollout.Event{From: "v3", To: "v2"}),
			of(rollout.EvRolledBack, ringfence, rollout.Event{To: "v2", Users: 118}),
		}, `bad shop v3: rolled back to v2
Ring canary: errors are 4 times those of v2.
Users are safe. Release a fixed version; v3 is not released again unless somebody forces it with a reason.
[Service: shop; Version: v2 → v3; Ring: canary (1 of 3); Users who got it: 120; Detected: 31 s after the first bad event; Safe: 35 s after the first bad event; Released by: ann]
- Harm was detected in ring canary, with 120 users in it, 31 s after the first bad event
- Everyone goes back to v2
- Everyone has v2 again
https://ringfence.example.com/rollouts/shop-7`},
		"halted by a person": {shop7, []func(*world) audit.Event{of(rollout.EvHalted, "user:bob", rollout.Event{Ring: "canary", Reason: "odd logs\nline two"})}, `bad shop v3: halted in ring canary
Odd logs line two.
It stays where it is. Take it back with: ringfence rollout rollback shop, or let it go on with: ringfence rollout resume shop
[Service: shop; Version: v2 → v3; Ring: canary (1 of 3); Released by: ann]
- bob halted shop-7
https://ringfence.example.com/rollouts/shop-7`},
		"never seen by anybody": {with(func(s *rollout.State) { s.Phase, s.Ring, s.Stages = rollout.RolledBack, -1, nil }), []func(*world) audit.Event{
			of(rollout.EvHalted, ringfence, rollout.Event{Reason: "v3 did not become ready within 1m"}),
			of(rollout.EvRolledBack, ringfence, rollout.Event{To: "v2"}),
		}, `bad shop v3: rolled back to v2
v3 did not become ready within 1m.
Users are safe. Release a fixed version; v3 is not released again unless somebody forces it with a reason.
[Service: shop; Version: v2 → v3; Users who got it: nobody; Released by: ann]
- It was halted before anybody saw it
- Everyone has v2 again
https://ringfence.example.com/rollouts/shop-7`},
		"approval": {shop7, []func(*world) audit.Event{
			of(rollout.EvPassed, ringfence, rollout.Event{Ring: "canary", Users: 1}),
			of(rollout.EvAsked, ringfence, rollout.Event{Ring: "early", Reason: "ring early waits for the approval of one of sre"}),
		}, `warn shop v3: waits for approval of ring early
Ring early waits for the approval of one of sre.
Look at it, then approve it with: ringfence rollout approve shop, or refuse it with: ringfence rollout refuse shop
[Service: shop; Version: v2 → v3; Ring: early (2 of 3); Users who got it: 1; Released by: ann]
- Ring canary passed, with 1 user in it
- Ring early waits for approval
https://ringfence.example.com/rollouts/shop-7`},
		"out": {with(func(s *rollout.State) { s.Phase, s.Ring, s.From = rollout.Succeeded, 2, "" }), []func(*world) audit.Event{
			of(rollout.EvPassed, ringfence, rollout.Event{Ring: "all"}), of(rollout.EvSucceeded, ringfence, rollout.Event{}),
		}, `good shop v3: out to everyone
[Service: shop; Version: v3; Ring: all (3 of 3); Released by: ann]
- Ring all passed
- v3 is out to everyone
https://ringfence.example.com/rollouts/shop-7`},
	})
}

func TestWordsOfOtherThings(t *testing.T) {
	checkWords(t, map[string]wording{
		"not known any more": {rollout.State{}, []func(*world) audit.Event{of(rollout.EvPaused, "user:bob", rollout.Event{Ring: "canary"})}, `warn shop: paused in ring canary
It stays where it is until somebody says: ringfence rollout resume shop
[Service: shop; Ring: canary]
- bob paused shop-7
https://ringfence.example.com/rollouts/shop-7`},
		"the line": {shop7, []func(*world) audit.Event{other("line.stopped", "user:eve", "line", map[string]string{"reason": "datacentre on fire"})}, `bad The line is stopped
Datacentre on fire.
Nothing moves outward. When it is safe, a second person lifts it with: ringfence stop-the-line lift
[]
- eve stopped the line: nothing moves outward, harm is still taken back
https://ringfence.example.com/events`},
		"a freeze": {shop7, []func(*world) audit.Event{other("resource.deleted", "user:eve", "freeze/xmas", map[string]any{"before": resource.Resource{
			Kind: resource.KindFreeze, Spec: []byte(`{"reason":"everyone is away","when":{"start":"2026-12-20T08:00","end":"2026-12-27T08:00","zone":"Europe/Berlin"},"services":["shop"]}`)}})}, `calm eve deleted freeze xmas
Everyone is away.
[From: 2026-12-20T08:00 Europe/Berlin; To: 2026-12-27T08:00 Europe/Berlin; Services: shop]
https://ringfence.example.com/events`},
		"what nobody has words for": {shop7, []func(*world) audit.Event{other("freeze.half-lifted", "user:eve", "freeze/xmas", nil)}, `calm eve: freeze half lifted, freeze/xmas
[]
https://ringfence.example.com/events`},
		"a release": {shop7, []func(*world) audit.Event{other("release.created", ann, "release/shop/v4", nil)}, `calm ann made release v4 of shop
[Service: shop]
https://ringfence.example.com/services/shop`},
		"others' failure": {shop7, []func(*world) audit.Event{other(notify.EvFailed, notify.Actor, "notifier/ops", notify.Failed{Title: "shop v3: halted", Attempts: 12, Error: "hooks.example.com answered 404"})}, `bad Somebody was not told
Hooks.example.com answered 404.
Look at the receiver and at its secret, then try it with: ringfence notifier test ops
[]
- ops could not be told "shop v3: halted", in 12 attempts
https://ringfence.example.com/events`},
	})
}

// wording is what happened, with what became of its rollout, and how it is told.
type wording struct {
	state  rollout.State
	events []func(*world) audit.Event
	want   string
}

func checkWords(t *testing.T, all map[string]wording) {
	t.Helper()
	for name, tt := range all {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.apply(resource.KindNotifier, "chat", slackTo("chat", `,"events":["*"]`))
				if tt.state.ID != "" {
					w.rollouts["shop-7"] = tt.state
				}
				var events []audit.Event
				for _, e := range tt.events {
					events = append(events, e(w))
				}
				w.commit(store.Write{Events: events})
				_, stop := w.start()
				defer stop()
				after(time.Minute)
				got := w.got("chat")
				if len(got) != 1 {
					t.Fatalf("got %d messages", len(got))
				}
				if d := cmp.Diff(tt.want, text(got[0].Message)); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// Every type of a rollout's life has a sentence of its own, with and without details.
func TestEveryTypeHasWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", `,"events":["*"]`))
		_, stop := w.start()
		defer stop()
		types := []string{
			rollout.EvStarted, rollout.EvPreempted, rollout.EvReady, rollout.EvExposed, rollout.EvBaking, rollout.EvJudged, rollout.EvPassed,
			rollout.EvLost, rollout.EvFound, rollout.EvPaused, rollout.EvResumed, rollout.EvHurried, rollout.EvHalted, rollout.EvWarned, rollout.EvAsked,
			rollout.EvApproved, rollout.EvRejected, rollout.EvRetired, rollout.EvAborted, rollout.EvReverting, rollout.EvReverted, rollout.EvRolledBack,
			rollout.EvSucceeded, rollout.EvSuperseded,
		}
		for _, typ := range types {
			w.happens(typ, "rollout/shop-1")
		}
		after(10 * time.Second)
		got := w.got("hook")
		if len(got) != len(types) {
			t.Fatalf("got %d of %d", len(got), len(types))
		}
		for _, m := range got {
			if s := m.Events[0].Text; strings.Contains(s, "rollout/") || strings.Contains(s, "%!") || strings.Contains(s, "  ") || s == "" {
				t.Errorf("%s: %q", m.Events[0].Type, s)
			}
		}
	})
}

// What a program gets of a rollout is what never changes: a repeat is the same.
func TestFactsForPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		digest := "sha256:" + strings.Repeat("a", 64)
		w.apply(resource.KindRelease, "shop/v2", `{"service":"shop","version":"v2","digest":"`+digest+`","size":1,"created":"2026-01-01T00:00:00Z","by":"ann"}`)
		w.rollouts["shop-7"] = rollout.State{ID: "shop-7", Service: "shop", From: "v2@c1", To: "v3", By: ann, Plan: "standard", Lane: rollout.Hotfix,
			Units: []string{"eu", "us"}, Rings: rings}
		_, stop := w.start()
		defer stop()
		w.commit(store.Write{Events: []audit.Event{of(rollout.EvRolledBack, ringfence, rollout.Event{To: "v2@c1"})(w)}})
		after(time.Second)
		got := w.got("hook")
		if len(got) != 1 {
			t.Fatalf("got %d", len(got))
		}
		ev := got[0].Events[0]
		want := notify.Event{Event: ev.Event, ID: fmt.Sprintf("%d-%s", ev.Seq, ev.Hash[:16]), Source: "https://ringfence.example.com", Service: "shop",
			Rollout: "shop-7", Plan: "standard", Lane: "hotfix", From: "v2@c1", To: "v3", Digest: digest, Units: []string{"eu", "us"}, By: ann,
			Text: "Everyone has v2@c1 again", Link: "https://ringfence.example.com/rollouts/shop-7"}
		if d := cmp.Diff(want, ev); d != "" {
			t.Error(d)
		}
	})
}

func TestLongGroupsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "chat", slackTo("chat", ""))
		_, stop := w.start()
		defer stop()
		for range 40 {
			w.happens(rollout.EvLost, "rollout/shop-1")
		}
		after(time.Minute)
		got := w.got("chat")
		if len(got) != 1 || len(got[0].Lines) != 15 || got[0].Lines[0].Text != "26 more before" || len(got[0].Events) != 40 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.apply(resource.KindNotifier, "chat", slackTo("chat", `,"events":["*"]`))
		p := &plane{memory: w.store, world: w}
		e := notify.New(notify.Options{Store: p, Catalog: declared{w.store}, Rollouts: w, Sender: p})
		told, err := e.Test(t.Context(), ann, "chat")
		if err != nil || told != (notify.Tested{Channel: "slack"}) {
			t.Fatalf("%+v, %v", told, err)
		}
		got := w.got("chat")
		if len(got) != 1 || got[0].Title != "Ringfence: test message" || got[0].Why != "ann tries whether messages of notifier chat arrive. They do." || len(got[0].Events) != 1 {
			t.Errorf("%+v", got)
		}
		if tested := w.recorded(notify.EvTested); len(tested) != 1 || tested[0].Actor != ann || tested[0].Subject != "notifier/chat" {
			t.Errorf("%+v", tested)
		}
		w.answers(func(context.Context, *plane, string, notify.Message, func()) error {
			return &notify.Failure{Text: "hooks.slack.com answered 404: no_service"}
		})
		if told, err := e.Test(t.Context(), ann, "chat"); err != nil || !strings.Contains(told.Error, "no_service") {
			t.Errorf("%+v, %v", told, err)
		}
		if tested := w.recorded(notify.EvTested); len(tested) != 2 || !strings.Contains(string(tested[1].Data), "no_service") {
			t.Errorf("%+v", tested)
		}
		if _, err := e.Test(t.Context(), ann, "none"); !errs.Is(err, errs.Missing) {
			t.Errorf("%v", err)
		}
	})
}

func TestStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, stop := w.start()
		defer stop()
		e := notify.New(notify.Options{Store: p, Catalog: declared{w.store}, Rollouts: w, Sender: p})
		w.apply(resource.KindNotifier, "chat", slackTo("chat", ""))
		w.apply(resource.KindNotifier, "hook", hookTo("hook", ""))
		after(5 * time.Second)
		w.answers(func(_ context.Context, _ *plane, to string, _ notify.Message, take func()) error {
			if to == "hook" {
				return &notify.Failure{Text: "hook.example.com: no answer in time"}
			}
			take()
			return nil
		})
		w.happens(rollout.EvHalted, "rollout/shop-1")
		w.happens(rollout.EvHalted, "rollout/shop-2")
		after(45 * time.Second)
		got, err := e.Statuses(t.Context())
		if err != nil || len(got) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		if d := cmp.Diff(notify.Status{Name: "chat", Channel: "slack"}, got[0]); d != "" {
			t.Error(d)
		}
		if s := got[1]; s.Channel != "webhook" || s.Waiting != 2 || s.Failing.IsZero() || s.Error == "" || s.Attempts < 4 || !s.Next.After(time.Now()) {
			t.Errorf("%+v", s)
		}
	})
}
