package rehearsal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/tsdb"
)

// File is a file of tests, as promtool reads it.
type File struct {
	RuleFiles []string       `yaml:"rule_files"`
	Interval  model.Duration `yaml:"evaluation_interval"`
	Order     []string       `yaml:"group_eval_order"`
	Fuzzy     bool           `yaml:"fuzzy_compare"`
	Tests     []Test         `yaml:"tests"`

	rules map[string]resource.AlertRules
}

// Test is one world: the series in it, and what is expected at some times.
type Test struct {
	Name           string            `yaml:"name"`
	Interval       model.Duration    `yaml:"interval"`
	Series         []series          `yaml:"input_series"`
	Alerts         []alertTest       `yaml:"alert_rule_test"`
	Expressions    []exprTest        `yaml:"promql_expr_test"`
	ExternalLabels map[string]string `yaml:"external_labels"`
	ExternalURL    string            `yaml:"external_url"`
	Start          moment            `yaml:"start_timestamp"`
}

type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type alertTest struct {
	At       model.Duration `yaml:"eval_time"`
	Name     string         `yaml:"alertname"`
	Expected []struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	} `yaml:"exp_alerts"`
}

type exprTest struct {
	Expr     string         `yaml:"expr"`
	At       model.Duration `yaml:"eval_time"`
	Expected []struct {
		Labels    string  `yaml:"labels"`
		Value     float64 `yaml:"value"`
		Histogram string  `yaml:"histogram"`
	} `yaml:"exp_samples"`
}

// moment is a time as RFC 3339 writes it, or in seconds since 1970.
type moment struct{ time.Time }

func (m *moment) UnmarshalYAML(node *yaml.Node) error {
	if s, err := strconv.ParseFloat(node.Value, 64); err == nil {
		m.Time = time.UnixMilli(int64(s * 1000)).UTC()
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, node.Value)
	m.Time = at.UTC()
	return err
}

// ofType is what the reader says of Go's types, which nobody has asked for.
var ofType = regexp.MustCompile(` in type \S+`)

const (
	maxFile        = 4 << 20
	maxEvaluations = 1_000_000 // of one test
)

// Read reads a file of tests, and the rules that it names beside itself.
func Read(path string) (*File, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.Wrap(errs.Missing, err, "the file of tests")
	}
	if len(raw) > maxFile {
		return nil, errs.E(errs.Invalid, "%s is larger than %d MiB", path, maxFile>>20)
	}
	f := &File{}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, errs.E(errs.Invalid, "%s: %s; expected a file of tests as promtool reads them", path, ofType.ReplaceAllString(err.Error(), ""))
	}
	if err := f.check(path); err != nil {
		return nil, err
	}
	return f, f.load(path)
}

func (f *File) check(path string) error {
	bad := func(format string, args ...any) error { return errs.E(errs.Invalid, path+": "+format, args...) }
	if f.Interval == 0 {
		f.Interval = model.Duration(time.Minute)
	}
	if len(f.Tests) == 0 {
		return bad("tests: expected one at least")
	}
	for i, group := range f.Order {
		if slices.Contains(f.Order[:i], group) {
			return bad("group_eval_order: %s stands twice", group)
		}
	}
	for i := range f.Tests {
		t := &f.Tests[i]
		if t.Name == "" {
			t.Name = "test " + strconv.Itoa(i+1)
		}
		if t.Interval == 0 {
			t.Interval = f.Interval
		}
		if t.end()/time.Duration(f.Interval) > maxEvaluations {
			return bad("%s: its last time is %s, more than %d times evaluation_interval", t.Name, t.end(), maxEvaluations)
		}
		for _, a := range t.Alerts {
			if a.Name == "" {
				return bad("%s: alert_rule_test at %s: expected an alertname", t.Name, a.At)
			}
		}
	}
	return nil
}

// load reads the rules: files of Prometheus, and documents of AlertRules.
func (f *File) load(path string) error {
	var found []string
	for _, pattern := range f.RuleFiles {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			return errs.E(errs.Missing, "%s: rule_files: no file is %s", path, pattern)
		}
		found = append(found, names...)
	}
	f.rules = map[string]resource.AlertRules{}
	if len(found) == 0 {
		return nil // expressions alone are tested
	}
	sources, err := manifest.Load(found, nil)
	if err != nil {
		return err
	}
	set, problems := manifest.Read(sources)
	var wrong []resource.Problem
	for i, r := range set.Resources {
		if r.Kind != resource.KindAlertRules {
			continue
		}
		rules, err := resource.As[resource.AlertRules](r)
		if err != nil {
			return err
		}
		f.rules[r.Metadata.Name] = rules
		for _, p := range tsdb.CheckRules(rules) {
			p.Index = i
			wrong = append(wrong, p)
		}
	}
	if problems = append(problems, set.Locate(wrong)...); len(problems) > 0 {
		return errs.Wrap(errs.Invalid, manifest.Problems(problems), "nothing was tested")
	}
	if len(f.rules) == 0 {
		return errs.E(errs.Invalid, "%s: rule_files have no rules, expected AlertRules or a rule file of Prometheus", path)
	}
	return nil
}

// end is the last time at which something is expected.
func (t *Test) end() time.Duration {
	var last model.Duration
	for _, a := range t.Alerts {
		last = max(last, a.At)
	}
	for _, e := range t.Expressions {
		last = max(last, e.At)
	}
	return time.Duration(last)
}

// begin is when its time begins.
func (t *Test) begin() time.Time {
	if t.Start.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t.Start.Time
}
