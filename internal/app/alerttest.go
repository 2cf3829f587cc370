package app

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rehearsal"
)

// tried is what became of a file of tests.
type tried struct {
	File string `json:"file"`
	rehearsal.Result
}

// alertTestCommand is the part of the family alert that evaluates rules itself.
func alertTestCommand() *cobra.Command {
	family := &cobra.Command{Use: "alert"}
	family.AddCommand(tryRulesCommand())
	return family
}

func tryRulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE…",
		Short: "Try alert rules on series that you make up, without a server",
		Long: `Runs files of tests in the format in which promtool tests rules: the rules to try (files of Prometheus or documents of AlertRules,
by their names beside the test), series with the values that they take as time goes on, and what is to fire at which time, or what an
expression is to give. Nothing is sent anywhere. The exit status is 1 when something came otherwise than expected, 2 when a file is wrong.`,
		Example: "  ringfence alert test rules_test.yml\n  ringfence alert test alerts/*_test.yml --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all := make([]tried, 0, len(args))
			failed := 0
			for _, path := range args {
				f, err := rehearsal.Read(path)
				if err != nil {
					return err
				}
				r, err := f.Run(cmd.Context())
				if err != nil {
					return errs.Wrap(errs.KindOf(err), err, "%s", path)
				}
				all, failed = append(all, tried{filepath.ToSlash(path), r}), failed+len(r.Failures)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				if err := enc.Encode(all); err != nil {
					return err
				}
			} else {
				for _, t := range all {
					showTried(cmd.OutOrStdout(), t)
				}
			}
			if failed > 0 {
				return errs.E(errs.Internal, "%d of what was expected did not come", failed)
			}
			return nil
		},
	}
}

func showTried(w io.Writer, t tried) {
	for _, f := range t.Failures {
		fmt.Fprintf(w, "%s: %s: %s %s at %s\n", t.File, f.Test, f.What, f.Name, f.At)
		if f.Message != "" {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(f.Message, "\n", "\n  "))
			continue
		}
		for _, side := range []struct {
			name string
			what []string
		}{{"expected", f.Expected}, {"got", f.Got}} {
			if len(side.what) == 0 {
				side.what = []string{"nothing"}
			}
			for i, line := range side.what {
				name := side.name
				if i > 0 {
					name = ""
				}
				fmt.Fprintf(w, "  %-8s  %s\n", name, line)
			}
		}
	}
	fmt.Fprintf(w, "%s: %d tests, %d checks, %d failed\n", t.File, t.Tests, t.Checks, len(t.Failures))
}
