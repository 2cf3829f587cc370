package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/test/plane"
)

func apply(t *testing.T, c *client.Client, text string) wire.Applied {
	t.Helper()
	out, err := c.Apply(t.Context(), []wire.File{{Name: "shop.yaml", Text: text}}, false)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// artifact puts some content and returns its digest.
func artifact(t *testing.T, c *client.Client, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "artifact")
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	a, err := c.PutFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return a.Digest
}

// reach waits until a rollout is in a phase.
func reach(t *testing.T, c *client.Client, which string, phase rollout.Phase) wire.Rollout {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		r, err := c.Rollout(ctx, which)
		if err != nil {
			t.Fatalf("%s did not become %s: %v", which, phase, err)
		}
		if r.Rollout.Phase == phase {
			return r
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestFromNothingToARollback(t *testing.T) {
	p := plane.Start(t)
	ctx, c := t.Context(), p.Admin
	if got := apply(t, c, plane.Shop); len(got.Items) != 2 || got.Items[1].Action != "created" || !strings.Contains(got.Items[1].Diff, "+  plan: quick") {
		t.Fatalf("applied %+v", got)
	}
	first, err := c.Release(ctx, "shop", wire.Release{Version: "v1", Digest: artifact(t, c, "one")})
	if err != nil || first.Rollout.ID != "shop-1" {
		t.Fatal(first, err)
	}
	reach(t, c, "shop-1", rollout.Succeeded)
	if _, err := c.Release(ctx, "shop", wire.Release{Version: "v2", Digest: artifact(t, c, "two"), Env: map[string]string{"A": "b"}}); err != nil {
		t.Fatal(err)
	}
	baking := reach(t, c, "shop", rollout.Baking)
	if baking.Waiting == "" || baking.Evidence == nil || baking.Evidence.To.Ready != 1 {
		t.Errorf("baking: %+v", baking)
	}
	for user, want := range map[string]string{"alice": "v2", "bob": "v1", "": "v1"} {
		got, err := c.RingOf(ctx, "shop", "", user, nil)
		if err != nil || got.Version != want || got.Why == "" {
			t.Errorf("%q gets %+v, %v, want %s", user, got, err, want)
		}
	}
	list, err := c.Services(ctx)
	if err != nil || len(list) != 1 || list[0].Stable != "v1" || list[0].To != "v2" || list[0].Ring != "canary" || list[0].Ready != 2 {
		t.Errorf("services: %+v, %v", list, err)
	}
	if _, err := c.Command(ctx, "shop", rollout.Abort, "it smells"); err != nil {
		t.Fatal(err)
	}
	back := reach(t, c, "shop-2", rollout.RolledBack)
	if back.Rollout.Reason != "it smells" || back.Evidence != nil {
		t.Errorf("rolled back: %+v", back)
	}
	if _, err := c.Command(ctx, "shop-2", rollout.Promote, ""); !errs.Is(err, errs.Conflict) {
		t.Errorf("promote after the end: %v", err)
	}
	all, err := c.Rollouts(ctx, "", false, 10)
	if err != nil || len(all) != 2 || all[0].ID != "shop-2" {
		t.Errorf("rollouts: %v, %v", all, err)
	}
	rels, err := c.Releases(ctx, "shop")
	if err != nil || len(rels) != 2 || rels[0].By != "user:admin" {
		t.Errorf("releases: %v, %v", rels, err)
	}
	logs, err := c.Logs(ctx, wire.LogQuery{Service: "shop", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(logs); err != nil || string(b) != "log of local/shop/v1\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWhatIsWrongIsSaidWithItsPlace(t *testing.T) {
	p := plane.Start(t)
	bad := strings.Replace(plane.Shop, "plan: quick", "plan: quik\n  surprise: 1", 1)
	_, err := p.Admin.Apply(t.Context(), []wire.File{{Name: "shop.yaml", Text: bad}}, false)
	var problems client.Problems
	if !errs.Is(err, errs.Invalid) || !errors.As(err, &problems) || problems[0].File != "shop.yaml" || problems[0].Line != 17 || problems[0].Field != "spec.surprise" {
		t.Errorf("an unknown field: %v", err)
	}
	bad = strings.Replace(plane.Shop, "plan: quick", "plan: quik", 1)
	_, err = p.Admin.Apply(t.Context(), []wire.File{{Name: "shop.yaml", Text: bad}}, false)
	if !errors.As(err, &problems) || problems[0].Line != 16 || problems[0].Field != "spec.plan" {
		t.Errorf("a dangling reference: %v", err)
	}
	if list, err := p.Admin.Resources(t.Context(), "ringplans"); err != nil || len(list) != 0 {
		t.Errorf("something was applied: %v, %v", list, err)
	}
}

func TestResources(t *testing.T) {
	p := plane.Start(t)
	ctx, c := t.Context(), p.Admin
	dry, err := c.Apply(ctx, []wire.File{{Name: "a", Text: plane.Shop}}, true)
	if err != nil || !dry.DryRun {
		t.Fatal(dry, err)
	}
	if _, err := c.Resource(ctx, "service", "shop"); !errs.Is(err, errs.Missing) {
		t.Errorf("after a dry run: %v", err)
	}
	apply(t, c, plane.Shop)
	var b bytes.Buffer
	if err := c.Export(ctx, &b); err != nil {
		t.Fatal(err)
	}
	for _, it := range apply(t, c, b.String()).Items {
		if it.Action != "unchanged" {
			t.Errorf("applying the export: %+v", it)
		}
	}
	if err := c.Delete(ctx, "plan", "quick"); !errs.Is(err, errs.Conflict) {
		t.Errorf("deleting what is used: %v", err)
	}
	if err := c.Delete(ctx, "service", "shop"); err != nil {
		t.Error(err)
	}
	if err := c.Delete(ctx, "service", "shop"); !errs.Is(err, errs.Missing) {
		t.Errorf("deleting twice: %v", err)
	}
	if _, err := c.Resource(ctx, "teapot", "x"); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown kind: %v", err)
	}
}
