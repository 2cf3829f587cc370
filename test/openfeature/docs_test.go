package openfeature

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// manual is docs/openfeature.md, whose programs are to work as they stand there.
func manual(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/openfeature.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```\n").FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// shown is the manual's server.
func shown(t *testing.T, args ...string) *server {
	t.Helper()
	s := serve(t, args...)
	s.write("flags.json", `{"flags": {"new-checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
	  "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on"]}}}}`)
	c := client(t, kinds["ofrep"](t, s))
	eventually(t, "the flag is not served", func() bool {
		_, err := c.BooleanValue(t.Context(), "new-checkout", false, person("carol"))
		return err == nil
	})
	return s
}

// here puts a server's ports in the place of the manual's.
func (s *server) here(text string) string {
	return strings.NewReplacer("9013", fmt.Sprint(s.ports[0]), "9015", fmt.Sprint(s.ports[2]), "9016", fmt.Sprint(s.ports[3])).Replace(text)
}

func TestManualGo(t *testing.T) {
	s := shown(t)
	ran := 0
	for _, block := range manual(t, "go") {
		if strings.Contains(block, "github.com/ringfence/") {
			continue // run where that provider is tested
		}
		ran++
		dir := t.TempDir()
		source := filepath.Join(dir, "main.go")
		if err := os.WriteFile(source, []byte(s.here(block)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "run", source).CombinedOutput(); err != nil || strings.Count(string(out), "new-checkout: true\n") != 2 {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if ran != 1 {
		t.Errorf("%d programs", ran)
	}
}

func TestManualJavaScript(t *testing.T) {
	packages(t)
	s := shown(t)
	blocks := manual(t, "js")
	if len(blocks) != 2 {
		t.Errorf("%d programs", len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.Command("node", "--input-type=module", "-e", s.here(block))
		cmd.Dir = "js"
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "new-checkout: true\n") {
			t.Errorf("%s\n%v\n%s", block, err, out)
		}
	}
}

func TestManualPage(t *testing.T) {
	blocks := manual(t, "jsx")
	if len(blocks) != 1 {
		t.Fatalf("%d programs", len(blocks))
	}
	lines := strings.SplitAfter(blocks[0], "\n")
	imports, rest := strings.Join(lines[:2], ""), strings.Join(lines[2:], "")
	// The page's address is needed to start the server, whose address the page needs: the script learns it when it runs.
	rest = strings.Replace(rest, "'http://127.0.0.1:9016'", "'http://' + at", 1)
	p := browse(t, imports+"window.program = async (at) => {\nconst said = [], console = {log: (...words) => said.push(words.join(' '))};\n"+rest+"return said;\n};\n")
	s := shown(t, "--cors-origin", p.origin)
	p.open(t)
	if said := js[[]string](t, p, fmt.Sprintf("program(%q)", fmt.Sprint("127.0.0.1:", s.ports[3]))); len(said) != 1 || said[0] != "new-checkout: true" {
		t.Error(said)
	}
}
