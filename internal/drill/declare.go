package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// plan is the way of every change of the drill: the demo's, with rings that a few hundred users fill.
const plan = `apiVersion: ringfence.dev/v1
kind: Segment
metadata: {name: employees}
spec:
  audience:
    rule: {"ends_with": [{"var": "targetingKey"}, "@shop.example"]}
---
apiVersion: ringfence.dev/v1
kind: RingPlan
metadata: {name: quick}
spec:
  rings:
    - {name: canary, audience: {segment: employees}, bake: 8s}
    - {name: early, audience: {percent: 40}, bake: 8s}
    - {name: all, bake: 8s}
  gates:
    - {signal: errors, compare: stable, maxRatio: 1.5, minRequests: 40}
    - {signal: latency, over: 200ms, compare: stable, maxRatio: 2, minRequests: 40}
`

const certificateProbe = `apiVersion: ringfence.dev/v1
kind: Probe
metadata: {name: handshake}
spec:
  service: {service}
  target: address
  address: {tls}
  every: 1s
  tls: {}
  trust: {any: true, serverName: shop.example}
`

const nameProbe = `apiVersion: ringfence.dev/v1
kind: Probe
metadata: {name: name-server}
spec:
  service: {service}
  target: address
  every: 1s
  dns: {name: shop.example, server: {names}}
`

const badFlag = `apiVersion: ringfence.dev/v1
kind: FlagSet
metadata: {name: {service}}
spec:
  service: {service}
  flags:
    express-checkout:
      state: ENABLED
      variants: {"on": true, "off": false}
      defaultVariant: "off"
      exposure: {plan: quick, variant: "on", control: 50}
`

// service writes one service as people declare it.
func (r *run) serviceYAML(name string, s spec) string {
	command := s.command
	if command == nil {
		command = []string{"{artifact}", "--listen", "{address}"}
	}
	args, _ := json.Marshal(command)
	env := map[string]string{"SHOP_FAULTS": r.faultsFile(name), "OFREP_ENDPOINT": "http://" + r.rig.flags}
	if s.more != badFlag {
		delete(env, "OFREP_ENDPOINT")
	}
	maps.Copy(env, s.env)
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: ringfence.dev/v1\nkind: Service\nmetadata: {name: %s}\nspec:\n  owner: team-shop\n", name)
	if s.calls != "" {
		fmt.Fprintf(&b, "  dependsOn: [%s]\n", s.calls)
		env["PAYMENTS_URL"], env["PAYMENTS_HOST"] = "http://"+r.rig.gateway+"/charge", s.calls+".localhost"
	}
	for k, v := range env {
		env[k] = strings.ReplaceAll(v, "{outside}", r.outside.api)
	}
	environment, _ := json.Marshal(env)
	fmt.Fprintf(&b, "  run: {command: %s, env: %s, instances: %d}\n  ready: {http: /readyz, within: 60s}\n", args, environment, max(1, s.instances))
	rum := ""
	if s.pages {
		rum = ", rum: {}"
	}
	fmt.Fprintf(&b, "  route: {host: %s.localhost, targetingKey: {header: X-User-ID}, account: {header: X-Tenant}%s}\n  plan: quick\n  drain: 5s\n", name, rum)
	if s.unit != "" {
		fmt.Fprintf(&b, "  unit: %s\n", s.unit)
	}
	if s.metrics {
		b.WriteString("  metrics: {path: /metrics}\n")
	}
	return b.String()
}

// declare declares every service, and releases what everyone has.
func (r *run) declare(ctx context.Context) error {
	parts := []string{plan}
	type first struct{ service, artifact string }
	var firsts []first
	for _, t := range r.faults {
		if t.spec.calls != "" {
			parts = append(parts, r.serviceYAML(t.spec.calls, spec{}))
			firsts = append(firsts, first{t.spec.calls, r.artifact("v1")})
		}
		parts = append(parts, r.serviceYAML(t.service, t.spec))
		if t.spec.more != "" {
			parts = append(parts, strings.NewReplacer("{service}", t.service, "{tls}", r.outside.tls.Addr().String(), "{names}", r.outside.names.LocalAddr().String()).Replace(t.spec.more))
		}
		artifact := r.artifact("v1")
		if t.base != "" {
			artifact = r.artifact(t.name + "-v1")
		}
		firsts = append(firsts, first{t.service, artifact})
	}
	file := filepath.Join(r.dir, "drill.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(parts, "---\n")), 0o600); err != nil {
		return err
	}
	if _, err := r.rig.command(ctx, "apply", "-f", file); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, f := range firsts {
		group.Go(func() error {
			_, err := r.rig.command(ctx, "release", f.service, "--version", "v1", "--artifact", f.artifact)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.allOut(ctx, len(firsts))
}

// allOut waits until every service has its first version.
func (r *run) allOut(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	for {
		all, err := r.rig.client.Services(ctx)
		if err != nil {
			return err
		}
		out := 0
		for _, s := range all {
			if s.Stable != "" && s.Ready >= s.Wanted && s.Ready > 0 && s.Rollout == "" {
				out++
			}
		}
		if out >= n {
			return nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d services are out after three minutes", out, n)
		}
	}
}

func (r *run) artifact(name string) string { return filepath.Join(r.dir, "shop-"+name) }

// build builds every version of the shop that the faults need.
func (r *run) build(ctx context.Context) error {
	versions := map[string]string{"v1": ""}
	for _, t := range r.faults {
		if t.base != "" {
			versions[t.name+"-v1"] = t.base
		}
		if t.next != "" {
			versions[t.name] = "-X main.version=v2 " + t.next
		}
	}
	r.say("building %d versions of the shop", len(versions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for name, flags := range versions {
		group.Go(func() error {
			if !strings.Contains(flags, "main.version") {
				flags = "-X main.version=v1 " + flags
			}
			cmd := exec.CommandContext(ctx, "go", "build", "-o", r.artifact(name), "-ldflags", "-s -w "+flags, "./examples/shop")
			cmd.Dir = r.Source
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("building the shop %s: %w\n%s", name, err, out)
			}
			return nil
		})
	}
	return group.Wait()
}

// needsDisk says whether a fault needs a small disk.
func (r *run) needsDisk() bool {
	for _, t := range r.faults {
		if t.spec.unit == smallUnit {
			return true
		}
	}
	return false
}
