package openfeature

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// missing ends a test that cannot run here; in CI that is a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("skipped: " + what)
}

// npm has the packages of js/package-lock.json put where its scripts find them, once for all tests.
var npm = sync.OnceValue(func() error {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	lock, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		return err
	}
	const done = "js/node_modules/.installed"
	if was, err := os.ReadFile(done); err == nil && string(was) == string(lock) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
	cmd.Dir = "js"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return os.WriteFile(done, lock, 0o600)
})

func packages(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs node")
	}
	if err := npm(); err != nil {
		missing(t, "the npm packages of test/openfeature/js: "+err.Error())
	}
}

// changed is what the tests put in the place of flags.
var changed = strings.Replace(flags, `"defaultVariant": "on", "metadata"`, `"defaultVariant": "off", "metadata"`, 1)

// The JavaScript server SDK works with the providers that others made, and puts users into the shares that Go's does.
func TestServerSDK(t *testing.T) {
	packages(t)
	s := serve(t)
	shares := map[string]string{}
	for _, kind := range []string{"ofrep", "rpc", "in-process"} {
		t.Run(kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "server.mjs", kind)
			cmd.Dir = "js"
			cmd.Env = append(os.Environ(), fmt.Sprint("EVALUATION=", s.ports[0]), fmt.Sprint("SYNC=", s.ports[2]), fmt.Sprint("OFREP=", s.ports[3]),
				"FLAGS="+s.path("flags.json"), "BEFORE="+flags, "AFTER="+changed)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			shares[kind] = lines[len(lines)-1]
			s.settled()
		})
	}
	var want []string
	c := client(t, kinds["ofrep"](t, s))
	for i := range 100 {
		d, err := c.BooleanValueDetails(t.Context(), "share", false, person(fmt.Sprint("user-", i)))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, d.Variant)
	}
	for kind, got := range shares {
		if got != strings.Join(want, " ") {
			t.Errorf("%s: %s\nGo: %s", kind, got, want)
		}
	}
}

// page is a browser that has a script loaded, served from an origin of its own.
type page struct {
	ctx    context.Context
	origin string
}

func browse(t *testing.T, script string) page {
	t.Helper()
	packages(t)
	path := ""
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		missing(t, "no chromium-headless-shell or chromium on the PATH")
	}
	bundle := filepath.Join(t.TempDir(), "web.js")
	build := exec.Command("node", "node_modules/esbuild/bin/esbuild", "--bundle", "--format=iife", "--log-level=error", "--outfile="+bundle)
	build.Dir, build.Stdin = "js", strings.NewReader(script)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("esbuild: %v\n%s", err, out)
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/web.js" {
			http.ServeFile(w, r, bundle)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>flags</title><script src="/web.js"></script>`)
	}))
	t.Cleanup(pages.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // the sandbox does not run for root
	}
	browser, closeBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(closeBrowser)
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // a time limit on the first would end the browser
		t.Fatal(err)
	}
	return page{ctx, pages.URL}
}

// open loads the page anew.
func (p page) open(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(p.origin)); err != nil {
		t.Fatal(err)
	}
}

// js evaluates an expression, waits for what it promises, and reads it.
func js[T any](t *testing.T, p page, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// values are what the page reads.
type values struct {
	On          bool
	Text        string
	Whole, Part float64
	Object      map[string]any
	None, Other string
	Code        bool
}

// seen is what the page's provider did.
type seen struct {
	Answers []struct {
		Status     int
		Asked, Tag string
	}
	Changed, Events []string
}

var guest = values{true, "a", 10, 0.5, map[string]any{"x": "y", "n": 3.0}, "FLAG_NOT_FOUND", "TYPE_MISMATCH", true}

// The web SDK works in a browser with the providers that others made: values, another context, and a change that arrives by itself.
func TestWebSDK(t *testing.T) {
	script, err := os.ReadFile("js/web.mjs")
	if err != nil {
		t.Fatal(err)
	}
	p := browse(t, string(script))
	s := serve(t, "--cors-origin", p.origin)
	for kind, port := range map[string]int{"ofrep": 3, "polling": 3, "flagd": 0} {
		t.Run(kind, func(t *testing.T) {
			p.open(t)
			got := js[values](t, p, fmt.Sprintf("start(%q, %q)", kind, fmt.Sprint("127.0.0.1:", s.ports[port])))
			if !reflect.DeepEqual(got, guest) {
				t.Errorf("a guest: %+v", got)
			}
			got = js[values](t, p, `become({targetingKey: "bob", email: "bob@example.com"})`) // an attribute alone
			if want := guest; got.Text != "b" || got.On != want.On {
				t.Errorf("a colleague: %+v", got)
			}
			s.write("flags.json", changed)
			eventually(t, "the change is not there", func() bool { return !js[values](t, p, "read()").On })
			did := js[seen](t, p, "seen")
			if !slices.Contains(did.Changed, "on") && kind != "flagd" || len(did.Changed) == 0 || len(did.Events) > 0 {
				t.Errorf("told %+v", did)
			}
			if kind == "polling" {
				p.unchanged(t)
			}
			s.write("flags.json", flags)
			eventually(t, "the change back is not there", func() bool { return js[values](t, p, "read()").On })
			did = js[seen](t, p, "seen")
			if kind == "ofrep" && len(did.Answers) != 4 { // first flags, another context, two changes
				t.Errorf("the stream led to %+v", did.Answers)
			}
		})
	}
}

// unchanged asks for what did not change: the answer is that it did not.
func (p page) unchanged(t *testing.T) {
	t.Helper()
	var did seen
	eventually(t, "nothing is answered 304", func() bool {
		did = js[seen](t, p, "seen")
		last := did.Answers[len(did.Answers)-1]
		return last.Status == http.StatusNotModified && last.Asked != ""
	})
	for i, a := range did.Answers {
		if a.Status == http.StatusOK && (a.Tag == "" || a.Asked == a.Tag) {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
}

// The lock file says what is installed, and from nowhere in particular.
func TestLockFile(t *testing.T) {
	raw, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name != "" && (p.Resolved != "" || p.Integrity == "" || p.Version == "") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if len(lock.Packages) < 50 {
		t.Errorf("%d packages", len(lock.Packages))
	}
}
