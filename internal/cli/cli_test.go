package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/cli"
	"github.com/ringfence/ringfence/test/plane"
)

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// run runs a command in a data folder.
func run(t *testing.T, data, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	code := cli.Run(ctx, cli.Root(), append([]string{"--data", data}, args...), strings.NewReader(stdin), &out, &errOut)
	r := result{code, out.String(), errOut.String()}
	if strings.Contains(r.out+r.err, "\x1b") {
		t.Errorf("%q colours what is no terminal", args)
	}
	if code != 0 && !strings.Contains(r.err, "error: ") {
		t.Errorf("%q: exit %d without an error: %s", args, code, r.err)
	}
	return r
}

// start runs a control plane whose data folder the commands find by themselves.
func start(t *testing.T) *plane.Plane {
	t.Helper()
	t.Setenv("RINGFENCE_SERVER", "")
	t.Setenv("RINGFENCE_TOKEN", "")
	p := plane.Start(t)
	write(t, filepath.Join(p.Dir, "run", "server.json"), fmt.Sprintf(`{"url":%q}`, p.URL))
	return p
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ok(t *testing.T, r result, want ...string) result {
	t.Helper()
	if r.code != 0 {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	for _, w := range want {
		if !strings.Contains(r.out, w) {
			t.Errorf("no %q in:\n%s", w, r.out)
		}
	}
	return r
}

func TestEveryCommandHelps(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		if c.HasAvailableSubCommands() || c.Runnable() {
			for line := range strings.Lines(c.Example) {
				if !strings.HasPrefix(line, "  ") || !strings.Contains(line, "ringfence ") {
					t.Errorf("%s: example %q", c.CommandPath(), line)
				}
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(cli.Root())
}

func TestExitStatuses(t *testing.T) {
	p := start(t)
	shop := write(t, filepath.Join(t.TempDir(), "shop.yaml"), plane.Shop)
	ok(t, run(t, p.Dir, "", "apply", "-f", shop))
	viewer := write(t, filepath.Join(t.TempDir(), "viewer.token"), p.Tokens["viewer"])
	none := t.TempDir()
	tests := []struct {
		data string
		args string
		code int
		says string
	}{
		{p.Dir, "frobnicate", 2, "unknown command"},
		{p.Dir, "rollout frobnicate", 2, "unknown command"},
		{p.Dir, "release shop", 2, "--version: missing"},
		{p.Dir, "release shop --version v1 --surprise", 2, "unknown flag"},
		{p.Dir, "release shop --version v1 --artifact /does/not/exist", 2, "no such file"},
		{p.Dir, "release shop --version v1 --env X", 2, "expected NAME=VALUE"},
		{p.Dir, "release shop --version v1", 5, "there is no Release"},
		{p.Dir, "get teapots", 2, "unknown kind"},
		{p.Dir, "get services -o xml", 2, "expected table, yaml or json"},
		{p.Dir, "get service nothing", 5, "there is no Service"},
		{p.Dir, "rollout status shop", 5, "there is no rollout"},
		{p.Dir, "delete plan quick", 4, "is used by"},
		{p.Dir, "delete plan quick --token-file " + viewer, 3, "may not"},
		{p.Dir, "whoami --token-file /does/not/exist", 2, "--token-file"},
		{p.Dir, "apply -f /does/not/exist", 2, "cannot read"},
		{p.Dir, "verdict -f /does/not/exist", 2, "cannot read"},
		{p.Dir, "whoami --server ftp://x", 2, "expected a URL"},
		{p.Dir, "whoami --server http://ringfence.example.com", 3, "no token"},
		{p.Dir, "whoami --server http://ringfence.example.com --token-file " + viewer, 2, "unencrypted"},
		{none, "whoami", 6, "no control plane"},
		{none, "whoami --server " + p.URL, 3, "no token"},
		{none, "ring of --service shop --server " + p.URL + " --token-file " + viewer, 0, ""},
	}
	for _, test := range tests {
		r := run(t, test.data, "", strings.Fields(test.args)...)
		if r.code != test.code || !strings.Contains(r.err, test.says) {
			t.Errorf("%s: exit %d, expected %d and %q: %s", test.args, r.code, test.code, test.says, r.err)
		}
	}
}

func TestDeclaring(t *testing.T) {
	p := start(t)
	shop := write(t, filepath.Join(t.TempDir(), "shop.yaml"), plane.Shop)
	ok(t, run(t, p.Dir, "", "apply", "-f", shop, "--dry-run"), "+  plan: quick", "service/shop created (dry run)")
	if r := ok(t, run(t, p.Dir, "", "get", "services")); strings.Contains(r.out, "shop") {
		t.Errorf("a dry run did it: %s", r.out)
	}
	ok(t, run(t, p.Dir, "", "apply", "-f", filepath.Dir(shop)), "service/shop created")
	ok(t, run(t, p.Dir, "", "get", "services"), "host shop.localhost, plan quick")
	all := ok(t, run(t, p.Dir, "", "export"), "kind: RingPlan")
	ok(t, run(t, p.Dir, all.out, "apply", "-f", "-"), "service/shop unchanged")
	changed := strings.Replace(all.out, "team-shop", "team-cart", 1)
	ok(t, run(t, p.Dir, changed, "apply", "-f", "-", "--dry-run"), "-  owner: team-shop\n+  owner: team-cart\n")
	wrong := run(t, p.Dir, strings.Replace(all.out, "owner:", "ovner:", 1), "apply", "-f", "-")
	if wrong.code != 2 || !strings.Contains(wrong.err, "stdin:") || !strings.Contains(wrong.err, "spec.ovner: unknown field") {
		t.Errorf("exit %d: %s", wrong.code, wrong.err)
	}
	ok(t, run(t, p.Dir, "", "delete", "service", "shop"), "service/shop deleted")
}

func TestJSONEverywhere(t *testing.T) {
	p := start(t)
	ok(t, run(t, p.Dir, plane.Shop, "apply", "-f", "-"))
	bin := write(t, filepath.Join(t.TempDir(), "shop"), "one")
	ok(t, run(t, p.Dir, "", "release", "shop", "--version", "v1", "--artifact", bin, "--watch"), "rollout.succeeded")
	backup := filepath.Join(t.TempDir(), "b")
	for _, args := range []string{
		"apply -f -", "get services", "get service shop", "get releases", "export", "service list", "service show shop", "rollout list", "rollout show shop",
		"rollout status shop", "ring of --service shop --user alice", "version", "whoami", "schema", "backup -o " + backup, "release shop --version v1",
		"rollout rollback shop", // refused below: a first release has nothing to go back to
	} {
		r := run(t, p.Dir, plane.Shop, append([]string{"--json"}, strings.Fields(args)...)...)
		if args == "rollout rollback shop" {
			if r.code != 4 || r.out != "" {
				t.Errorf("%s: exit %d, %s", args, r.code, r.out)
			}
			continue
		}
		if r.code != 0 || !json.Valid([]byte(r.out)) {
			t.Errorf("%s: exit %d, %s\n%s", args, r.code, r.err, r.out)
		}
	}
	for _, args := range []string{"events", "service logs shop", "rollout status shop --watch"} {
		r := ok(t, run(t, p.Dir, "", append([]string{"--json"}, strings.Fields(args)...)...))
		for line := range strings.Lines(r.out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: %s", args, line)
			}
		}
		if r.out == "" {
			t.Errorf("%s printed nothing", args)
		}
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("backup: %v, %v", info, err)
	}
	if r := run(t, p.Dir, "", "backup", "-o", backup); r.code != 2 || !strings.Contains(r.err, "is there already") {
		t.Errorf("a backup over another: %d %s", r.code, r.err)
	}
}

func TestAWatchedRolloutThatIsTakenBack(t *testing.T) {
	p := start(t)
	ok(t, run(t, p.Dir, plane.Shop, "apply", "-f", "-"))
	dir := t.TempDir()
	one, two := write(t, filepath.Join(dir, "1"), "one"), write(t, filepath.Join(dir, "2"), "two")
	ok(t, run(t, p.Dir, "", "release", "shop", "--version", "v1", "--artifact", one, "-w"))
	ok(t, run(t, p.Dir, "", "release", "shop", "--version", "v2", "--artifact", two), "rollout/shop-2")
	busy := run(t, p.Dir, "", "release", "shop", "--version", "v3", "--artifact", one)
	if busy.code != 4 || !strings.Contains(busy.err, "in flight") || !strings.Contains(busy.err, "hint: ") {
		t.Errorf("a second release: %d %s", busy.code, busy.err)
	}
	watched := make(chan result)
	go func() { watched <- run(t, p.Dir, "", "rollout", "status", "shop", "--watch") }()
	ok(t, run(t, p.Dir, "", "rollout", "abort", "shop", "--reason", "wrong banner"), "shop-2", "wrong banner")
	r := <-watched
	if r.code != 1 || !strings.Contains(r.out, "rollback.completed") || !strings.Contains(r.err, "wrong banner") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestVerdict(t *testing.T) {
	harm := `{"gate":{"signal":"errors"},"samples":[{"canary":{"requests":1000,"bad":200},"stable":{"requests":9000,"bad":9}}]}`
	for stdin, want := range map[string]string{harm: "fail", `{"samples":[]}`: "hold", `{"samples":[{"canary":null}]}`: "hold"} {
		r := ok(t, run(t, t.TempDir(), stdin, "verdict", "-f", "-", "--json"))
		var j struct {
			Verdict   string
			StoppedAt *int
			Evidence  map[string]float64
			Reasons   []string
		}
		if err := json.Unmarshal([]byte(r.out), &j); err != nil || j.Verdict != want || len(j.Reasons) == 0 || (j.StoppedAt != nil) != (want == "fail") {
			t.Errorf("%s: %s, %v", stdin, r.out, err)
		}
		if _, there := j.Evidence["canaryRequests"]; !there {
			t.Errorf("no evidence in %s", r.out)
		}
	}
	for _, stdin := range []string{"", "{", "[]", `{"sample":[]}`, `{"samples":[{"canary":{"requests":1,"bad":2}}]}`, `{"samples":[],"gate":{"alpha":2}}`} {
		if r := run(t, t.TempDir(), stdin, "verdict", "-f", "-"); r.code != 2 || r.out != "" {
			t.Errorf("%q: exit %d, %s", stdin, r.code, r.out)
		}
	}
}
