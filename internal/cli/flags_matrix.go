package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/manifest"
)

// matrixRequest is what flags matrix was asked.
type matrixRequest struct {
	config, environment string
	keys                []string
	env                 bool
}

func flagsMatrixCommand(e *env) *cobra.Command {
	var a matrixRequest
	cmd := &cobra.Command{
		Use:   "matrix --config FILE",
		Short: "Print the states of the flags that a test should cover",
		Long: `Prints states of the flags of a file: as everyone gets them today, with everything out, with everything at its default,
and as many more as it takes for each pair of variants of any two flags to stand in one of them. Flags that need
others are at their default where these do not allow more. Flags of the kinds operational and permission are left out
unless they are named.

With --env each state is a line of environment variables as OpenFeature's provider for them reads them, so that a
test runs once for each; a flag at the caller's own default is then not there.`,
		Example: `  ringfence flags matrix --config flags.yaml --environment production
  ringfence flags matrix --config flags.yaml --env | while read -r state; do eval "env $state make test" || exit 1; done`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return printMatrix(e, cmd, a) },
	}
	f := cmd.Flags()
	f.StringVar(&a.config, "config", "", "file of flags, JSON or YAML, or - for standard input")
	f.StringVar(&a.environment, "environment", "", "whose defaults are those of today")
	f.StringSliceVar(&a.keys, "key", nil, "only these flags; may be given several times")
	f.BoolVar(&a.env, "env", false, "print each state as a line of environment variables")
	_ = cmd.MarkFlagRequired("config") // the flag is there: it was added above
	return cmd
}

func printMatrix(e *env, cmd *cobra.Command, a matrixRequest) error {
	doc, err := loadDocument(a.config, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if !doc.HasEnvironment(a.environment) {
		return errs.E(errs.Invalid, "--environment: got %q, expected one of %s", a.environment, strings.Join(doc.Environments, ", "))
	}
	m, err := doc.Matrix(flag.MatrixOptions{Environment: a.environment, Keys: a.keys})
	if err != nil {
		return err
	}
	return e.show(cmd, m, func(w io.Writer) {
		if a.env {
			showStates(w, doc, m)
			return
		}
		showMatrix(w, m)
	})
}

// loadDocument reads a file of flags with what only Ringfence has; any problem is a reason to refuse it.
func loadDocument(path string, stdin io.Reader) (*flag.Document, error) {
	src, err := readFlags(path, stdin)
	if err != nil {
		return nil, err
	}
	file, problems := manifest.ReadDocument(src, flag.MaxBytes)
	if len(problems) > 0 {
		return nil, errs.Wrap(errs.Invalid, manifest.Problems(problems), "the flags cannot be read")
	}
	doc, found := flag.ParseDocument(file.Raw)
	if len(found) > 0 {
		return nil, errs.Wrap(errs.Invalid, manifest.Problems(file.Locate(found)), "the flags cannot be read")
	}
	return doc, nil
}

func showMatrix(w io.Writer, m flag.Matrix) {
	var rows [][]string
	for i, s := range m.Rows {
		row := []string{strconv.Itoa(i + 1), s.Name}
		for _, key := range m.Flags {
			v, ok := s.Variants[key]
			if !ok {
				v = "-"
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	table(w, slices.Concat([]string{"#", "STATE"}, m.Flags), rows)
}

// showStates prints a line of NAME=value for each state, to be put before a command.
func showStates(w io.Writer, doc *flag.Document, m flag.Matrix) {
	for _, s := range m.Rows {
		var settings []string
		for _, key := range slices.Sorted(maps.Keys(s.Variants)) {
			value, _ := doc.Flags[key].Value(s.Variants[key])
			settings = append(settings, variableName(key)+"="+quoted(variableValue(value)))
		}
		fmt.Fprintln(w, strings.Join(settings, " "))
	}
}

// variableName is new-checkout as NEW_CHECKOUT.
func variableName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return unicode.ToUpper(r)
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func variableValue(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := json.Marshal(v)
	if err != nil { // what was read from JSON can be written
		return ""
	}
	return string(raw)
}

// quoted is a word of the shell.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.,:/@%+=", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
