package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/ringfence/ringfence/internal/demo"
)

// rig is a Ringfence with users, and a browser that looks at it.
type rig struct {
	t              *testing.T
	dir, binary    string
	pages, gateway string
	token          string
	ctx            context.Context // the browser's
	shots          string

	mu       sync.Mutex
	messages []string // of the browser's console
}

// missing ends a test that cannot run here; in CI that is a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("skipped: " + what)
}

func browserPath(t *testing.T) string {
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "no chromium-headless-shell or chromium on the PATH")
	return ""
}

func newRig(t *testing.T) *rig {
	if testing.Short() {
		t.Skip("the browser tests take a minute")
	}
	path := browserPath(t)
	if _, err := os.Stat("../../internal/ui/assets/vendor/htmx.min.js"); err != nil {
		missing(t, "the browser libraries; make assets brings them")
	}
	r := &rig{t: t, dir: t.TempDir(), shots: os.Getenv("RINGFENCE_SHOTS")}
	if r.shots == "" {
		r.shots = t.TempDir()
	}
	r.binary = r.build("ringfence", "./cmd/ringfence", "")
	r.build("shop-v1", "./examples/shop", "-X main.version=v1")
	r.build("shop-v2", "./examples/shop", "-X main.version=v2")
	r.build("shop-v3", "./examples/shop", "-X main.version=v3 -X main.checkoutErrors=0.5")
	r.up()
	r.apply()
	r.open(path)
	return r
}

func (r *rig) build(name, pkg, ldflags string) string {
	r.t.Helper()
	out := filepath.Join(r.dir, name)
	cmd := exec.Command("go", "build", "-ldflags", ldflags, "-o", out, pkg)
	cmd.Dir = filepath.Join("..", "..")
	if b, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v\n%s", err, b)
	}
	return out
}

var addressRE = regexp.MustCompile(`API and UI\s+(\S+)\s+Gateway\s+http://(\S+)`)

// up starts Ringfence on ports of its own, and traffic through it.
func (r *rig) up() {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, "up.log"))
	must(r.t, err)
	cmd := exec.Command(r.binary, "up", "--data", filepath.Join(r.dir, "data"), "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--scrape-interval", "500ms", "--step-interval", "250ms")
	cmd.Stdout, cmd.Stderr = log, log
	must(r.t, cmd.Start())
	must(r.t, log.Close())
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	var at []string
	r.await("Ringfence is up", func() bool {
		b, _ := os.ReadFile(log.Name())
		at = addressRE.FindStringSubmatch(string(b))
		return at != nil
	})
	r.pages, r.gateway = at[1], at[2]
	token, err := os.ReadFile(filepath.Join(r.dir, "data", "admin.token"))
	must(r.t, err)
	r.token = strings.TrimSpace(string(token))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	traffic := &demo.Traffic{Gateway: r.gateway, Host: "shop.localhost", Users: 400, Employees: 40, PerSecond: 80}
	running.Go(func() { traffic.Run(ctx) })
	r.t.Cleanup(func() { stop(); running.Wait() })
}

var bakeRE = regexp.MustCompile(`bake: \w+`)

// apply declares the example's shop, with bakes of seconds.
func (r *rig) apply() {
	r.t.Helper()
	text, err := os.ReadFile("../../examples/shop/service.yaml")
	must(r.t, err)
	text = bakeRE.ReplaceAll(text, []byte("bake: 10s"))
	text = []byte(strings.NewReplacer("percent: 5}", "percent: 20}", "compare: stable", "compare: stable, minRequests: 40").Replace(string(text)))
	path := filepath.Join(r.dir, "service.yaml")
	must(r.t, os.WriteFile(path, text, 0o600))
	r.ringfence("apply", "-f", path)
}

func (r *rig) release(version string) {
	r.t.Helper()
	r.ringfence("release", "shop", "--version", version, "--artifact", filepath.Join(r.dir, "shop-"+version))
}

func (r *rig) ringfence(args ...string) string {
	r.t.Helper()
	out, err := exec.Command(r.binary, append([]string{"--data", filepath.Join(r.dir, "data")}, args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("ringfence %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// open starts the browser and notes whatever it complains about.
func (r *rig) open(path string) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // the sandbox does not run for root
	}
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, closeTab := chromedp.NewContext(alloc)
	r.t.Cleanup(func() { closeTab(); cancel() })
	r.ctx = ctx
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			r.mu.Lock()
			r.messages = append(r.messages, fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL))
			r.mu.Unlock()
		}
	}()
	r.do(chromedp.Navigate("about:blank"))
}

// complaints are what the console said since the last look.
func (r *rig) complaints() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.messages
	r.messages = nil
	return said
}

func (r *rig) do(steps ...chromedp.Action[chromedp.Void]) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		r.picture("failed")
		r.t.Fatalf("%v\n%s", err, strings.Join(r.complaints(), "\n"))
	}
}

// eval asks the page.
func eval[T any](r *rig, js string) T {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 15*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		r.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// sees waits until the page shows what js says.
func (r *rig) sees(what, js string) {
	r.t.Helper()
	r.await(what, func() bool { return eval[bool](r, "!!("+js+")") })
}

func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			if r.ctx != nil {
				r.picture("failed")
			}
			r.t.Fatalf("not within a minute: %s\n%s", what, strings.Join(r.complaints(), "\n"))
		}
	}
}

func (r *rig) picture(name string) {
	ctx, cancel := context.WithTimeout(r.ctx, 15*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(r.shots, name+".png"), png, 0o600)
	}
	if err != nil {
		r.t.Errorf("picture %s: %v", name, err)
	}
}

func (r *rig) scheme(name string) {
	r.t.Helper()
	_, err := chromedp.Call(r.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	must(r.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
