package controller

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// layered is a world whose service uses a database with two versions of its schema.
func layered() *world {
	w := newWorld()
	w.spec.Service.Database = "shop"
	w.bad["v1~public_01"], w.bad["v2~public_01"], w.bad["v2~public_02"] = 0.005, 0.005, 0.005
	w.understands = map[string][]string{"v1": {"public_01"}, "v2": {"public_01", "public_02"}, "v3": {"public_02", "public_03"}}
	w.lay(layer.State{Database: "shop", Schema: "public", Live: []string{"public_02", "public_01"},
		Step: &layer.Step{Name: "02", Phase: layer.Started, Version: "public_02", Previous: "public_01"}})
	return w
}

// lay is what is found out about the database.
func (w *world) lay(st layer.State) {
	body, err := json.Marshal(st)
	if err != nil {
		panic(err)
	}
	doc, _ := w.Get(context.Background(), layer.Kind, "shop")
	if _, err := w.Commit(context.Background(), store.Write{Puts: []store.Doc{{Kind: layer.Kind, Name: "shop", Rev: doc.Rev, Body: body}}}); err != nil {
		panic(err)
	}
}

func (w *world) laid(t interface{ Fatal(...any) }) (st layer.State, rev int64) {
	doc, err := w.Get(context.Background(), layer.Kind, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(doc.Body, &st); err != nil {
		t.Fatal(err)
	}
	return st, doc.Rev
}

func TestBinariesFirstThenTheSchemaThenCleaningUp(t *testing.T) {
	w := layered()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		may := func() error { st, _ := w.laid(t); return st.MayComplete("02", must[[]layer.Use](t)(c.Uses(ctx)), true) }
		back := func() error { st, _ := w.laid(t); return st.MayReturn("02", must[[]layer.Use](t)(c.Uses(ctx))) }
		if _, err := c.Release(ctx, "user:ann", order("v1", func(o *rollout.Order) { o.Schema = "public_02" }), time.Now()); !errs.Is(err, errs.Conflict) {
			t.Fatalf("v1 does not understand public_02: %v", err)
		}
		release(t, ctx, c, "v2")
		s := find(t, ctx, c)
		if s.To != "v2~public_01" || len(s.Changes) != 1 || s.Changes[0].Kind != rollout.KindRelease {
			t.Fatalf("a release changes one layer: %s %+v", s.To, s.Changes)
		}
		time.Sleep(80 * time.Hour)
		if may() == nil || back() != nil {
			t.Fatal("everyone is on public_01")
		}
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("", func(o *rollout.Order) { o.Schema = "public_02" }), time.Now()))
		time.Sleep(26 * time.Hour)
		s = find(t, ctx, c)
		if s.Ring != 1 || len(s.Changes) != 1 || s.Changes[0] != (rollout.Change{Kind: rollout.KindSchema, From: "public_01", To: "public_02"}) {
			t.Fatalf("the schema goes through the rings alone: ring %d, %+v", s.Ring, s.Changes)
		}
		if d := w.desired(); d.Schema == nil || !slices.Equal(d.Schema.Live, []string{"public_02", "public_01"}) || len(d.Slots) != 2 || d.Slots[1].Schema.SearchPath != "public_02, public" {
			t.Fatalf("the unit shall run %+v", d)
		}
		if may() == nil || back() == nil {
			t.Fatal("the rollout is half way")
		}
		time.Sleep(60 * time.Hour)
		if s = find(t, ctx, c); s.Phase != rollout.Succeeded || may() != nil || back() == nil {
			t.Fatalf("%s: %v", s.Phase, may())
		}
		st, _ := w.laid(t)
		w.lay(st.Learn(layer.Seen{Schema: "public", Live: []string{"public_02"}, Migration: "02", Phase: layer.Completed}, time.Now()))
		c.Declared()
		time.Sleep(soon)
		_, err := c.Command(ctx, rollout.Rollback, "user:ann", "shop", "", time.Now())
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "which is gone") || errs.HintOf(err) == "" {
			t.Fatalf("back on a schema that is gone: %v", err)
		}
		release(t, ctx, c, "v3")
		if s = find(t, ctx, c); s.To != "v3~public_02" {
			t.Errorf("forward is %s", s.To)
		}
	})
}

// What a unit still runs counts, whoever needs it.
func TestWhatDrainsIsInProduction(t *testing.T) {
	w := layered()
	c := w.controller()
	slot := func(v, s string) fleet.Slot {
		return fleet.Slot{Version: v, Schema: &fleet.SlotSchema{Database: "shop", Version: s, Understands: []string{s}}, Instances: 1}
	}
	l := Live{Service: "shop", Units: []string{"local"}, Stable: "v2~public_02", Slots: map[string]fleet.Slot{"v2~public_02": slot("v2~public_02", "public_02"), "v2~public_01": slot("v2~public_01", "public_01")}}
	d := fleet.Service{Name: "shop", Slots: []fleet.Slot{l.Slots["v2~public_01"], l.Slots["v2~public_02"]}}
	for kind, v := range map[string]any{KindLive + "|shop": l, KindDesired + "|local/shop": d} {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		kind, name, _ := strings.Cut(kind, "|")
		must[[]audit.Event](t)(w.Commit(t.Context(), store.Write{Puts: []store.Doc{{Kind: kind, Name: name, Body: body}}}))
	}
	uses := must[[]layer.Use](t)(c.Uses(t.Context()))
	if len(uses) != 2 || uses[1].Role != "leaving" || uses[1].Schema != "public_01" {
		t.Fatalf("%+v", uses)
	}
	st, _ := w.laid(t)
	if err := st.MayComplete("02", uses, false); err == nil || !strings.Contains(err.Error(), "v2~public_01 (leaving)") {
		t.Error(err)
	}
}

func TestHarmHaltsWhereTheWayBackIsGone(t *testing.T) {
	w := layered()
	play(t, w, func(t *testing.T, ctx context.Context, c *Controller) {
		release(t, ctx, c, "v2")
		time.Sleep(80 * time.Hour)
		must[rollout.State](t)(c.Release(ctx, "user:ann", order("", func(o *rollout.Order) { o.Schema = "public_02" }), time.Now()))
		time.Sleep(2 * time.Hour)
		w.lay(layer.State{Database: "shop", Schema: "public", Live: []string{"public_02"}}) // by other hands
		w.change(func() { w.bad["v2~public_02"] = 0.2 })
		c.Declared()
		time.Sleep(8 * time.Hour)
		s := find(t, ctx, c)
		if !s.Halted || s.Phase == rollout.RollingBack || s.Phase == rollout.RolledBack || !strings.Contains(s.Reason, "it is not taken back: v2~public_01 needs version public_01") {
			t.Errorf("%s, halted %v: %s", s.Phase, s.Halted, s.Reason)
		}
	})
}

// Whatever is decided in whatever order, on however old a look, what is written never leaves a running version without its schema:
// of two decisions on the same state the slower one is refused.
func TestDecisionsOnOneStateDoNotMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := layered()
		ctx := context.Background()
		c := w.controller()
		type decided struct {
			st  layer.State
			rev int64
		}
		var open []decided // steps that were allowed, and not yet written
		for range rapid.IntRange(1, 40).Draw(t, "ops") {
			switch rapid.SampledFrom([]string{"release", "release", "rollback", "step", "decide", "write", "act"}).Draw(t, "op") {
			case "release":
				o := rollout.Order{Service: "shop", Version: rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(t, "v"), Schema: rapid.SampledFrom([]string{"", "public_01", "public_02"}).Draw(t, "s"),
					Replace: rapid.Bool().Draw(t, "replace"), Force: true, Why: "test"}
				_, _ = c.Release(ctx, "user:ann", o, time.Now())
			case "rollback":
				_, _ = c.Command(ctx, rapid.SampledFrom(rollout.Verbs).Draw(t, "verb"), "user:ann", "shop", "", time.Now())
			case "step":
				c.stepAll(ctx)
			case "decide":
				st, rev := w.laid(t)
				uses, err := c.Uses(ctx)
				if err != nil {
					t.Fatal(err)
				}
				to := rapid.SampledFrom([]layer.Phase{layer.Completing, layer.Returning}).Draw(t, "to")
				if to == layer.Completing && st.MayComplete("02", uses, true) == nil || to == layer.Returning && st.MayReturn("02", uses) == nil {
					open = append(open, decided{st.Toward(to, "ann", "", false, false, time.Now()), rev})
				}
			case "write":
				if len(open) > 0 {
					body, _ := json.Marshal(open[0].st)
					_, _ = w.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: layer.Kind, Name: "shop", Rev: open[0].rev, Body: body}}})
					open = open[1:]
				}
			case "act":
				st, _ := w.laid(t)
				switch {
				case st.Going() == "public_01":
					w.lay(st.Learn(layer.Seen{Schema: "public", Live: []string{"public_02"}, Migration: "02", Phase: layer.Completed}, time.Now()))
				case st.Going() == "public_02":
					w.lay(st.Learn(layer.Seen{Schema: "public", Live: []string{"public_01"}, Migration: "02", Phase: layer.RolledBack}, time.Now()))
				}
				c.Declared()
			}
			st, _ := w.laid(t)
			for _, slot := range w.desired().Slots {
				if slot.Schema == nil || !st.Offers(slot.Schema.Version) {
					t.Fatalf("%s shall run without its schema: live %v, going %q", slot.Version, st.Live, st.Going())
				}
			}
		}
	})
}
