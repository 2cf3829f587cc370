package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/servicing"
)

func databaseCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "database",
		Short: "Change the schema of a database beside the services that use it",
		Long: `Binaries first, then the schema, then cleaning up. Release a version that understands both versions of the schema; start the
migration; bring the service to the new version of the schema, ring by ring; complete. Whatever would leave a version that
runs, or stands by, without its schema is refused. Without a control plane, see ringfence schema.`,
		Example: `  ringfence database list
  ringfence database start shop migrations/02_split.yaml --watch
  ringfence release shop --schema public_02_split --watch
  ringfence database complete shop 02_split --watch`,
	}
	cmd.AddCommand(databaseList(e), databaseShow(e), databaseStart(e), databaseEnd(e, "complete"), databaseEnd(e, "rollback"))
	return cmd
}

func databaseList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List databases, the versions of their schemas that are live, and what is under way",
		Example: "  ringfence database list\n  ringfence database list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]servicing.View, error) { return c.Databases(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, wire.Databases{Items: all}, func(w io.Writer) {
				rows := [][]string{}
				for _, v := range all {
					rows = append(rows, []string{v.Database, orDash(strings.Join(v.Live, ", ")), orDash(stepText(v)), fmt.Sprint(len(v.Uses))})
				}
				table(w, []string{"DATABASE", "LIVE", "UNDER WAY", "USED BY"}, rows)
			})
		},
	}
}

// stepText is what is under way, in a few words.
func stepText(v servicing.View) string {
	if v.Step == nil {
		return ""
	}
	return v.Step.Name + " " + string(v.Step.Phase)
}

func databaseShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show DATABASE",
		Short:   "Show which versions of a schema are live, who is on which, and what is under way",
		Example: "  ringfence database show shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (servicing.View, error) { return c.Database(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, v, func(w io.Writer) { showDatabase(w, v) })
		},
	}
}

func showDatabase(w io.Writer, v servicing.View) {
	fmt.Fprintf(w, "%s: live %s\n", v.Database, orDash(strings.Join(v.Live, ", ")))
	if v.Trouble != "" {
		fmt.Fprintf(w, "  cannot be looked at: %s\n", printable(v.Trouble))
	}
	if s := v.Step; s != nil {
		fmt.Fprintf(w, "  migration %s: %s, %s beside %s, since %s", s.Name, s.Phase, s.Version, s.Previous, s.At.Format(time.RFC3339))
		if s.By != "" {
			fmt.Fprintf(w, ", by %s", printable(s.By))
		}
		fmt.Fprintln(w)
		if s.Error != "" {
			fmt.Fprintf(w, "  refused: %s\n", printable(s.Error))
		}
		if v.Step.Phase != layer.Started && v.Doing != "" {
			fmt.Fprintf(w, "  → %s\n", printable(v.Doing))
		}
	} else if s := v.Last; s != nil {
		fmt.Fprintf(w, "  migration %s: %s at %s\n", s.Name, s.Phase, s.At.Format(time.RFC3339))
	}
	rows := [][]string{}
	for _, u := range v.Uses {
		rows = append(rows, []string{u.Service, u.Version, u.Schema, u.Role, orDash(u.Rollout), strings.Join(u.Understands, ", ")})
	}
	if len(rows) > 0 {
		table(w, []string{"SERVICE", "VERSION", "ON", "AS", "ROLLOUT", "UNDERSTANDS"}, rows)
	}
}

func databaseStart(e *env) *cobra.Command {
	m, watch := wire.Migration{}, false
	cmd := &cobra.Command{
		Use:   "start DATABASE FILE",
		Short: "Bring about the new version of a schema beside the old one",
		Long: `Hands the migration to the control plane, which makes the new version in the background; nobody uses it before a service is
brought to it with ringfence release SERVICE --schema VERSION. What has failed goes on when it is asked for again.`,
		Example: "  ringfence database start shop migrations/02_split.yaml --watch",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := os.ReadFile(args[1])
			if err != nil {
				return errs.Wrap(errs.Invalid, err, "migration file")
			}
			m.File, m.Text = filepath.Base(args[1]), string(raw)
			v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (servicing.View, error) {
				return c.StartMigration(ctx, args[0], m)
			})
			return e.serviced(cmd, args[0], v, watch, layer.Starting, err)
		},
	}
	cmd.Flags().StringVar(&m.Reason, "reason", "", "what it is for")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow it until both versions are live")
	return cmd
}

func databaseEnd(e *env, word string) *cobra.Command {
	s, watch := wire.SchemaStep{}, false
	short, to := "Take the old version of a schema away, for good", layer.Completing
	long := `The contract. It is refused while a version that runs or stands by is on the old schema, while a rollout to the new one has not
passed its last ring, and while the database knows of a session that uses the old one. There is no way back from it.`
	if word == "rollback" {
		short, to = "Take the new version of a schema away", layer.Returning
		long = `Takes a migration back that is not completed. It is refused while a version that runs or stands by is on the new schema. What
that wrote stays, as the migration's down expressions say.`
	}
	cmd := &cobra.Command{
		Use:     word + " DATABASE MIGRATION",
		Short:   short,
		Long:    long,
		Example: "  ringfence database " + word + " shop 02_split --watch",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.Baked && strings.TrimSpace(s.Reason) == "" {
				return needReason(s.Reason, "it counts as proved")
			}
			v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (servicing.View, error) {
				return c.EndMigration(ctx, args[0], args[1], word, s)
			})
			return e.serviced(cmd, args[0], v, watch, to, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.Reason, "reason", "", "why")
	f.BoolVar(&s.AllowUnknown, "allow-unknown", false, "sessions that do not say which version they use do not use the one that goes: you answer for it")
	f.BoolVarP(&watch, "watch", "w", false, "follow it to its end")
	if word == "complete" {
		f.BoolVar(&s.Baked, "baked", false, "the new version proved itself elsewhere, where no service has been brought to it; needs --reason")
	} else {
		f.BoolVar(&s.Force, "force", false, "also while sessions use the new version, which then fail")
	}
	return cmd
}

// serviced tells of a step that was asked for, or follows it while it is in a phase.
func (e *env) serviced(cmd *cobra.Command, name string, v servicing.View, watch bool, phase layer.Phase, err error) error {
	last := ""
	for err == nil && watch && v.Step != nil && v.Step.Phase == phase && (phase != layer.Starting || v.Step.Error == "") {
		if line := cmp.Or(v.Step.Error, v.Doing, string(phase)); line != last {
			fmt.Fprintln(cmd.ErrOrStderr(), printable(line))
			last = line
		}
		if err = waitFor(cmd.Context(), lookAgain/4); err == nil {
			v, err = ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (servicing.View, error) { return c.Database(ctx, name) })
		}
	}
	if err != nil {
		return err
	}
	if watch && v.Step != nil && v.Step.Error != "" && slices.Contains([]layer.Phase{layer.Starting, layer.Started}, v.Step.Phase) {
		return errs.E(errs.Conflict, "migration %s is %s: %s", v.Step.Name, v.Step.Phase, v.Step.Error)
	}
	return e.show(cmd, v, func(w io.Writer) { showDatabase(w, v) })
}
