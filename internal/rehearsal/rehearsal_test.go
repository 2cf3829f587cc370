package rehearsal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringfence/ringfence/internal/errs"
)

// theirs is the folder with the files by which promtool is tested.
func theirs(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "cmd", "promtool", "testdata")
}

// What promtool passes is passed, what it fails is failed.
func TestPromtoolsOwnFiles(t *testing.T) {
	dir := theirs(t)
	for name, want := range map[string]struct{ tests, failures int }{
		"unittest.yml": {5, 0}, "long-period.yml": {1, 0}, "start-time-test.yml": {4, 0}, "no-test-group-interval.yml": {1, 0}, "at-modifier-test.yml": {1, 0}, "negative-offset-test.yml": {1, 0},
		"rules_run.yml": {2, 1}, "rules_run_fuzzy.yml": {2, 2}, "rules_run_no_fuzzy.yml": {1, 2}, "failing.yml": {2, 4}, "bad-promql.yml": {1, 1},
	} {
		f, err := Read(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := f.Run(t.Context())
		if err != nil || got.Tests != want.tests || len(got.Failures) != want.failures {
			t.Errorf("%s: %+v, %v, expected %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"bad-rules-syntax-test.yml", "rules_run_extrafields.yml", "rules.yml", "nothing.yml"} {
		if f, err := Read(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is read: %+v", name, f)
		}
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("rules.yml", "groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]")
	write("service.yaml", "apiVersion: ringfence.dev/v1\nkind: Freeze\nmetadata: {name: f}\nspec: {}\n")
	for text, want := range map[string]string{
		"":                     "tests: expected one",
		"tests: [{}]\nmore: 1": "field more not found; expected",
		"tests: [{alert_rule_test: [{eval_time: 1m}]}]":                                         "expected an alertname",
		"tests: [{alert_rule_test: [{eval_time: soon, alertname: A}]}]":                         "soon",
		"tests: [{alert_rule_test: [{eval_time: 10y, alertname: A}]}]\nevaluation_interval: 1s": "more than",
		"tests: [{}]\ngroup_eval_order: [a, a]":                                                 "a stands twice",
		"tests: [{}]\nrule_files: [none.yml]":                                                   "no file is",
		"tests: [{}]\nrule_files: ['[']":                                                        "no file is",
		"tests: [{start_timestamp: yesterday}]":                                                 "yesterday",
	} {
		_, err := Read(write("test.yml", text))
		if err == nil || !strings.Contains(err.Error(), want) || errs.KindOf(err) != errs.Invalid && errs.KindOf(err) != errs.Missing {
			t.Errorf("%q: %v, expected …%s…", text, err, want)
		}
	}
	f, err := Read(write("test.yml", "tests: [{input_series: [{series: up, values: x}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Run(t.Context()); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}
