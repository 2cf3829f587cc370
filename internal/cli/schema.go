package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/manifest"
)

// schemaCommand prints the schema of resources. The commands below it are about the schemas of databases.
func schemaCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Change the schema of a database; or print the JSON Schema of resources",
		Long: `Without a command below it, prints the JSON Schema of resources, for editors.

The commands change the schema of a PostgreSQL database by expand and contract: a migration brings about a new version of
the schema beside the old one, both are used while the new one is rolled out, and then the old one goes.`,
		Example: "  ringfence schema > ringfence.schema.json\n  ringfence schema lint migrations/*.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := manifest.Schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
			return err
		},
	}
	cmd.AddCommand(schemaLintCommand(e))
	return cmd
}

func schemaLintCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE…",
		Short: "Check migration files, without a database",
		Long: `Checks that migration files are understood, and looks in their SQL for what locks out others, rewrites or reads tables under
locks, breaks the version that runs, or loses data. The exit status is 2 when a file is wrong or holds SQL that is refused;
a comment in the SQL allows a rule: -- ringfence:allow RULE REASON`,
		Example: "  ringfence schema lint migrations/*.yaml\n  ringfence schema lint 0042_totals.sql",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return lintMigrations(e, cmd, args) },
	}
}

// linted is what schema lint found in a file.
type linted struct {
	File       string        `json:"file"`
	Operations int           `json:"operations"`
	Findings   []ddl.Finding `json:"findings"`
	Error      string        `json:"error,omitempty"`
}

func lintMigrations(e *env, cmd *cobra.Command, paths []string) error {
	results, wrong := make([]linted, 0, len(paths)), []string{}
	for _, path := range paths {
		r := linted{File: path, Findings: []ddl.Finding{}}
		m, err := readMigration(path)
		switch {
		case err != nil && !errs.Is(err, errs.Invalid):
			return err
		case err != nil && len(paths) == 1:
			return err // with its hint
		case err != nil:
			r.Error = err.Error()
			wrong = append(wrong, path)
		default:
			r.Operations = len(m.Operations)
			r.Findings = append(r.Findings, ddl.LintMigration(m)...)
			for _, f := range r.Findings {
				if f.Refuses() {
					wrong = append(wrong, path)
					break
				}
			}
		}
		results = append(results, r)
	}
	if err := e.show(cmd, results, func(w io.Writer) { showLinted(w, results) }); err != nil || len(wrong) == 0 {
		return err
	}
	return errs.E(errs.Invalid, "refused: %s", strings.Join(wrong, ", ")).Next("Change the SQL, or allow a rule in it: -- ringfence:allow RULE REASON")
}

func showLinted(w io.Writer, results []linted) {
	for _, r := range results {
		if r.Error != "" {
			fmt.Fprintln(w, printable(r.Error))
			continue
		}
		showFindings(w, r.File, r.Findings)
		if len(r.Findings) == 0 {
			fmt.Fprintf(w, "%s: %s, nothing is wrong\n", printable(r.File), counted(r.Operations, "operation", "operations"))
		}
	}
}

func showFindings(w io.Writer, file string, findings []ddl.Finding) {
	for _, f := range findings {
		fmt.Fprintf(w, "%s: %s\n", printable(file), printable(f.String()))
		if f.Hint != "" && f.Allowed == "" {
			fmt.Fprintf(w, "    %s\n", printable(f.Hint))
		}
	}
}

// readMigration reads a file, no more of it than is taken.
func readMigration(path string) (ddl.Migration, error) {
	f, err := os.Open(path)
	if err != nil {
		return ddl.Migration{}, errs.Wrap(errs.Invalid, err, "migration file")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, ddl.MaxFile+1))
	if err != nil {
		return ddl.Migration{}, errs.Wrap(errs.Invalid, err, "migration file")
	}
	return manifest.ReadMigration(manifest.Source{Name: path, Data: raw})
}
