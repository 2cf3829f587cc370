package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/exposure"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/manifest"
	"github.com/ringfence/ringfence/internal/resource"
)

func flagsCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "flags",
		Short: "Feature flags: check, evaluate and serve files; show, switch off, edit and review what is declared",
		Example: `  ringfence flags lint --config flags.yaml
  ringfence flags expose shop/new-checkout --watch
  ringfence flags off shop/new-checkout --reason "carts are lost"
  ringfence flags eval --config flags.json --key new-checkout --context '{"targetingKey":"carol"}'`,
	})
	cmd.AddCommand(flagsServeCommand(), flagsEvalCommand(e), flagsLintCommand(e), flagsMatrixCommand(e))
	cmd.AddCommand(flagsListCommand(e), flagsShowCommand(e), flagsExplainCommand(e), flagsExposeCommand(e), flagsOffCommand(e), flagsPreviewCommand(e),
		flagsTurnCommand(e, "enable", "Enable a flag in an environment", "enabled"),
		flagsTurnCommand(e, "disable", "Disable a flag in an environment: callers use their own defaults", "disabled"),
		flagsTurnCommand(e, "archive", "Archive a flag: it answers as if it were disabled, and is kept", "archived"),
		flagsTurnCommand(e, "restore", "Take a flag out of the archive", "restored"),
		flagsSetCommand(e), flagsUndoCommand(e), flagsProposeCommand(e), flagsRequestsCommand(e), flagsRequestCommand(e),
		flagsReviewCommand(e, false), flagsReviewCommand(e, true), flagsKeyCommand(e))
	return cmd
}

// evaluation is what flags eval was asked.
type evaluation struct{ config, key, context, want, environment string }

func flagsEvalCommand(e *env) *cobra.Command {
	var a evaluation
	cmd := &cobra.Command{
		Use:   "eval --config FILE --key KEY",
		Short: "Evaluate a flag for a context",
		Long: `Evaluates a flag of a file as flagd would, and says the value, the variant and why. Without a value in the answer the
caller's own default is to be used. The exit status is 0 for any answer, also for one with an error code: FLAG_NOT_FOUND,
PARSE_ERROR, TYPE_MISMATCH or GENERAL. It is 2 when there is nothing to answer from: a file that cannot be read as a set
of flags, or a context that is not an object. Other mistakes in the file are told on standard error, and do not
keep its sound flags from being evaluated; use flags lint to refuse them.`,
		Example: `  ringfence flags eval --config flags.json --key new-checkout --context '{"targetingKey":"carol","plan":"beta"}' --json
  ringfence flags eval --config flags.yaml --key limit --type number`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return evaluateFlag(e, cmd, a) },
	}
	f := cmd.Flags()
	f.StringVar(&a.config, "config", "", "file of flags, JSON or YAML, or - for standard input")
	f.StringVar(&a.key, "key", "", "key of the flag")
	f.StringVar(&a.context, "context", "{}", "evaluation context, a JSON object with targetingKey and attributes")
	f.StringVar(&a.environment, "environment", "", "for which environment, when the file tells of several")
	f.StringVar(&a.want, "type", "any", "type that is asked for: any, boolean, string, number or object")
	_ = cmd.MarkFlagRequired("config") // the flags are there: they were added above
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func evaluateFlag(e *env, cmd *cobra.Command, a evaluation) error {
	want, err := flagType(a.want)
	if err != nil {
		return err
	}
	ctx, err := evaluationContext(a.context)
	if err != nil {
		return err
	}
	set, problems, err := loadFlags(a.config, cmd.InOrStdin(), a.environment)
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", printable(p.String()))
	}
	r := set.EvaluateAs(a.key, want, ctx)
	return e.show(cmd, flagAnswer(a.key, r), func(w io.Writer) { showAnswer(w, a.key, r) })
}

func flagType(name string) (flag.Type, error) {
	for t := flag.Any; t <= flag.Object; t++ {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, errs.E(errs.Invalid, "--type: got %q, expected any, boolean, string, number or object", name)
}

// evaluationContext reads the context that OpenFeature's SDKs send.
func evaluationContext(raw string) (*exposure.Context, error) {
	var attributes map[string]any
	if err := json.Unmarshal([]byte(raw), &attributes); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return nil, errs.E(errs.Invalid, "--context: got a JSON %s, expected an object", mistyped.Value)
		}
		return nil, errs.Wrap(errs.Invalid, err, "--context is not JSON")
	}
	if attributes == nil {
		return nil, errs.E(errs.Invalid, "--context: got null, expected an object")
	}
	ctx := &exposure.Context{Attributes: attributes, Timestamp: time.Now().Unix()}
	switch key := attributes["targetingKey"].(type) {
	case nil:
	case string:
		ctx.TargetingKey = key
	default:
		return nil, errs.E(errs.Invalid, "--context: targetingKey is %v, expected text", key)
	}
	return ctx, nil
}

// loadFlags reads a file of flags; the problems are those that leave something to evaluate. What only Ringfence has in a file
// without any problem is worked in, as it is for the environment before a ramp or an experiment begins.
func loadFlags(path string, stdin io.Reader, environment string) (*flag.Set, []manifest.Problem, error) {
	src, err := readFlags(path, stdin)
	if err != nil {
		return nil, nil, err
	}
	file, problems := manifest.ReadDocument(src, flag.MaxBytes)
	if len(problems) > 0 {
		return nil, nil, errs.Wrap(errs.Invalid, manifest.Problems(problems), "the flags cannot be read")
	}
	raw := file.Raw
	doc, found := flag.ParseDocument(raw)
	if len(found) == 0 {
		if raw, found = flag.Lower(doc, environment, flag.Live{}); raw == nil {
			return nil, nil, errs.Wrap(errs.Invalid, resource.Problems(found), "the flags cannot be read")
		}
	}
	if set, more := flag.Parse(raw); set != nil {
		if len(found) == 0 {
			found = more
		}
		return set, file.Locate(found), nil
	}
	return nil, nil, errs.Wrap(errs.Invalid, manifest.Problems(file.Locate(found)), "the flags cannot be read")
}

func readFlags(path string, stdin io.Reader) (manifest.Source, error) {
	from, name := stdin, "stdin"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return manifest.Source{}, errs.Wrap(errs.Invalid, err, "cannot read the flags")
		}
		defer f.Close()
		from, name = f, path
	}
	data, err := io.ReadAll(io.LimitReader(from, flag.MaxBytes+1))
	if err != nil {
		return manifest.Source{}, errs.Wrap(errs.Invalid, err, "cannot read the flags")
	}
	return manifest.Source{Name: name, Data: data}, nil
}

// flagAnswer is the answer for scripts. What it does not have is left out.
func flagAnswer(key string, r flag.Result) any {
	if r.Code != "" {
		return struct {
			Key     string    `json:"key"`
			Code    flag.Code `json:"errorCode"`
			Details string    `json:"errorDetails"`
		}{key, r.Code, r.Details}
	}
	answer := struct {
		Key      string         `json:"key"`
		Value    *any           `json:"value,omitempty"`
		Variant  string         `json:"variant,omitempty"`
		Reason   flag.Reason    `json:"reason"`
		Metadata map[string]any `json:"metadata"`
	}{Key: key, Variant: r.Variant, Reason: r.Reason, Metadata: r.Metadata}
	if r.HasValue() {
		answer.Value = &r.Value
	}
	return answer
}

func showAnswer(w io.Writer, key string, r flag.Result) {
	c := colours(w)
	name := c.bold(printable(key))
	switch {
	case r.Code != "":
		fmt.Fprintf(w, "%s: %s: %s\n", name, c.red(string(r.Code)), printable(r.Details))
	case !r.HasValue():
		fmt.Fprintf(w, "%s: the caller's default, %s\n", name, r.Reason)
	default:
		value, err := json.Marshal(r.Value)
		if err != nil { // what was read from JSON can be written
			value = []byte("?")
		}
		fmt.Fprintf(w, "%s: %s, variant %s, %s\n", name, value, printable(r.Variant), r.Reason)
	}
}

// checked is what flags lint found in a file.
type checked struct {
	File     string             `json:"file"`
	Flags    int                `json:"flags"`
	Problems []manifest.Problem `json:"problems"`
}

func flagsLintCommand(e *env) *cobra.Command {
	var paths []string
	var plain bool
	cmd := &cobra.Command{
		Use:   "lint --config FILE…",
		Short: "Check files of flags",
		Long: `Checks files of flags against flagd's schema, and for what flagd finds out only when a flag is evaluated: variants that do
not exist, evaluators that do not exist, keys that stand twice, prerequisites that go round in a circle. Everything
that is wrong is told with its line, field and what was expected. The exit status is 2 when anything is.

Fields that only Ringfence has, such as owner or prerequisites, are refused with --plain: a file that passes then can be
given to flagd as it is.`,
		Example: "  ringfence flags lint --config flags.yaml --config more.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return lintFlags(e, cmd, paths, plain) },
	}
	cmd.Flags().StringArrayVar(&paths, "config", nil, "file of flags, JSON or YAML, or - for standard input; may be given several times")
	cmd.Flags().BoolVar(&plain, "plain", false, "accept only what flagd itself reads")
	_ = cmd.MarkFlagRequired("config") // the flag is there: it was added above
	return cmd
}

func lintFlags(e *env, cmd *cobra.Command, paths []string, plain bool) error {
	results, wrong := make([]checked, 0, len(paths)), 0
	for _, path := range paths {
		r := checked{File: path, Problems: []manifest.Problem{}}
		n, problems, err := checkFlags(path, cmd.InOrStdin(), plain)
		if err != nil {
			return err
		}
		r.Flags = n
		r.Problems = append(r.Problems, problems...)
		wrong += len(problems)
		results = append(results, r)
	}
	if err := e.show(cmd, results, func(w io.Writer) { showChecked(w, results) }); err != nil || wrong == 0 {
		return err
	}
	return errs.E(errs.Invalid, "%s wrong in %s", counted(wrong, "thing is", "things are"), strings.Join(paths, ", "))
}

// checkFlags counts the flags of a file and tells all that is wrong with it.
func checkFlags(path string, stdin io.Reader, plain bool) (int, []manifest.Problem, error) {
	src, err := readFlags(path, stdin)
	if err != nil {
		return 0, nil, err
	}
	file, problems := manifest.ReadDocument(src, flag.MaxBytes)
	if len(problems) > 0 {
		return 0, problems, nil
	}
	if plain {
		set, found := flag.Parse(file.Raw)
		if set == nil {
			return 0, file.Locate(found), nil
		}
		return set.Len(), file.Locate(found), nil
	}
	doc, found := flag.ParseDocument(file.Raw)
	if doc == nil {
		return 0, file.Locate(found), nil
	}
	return len(doc.Flags), file.Locate(found), nil
}

func showChecked(w io.Writer, results []checked) {
	for _, r := range results {
		for _, p := range r.Problems {
			fmt.Fprintln(w, printable(p.String()))
		}
		if len(r.Problems) == 0 {
			fmt.Fprintf(w, "%s: %s, nothing is wrong\n", printable(r.File), counted(r.Flags, "flag", "flags"))
		}
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
