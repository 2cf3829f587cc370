package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/schema"
)

// databaseURL holds the address of the database whose schema is changed, where it should not be an argument.
const databaseURL = "RINGFENCE_DATABASE_URL"

// maxAddress is how long a file with an address may be.
const maxAddress = 4096

// OpenSchema opens a database whose schema is to be changed, and says how to close it.
type OpenSchema func(ctx context.Context, address, schemaName string, o schema.Options) (*schema.Engine, func(), error)

// target is the database that is meant, and how it is dealt with.
type target struct {
	open          OpenSchema
	address, file string
	schema        string
	options       schema.Options
	allowUnknown  bool
}

// SchemaDatabaseCommands are the commands that change the schema of a database, below one that joins ringfence schema. They speak to
// the database itself; open, which knows how, is handed in.
func SchemaDatabaseCommands(open OpenSchema) *cobra.Command {
	cmd := &cobra.Command{Use: "schema"}
	cmd.AddCommand(schemaPlanCommand(open), schemaStartCommand(open), schemaStatusCommand(open), schemaCompleteCommand(open), schemaRollbackCommand(open))
	return cmd
}

func (t *target) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.address, "database", "", "postgres://user@host/database, without a password (default $"+databaseURL+")")
	f.StringVar(&t.file, "database-file", "", "file with the address, which may hold a password")
	f.StringVar(&t.schema, "schema", "public", "schema that holds the tables")
}

func (t *target) pacing(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&t.options.LockTimeout, "lock-timeout", 200*time.Millisecond, "how long programs may be held up by one wait for locks")
	f.DurationVar(&t.options.Wait, "wait", 10*time.Minute, "how long locks, long transactions and lagging replicas are waited for")
	f.DurationVar(&t.options.MaxTransaction, "max-transaction", 5*time.Second, "age of a transaction beyond which locks are not asked for")
}

func (t *target) gate(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&t.allowUnknown, "allow-unknown", false, "sessions that do not say which version they use do not use the one that goes: you answer for it")
}

// dial opens the database. No address is in an error: it may hold a password.
func (t *target) dial(cmd *cobra.Command) (*schema.Engine, func(), error) {
	address := os.Getenv(databaseURL)
	switch {
	case t.file != "" && t.address != "":
		return nil, nil, errs.E(errs.Invalid, "--database and --database-file are both given, expected one")
	case t.address != "":
		if holdsPassword(t.address) {
			return nil, nil, errs.E(errs.Invalid, "--database holds a password, which everyone on this machine could read").Next("Put the address into $%s, or into a file for --database-file.", databaseURL)
		}
		address = t.address
	case t.file != "":
		f, err := os.Open(t.file)
		if err != nil {
			return nil, nil, errs.Wrap(errs.Invalid, err, "--database-file")
		}
		defer f.Close()
		raw, err := io.ReadAll(io.LimitReader(f, maxAddress))
		if err != nil {
			return nil, nil, errs.Wrap(errs.Invalid, err, "--database-file")
		}
		address = strings.TrimSpace(string(raw))
	}
	if address == "" {
		return nil, nil, errs.E(errs.Invalid, "no database is named").Next("Set $%s, or use --database or --database-file.", databaseURL)
	}
	return t.open(cmd.Context(), address, t.schema, t.options)
}

func holdsPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return strings.Contains(strings.ToLower(address), "password")
	}
	if _, ok := u.User.Password(); ok {
		return true
	}
	return u.Query().Has("password") || u.Query().Has("sslpassword")
}

func wantsJSON(cmd *cobra.Command) *env {
	e := &env{}
	e.json, _ = cmd.Flags().GetBool("json") // the root has it
	return e
}

func schemaPlanCommand(open OpenSchema) *cobra.Command {
	t := &target{open: open}
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Say what a migration would do: steps, locks, estimated time",
		Long: `Plans a migration on the database as it is, and changes nothing. Every lock that keeps writers waiting is asked for with a
timeout, and again later; the times are rough, for a server that others use too.`,
		Example: "  ringfence schema plan migrations/02_split_name.yaml --database postgres://me@db/shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := readMigration(args[0])
			if err != nil {
				return err
			}
			engine, done, err := t.dial(cmd)
			if err != nil {
				return err
			}
			defer done()
			p, err := engine.Plan(cmd.Context(), m)
			if err != nil {
				return err
			}
			return wantsJSON(cmd).show(cmd, p, func(w io.Writer) { showPlan(w, args[0], p) })
		},
	}
	t.flags(cmd)
	return cmd
}

func showPlan(w io.Writer, file string, p ddl.Plan) {
	showFindings(w, file, p.Lint)
	previous := p.Previous
	if previous == "" {
		previous = p.Schema
	}
	fmt.Fprintf(w, "%s: version %s beside %s\n\n", printable(p.Name), printable(p.Version), printable(previous))
	rows := make([][]string, 0, len(p.Expand)+2)
	var whole time.Duration
	for i, s := range p.Expand {
		rows = append(rows, planRow(fmt.Sprintf("start %d", i+1), s))
		whole += s.Takes
	}
	rows = append(rows, planRow("complete", p.Contract), planRow("or roll back", p.Undo))
	table(w, []string{"", "WHAT", "LOCKS", "ABOUT"}, rows)
	fmt.Fprintf(w, "\nstart takes about %s\n", whole.Round(100*time.Millisecond))
}

func planRow(when string, s ddl.Step) []string {
	locks := make([]string, len(s.Locks))
	for i, l := range s.Locks {
		locks[i] = l.Table + ": " + strings.ToLower(l.Mode)
	}
	return []string{when, s.Title, strings.Join(locks, ", "), s.Takes.Round(10 * time.Millisecond).String()}
}

func schemaStartCommand(open OpenSchema) *cobra.Command {
	t := &target{open: open}
	cmd := &cobra.Command{
		Use:   "start FILE",
		Short: "Bring about the new version of the schema beside the old one",
		Long: `Makes the new version, and returns when both can be used. Programs use it by search_path; nobody sees it before its rows are
filled. When it is interrupted, run it again: it goes on where it was.`,
		Example: "  ringfence schema start migrations/02_split_name.yaml --database postgres://me@db/shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := readMigration(args[0])
			if err != nil {
				return err
			}
			t.options.Report = reporter(cmd.ErrOrStderr())
			engine, done, err := t.dial(cmd)
			if err != nil {
				return err
			}
			defer done()
			r, err := engine.Start(cmd.Context(), m)
			if err != nil {
				return err
			}
			return showRecord(cmd, r)
		},
	}
	t.flags(cmd)
	t.pacing(cmd)
	cmd.Flags().Float64Var(&t.options.Rate, "rate", 0, "rows a second that are filled at most; 0 for as many as the database bears")
	cmd.Flags().DurationVar(&t.options.MaxLag, "max-lag", 10*time.Second, "of replicas, beyond which filling pauses")
	return cmd
}

// reporter tells what goes on, a line each.
func reporter(w io.Writer) func(schema.Report) {
	last := ""
	return func(r schema.Report) {
		line := fmt.Sprintf("%d/%d %s", r.Step, r.Steps, r.Title)
		if r.Filled.Blocks > 0 {
			line += fmt.Sprintf(": %d rows, %.0f %%", r.Filled.Rows, 100*r.Filled.Share())
			if left := r.Filled.Left(); left > 0 {
				line += ", about " + left.Round(time.Second).String() + " left"
			}
		}
		if r.Held != "" {
			line += ": held, " + r.Held
		}
		if line != last {
			fmt.Fprintln(w, printable(line))
		}
		last = line
	}
}

// recorded is a record as it is printed: without the plan, which schema plan prints.
type recorded struct {
	Name     string          `json:"name"`
	Phase    schema.Phase    `json:"phase"`
	Version  string          `json:"version"`
	Previous string          `json:"previous"`
	Step     int             `json:"step"`
	Steps    int             `json:"steps"`
	Filled   schema.Progress `json:"filled,omitzero"`
	Left     string          `json:"left,omitempty"`
	Error    string          `json:"error,omitempty"`
	Started  time.Time       `json:"started"`
	Changed  time.Time       `json:"changed"`
}

func recordedOf(r schema.Record) recorded {
	x := recorded{Name: r.Name, Phase: r.Phase, Version: r.Plan.Version, Previous: r.Plan.Previous, Step: r.Step, Steps: len(r.Plan.Expand), Filled: r.Filled, Error: r.Error, Started: r.Started, Changed: r.Changed}
	if x.Previous == "" {
		x.Previous = r.Plan.Schema
	}
	if left := r.Filled.Left(); left > 0 {
		x.Left = left.Round(time.Second).String()
	}
	return x
}

func showRecord(cmd *cobra.Command, r schema.Record) error {
	x := recordedOf(r)
	return wantsJSON(cmd).show(cmd, x, func(w io.Writer) { x.show(w) })
}

func (x recorded) show(w io.Writer) {
	switch x.Phase {
	case schema.Started:
		fmt.Fprintf(w, "%s: started, versions %s and %s are live\n", printable(x.Name), printable(x.Version), printable(x.Previous))
	case schema.Completed:
		fmt.Fprintf(w, "%s: completed, version %s is live\n", printable(x.Name), printable(x.Version))
	case schema.RolledBack:
		fmt.Fprintf(w, "%s: rolled back, version %s is live\n", printable(x.Name), printable(x.Previous))
	default:
		fmt.Fprintf(w, "%s: %s, step %d of %d", printable(x.Name), x.Phase, x.Step+1, x.Steps)
		if x.Filled.Blocks > 0 {
			fmt.Fprintf(w, ", %.0f %% filled", 100*x.Filled.Share())
		}
		if x.Left != "" {
			fmt.Fprintf(w, ", about %s left", x.Left)
		}
		fmt.Fprintln(w)
	}
	if x.Error != "" {
		fmt.Fprintf(w, "  last error: %s\n", printable(x.Error))
	}
}
