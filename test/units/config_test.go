package units

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/rollout"
)

const oneUnit = `
apiVersion: ringfence.dev/v1
kind: Service
metadata: {name: shop}
spec:
  run: {command: ["{artifact}", "--listen", "{address}"], env: {GREETING: "Good morning."}}
  ready: {http: /readyz, within: 30s}
  route: {host: shop.localhost, targetingKey: {header: X-User-ID}}
  plan: quick
  drain: 2s
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings:
    - {name: canary, audience: {rule: {"ends_with": [{"var": "targetingKey"}, "@shop.example"]}}, bake: 1s}
    - {name: all, bake: 1s, approval: {own: true}}
  gates:
    - {signal: errors, compare: stable, maxRatio: 1.5, minRequests: 40}
`

const (
	employee = "ann@shop.example"
	customer = "carl@customers.example"
)

func TestAConfigIsRolledOutRingByRing(t *testing.T) {
	t.Parallel()
	r := start(t, oneUnit, "local")
	r.ends(r.release(wire.Release{Version: "v1"}, "shop-v1").ID, rollout.Succeeded)
	quiet := r.drive("local")

	// New values, without a new release: the canary ring has them, and nobody else.
	secret := "tea-42-secret"
	r.config(wire.Config{Version: "c1", Env: map[string]string{"GREETING": "Good evening.", "TOKEN": secret}, Files: map[string]string{"prices.json": `{"1": 35.5}`}})
	one := r.release(wire.Release{Config: "c1"}, "")
	if one.From != "v1" || one.To != "v1@c1" {
		t.Errorf("from %s to %s", one.From, one.To)
	}
	r.asks(one.ID, "all")
	r.sees("local", employee, "/", "version v1. Good evening.")
	r.sees("local", employee, "/products", `"price":35.5`)
	r.sees("local", customer, "/", "version v1. Good morning.")
	r.sees("local", customer, "/products", `"price":39.9`)
	r.approve(one.ID, "all")
	r.ends(one.ID, rollout.Succeeded)
	r.sees("local", customer, "/products", `"price":35.5`)

	// What is changed below a running instance is put right, and the shop, which watches its file, sees both.
	file := r.file("v1@c1", "prices.json")
	if err := os.WriteFile(file, []byte(`{"1": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r.await("the file is put right", func() error {
		if _, body := r.get("local", customer, "/products"); !strings.Contains(body, `"price":35.5`) {
			return fmt.Errorf("the shop says %s", body)
		}
		return nil
	})

	// A bad config is taken back alone, and is not released again unless that is forced.
	r.config(wire.Config{Version: "c2", Files: map[string]string{"prices.json": `{"1": -1}`}})
	two := r.ends(r.release(wire.Release{Config: "c2"}, "").ID, rollout.RolledBack)
	if two.From != "v1@c1" || two.To != "v1@c2" || len(two.Stages) != 1 {
		t.Errorf("%+v", two)
	}
	r.sees("local", employee, "/products", `"price":35.5`)
	if _, err := r.client.Release(t.Context(), "shop", wire.Release{Config: "c2"}); err == nil || !strings.Contains(err.Error(), "taken back") {
		t.Errorf("c2 again: %v", err)
	}

	// A release and a config that were bundled go back together.
	r.config(wire.Config{Version: "c3", Env: map[string]string{"GREETING": "Good night."}})
	three := r.ends(r.release(wire.Release{Version: "v3", Config: "c3"}, "shop-v3").ID, rollout.RolledBack)
	if three.From != "v1@c1" || three.To != "v3@c3" || len(three.Changes) != 2 {
		t.Errorf("%+v", three)
	}
	r.sees("local", employee, "/", "version v1. Good evening.")
	r.sees("local", employee, "/products", `"price":35.5`)
	quiet()
	r.saidNowhere(secret)
}

func (r *rig) config(c wire.Config) {
	r.Helper()
	if _, err := r.client.CreateConfig(r.Context(), "shop", c); err != nil {
		r.Fatal(err)
	}
}

// instance is one that runs a version.
func (r *rig) instance(version string) fleet.Instance {
	r.Helper()
	seen, err := health(r.Context(), r.admins["local"])
	if err != nil {
		r.Fatal(err)
	}
	for _, s := range seen.Observed.Services {
		for _, slot := range s.Slots {
			if slot.Version == version && len(slot.Instances) > 0 {
				return slot.Instances[0]
			}
		}
	}
	r.Fatalf("no instance runs %s: %+v", version, seen)
	return fleet.Instance{}
}

// file is where an instance of a version finds a file of its config.
func (r *rig) file(version, name string) string {
	r.Helper()
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", r.instance(version).PID))
	if err != nil {
		r.Fatal(err)
	}
	for kv := range strings.SplitSeq(string(env), "\x00") {
		if dir, ok := strings.CutPrefix(kv, "RINGFENCE_CONFIG="); ok {
			return dir + "/" + name
		}
	}
	r.Fatalf("%s has no RINGFENCE_CONFIG", version)
	return ""
}

// saidNowhere wants a value of a config to be in no log, no process list and no report.
func (r *rig) saidNowhere(value string) {
	r.Helper()
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.instance("v1@c1").PID))
	if err != nil {
		r.Fatal(err)
	}
	page, err := health(r.Context(), r.admins["local"])
	if err != nil {
		r.Fatal(err)
	}
	events, err := r.client.Events(r.Context(), wire.EventQuery{Limit: 1000})
	if err != nil {
		r.Fatal(err)
	}
	states, err := r.client.Rollouts(r.Context(), "shop", false, 100)
	if err != nil {
		r.Fatal(err)
	}
	service, err := r.client.Service(r.Context(), "shop")
	if err != nil {
		r.Fatal(err)
	}
	own, err := r.client.Logs(r.Context(), wire.LogQuery{Service: "shop", Version: "v1@c1", Tail: 100})
	if err != nil {
		r.Fatal(err)
	}
	defer own.Close()
	instance, err := io.ReadAll(own)
	if err != nil || !strings.Contains(string(instance), "shop is open") {
		r.Errorf("the instance's log: %q, %v", instance, err)
	}
	for where, said := range map[string]any{"logs": r.up.Logs(), "instance's log": string(instance), "arguments": string(args), "health page": page, "record": events, "rollouts": states, "service": service} {
		text, err := json.Marshal(said)
		if err != nil {
			r.Fatal(err)
		}
		if strings.Contains(string(text), value) {
			r.Errorf("the %s have a value of the config", where)
		}
	}
}

// page is a data plane's health page, as far as it matters here.
type page struct{ Observed fleet.Observed }

func health(ctx context.Context, admin string) (page, error) {
	var p page
	_, body, err := fetch(ctx, admin+"/healthz", "")
	if err == nil {
		err = json.Unmarshal([]byte(body), &p)
	}
	return p, err
}
