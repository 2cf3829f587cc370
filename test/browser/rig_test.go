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

	"github.com/ringfence/ringfence/internal/access"
	"github.com/ringfence/ringfence/internal/demo"
	"github.com/ringfence/ringfence/internal/policy"
	"github.com/ringfence/ringfence/internal/store/sqlite"
)

// rig is a Ringfence with users, and a browser that looks at it.
type rig struct {
	t              *testing.T
	dir, binary    string
	pages, gateway string
	token          string
	second         string          // of ann, an operator
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
	r.build("shop-v4", "./examples/shop", "-X main.version=v4")
	r.build("shop-v3", "./examples/shop", "-X main.version=v3 -X main.checkoutErrors=0.5")
	r.ann()
	r.up()
	r.apply()
	r.open(path)
	return r
}

// programs are built once for all rigs.
var programs struct {
	dir  string
	done map[string]bool
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs.dir, programs.done = dir, map[string]bool{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func (r *rig) build(name, pkg, ldflags string) string {
	r.t.Helper()
	out := filepath.Join(programs.dir, name)
	if !programs.done[name] {
		cmd := exec.Command("go", "build", "-ldflags", ldflags, "-o", out, pkg)
		cmd.Dir = filepath.Join("..", "..")
		if b, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("%v\n%s", err, b)
		}
		programs.done[name] = true
	}
	here := filepath.Join(r.dir, name)
	must(r.t, os.Symlink(out, here))
	return here
}

// ann is a second person, whose token the store knows from the start.
func (r *rig) ann() {
	r.t.Helper()
	must(r.t, os.Mkdir(filepath.Join(r.dir, "data"), 0o700))
	db, err := sqlite.Open(r.t.Context(), filepath.Join(r.dir, "data", "ringfence.db"))
	must(r.t, err)
	r.second = access.NewToken()
	must(r.t, access.Tokens{Store: db}.Register(r.t.Context(), "system:test", r.second, "ann", policy.Operator, time.Now()))
	must(r.t, db.Close())
}

// as signs somebody else in, at a page.
func (r *rig) as(token, path string) {
	r.t.Helper()
	r.do(chromedp.Navigate(r.pages+"/events"), press(`form[action="/sign-out"] button`), chromedp.WaitVisible(css("#token")),
		chromedp.Navigate(r.pages+path), chromedp.WaitVisible(css("#token")), chromedp.SendKeys(css("#token"), token), chromedp.Submit(css("#token")), chromedp.WaitVisible(css(".me")))
}

// answers gives a reason to the question that is asked.
func (r *rig) answers(reason string) {
	r.t.Helper()
	r.do(chromedp.WaitVisible(css("#ask[open] #reason")), chromedp.SendKeys(css("#reason"), reason), press("#ask button.main"))
}

// declare applies resources.
func (r *rig) declare(text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "more.yaml")
	must(r.t, os.WriteFile(path, []byte(text), 0o600))
	r.ringfence("apply", "-f", path)
}

var addressRE = regexp.MustCompile(`API and UI\s+(\S+)\s+Gateway\s+http://(\S+)`)

// up starts Ringfence on ports of its own, and traffic through it.
func (r *rig) up() {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, "up.log"))
	must(r.t, err)
	cmd := exec.Command(r.binary, "up", "--data", filepath.Join(r.dir, "data"), "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--flags", "127.0.0.1:0",
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
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	for _, step := range steps {
		err := chromedp.Do(ctx, step)
		for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), gone) {
			err = chromedp.Do(ctx, step)
		}
		if err != nil {
			r.picture("failed")
			r.t.Fatalf("%v\n%s", err, strings.Join(r.complaints(), "\n"))
		}
	}
}

// press clicks with the mouse until the page noticed that sel was clicked: a live page may move what is aimed at.
func press(sel string) chromedp.Action[chromedp.Void] {
	watch := fmt.Sprintf(`window.hit = false; addEventListener("click", e => { window.hit = !!e.target.closest(%q) }, {capture: true, once: true})`, sel)
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		for hit := false; !hit; {
			if _, err := chromedp.Evaluate[any](watch)(ctx, tab); err != nil {
				return err
			}
			if _, err := chromedp.Click(css(sel))(ctx, tab); err != nil {
				return err
			}
			var err error
			if hit, err = chromedp.Evaluate[bool]("window.hit !== false")(ctx, tab); err != nil && ctx.Err() == nil {
				return nil // it led to another page
			}
		}
		return ctx.Err()
	})
}

// gone is what the browser says of an element that was found and then drawn anew, as a live page does, before it was used.
const gone = "Could not find node with given id"

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
	r.await(what, func() bool { return eval[bool](r, "(() => { try { return !!("+js+") } catch { return false } })()") })
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

// shoot takes a page as it is now in every way that it is looked at.
func (r *rig) shoot(name, path, ready string) {
	r.t.Helper()
	for _, size := range sizes {
		for _, scheme := range []string{"light", "dark"} {
			r.scheme(scheme)
			r.do(chromedp.EmulateViewport(size.width, size.height, size.opts...), chromedp.Navigate(r.pages+path), chromedp.WaitVisible(css(ready)))
			where := name + "-" + size.name + "-" + scheme
			if wide := eval[int](r, "document.documentElement.scrollWidth"); wide > int(size.width) {
				r.t.Errorf("%s is %d wide", where, wide)
			}
			for _, fault := range eval[[]string](r, nameless) {
				r.t.Errorf("%s: %s has no name", where, fault)
			}
			r.picture(where)
		}
	}
	r.scheme("light")
	r.do(chromedp.EmulateViewport(1280, 900))
}

// shootHere takes the page as it stands, without loading it again.
func (r *rig) shootHere(name string) {
	r.t.Helper()
	if said := r.complaints(); len(said) > 0 && !strings.Contains(strings.Join(said, ""), "422") {
		r.t.Errorf("the browser complains: %s", said)
	}
	r.picture(name)
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
