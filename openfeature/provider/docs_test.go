package provider

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program in the manual is the one in examples, and does what the manual says.
func TestManual(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	page, err := os.ReadFile("../../docs/openfeature.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("../../examples/openfeature/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(program), "package main")
	if !strings.Contains(string(page), "```go\npackage main"+code+"```\n") {
		t.Error("docs/openfeature.md shows another program than examples/openfeature")
	}
	dir := t.TempDir()
	s, in := serve(t, nil), newIntake(t)
	write(t, s.path, `{"flags": {"new-checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
	  "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on"]}}}}`)
	source := filepath.Join(dir, "main.go")
	write(t, source, strings.Replace(string(program), "http://127.0.0.1:9015", s.url(), 1))
	binary := filepath.Join(dir, "program")
	if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := use(t, Options{URL: s.url()})
	eventually(t, "the flag is not served", func() bool { return w.p.served.Load().Flag("new-checkout") != nil })
	for range 2 { // the second time without a server, from what was kept
		cmd := exec.Command(binary)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "EVENTS="+in.URL)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "new-checkout: true\n") {
			t.Fatalf("%v\n%s", err, out)
		}
		s.stop()
	}
	if r := in.read(t, "new-checkout", "order"); len(r.Variants) != 1 || r.Variants[0].N != 1 {
		t.Errorf("exposures and orders: %+v", r)
	}
	used, err := in.store.Metrics(t.Context(), "production")
	if err != nil || len(used) != 1 {
		t.Errorf("metrics: %+v %v", used, err)
	}
}
