package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/store"
	"github.com/ringfence/ringfence/internal/track"
)

// Where no gateway sees requests, a ramp is judged by the users of its ring in trial of whom something was told.
func TestRampsAreJudgedByWhatIsTold(t *testing.T) {
	events, err := track.Open(t.Context(), track.Options{Folder: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = events.Close() })
	const name = "flag:shop:new"
	ramp := fleet.Service{Name: name, Generation: 7, Salt: "plan", Exposure: []string{"on", "off"},
		Rings: []fleet.Ring{{Name: "some", Percent: 50}, {Name: "all"}}, Ramp: &fleet.Ramp{Ring: 0, From: "off", To: "on", Control: 50, Salt: "trial"}}
	docs := shelf{document(t, resource.KindFlagSet, "shop", resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: "shop"},
		Spec: json.RawMessage(`{"flags":{"new":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}}}`)}),
		document(t, "Desired", flag.Unit+"/"+name, ramp)}
	engine := serving.New(serving.Options{Store: docs, Desired: "Desired"})
	judge := newTold(counting{}, events, engine)

	began := time.Now().Add(-time.Minute)
	if samples, _, err := judge.Counts(t.Context(), name, "on", "off", "", began, time.Now()); err != nil || samples != nil {
		t.Fatalf("before it is in force everywhere: %v, %v", samples, err)
	}
	judge.seen(name, 7, began)
	snapshot, err := engine.Current("")
	must(t, err)
	tell := func(from, to int, fails func(i int) bool) {
		var batch []track.Event
		for i := from; i < to; i++ {
			user := fmt.Sprint("user-", i)
			variant := snapshot.All().Evaluate("new", &exposure.Context{TargetingKey: user}).Variant
			batch = append(batch, track.Event{Kind: track.Exposure, Time: began.Add(5 * time.Second), Key: user, Name: "new", Set: "shop", Variant: variant})
			if variant == "on" && fails(i) {
				batch = append(batch, track.Event{Kind: track.Metric, Time: began.Add(6 * time.Second), Key: user, Name: errorEvent, Value: 1})
			}
		}
		_, err := events.Append(t.Context(), track.Batch{Environment: flag.Production, Events: batch})
		must(t, err)
	}
	tell(0, 1000, func(i int) bool { return i%2 == 0 })
	first := began.Add(10 * time.Second)
	samples, ends, err := judge.Counts(t.Context(), name, "on", "off", "", began, first)
	must(t, err)
	c, s := samples[0].Canary, samples[0].Stable
	if len(ends) != 1 || !ends[0].Equal(first) || c.Bad < 80 || c.Bad > 170 || c.Requests-c.Bad < 190 || c.Requests-c.Bad > 310 || s.Bad != 0 || s.Requests < 190 || s.Requests > 310 {
		t.Fatalf("of 1000 users, a quarter on each side: canary %+v, stable %+v, ends %v", c, s, ends)
	}
	if again, _, err := judge.Counts(t.Context(), name, "on", "off", "", first, first.Add(time.Millisecond)); err != nil || again != nil {
		t.Errorf("counted again at once: %v, %v", again, err)
	}
	tell(1000, 2000, func(int) bool { return false })
	more, _, err := judge.Counts(t.Context(), name, "on", "off", "", first, first.Add(time.Minute))
	must(t, err)
	if c := more[0].Canary; c.Bad != 0 || c.Requests < 190 || c.Requests > 310 {
		t.Errorf("only what came since: %+v", c)
	}
	// A process that has just started counts from the beginning of the stage.
	fresh := newTold(counting{}, events, engine)
	fresh.seen(name, 7, began)
	all, _, err := fresh.Counts(t.Context(), name, "on", "off", "", began, first.Add(time.Minute))
	must(t, err)
	if got, want := *all[0].Canary, (c.Requests + more[0].Canary.Requests); got.Requests != want || got.Bad != c.Bad {
		t.Errorf("after a restart %+v, want %d requests", got, want)
	}
	if users := judge.users(name); len(users) != 2 || users[0].Ring != "some" || users[0].Version != "on" || users[0].Users < 380 {
		t.Errorf("users: %+v", users)
	}
	if samples, _, err := judge.Counts(t.Context(), name, "on", "off", "0.3", began, first); err != nil || samples != nil {
		t.Errorf("latency: %v, %v", samples, err)
	}
	theNextTrial(t, judge, docs, ramp, began, first.Add(2*time.Minute))
}

// theNextTrial: who chose to have it, or not to, was not placed by chance; the users of one trial are not those of the next.
func theNextTrial(t *testing.T, judge *told, docs shelf, ramp fleet.Service, began, at time.Time) {
	t.Helper()
	var some flag.Choices
	for i := range 1000 {
		some.In = append(some.In, fmt.Sprint("user-", i))
	}
	ramp.Generation, ramp.Ramp.Salt = 8, "trial again"
	next := document(t, "Desired", flag.Unit+"/"+ramp.Name, ramp)
	next.Rev = 2
	judge.serving.Store = shelf{docs[0], next, document(t, serving.KindChoices, ramp.Name, some)}
	must(t, judge.serving.Refresh(t.Context()))
	if users := judge.users(ramp.Name); len(users) != 0 {
		t.Errorf("of the trial before: %+v", users)
	}
	judge.seen(ramp.Name, 8, began)
	rest, _, err := judge.Counts(t.Context(), ramp.Name, "on", "off", "", began, at)
	must(t, err)
	if c := rest[0].Canary; c.Bad != 0 || c.Requests < 190 || c.Requests > 310 {
		t.Errorf("without those who chose: %+v", c)
	}
}

func document(t *testing.T, kind, name string, body any) store.Doc {
	t.Helper()
	raw, err := json.Marshal(body)
	must(t, err)
	return store.Doc{Kind: kind, Name: name, Rev: 1, Body: raw}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
