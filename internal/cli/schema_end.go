package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/schema"
)

// lookAgain is how often a watched status is read.
const lookAgain = time.Second

func schemaStatusCommand(open OpenSchema) *cobra.Command {
	t := &target{open: open}
	watch := false
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Say what is under way, how far it is, and which sessions use which version",
		Example: "  ringfence schema status --database postgres://me@db/shop\n  ringfence schema status --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, done, err := t.dial(cmd)
			if err != nil {
				return err
			}
			defer done()
			for {
				s, err := engine.Status(cmd.Context())
				if err != nil {
					return err
				}
				if err := showSchemaStatus(cmd, s); err != nil {
					return err
				}
				if !watch || s.Latest == nil || s.Latest.Phase != schema.Starting {
					return nil
				}
				if err := waitFor(cmd.Context(), lookAgain); err != nil {
					return err
				}
			}
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on until no migration is starting")
	return cmd
}

func waitFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errs.Wrap(errs.Unavailable, ctx.Err(), "interrupted")
	}
}

func showSchemaStatus(cmd *cobra.Command, s schema.Status) error {
	answer := map[string]any{"live": s.Live, "sessions": s.Sessions, "pressure": s.Pressure}
	if s.Latest != nil {
		answer["latest"] = recordedOf(*s.Latest)
	}
	return wantsJSON(cmd).show(cmd, answer, func(w io.Writer) {
		if s.Latest == nil {
			fmt.Fprintln(w, "no migration was ever started")
		} else {
			recordedOf(*s.Latest).show(w)
		}
		rows := [][]string{}
		for _, v := range s.Live {
			rows = append(rows, []string{v, fmt.Sprint(len(s.Using(v)))})
		}
		rows = append(rows, []string{"not known", fmt.Sprint(len(s.Using("")))})
		table(w, []string{"VERSION", "SESSIONS"}, rows)
	})
}

func schemaCompleteCommand(open OpenSchema) *cobra.Command {
	t := &target{open: open}
	c := schema.Consent{}
	cmd := &cobra.Command{
		Use:   "complete NAME --baked",
		Short: "Take the old version away, for good",
		Long: `The contract, in one transaction: the old version's views and columns go, the new ones take their names. It is refused while
a session uses the old version, or does not say which it uses, and without --baked, by which you say that the new version
reached everyone and proved itself. There is no way back from here but another migration.`,
		Example: "  ringfence schema complete 02_split_name --baked",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.AllowUnknown = t.allowUnknown
			return t.end(cmd, func(e *schema.Engine) (schema.Record, error) { return e.Complete(cmd.Context(), args[0], c) })
		},
	}
	t.flags(cmd)
	t.pacing(cmd)
	t.gate(cmd)
	cmd.Flags().BoolVar(&c.Baked, "baked", false, "the new version reached everyone and proved itself")
	return cmd
}

func schemaRollbackCommand(open OpenSchema) *cobra.Command {
	t := &target{open: open}
	c := schema.Consent{}
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Take a migration back that is not completed",
		Long: `Takes the new version away, in one transaction. What was written by it is in the old version, as down expressions say. It is
refused while a session uses the new version; with --force these sessions fail.`,
		Example: "  ringfence schema rollback 02_split_name",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.AllowUnknown = t.allowUnknown
			return t.end(cmd, func(e *schema.Engine) (schema.Record, error) { return e.Rollback(cmd.Context(), args[0], c) })
		},
	}
	t.flags(cmd)
	t.pacing(cmd)
	t.gate(cmd)
	cmd.Flags().BoolVar(&c.Force, "force", false, "also while sessions use the new version, which then fail")
	return cmd
}

func (t *target) end(cmd *cobra.Command, do func(*schema.Engine) (schema.Record, error)) error {
	t.options.Report = reporter(cmd.ErrOrStderr())
	engine, done, err := t.dial(cmd)
	if err != nil {
		return err
	}
	defer done()
	r, err := do(engine)
	if err != nil {
		return err
	}
	return showRecord(cmd, r)
}
