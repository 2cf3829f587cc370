package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fault is something that goes wrong, with its true cause.
type fault struct {
	name, about string
	wave        int // when it begins: 0 at first, 1 once the releases are through, 2 when there is a longer past
	spec        spec
	base        string // how the version that everyone has is built
	next        string // how the version is built that brings the fault
	begin       func(ctx context.Context, r *run, t *trial) error
	end         func(r *run, t *trial)
	right       func(t *trial, c cause) bool // says whether a cause is the true one
}

// spec is how the fault's service is declared, beyond what all have.
type spec struct {
	instances int
	unit      string
	env       map[string]string
	calls     string   // a service that it depends on, which is declared with it
	command   []string // instead of the usual one
	metrics   bool
	pages     bool   // browsers tell how its pages are for them
	more      string // further resources
}

// rollout says that the cause is the trial's own change.
func ownChange(t *trial, c cause) bool {
	return strings.HasPrefix(c.Ref, "rollout/"+t.subject()+"-")
}

// subject is what the trial's change is a rollout of.
func (t *trial) subject() string {
	if t.name == "flag" {
		return "flag:" + t.service + ":express-checkout"
	}
	return t.service
}

func kind(want string) func(*trial, cause) bool {
	return func(_ *trial, c cause) bool { return c.Kind == want }
}

// callee says that the cause is what the service calls: named as such, or by the incident's being its own.
func callee(t *trial, c cause) bool {
	dep := t.spec.calls
	return c.Kind == "dependency" && c.Service == dep || c.Ref == "dependency/"+dep || c.Incident == dep && !c.Change
}

// faults are all that are rehearsed.
func faults() []fault {
	return []fault{
		{name: "errors", about: "errors in a release", next: "-X main.checkoutErrors=0.4", begin: release, right: ownChange},
		{name: "slowness", about: "slowness in a release", next: "-X main.delay=250ms", begin: release, right: ownChange},
		{name: "crash-loop", about: "instances of a release end after a few seconds", next: "-X main.crashAfter=4s", begin: release, right: ownChange},
		{name: "leak", about: "a release does not give memory back", next: "-X main.leakMemory=" + fmt.Sprint(leakRate()), begin: releaseSlowly(0), right: ownChange},
		{name: "disk", about: "orders are written until the disk is full", wave: 1, spec: spec{unit: smallUnit}, begin: trouble(`{"Fill":true}`), right: kind("disk")},
		{name: "certificate", about: "a certificate expires", wave: 1, spec: spec{more: certificateProbe}, begin: func(_ context.Context, r *run, _ *trial) error {
			r.outside.expired.Store(true)
			return nil
		}, right: kind("certificate")},
		{name: "dependency-down", about: "what it calls is down", wave: 1, spec: spec{calls: "payments-down"}, begin: troubleOf("payments-down", `{"Down":true}`), right: callee},
		{name: "dependency-slow", about: "what it calls is slow", wave: 1, spec: spec{calls: "payments-slow"}, begin: troubleOf("payments-slow", `{"Delay":"2500ms"}`), right: callee},
		{name: "config", about: "a bad value in a config", begin: badConfig, right: ownChange},
		{name: "poison", about: "what one ring's users alone send breaks a release", next: "-X main.poison=@customers.example", begin: release, right: ownChange},
		{name: "traffic", about: "the requests stay away", wave: 2, begin: func(_ context.Context, _ *run, t *trial) error {
			t.quiet.Store(true)
			return nil
		}, right: kind("traffic")},
		{name: "customer", about: "every request of one customer fails", wave: 1, begin: trouble(`{"Tenants":["acme"]}`), right: kind("customer")},
		{name: "flag", about: "a flag's variant fails", spec: spec{more: badFlag}, base: "-X main.expressErrors=0.8", begin: expose, right: ownChange},
		{name: "route", about: "one route of a release fails", next: "-X main.routeErrors=/cart", begin: release, right: ownChange},
		{name: "hang", about: "an instance of a release hangs after a while", spec: spec{instances: 2}, next: "-X main.hangAfter=60s", begin: releaseSlowly(60 * time.Second), right: ownChange},
		{name: "files", about: "a release does not close files", spec: spec{command: []string{"sh", "-c", `ulimit -n 256; exec "$0" --listen "$1"`, "{artifact}", "{address}"}},
			next: "-X main.leakFiles=3", begin: releaseSlowly(0), right: ownChange},
		{name: "name", about: "a name is not resolved any more", wave: 1, spec: spec{more: nameProbe}, begin: func(_ context.Context, r *run, _ *trial) error {
			r.outside.unnamed.Store(true)
			return nil
		}, right: func(_ *trial, c cause) bool { return c.Ref == "dependency/name-server" }},
		{name: "browser", about: "a release's page has an error in its script", spec: spec{pages: true}, next: "-X main.appError=shop.open();", begin: releaseSlowly(0), right: ownChange},
		{name: "external", about: "another company's server fails, and nothing was changed", wave: 1, spec: spec{env: map[string]string{"PAYMENTS_URL": "{outside}"}}, begin: func(_ context.Context, r *run, _ *trial) error {
			r.outside.ill.Store(true)
			return nil
		}, right: kind("other")},
		{name: "telemetry", about: "a release has no metrics any more", spec: spec{metrics: true}, next: "-X main.metrics=no", begin: releaseSlowly(0), right: ownChange},
	}
}

// trouble lets something go wrong around the service itself, troubleOf around another one.
func trouble(what string) func(context.Context, *run, *trial) error {
	return func(_ context.Context, r *run, t *trial) error { return r.write(t.service, what) }
}

func troubleOf(service, what string) func(context.Context, *run, *trial) error {
	return func(_ context.Context, r *run, _ *trial) error { return r.write(service, what) }
}

// write puts what goes wrong where the shop reads it, at once.
func (r *run) write(service, what string) error {
	tmp := r.faultsFile(service) + ".new"
	if err := os.WriteFile(tmp, []byte(what), 0o644); err != nil { //nolint:gosec // no secret
		return err
	}
	return os.Rename(tmp, r.faultsFile(service))
}

func (r *run) faultsFile(service string) string {
	return filepath.Join(r.dir, "faults-"+service+".json")
}

// release sends the bad version out; it begins to hurt when the first users get it.
func release(ctx context.Context, r *run, t *trial) error {
	if _, err := r.rig.command(ctx, "release", t.service, "--version", "v2", "--artifact", r.artifact(t.name)); err != nil {
		return err
	}
	return r.awaitExposure(ctx, t)
}

// releaseSlowly sends out a version that begins to hurt some time after its first instance has started.
func releaseSlowly(after time.Duration) func(context.Context, *run, *trial) error {
	return func(ctx context.Context, r *run, t *trial) error {
		if err := release(ctx, r, t); err != nil {
			return err
		}
		t.start = t.start.Add(after)
		return nil
	}
}

func badConfig(ctx context.Context, r *run, t *trial) error {
	file := filepath.Join(r.dir, "prices.json")
	if err := os.WriteFile(file, []byte(`{"1": -39.9}`), 0o600); err != nil {
		return err
	}
	if _, err := r.rig.command(ctx, "config", "create", t.service, "--version", "c2", "--file", "prices.json="+file); err != nil {
		return err
	}
	if _, err := r.rig.command(ctx, "release", t.service, "--config", "c2"); err != nil {
		return err
	}
	return r.awaitExposure(ctx, t)
}

func expose(ctx context.Context, r *run, t *trial) error {
	if _, err := r.rig.command(ctx, "flags", "expose", t.service+"/express-checkout"); err != nil {
		return err
	}
	return r.awaitExposure(ctx, t)
}

// awaitExposure waits until the first users get what the trial's rollout brings.
func (r *run) awaitExposure(ctx context.Context, t *trial) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		now, err := r.rig.client.Rollout(ctx, t.subject())
		if err == nil && !now.Rollout.Created.Before(t.begun.Add(-time.Second)) {
			if s := now.Rollout.Stages; len(s) > 0 && !s[0].Exposed.IsZero() {
				t.start = s[0].Exposed
				return nil
			}
			if now.Rollout.Phase.Ended() { // nobody ever got it
				t.start = t.begun
				return nil
			}
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("the rollout of %s reaches nobody", t.subject())
		}
	}
}

// leakRate is how many MB a second a leak takes, so that a quarter of what is left is gone when its growth has been seen for two minutes.
func leakRate() int {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 20
	}
	for line := range strings.Lines(string(b)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kb); n == 1 {
			return max(2, kb/1024/800)
		}
	}
	return 20
}
