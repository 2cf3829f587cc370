package cli

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var listed = regexp.MustCompile(`^  ([a-z-]+) +[A-Z]`)

// Every command that help lists has an example, and an example is of the command itself.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	if n := walk(t, nil); n < 30 {
		t.Errorf("only %d commands were found", n)
	}
}

// walk visits a command and those below it, and returns how many it found.
func walk(t *testing.T, path []string) int {
	t.Helper()
	out, err := exec.Command(filepath.Join(programs, "ringfence"), append([]string{"help"}, path...)...).Output()
	if err != nil {
		t.Fatalf("ringfence help %s: %v", strings.Join(path, " "), err)
	}
	name := strings.Join(append([]string{"ringfence"}, path...), " ")
	if _, examples, ok := strings.Cut(string(out), "\nExamples:\n"); !ok || !strings.Contains(strings.SplitN(examples, "\n\n", 2)[0], name) {
		t.Errorf("%s has no example of its own", name)
	}
	if len(path) > 6 {
		t.Fatalf("ringfence help %s: deeper than commands are", strings.Join(path, " ")) // an example that looks like a command
	}
	n := 1
	for line := range strings.Lines(string(out)) {
		m := listed.FindStringSubmatch(line)
		if m == nil || m[1] == "help" || m[1] == "completion" { // these two are cobra's own
			continue
		}
		n += walk(t, append(path[:len(path):len(path)], m[1]))
	}
	return n
}
