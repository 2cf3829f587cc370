package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	ours "github.com/ringfence/ringfence/internal/flag"
)

// scenarios runs the evaluator's scenarios of flagd-testbed, without those of the bucketing of other versions.
func scenarios(w io.Writer, dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "evaluator", "flags", "testkit-flags.json"))
	if err != nil {
		return err
	}
	set, _ := ours.Parse(raw) // some of its flags are wrong on purpose
	files, err := filepath.Glob(filepath.Join(dir, "evaluator", "gherkin", "*.feature"))
	if err != nil || set == nil || len(files) == 0 {
		return fmt.Errorf("%s is no checkout of flagd-testbed: %v", dir, err)
	}
	ran, failed := 0, 0
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		for _, sc := range readFeature(f) {
			ran++
			if err := run(set, sc); err != nil {
				failed++
				fmt.Fprintf(w, "%s: %s: %v\n", filepath.Base(path), sc.name, err)
			}
		}
		f.Close()
	}
	fmt.Fprintf(w, "%d scenarios, %d failed\n", ran, failed)
	if failed > 0 {
		return fmt.Errorf("%d scenarios failed", failed)
	}
	return nil
}

type scenario struct {
	name  string
	steps []string
	table [][]string // below the last step
}

// reader of one feature file, as far as these use the language.
type featureReader struct {
	background, steps []string
	name              string
	outline           bool
	tagged, skipped   bool // of what comes next; of the examples being read
	examples          bool
	head              []string
	table             [][]string
	out               []scenario
}

func readFeature(from io.Reader) []scenario {
	r := &featureReader{}
	for lines := bufio.NewScanner(from); lines.Scan(); {
		r.line(strings.TrimSpace(lines.Text()))
	}
	r.end()
	return r.out
}

func (r *featureReader) line(s string) {
	word, rest, _ := strings.Cut(s, " ")
	switch {
	case strings.HasPrefix(s, "@"):
		r.tagged = strings.Contains(s, "@fractional-v1") || strings.Contains(s, "@fractional-v3")
	case s == "" || strings.HasPrefix(s, "#"):
	case strings.HasPrefix(s, "Background:"):
		r.name = ""
	case strings.HasPrefix(s, "Scenario"):
		r.end()
		r.name, r.outline, r.examples = s, strings.HasPrefix(s, "Scenario Outline"), false
		r.skipped, r.tagged = r.tagged, false
	case strings.HasPrefix(s, "Examples:"):
		r.examples, r.head = true, nil
		r.skipped, r.tagged = r.tagged, false
	case strings.HasPrefix(s, "|"):
		r.row(s)
	case word == "Given" || word == "When" || word == "Then" || word == "And":
		if r.name == "" {
			r.background = append(r.background, rest)
		} else {
			r.steps = append(r.steps, rest)
		}
	}
}

func (r *featureReader) row(s string) {
	var cells []string
	for _, c := range strings.Split(strings.Trim(s, "|"), "|") {
		cells = append(cells, strings.TrimSpace(c))
	}
	switch {
	case !r.examples:
		r.table = append(r.table, cells)
	case r.head == nil:
		r.head = cells
	case !r.skipped:
		sc := scenario{name: r.name + " " + s}
		for _, step := range append(r.background[:len(r.background):len(r.background)], r.steps...) {
			for i, name := range r.head {
				step = strings.ReplaceAll(step, "<"+name+">", cells[i])
			}
			sc.steps = append(sc.steps, step)
		}
		r.out = append(r.out, sc)
	}
}

func (r *featureReader) end() {
	if r.name != "" && !r.outline && !r.skipped {
		r.out = append(r.out, scenario{r.name, append(r.background[:len(r.background):len(r.background)], r.steps...), r.table})
	}
	r.steps, r.table = nil, nil
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// run takes a scenario's steps.
func run(set *ours.Set, sc scenario) error {
	var key, kind, fallback string
	var r ours.Result
	ctx := map[string]any{}
	for _, step := range sc.steps {
		var args []string
		for _, m := range quoted.FindAllStringSubmatch(step, -1) {
			args = append(args, strings.ReplaceAll(m[1], `\"`, `"`))
		}
		var err error
		switch {
		case step == "an evaluator":
		case strings.Contains(step, "-flag with key"):
			kind, _, _ = strings.Cut(strings.TrimPrefix(step, "a "), "-flag")
			key, fallback = args[0], args[1]
		case strings.HasPrefix(step, "a context containing a key"):
			ctx[args[0]], err = typed(args[1], args[2])
		case strings.HasPrefix(step, "a context containing a nested property"):
			ctx[args[0]] = map[string]any{args[1]: args[2]}
		case strings.HasPrefix(step, "a context containing a targeting key"):
			ctx["targetingKey"] = args[0]
		case strings.HasPrefix(step, "the flag was evaluated"):
			r = set.EvaluateAs(key, kinds[kind], contextOf(ctx, time.Now()))
		default:
			err = expect(step, args, kind, fallback, r, sc.table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var kinds = map[string]ours.Type{"Boolean": ours.Boolean, "String": ours.String, "Integer": ours.Number, "Float": ours.Number, "Object": ours.Object}

func typed(kind, s string) (any, error) {
	switch kind {
	case "String":
		return s, nil
	case "Integer", "Float":
		return strconv.ParseFloat(s, 64)
	case "Boolean":
		return strconv.ParseBool(s)
	}
	var v any
	err := json.Unmarshal([]byte(s), &v)
	return v, err
}

func expect(step string, args []string, kind, fallback string, r ours.Result, table [][]string) error {
	got, want := "", ""
	switch {
	case strings.HasPrefix(step, "the resolved details value"):
		value := r.Value
		if !r.HasValue() {
			v, err := typed(kind, fallback)
			if err != nil {
				return err
			}
			value = v
		}
		v, err := typed(kind, args[0])
		if err != nil {
			return err
		}
		got, want = text(value), text(v)
	case strings.HasPrefix(step, "the reason"):
		got, want = string(r.Reason), args[0]
	case strings.HasPrefix(step, "the error-code"):
		got, want = string(r.Code), args[0]
	case strings.HasPrefix(step, "the resolved metadata is empty"):
		got, want = text(r.Metadata), "{}"
	case strings.HasPrefix(step, "the resolved metadata should contain"):
		all := map[string]any{}
		for _, row := range table[1:] {
			v, err := typed(row[1], row[2])
			if err != nil {
				return err
			}
			all[row[0]] = v
		}
		got, want = text(r.Metadata), text(all)
	default:
		return fmt.Errorf("the step %q is not known", step)
	}
	if got != want {
		return fmt.Errorf("%s: got %s", step, got)
	}
	return nil
}
