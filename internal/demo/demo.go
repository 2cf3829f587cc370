package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

// Config configures the demo.
type Config struct {
	Source   string    // the repository, for examples/shop
	Keep     bool      // leave everything running at the end
	JSON     bool      // the summary as one JSON document on Out, and nothing else there
	Out      io.Writer // the summary
	Progress io.Writer // what is going on
	Terminal bool      // Progress is a terminal: draw a live view
}

// release is one version that the demo releases, with what must come of it.
type release struct {
	version, about string
	flags          string // for the linker
	outcome        rollout.Phase
}

var releases = []release{
	{"v2", "a good release", "", rollout.Succeeded},
	{"v3", "a bad release: some checkouts answer 500, and it is slower", "-X main.checkoutErrors=0.25 -X main.delay=30ms", rollout.RolledBack},
	{"v4", "a broken release: it never becomes ready", "-X main.ready=never", rollout.RolledBack},
}

const (
	service   = "shop"
	users     = 400
	employees = 40
	perSecond = 300
)

// run is a demo under way.
type run struct {
	Config
	dir     string // everything of it: data, artifacts
	self    string // the ringfence binary
	up      *exec.Cmd
	client  *client.Client
	gateway string
	url     string
	traffic *Traffic
	view    *view
	summary Summary
}

// Run does the main job once. It returns an error when a promise was broken.
func Run(ctx context.Context, c Config) error {
	r := &run{Config: c, view: newView(c.Progress, c.Terminal)}
	defer r.close()
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.firstVersion(ctx); err != nil {
		return err
	}
	driving, stop := context.WithCancel(ctx)
	defer stop()
	quiet := make(chan struct{})
	go func() {
		r.traffic.Run(driving)
		close(quiet)
	}()
	for _, rel := range releases {
		if err := r.release(ctx, rel); err != nil {
			return err
		}
	}
	stop()
	<-quiet
	return r.conclude(ctx)
}

// prepare builds the shop's versions in a folder of their own.
func (r *run) prepare(ctx context.Context) error {
	var err error
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("", "ringfence-demo-"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(r.Source, "examples", "shop", "main.go")); err != nil {
		return errs.E(errs.Missing, "no examples/shop in %s", r.Source).Next("run the demo in the repository, or give it with --source")
	}
	r.view.step("building four versions of the shop")
	for _, rel := range append([]release{{version: "v1"}}, releases...) {
		build := exec.CommandContext(ctx, "go", "build", "-o", r.artifact(rel.version), "-ldflags", "-X main.version="+rel.version+" "+rel.flags, "./examples/shop")
		build.Dir = r.Source
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building the shop %s: %w\n%s", rel.version, err, out)
		}
	}
	return nil
}

func (r *run) artifact(version string) string { return filepath.Join(r.dir, "shop-"+version) }

func (r *run) data() string { return filepath.Join(r.dir, "data") }

// command runs ringfence as a user does.
func (r *run) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, r.self, append(args, "--data", r.data())...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("ringfence %s: %w\n%s", args[0], err, out)
	}
	return out, nil
}

// firstVersion declares the shop and releases v1, which everyone gets.
func (r *run) firstVersion(ctx context.Context) error {
	r.view.step("declaring the shop, its employees and its ring plan; releasing v1")
	if _, err := r.command(ctx, "apply", "-f", filepath.Join(r.Source, "examples", "shop", "demo.yaml")); err != nil {
		return err
	}
	if _, err := r.command(ctx, "release", service, "--version", "v1", "--artifact", r.artifact("v1")); err != nil {
		return err
	}
	_, err := r.follow(ctx, "v1")
	return err
}

// release releases one version and follows its rollout to the end.
func (r *run) release(ctx context.Context, rel release) error {
	r.view.step("releasing %s: %s", rel.version, rel.about)
	if _, err := r.command(ctx, "release", service, "--version", rel.version, "--artifact", r.artifact(rel.version)); err != nil {
		return err
	}
	state, err := r.follow(ctx, rel.version)
	if err != nil {
		return err
	}
	return r.note(ctx, rel, state)
}

// follow shows a rollout until it has ended.
func (r *run) follow(ctx context.Context, version string) (rollout.State, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := r.client.Rollout(ctx, service)
		if err != nil {
			return rollout.State{}, err
		}
		r.view.show(now, r.traffic.Counts())
		if now.Rollout.To == version && now.Rollout.Phase.Ended() {
			r.view.done()
			return now.Rollout, nil
		}
		select {
		case <-ctx.Done():
			return now.Rollout, fmt.Errorf("the rollout of %s does not end: %s", version, now.Waiting)
		case <-tick.C:
		}
	}
}
