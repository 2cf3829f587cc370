package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/manifest"
)

func applyCommand(e *env) *cobra.Command {
	var paths []string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make what is declared be as in files",
		Long: `Makes services, segments and ring plans be as in the files, all of them or none. Resources that the files do not
name stay as they are.`,
		Example: "  ringfence apply -f service.yaml\n  ringfence apply -f ./deploy --dry-run\n  cat *.yaml | ringfence apply -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := manifest.Load(paths, cmd.InOrStdin())
			if err != nil {
				return err
			}
			files := make([]wire.File, len(sources))
			for i, s := range sources {
				files[i] = wire.File{Name: s.Name, Text: string(s.Data)}
			}
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Applied, error) {
				return c.Apply(ctx, files, dryRun)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) { showApplied(w, out) })
		},
	}
	cmd.Flags().StringArrayVarP(&paths, "filename", "f", nil, "a file, a folder of *.yaml, *.yml and *.json, or - for standard input; may be given several times")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be changed, and change nothing")
	_ = cmd.MarkFlagRequired("filename") // the flag is there: it was added above
	return cmd
}

func showApplied(w io.Writer, out wire.Applied) {
	c := colours(w)
	note := ""
	if out.DryRun {
		note = " (dry run)"
	}
	for _, it := range out.Items {
		if out.DryRun && it.Diff != "" {
			showDiff(w, c, it.Diff)
		}
		fmt.Fprintf(w, "%s/%s %s%s\n", strings.ToLower(it.Kind), it.Name, it.Action, note)
	}
}

func showDiff(w io.Writer, c paint, diff string) {
	for line := range strings.Lines(diff) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "+"):
			line = c.green(line)
		case strings.HasPrefix(line, "-"):
			line = c.red(line)
		case strings.HasPrefix(line, "@@"):
			line = c.dim(line)
		}
		fmt.Fprintln(w, line)
	}
}
