// Command compliance runs the PromQL cases of a checkout of github.com/prometheus/compliance, by that project's own tool, against
// Ringfence beside a Prometheus server of the same version. Both are sent the same samples by remote write before.
//
//	go run ./bench/compliance -checkout DIR
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/bench/beside"
)

// cases is the file with the cases of the language.
const cases = "promql-test-queries.yml"

func main() {
	checkout := flag.String("checkout", "", "folder with a checkout of github.com/prometheus/compliance")
	prometheus := flag.String("prometheus", "bin/prometheus", "program of Prometheus; make prometheus builds it")
	ringfence := flag.String("ringfence", "bin/ringfence", "program of Ringfence")
	flag.Parse()
	if err := run(*checkout, *prometheus, *ringfence); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(checkout, prometheus, ringfence string) (err error) {
	folder := filepath.Join(checkout, "promql")
	if _, err := os.Stat(filepath.Join(folder, cases)); err != nil {
		return fmt.Errorf("-checkout: expected a checkout of https://github.com/prometheus/compliance: %w", err)
	}
	theirs, err := beside.Prometheus(prometheus, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Stop()) }()
	ours, err := beside.Ringfence(ringfence, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Stop()) }()
	end := time.Now().Truncate(interval)
	bodies := demo(end)
	for _, body := range bodies {
		for _, s := range []*beside.Server{theirs, ours} {
			if err := s.Write(context.Background(), body); err != nil {
				return err
			}
		}
	}
	for _, s := range []*beside.Server{theirs, ours} { // cases over nothing would pass
		raw, err := s.Range(fmt.Sprintf(`count(last_over_time({__name__=~"demo_.+"}[10m])) == %d`, len(bodies)), end, end, time.Second)
		if err != nil || !bytes.Contains(raw, []byte("values")) {
			return fmt.Errorf("%s does not have the %d series that it was sent: %w", s.URL, len(bodies), err)
		}
	}
	return compare(folder, theirs, ours, end.Add(-time.Minute))
}

// configuration is the tool's, as far as it is used here.
type configuration struct {
	Reference target  `yaml:"reference_target_config"`
	Test      target  `yaml:"test_target_config"`
	Times     times   `yaml:"query_time_parameters"`
	Cases     []*test `yaml:"test_cases"`
}

type target struct {
	URL     string            `yaml:"query_url"`
	Headers map[string]string `yaml:"headers,omitempty"`
}

type times struct {
	End string `yaml:"end_time"`
}

type test struct {
	Query          string   `yaml:"query"`
	VariantArgs    []string `yaml:"variant_args,omitempty"`
	SkipComparison bool     `yaml:"skip_comparison,omitempty"`
	ShouldFail     bool     `yaml:"should_fail,omitempty"`
}

// configure writes the tool's configuration. The cases are of the time of Prometheus 2; the tool gives up when the reference does not
// fail where a case wants it to. What the reference takes is compared instead.
func configure(folder, file string, theirs, ours *beside.Server, end time.Time) error {
	var c configuration
	raw, err := os.ReadFile(filepath.Join(folder, cases))
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(raw, &c); err != nil {
		return err
	}
	for _, one := range c.Cases {
		if !one.ShouldFail || len(one.VariantArgs) > 0 {
			continue
		}
		if _, err := theirs.Range(one.Query, end, end, time.Second); err == nil {
			fmt.Printf("should fail by its case, but Prometheus takes it; compared: %s\n", one.Query)
			one.ShouldFail = false
		}
	}
	c.Reference, c.Test = target{URL: theirs.URL}, target{URL: ours.URL, Headers: map[string]string{"Authorization": "Bearer " + ours.Token()}}
	c.Times.End = end.UTC().Format(time.RFC3339)
	if raw, err = yaml.Marshal(c); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// compare runs the tool, and sums up what it found.
func compare(folder string, theirs, ours *beside.Server, end time.Time) error {
	dir, err := os.MkdirTemp("", "compliance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "config.yml")
	if err := configure(folder, config, theirs, ours, end); err != nil {
		return err
	}
	var progress bytes.Buffer
	cmd := exec.Command("go", "run", "./cmd/promql-compliance-tester", "-config-file", config, "-output-format", "json", "-output-passing", "-query-parallelism", "4")
	cmd.Dir, cmd.Stderr = folder, &progress
	out, err := cmd.Output() // 1 also when cases fail
	var said struct {
		Results []struct {
			TestCase          struct{ Query string }
			Diff              string
			UnexpectedFailure string
			UnexpectedSuccess bool
		}
	}
	if bad := json.Unmarshal(out, &said); bad != nil || len(said.Results) == 0 {
		return fmt.Errorf("the tool said nothing that can be read: %w", errors.Join(err, bad, errors.New(progress.String()[max(0, progress.Len()-500):])))
	}
	failed := 0
	for _, r := range said.Results {
		why := r.UnexpectedFailure + r.Diff
		if r.UnexpectedSuccess {
			why = "succeeded, but should fail"
		}
		if why != "" {
			failed++
			fmt.Printf("FAILED %s\n  %s\n", r.TestCase.Query, why)
		}
	}
	fmt.Printf("%d of %d cases passed\n", len(said.Results)-failed, len(said.Results))
	if failed > 0 {
		return fmt.Errorf("%d cases failed", failed)
	}
	return nil
}
