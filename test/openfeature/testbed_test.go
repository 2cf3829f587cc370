package openfeature

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/cucumber/godog"
)

// client is a provider that scenarios are run through.
type testbedClient struct {
	name, resolver string
	driver         func(t *testing.T) driver
}

// TestTestbed runs the provider scenarios of a checkout of flagd-testbed through several providers, each against a server of its own:
//
//	RINGFENCE_TESTBED=DIR go test -run TestTestbed
//
// What does not apply is told with why. RINGFENCE_TESTBED_ALL=1 runs that, too; RINGFENCE_TESTBED_SERVER="flagd start" takes another server;
// RINGFENCE_TESTBED_ONLY is an expression for the names of scenarios, RINGFENCE_TESTBED_CLIENTS one for those of providers.
func TestTestbed(t *testing.T) {
	dir := os.Getenv("RINGFENCE_TESTBED")
	if dir == "" {
		t.Skip("RINGFENCE_TESTBED names no checkout of flagd-testbed")
	}
	if files, err := filepath.Glob(filepath.Join(dir, "gherkin", "*.feature")); err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s: %v", dir, err)
	}
	command := strings.Fields(os.Getenv("RINGFENCE_TESTBED_SERVER"))
	if len(command) == 0 {
		command = []string{binary, "flags", "serve"}
	}
	chosen := regexp.MustCompile(os.Getenv("RINGFENCE_TESTBED_CLIENTS"))
	quiet(t)
	var all []*outcomes
	t.Run("providers", func(t *testing.T) {
		for _, c := range testbedClients() {
			if !chosen.MatchString(c.name) {
				continue
			}
			o := &outcomes{client: c.name, tags: map[string]*tally{}, why: map[string][]string{}}
			all = append(all, o)
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				launch := newLaunchpad(t, dir, command)
				w := &world{testbed: dir, resolver: c.resolver, launch: launch, proxy: newEnvoy(t, launch), driver: c.driver(t)}
				for _, config := range []string{"default", "v3"} {
					w.config = config
					w.run(t, o)
				}
			})
		}
	})
	for _, o := range all {
		fmt.Print(o)
		if o.all.passed == 0 && os.Getenv("RINGFENCE_TESTBED_ONLY") == "" {
			t.Errorf("%s: nothing was run", o.client)
		}
	}
}

// quiet has flagd's provider not log what it does, which it can only be told by taking its stderr away.
func quiet(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	must(t, err)
	was := os.Stderr
	os.Stderr = null
	t.Cleanup(func() {
		os.Stderr = was
		_ = null.Close()
	})
}

// testbedClients are all providers in all ways that they have.
func testbedClients() []testbedClient {
	var all []testbedClient
	for _, resolver := range []string{"rpc", "in-process", "file"} {
		all = append(all, testbedClient{"flagd for Go, " + resolver, resolver, func(*testing.T) driver { return &goSDK{make: flagdForGo} }},
			testbedClient{"flagd for JavaScript, " + resolver, resolver, func(t *testing.T) driver {
				packages(t)
				return program(t, "js", "node", "testbed.mjs")
			}})
		if resolver == "rpc" {
			all = append(all, testbedClient{"OFREP for Go", "ofrep", func(*testing.T) driver { return &goSDK{make: ofrepForGo} }})
		} else {
			all = append(all, testbedClient{"Ringfence for Go, " + resolver, resolver, func(t *testing.T) driver { return program(t, "", ours(t)) }})
		}
	}
	return all
}

func program(t *testing.T, dir string, command ...string) driver {
	t.Helper()
	c, err := newChild(dir, command...)
	must(t, err)
	t.Cleanup(c.end)
	return c
}

// ours is the program that has Ringfence's provider, built.
func ours(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "testbed")
	build := exec.Command("go", "build", "-o", path, "./test/testbed")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	return path
}

// run runs the scenarios for the resolver: those for the buckets to come with a configuration that has them, all others with the usual one.
func (w *world) run(t *testing.T, o *outcomes) {
	everything := os.Getenv("RINGFENCE_TESTBED_ALL") != ""
	only := regexp.MustCompile(os.Getenv("RINGFENCE_TESTBED_ONLY"))
	tags := "@" + w.resolver
	if w.resolver == "ofrep" {
		tags = "@rpc" // it evaluates at the server, too
	}
	if w.config == "v3" {
		tags += " && @fractional-v3"
	} else {
		tags += " && ~@fractional-v3"
	}
	suite := godog.TestSuite{Name: o.client, Options: &godog.Options{
		Format: "progress", TestingT: t, Strict: true, Output: io.Discard, Paths: []string{filepath.Join(w.testbed, "gherkin")}, Tags: tags,
	}, ScenarioInitializer: func(sc *godog.ScenarioContext) {
		sc.Before(func(ctx context.Context, s *godog.Scenario) (context.Context, error) {
			w.begin()
			w.skipped = true
			if !only.MatchString(s.Name) {
				return ctx, godog.ErrSkip
			}
			if why := exempt(o.client, s); why != "" && !(everything && filepath.Base(s.Uri) != "config.feature") {
				o.leave(s, why)
				return ctx, godog.ErrSkip
			}
			w.skipped = false
			return ctx, nil
		})
		sc.After(func(ctx context.Context, s *godog.Scenario, err error) (context.Context, error) {
			w.end()
			if !w.skipped {
				o.done(s, err)
			}
			return ctx, nil
		})
		w.steps(sc)
	}}
	suite.Run() // what fails fails the test of its name
}

// tally is how scenarios went.
type tally struct{ passed, failed, left int }

// outcomes are how the scenarios of a client went.
type outcomes struct {
	client string

	mu    sync.Mutex
	all   tally
	tags  map[string]*tally
	why   map[string][]string // scenarios by why they do not apply
	wrong []string
}

func (o *outcomes) count(s *godog.Scenario, with func(*tally)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	with(&o.all)
	seen := map[string]bool{}
	for _, tag := range s.Tags {
		if seen[tag.Name] || slices.Contains([]string{"@rpc", "@in-process", "@file"}, tag.Name) {
			continue
		}
		seen[tag.Name] = true
		if o.tags[tag.Name] == nil {
			o.tags[tag.Name] = &tally{}
		}
		with(o.tags[tag.Name])
	}
}

func named(s *godog.Scenario) string {
	return strings.TrimSuffix(filepath.Base(s.Uri), ".feature") + ": " + s.Name
}

func (o *outcomes) leave(s *godog.Scenario, why string) {
	o.count(s, func(t *tally) { t.left++ })
	o.mu.Lock()
	defer o.mu.Unlock()
	o.why[why] = append(o.why[why], named(s))
}

func (o *outcomes) done(s *godog.Scenario, err error) {
	if err == nil {
		o.count(s, func(t *tally) { t.passed++ })
		return
	}
	o.count(s, func(t *tally) { t.failed++ })
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, fmt.Sprintf("%s (%s): %v", named(s), exempt(o.client, s), err))
}

func (o *outcomes) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %d passed, %d failed, %d do not apply\n", o.client, o.all.passed, o.all.failed, o.all.left)
	var tags []string
	for tag := range o.tags {
		tags = append(tags, tag)
	}
	sort.Strings(tags)
	for _, tag := range tags {
		t := o.tags[tag]
		fmt.Fprintf(&b, "  %-34s %4d passed %3d failed %3d do not apply\n", tag, t.passed, t.failed, t.left)
	}
	var reasons []string
	for why := range o.why {
		reasons = append(reasons, why)
	}
	sort.Strings(reasons)
	for _, why := range reasons {
		fmt.Fprintf(&b, "  do not apply: %s\n", why)
		times := map[string]int{}
		for _, name := range o.why[why] {
			times[name]++
		}
		for _, name := range slices.Sorted(maps.Keys(times)) {
			fmt.Fprintf(&b, "    %d× %s\n", times[name], name)
		}
	}
	for _, name := range o.wrong {
		fmt.Fprintf(&b, "  FAILED %s\n", name)
	}
	return b.String()
}
