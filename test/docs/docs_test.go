// Package docs runs what README.md and the pages of docs/ tell their readers to type; CONTRIBUTING.md says how.
package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringfence/ringfence/internal/store/pgtest"
	"github.com/ringfence/ringfence/test/sandbox"
)

var programs string

func TestMain(m *testing.M) {
	if os.Getenv("CI") != "true" {
		for _, tool := range []string{"bash", "curl"} {
			if _, err := exec.LookPath(tool); err != nil {
				fmt.Println("skipped: the pages use", tool)
				return
			}
		}
	}
	sandbox.Main(m, &programs)
}

// blockLimit is how long one block may take: the slowest wait for a rollout.
const blockLimit = 3 * time.Minute

func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("runs rollouts")
	}
	pages, err := filepath.Glob(filepath.Join(sandbox.Root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, path := range append(pages, filepath.Join(sandbox.Root, "README.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := parse(string(text))
		if len(blocks) == 0 {
			continue
		}
		ran++
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			r := newReader(t, strings.Contains(string(text), "<!-- sandbox: shop -->"))
			if strings.Contains(string(text), "<!-- sandbox: postgres -->") {
				r.database()
			}
			r.run(blocks)
		})
	}
	if ran < 4 {
		t.Errorf("only %d pages have something to run", ran)
	}
}

type block struct {
	line int
	text string
}

// parse returns the blocks of a page that are fenced as sh.
func parse(page string) []block {
	var all []block
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.TrimSpace(line) == "```sh":
			inside = true
			all = append(all, block{line: i + 2})
		case strings.TrimSpace(line) == "```":
			inside = false
		case inside:
			all[len(all)-1].text += line + "\n"
		}
	}
	return all
}

// reader is someone who types what a page says, in a folder of their own.
type reader struct {
	t    *testing.T
	dir  string
	env  []string
	up   *sandbox.Up
	jobs []*exec.Cmd // shells, whose process groups hold what they left running
}

func newReader(t *testing.T, shop bool) *reader {
	r := &reader{t: t, dir: t.TempDir()}
	r.env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "RINGFENCE_DATA="+filepath.Join(r.dir, "data"), "CURL_HOME="+r.dir)
	for _, v := range []string{"shop-v1", "shop-v2", "shop-v3"} {
		if err := os.Symlink(filepath.Join(programs, v), filepath.Join(r.dir, v)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(r.close)
	service, err := os.ReadFile(filepath.Join(sandbox.Root, "examples", "shop", "demo.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(r.dir, "service.yaml"), service, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if shop {
		r.start()
		r.shell(block{text: "ringfence apply -f service.yaml\nringfence release shop --version v1 --artifact ./shop-v1 --watch\n"})
		stop := sandbox.Drive(r.up.Gateway, 150, 300)
		t.Cleanup(func() {
			if _, loss := stop(); loss != "" {
				t.Errorf("Ringfence failed a user: %s", loss)
			}
		})
	}
	return r
}

// database gives the reader an empty PostgreSQL.
func (r *reader) database() {
	server, err := pgtest.Start(pgtest.NeedBinaries(r.t), false)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(server.Stop)
	r.env = append(r.env, "RINGFENCE_DATABASE_URL="+server.Address(""))
}

func (r *reader) close() {
	for _, job := range r.jobs {
		_ = syscall.Kill(-job.Process.Pid, syscall.SIGKILL) // gone, mostly
	}
	if r.up == nil {
		return
	}
	r.up.Stop()
	if r.t.Failed() {
		r.t.Log(r.up.Logs())
	}
}

func (r *reader) run(blocks []block) {
	for _, b := range blocks {
		if strings.TrimSpace(b.text) == "ringfence up" {
			r.start()
			continue
		}
		r.shell(b)
	}
}

func (r *reader) start() {
	r.t.Helper()
	var err error
	if r.up, err = sandbox.Start(programs, filepath.Join(r.dir, "data"), r.env, sandbox.Quick...); err != nil {
		r.t.Fatal(err)
	}
}

var port = regexp.MustCompile(`\b(?:localhost|127\.0\.0\.1):(7400|7401|7402|8080)\b|(\.localhost):8080\b`)

// here puts the sandbox's ports where the page has those that Ringfence takes by itself.
func (r *reader) here(text string) string {
	if r.up == nil {
		return text
	}
	gateway := r.up.Gateway[strings.LastIndexByte(r.up.Gateway, ':'):]
	return port.ReplaceAllStringFunc(text, func(at string) string {
		switch {
		case strings.HasSuffix(at, ":8080"):
			return strings.TrimSuffix(at, ":8080") + gateway
		case strings.HasSuffix(at, ":7400"):
			return strings.TrimPrefix(r.up.API, "http://")
		case strings.HasSuffix(at, ":7402"):
			return r.up.Flags
		}
		return strings.TrimPrefix(r.up.Admin, "http://")
	})
}

// shell runs a block as one script that ends at its first error.
func (r *reader) shell(b block) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), blockLimit)
	defer cancel()
	said, err := os.CreateTemp(r.dir, ".said-") // a file: what a block leaves running would hold a pipe open
	if err != nil {
		r.t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", r.here(b.text))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.jobs = append(r.jobs, cmd)
	err = cmd.Wait()
	out, readErr := os.ReadFile(said.Name())
	r.t.Logf("line %d:\n%s%s", b.line, b.text, bytes.TrimSpace(out))
	if err = errors.Join(err, readErr, ctx.Err()); err != nil {
		r.t.Fatalf("line %d: %v", b.line, err)
	}
}

func TestParse(t *testing.T) {
	page := "a\n```sh\none\n```\n```text\nnot this\n```\n- item\n  ```sh\n  two\n  ```\n```yaml\nthree\n```\n"
	got := parse(page)
	if len(got) != 2 || got[0] != (block{3, "one\n"}) || got[1] != (block{10, "  two\n"}) {
		t.Errorf("%+v", got)
	}
}

func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	n := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md"} {
		pages, _ := filepath.Glob(filepath.Join(sandbox.Root, filepath.FromSlash(pattern)))
		for _, path := range pages {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllStringSubmatch(string(text), -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				n++
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(m[1]))); err != nil {
					t.Errorf("%s links to %s, which is not there", filepath.Base(path), m[1])
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d links were found", n)
	}
}

// The threat model claims no test that is not there.
func TestNamedTestsExist(t *testing.T) {
	claim := regexp.MustCompile("`(Test[A-Za-z]+)`")
	text, err := os.ReadFile(filepath.Join(sandbox.Root, "docs", "THREAT_MODEL.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := testNames(t)
	claims := claim.FindAllStringSubmatch(string(text), -1)
	if len(claims) < 30 {
		t.Errorf("only %d tests are named", len(claims))
	}
	for _, m := range claims {
		if !there[m[1]] {
			t.Errorf("there is no test %s", m[1])
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir(sandbox.Root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
