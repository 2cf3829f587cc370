package switchboard_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringfence/ringfence/internal/blob"
	"github.com/ringfence/ringfence/internal/catalog"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/serving"
	"github.com/ringfence/ringfence/internal/store/sqlite"
	"github.com/ringfence/ringfence/internal/switchboard"
)

var now = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// world has a real store, catalog and serving, and rollouts that do as they are told.
type world struct {
	*switchboard.Board
	t       *testing.T
	catalog *catalog.Catalog
	serving *serving.Engine
	ramps   *ramps
}

// ramps are rollouts by subject, and what was ordered.
type ramps struct {
	states map[string]rollout.State
	orders []rollout.Order
	verbs  []string
}

func (r *ramps) Release(_ context.Context, actor string, o rollout.Order, _ time.Time) (rollout.State, error) {
	r.orders = append(r.orders, o)
	s := rollout.State{ID: o.Service + "-1", Service: o.Service, From: "off", To: o.Version, By: actor, Phase: rollout.Baking, Rings: []rollout.Ring{{Name: "all"}}}
	r.states[o.Service] = s
	return s, nil
}

func (r *ramps) Direct(_ context.Context, verb rollout.Verb, _ string, s rollout.State, reason string, _ time.Time) (rollout.State, error) {
	r.verbs = append(r.verbs, string(verb)+" "+s.Service+": "+reason)
	s.Phase = rollout.RolledBack
	r.states[s.Service] = s
	return s, nil
}

func (r *ramps) Newest(_ context.Context, which string) (rollout.State, error) {
	s, ok := r.states[which]
	if !ok {
		return s, errs.E(errs.Missing, "there is no rollout %q", which)
	}
	return s, nil
}

const declared = `{"environments":["production","staging"],"reviewers":{"production":{"from":["owners"]}},"flags":{
 "new":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","exposure":{"plan":"quick","variant":"on"},"preview":{"title":"New","variant":"on"}},
 "size.large":{"state":"ENABLED","variants":{"small":10,"large":100},"defaultVariant":"small","targeting":{"if":[{"==":[{"var":"plan"},"pro"]},"large"]}}}}`

func start(t *testing.T) *world { return startWith(t, declared) }

func startWith(t *testing.T, spec string) *world {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "db"))
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	blobs, err := blob.New(filepath.Join(dir, "blobs"))
	must(t, err)
	w := &world{t: t, catalog: &catalog.Catalog{Store: s, Blobs: blobs}, ramps: &ramps{states: map[string]rollout.State{}}}
	w.serving = serving.New(serving.Options{Store: s, Desired: "Desired", HeadKind: catalog.HeadKind, HeadName: catalog.HeadName})
	w.Board = switchboard.New(switchboard.Options{Catalog: w.catalog, Rollouts: w.ramps, Served: w.serving, Store: s, Choices: serving.KindChoices})
	w.apply(resource.KindGroup, "owners", `{"members":["ann","bob"]}`)
	w.apply(resource.KindRingPlan, "quick", `{"rings":[{"name":"some","audience":{"percent":10}},{"name":"all"}]}`)
	w.apply(resource.KindFlagSet, "shop", spec)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) apply(kind, name, spec string) {
	w.t.Helper()
	_, err := w.catalog.Apply(w.t.Context(), "user:admin", now, []resource.Resource{{APIVersion: resource.APIVersion, Kind: kind, Metadata: resource.Metadata{Name: name}, Spec: json.RawMessage(spec)}}, false)
	must(w.t, err)
}

func (w *world) edit(actor, key, patch string) switchboard.Edited {
	w.t.Helper()
	var p map[string]any
	must(w.t, json.Unmarshal([]byte(patch), &p))
	e, err := w.EditFlag(w.t.Context(), actor, "shop", key, p, "why not", now)
	must(w.t, err)
	return e
}

func (w *world) refused(kind errs.Kind, err error, words string) {
	w.t.Helper()
	if !errs.Is(err, kind) || !strings.Contains(err.Error(), words) {
		w.t.Errorf("got %v, want %v with %q", err, kind, words)
	}
}

// gives is what a user gets of a flag now.
func (w *world) gives(env, key string, user *exposure.Context) string {
	w.t.Helper()
	must(w.t, w.serving.Refresh(w.t.Context()))
	x, err := w.Explain(w.t.Context(), flag.Subject{Set: "shop", Key: key, Environment: env}, user)
	must(w.t, err)
	return x.Variant
}

var ann = &exposure.Context{TargetingKey: "ann"}

// An edit that changes an answer where somebody reviews waits for that; elsewhere, and what changes no answer, is done.
func TestEditsWaitForReviewers(t *testing.T) {
	w := start(t)
	for patch, waits := range map[string]bool{
		`{"owner":"team-shop"}`:                                      false,
		`{"environments":{"staging":{"defaultVariant":"large"}}}`:    false,
		`{"environments":{"production":{"defaultVariant":"large"}}}`: true,
		`{"defaultVariant":"large"}`:                                 true,
		`{"targeting":null}`:                                         true,
	} {
		if e := w.edit("user:zoe", "size.large", patch); e.Applied == waits || (e.Request != nil) != waits {
			t.Errorf("%s: applied %v, request %v", patch, e.Applied, e.Request)
		}
	}
	if got := w.gives("staging", "size.large", ann); got != "large" {
		t.Errorf("in staging: %s", got)
	}
	if got := w.gives("production", "size.large", ann); got != "small" {
		t.Errorf("in production: %s", got)
	}
	_, err := w.catalog.Apply(t.Context(), "user:zoe", now, []resource.Resource{{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: "shop"},
		Spec: json.RawMessage(strings.Replace(declared, `"small","targeting"`, `"large","targeting"`, 1))}}, false)
	w.refused(errs.Denied, err, "changes only with a review")
}

func TestReview(t *testing.T) {
	w := start(t)
	e := w.edit("user:ann", "size.large", `{"defaultVariant":"large"}`)
	if again := w.edit("user:ann", "size.large", `{"defaultVariant":"large"}`); again.Request.ID != e.Request.ID {
		t.Errorf("asked twice: %s and %s", e.Request.ID, again.Request.ID)
	}
	_, err := w.Review(t.Context(), "user:ann", e.Request.ID, "", false, now)
	w.refused(errs.Denied, err, "cannot approve it too")
	_, err = w.Review(t.Context(), "user:max", e.Request.ID, "", false, now)
	w.refused(errs.Denied, err, "is no reviewer")
	// What is edited beside it stays.
	w.edit("user:zoe", "new", `{"description":"the new checkout"}`)
	r, err := w.Review(t.Context(), "user:bob", e.Request.ID, "fine", false, now)
	if err != nil || r.State != switchboard.Applied {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = w.Review(t.Context(), "user:bob", e.Request.ID, "fine", false, now); err != nil || r.State != switchboard.Applied {
		t.Errorf("a retry: %+v, %v", r, err)
	}
	_, err = w.Review(t.Context(), "user:bob", e.Request.ID, "", true, now)
	w.refused(errs.Conflict, err, "is applied")
	if got := w.gives("production", "size.large", ann); got != "large" {
		t.Errorf("after the review: %s", got)
	}
	v, err := w.Flag(t.Context(), flag.Subject{Set: "shop", Key: "new", Environment: flag.Production}, now)
	if err != nil || v.Description != "the new checkout" {
		t.Errorf("beside it: %+v, %v", v, err)
	}
}

func TestAStaleRequest(t *testing.T) {
	w := start(t)
	first := w.edit("user:ann", "size.large", `{"variants":{"large":200}}`)
	second := w.edit("user:ann", "size.large", `{"variants":{"large":300}}`)
	if _, err := w.Review(t.Context(), "user:bob", first.Request.ID, "", false, now); err != nil {
		t.Fatal(err)
	}
	r, err := w.Request(t.Context(), second.Request.ID)
	if err != nil || !r.Stale {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = w.Review(t.Context(), "user:bob", second.Request.ID, "", false, now)
	w.refused(errs.Conflict, err, "has been changed meanwhile")
	if r, err = w.Review(t.Context(), "user:ann", second.Request.ID, "mine", true, now); err != nil || r.State != switchboard.Refused {
		t.Errorf("taken back by its author: %+v, %v", r, err)
	}
	open, err := w.Requests(t.Context(), "", true)
	if err != nil || len(open) != 0 {
		t.Errorf("open: %v, %v", open, err)
	}
}

func TestOff(t *testing.T) {
	w := start(t)
	s := flag.Subject{Set: "shop", Key: "new", Environment: flag.Production}
	_, err := w.Off(t.Context(), "user:max", s, " ", now)
	w.refused(errs.Invalid, err, "reason: missing")
	if _, err := w.Expose(t.Context(), "user:max", rollout.Order{Service: s.String()}, now); err != nil {
		t.Fatal(err)
	}
	off, err := w.Off(t.Context(), "user:max", s, "it hurts", now)
	if err != nil || off.Did != "rolled-back" || w.ramps.verbs[0] != "rollback flag:shop:new: it hurts" {
		t.Fatalf("%+v, %v, %v", off, err, w.ramps.verbs)
	}
	w.ramps.states[s.String()] = rollout.State{Service: s.String(), From: "off", To: "on", Phase: rollout.Succeeded}
	off, err = w.Off(t.Context(), "user:max", s, "it hurts", now)
	if last := w.ramps.orders[len(w.ramps.orders)-1]; err != nil || off.Did != "returned" || last.Version != "off" || last.Lane != rollout.Redeploy || !last.Through {
		t.Fatalf("%+v, %v, %+v", off, err, last)
	}
	// Asked for again while everyone is being returned, that is not taken back.
	w.ramps.states[s.String()] = rollout.State{Service: s.String(), From: "on", To: "off", Base: "off", Phase: rollout.Baking, Lane: rollout.Redeploy}
	off, err = w.Off(t.Context(), "user:max", s, "it hurts", now)
	if last := w.ramps.orders[len(w.ramps.orders)-1]; err != nil || off.Did != "returned" || last.Version != "off" || last.Lane != rollout.Redeploy || len(w.ramps.verbs) != 1 {
		t.Fatalf("%+v, %v, %+v, %v", off, err, last, w.ramps.verbs)
	}
	delete(w.ramps.states, s.String())
	for _, want := range []string{"disabled", "nothing"} { // reviewers are not asked
		if off, err = w.Off(t.Context(), "user:max", s, "it hurts", now); err != nil || off.Did != want {
			t.Fatalf("%+v, %v, want %s", off, err, want)
		}
	}
	_, err = w.Expose(t.Context(), "user:max", rollout.Order{Service: s.String()}, now)
	w.refused(errs.Conflict, err, "is disabled in production")
	if e, err := w.State(t.Context(), "user:max", s, true, "", now); err != nil || e.Request == nil {
		t.Errorf("on again without a review: %+v, %v", e, err)
	}
}

// Any change of a flag is taken back by itself, whatever it touched.
func TestUndo(t *testing.T) {
	for _, patch := range []string{
		`{"environments":{"staging":{"targeting":{"if":[true,"large"]}}}}`, `{"owner":"x","metadata":{"a.b":1,"c":"d"}}`, `{"environments":{"staging":{"state":"DISABLED"}}}`,
		`{"environments":{"staging":{"targeting":{"if":[{"==":[{"var":"plan"},"max"]},"large"]}}}}`, `{"prerequisites":[{"flag":"new","variant":"off"}],"environments":{"staging":{"defaultVariant":null}}}`,
	} {
		w := startWith(t, strings.Replace(declared, `"reviewers":{"production":{"from":["owners"]}},`, "", 1))
		before, err := w.catalog.Get(t.Context(), resource.KindFlagSet, "shop")
		must(t, err)
		if e := w.edit("user:ann", "size.large", patch); !e.Applied || len(e.Changes) == 0 {
			t.Fatalf("%s: %+v", patch, e)
		}
		w.edit("user:ann", "new", `{"description":"between"}`)
		e, err := w.Undo(t.Context(), "user:ann", "shop", "size.large", 0, "", now)
		if err != nil || !e.Applied {
			t.Fatalf("%s: %+v, %v", patch, e, err)
		}
		w.edit("user:ann", "new", `{"description":null}`)
		after, err := w.catalog.Get(t.Context(), resource.KindFlagSet, "shop")
		must(t, err)
		if d := cmp.Diff(string(before.Spec), string(after.Spec)); d != "" {
			t.Errorf("%s: not as before: %s", patch, d)
		}
	}
	w := start(t)
	_, err := w.Undo(t.Context(), "user:ann", "shop", "none", 0, "", now)
	w.refused(errs.Missing, err, "no change of flag shop/none")
}

func TestChoices(t *testing.T) {
	w := start(t)
	s := flag.Subject{Set: "shop", Key: "new", Environment: flag.Production}
	for _, step := range []struct{ choice, want string }{{"in", "on"}, {"in", "on"}, {"out", "off"}, {"none", "off"}, {"in", "on"}, {"none", "off"}} {
		must(t, w.Choose(t.Context(), "user:app", s, "ann", step.choice, now))
		if got := w.gives("production", "new", ann); got != step.want {
			t.Errorf("after %s: %s, want %s", step.choice, got, step.want)
		}
	}
	w.refused(errs.Invalid, w.Choose(t.Context(), "user:app", s, "", "in", now), "targetingKey")
	w.refused(errs.Invalid, w.Choose(t.Context(), "user:app", s, "ann", "maybe", now), "expected in, out or none")
	s.Key = "size.large"
	w.refused(errs.Conflict, w.Choose(t.Context(), "user:app", s, "ann", "in", now), "has no preview")
}

func TestExplain(t *testing.T) {
	w := start(t)
	x, err := w.Explain(t.Context(), flag.Subject{Set: "shop", Key: "size.large", Environment: flag.Production}, &exposure.Context{TargetingKey: "ann", Attributes: map[string]any{"plan": "pro"}})
	if err != nil || x.Variant != "large" || len(x.Steps) != 1 || x.Steps[0].Name != "rule" || !x.Steps[0].Decides {
		t.Errorf("%+v, %v", x, err)
	}
	_, err = w.Explain(t.Context(), flag.Subject{Set: "shop", Key: "none", Environment: flag.Production}, ann)
	w.refused(errs.Missing, err, "there is no flag")
	_, err = w.Explain(t.Context(), flag.Subject{Set: "shop", Key: "new", Environment: "nowhere"}, ann)
	w.refused(errs.Missing, err, "has no environment")
}

// A set as it shall be may say null, for which a patch has no word.
func TestProposeNull(t *testing.T) {
	w := start(t)
	spec := strings.Replace(declared, `"defaultVariant":"small"`, `"defaultVariant":null`, 1)
	e, err := w.Propose(t.Context(), "user:ann", resource.Resource{APIVersion: resource.APIVersion, Kind: resource.KindFlagSet, Metadata: resource.Metadata{Name: "shop"}, Spec: json.RawMessage(spec)}, "none", now)
	if err != nil || e.Request == nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if r, err := w.Review(t.Context(), "user:bob", e.Request.ID, "", false, now); err != nil || r.State != switchboard.Applied {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := w.catalog.Get(t.Context(), resource.KindFlagSet, "shop")
	if err != nil || !strings.Contains(string(r.Spec), `"defaultVariant":null`) {
		t.Errorf("%s, %v", r.Spec, err)
	}
}

// Who reviews is changed by those who do; nobody gets around them by deleting the set and applying another.
func TestReviewersAreNotGotAround(t *testing.T) {
	w := start(t)
	for what, patch := range map[string]string{
		"the author may approve":   `{"reviewers":{"production":{"own":true}}}`,
		"others review":            `{"reviewers":{"production":{"from":["friends"]}}}`,
		"no reviewers":             `{"reviewers":null}`,
		"another preview":          `{"flags":{"new":{"preview":{"variant":"off"}}}}`,
		"an environment goes":      `{"environments":["staging"],"reviewers":null}`,
		"another ring to reach":    `{"flags":{"new":{"exposure":{"ring":"some"}}}}`,
		"another evaluation order": `{"bucketing":"v3","rebucket":"better","flags":{"new":{"exposure":null}}}`,
	} {
		w.apply(resource.KindGroup, "friends", `{"members":["max"]}`)
		var p map[string]any
		must(t, json.Unmarshal([]byte(patch), &p))
		if e, err := w.Edit(t.Context(), "user:zoe", switchboard.Edit{Set: "shop", Patch: p}, now); err != nil || e.Applied || e.Request == nil {
			t.Errorf("%s: %+v, %v", what, e, err)
		}
	}
	w.refused(errs.Denied, w.catalog.Delete(t.Context(), "user:zoe", now, resource.KindFlagSet, "shop"), "only with a review")
}

// A request waits for the reviewers of every environment that it would change when it is approved.
func TestReviewersThatCome(t *testing.T) {
	w := startWith(t, strings.Replace(declared, `{"production":{"from":["owners"]}}`, `{"staging":{"from":["owners"]}}`, 1))
	e := w.edit("user:zoe", "size.large", `{"defaultVariant":"large"}`)
	w.apply(resource.KindGroup, "friends", `{"members":["max"]}`)
	w.apply(resource.KindFlagSet, "shop", strings.Replace(declared, `{"production":{"from":["owners"]}}`, `{"staging":{"from":["owners"]},"production":{"from":["friends"]}}`, 1))
	if r, err := w.Request(t.Context(), e.Request.ID); err != nil || !strings.Contains(r.Missing, "for production") {
		t.Errorf("%+v, %v", r, err)
	}
	r, err := w.Review(t.Context(), "user:bob", e.Request.ID, "", false, now)
	if err != nil || r.State != switchboard.Open || !strings.Contains(r.Missing, "for production") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = w.Review(t.Context(), "user:max", e.Request.ID, "", false, now); err != nil || r.State != switchboard.Applied {
		t.Fatalf("%+v, %v", r, err)
	}
}

// Reviewers who approve in the same moment are both heard, and an edit in between does not slip under an approval.
func TestReviewsAtOnce(t *testing.T) {
	w := startWith(t, strings.Replace(declared, `{"from":["owners"]}`, `{"from":["owners"],"need":"all"}`, 1))
	e := w.edit("user:zoe", "size.large", `{"defaultVariant":"large"}`)
	done := make(chan error)
	for _, who := range []string{"user:ann", "user:bob"} {
		go func() {
			_, err := w.Review(t.Context(), who, e.Request.ID, "", false, now)
			done <- err
		}()
	}
	for range 2 {
		must(t, <-done)
	}
	if r, err := w.Request(t.Context(), e.Request.ID); err != nil || r.State != switchboard.Applied {
		t.Errorf("%+v, %v", r, err)
	}
}

// Where a flag has a state of its own in production, that is what is switched off, whether or not the set names environments.
func TestOffWhereItIsOn(t *testing.T) {
	w := startWith(t, `{"flags":{"new":{"state":"DISABLED","variants":{"on":true,"off":false},"defaultVariant":"on","environments":{"production":{"state":"ENABLED"}}}}}`)
	s := flag.Subject{Set: "shop", Key: "new", Environment: flag.Production}
	if off, err := w.Off(t.Context(), "user:max", s, "it hurts", now); err != nil || off.Did != "disabled" {
		t.Fatalf("%+v, %v", off, err)
	}
	if v, err := w.Flag(t.Context(), s, now); err != nil || v.State != "disabled" {
		t.Errorf("it is %s, %v", v.State, err)
	}
	if _, err := w.State(t.Context(), "user:max", s, true, "", now); err != nil {
		t.Fatal(err)
	}
	if v, err := w.Flag(t.Context(), s, now); err != nil || v.State != "enabled" {
		t.Errorf("it is %s, %v", v.State, err)
	}
}
