package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

// The exit statuses.
const (
	ExitOK          = 0
	ExitFailed      = 1 // a failure of ours, or a watched rollout was taken back
	ExitInvalid     = 2 // wrong input
	ExitDenied      = 3 // not signed in, or not allowed
	ExitConflict    = 4 // the state forbids it now
	ExitMissing     = 5 // there is no such thing
	ExitUnavailable = 6 // the control plane, or something that it needs, does not answer
)

var exits = map[errs.Kind]int{
	errs.Internal: ExitFailed, errs.Invalid: ExitInvalid, errs.Denied: ExitDenied, errs.Conflict: ExitConflict, errs.Frozen: ExitConflict,
	errs.Missing: ExitMissing, errs.Unavailable: ExitUnavailable,
}

func exitCode(err error) int { return exits[errs.KindOf(err)] }

func exitStatusTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "What exit statuses mean",
		Long: `Exit statuses:
  0  it was done
  1  it failed, or the watched rollout was taken back
  2  the input is wrong
  3  not signed in, or not allowed
  4  the state forbids it now
  5  there is no such thing
  6  the control plane, or something that it needs, does not answer`,
		Example: "  ringfence rollout status shop --watch || echo \"not out to everyone: $?\"",
	}
}

// usage makes an error of a command that was called wrongly.
func usage(cmd *cobra.Command, err error) error {
	return errs.Wrap(errs.Invalid, errors.New(firstLine(err.Error())), "%s", cmd.CommandPath()).Next("See: %s --help", cmd.CommandPath())
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// report prints an error in the one form that all have.
func report(cmd *cobra.Command, err error) {
	w := cmd.ErrOrStderr()
	c := colours(w)
	var problems client.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintln(w, client.Line(p))
		}
	}
	fmt.Fprintf(w, "%s %s\n", c.red("error:"), message(err, problems))
	if hint := errs.HintOf(err); hint != "" {
		fmt.Fprintf(w, "%s %s\n", c.dim("hint:"), hint)
	}
}

// message is an error on one line, without the problems that have lines of their own.
func message(err error, problems client.Problems) string {
	s := err.Error()
	if len(problems) > 0 {
		s = strings.TrimSuffix(strings.TrimSuffix(s, problems.Error()), ": ")
	}
	return strings.Join(strings.Fields(s), " ")
}
