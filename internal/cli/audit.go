package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/record"
)

func auditCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "audit",
		Short: "Search the record, export it, and prove that nobody changed it",
		Long: `The record is a log that can only grow: each event's hash covers the one before, a Merkle tree grows over all of them, and
signed checkpoints of the tree are shipped to where nobody who can write to the database can reach them.`,
		Example: "  ringfence audit list --actor user:ann --since 24h\n  ringfence audit export -o ./export && ringfence audit verify ./export --checkpoint kept.checkpoint",
	})
	cmd.AddCommand(auditList(e), auditShow(e), auditProve(e), auditCheckpoint(e), auditExport(e), auditVerify(e), auditStatus(e), auditRotate(e), auditAccept(e))
	return cmd
}

func auditList(e *env) *cobra.Command {
	var q wire.EventQuery
	var since, until string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Print events by actor, type, subject and time",
		Long:    "Prints the newest events that fit, the oldest of them first. With --json each is an object on a line of its own. A time is RFC 3339, a day, or how long ago.",
		Example: "  ringfence audit list --actor user:ann --since 24h\n  ringfence audit list --type token. --since 2026-03-01 --until 2026-04-01 --limit 1000 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Since, err = instant("--since", since, time.Now()); err != nil {
				return err
			}
			if q.Until, err = instant("--until", until, time.Now()); err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			return e.events(cmd, c, q, false)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Actor, "actor", "", "only by this actor, as user:NAME or system:NAME")
	f.StringVar(&q.Subject, "subject", "", "only of this subject, as kind/name")
	f.StringVar(&q.Type, "type", "", "only types that begin with this")
	f.StringVar(&since, "since", "", "only at or after this time")
	f.StringVar(&until, "until", "", "only before this time")
	f.Int64Var(&q.After, "after", 0, "only with a greater number; then the first that fit, not the newest")
	f.IntVar(&q.Limit, "limit", 50, "at most so many, up to 1000")
	return cmd
}

// instant reads a time: RFC 3339, a day, or how long ago.
func instant(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return at, nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, errs.E(errs.Invalid, "%s %q: expected a time such as 2026-03-01T12:00:00Z, a day such as 2026-03-01, or how long ago such as 24h", flag, text)
}

func eventNumber(text string) (int64, error) {
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 1 {
		return 0, errs.E(errs.Invalid, "event %q: expected its number, as ringfence audit list --json prints it (seq)", text)
	}
	return seq, nil
}

func proofOf(cmd *cobra.Command, e *env, arg string) (record.Proof, error) {
	seq, err := eventNumber(arg)
	if err != nil {
		return record.Proof{}, err
	}
	return ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (record.Proof, error) { return c.Proof(ctx, seq) })
}

func auditShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show EVENT",
		Short:   "Print one event with all that it holds",
		Example: "  ringfence audit show 42",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := proofOf(cmd, e, args[0])
			if err != nil {
				return err
			}
			return e.show(cmd, p.Event, func(w io.Writer) { showEvent(w, p) })
		},
	}
}

func showEvent(w io.Writer, p record.Proof) {
	ev := p.Event
	fmt.Fprintf(w, "event    %d\n", ev.Seq)
	if p.Removed {
		fmt.Fprintln(w, "content  removed after its time; place and hash are kept")
	} else {
		fmt.Fprintf(w, "time     %s\ntype     %s\nactor    %s\nsubject  %s\n", ev.Time.Format(time.RFC3339Nano), printable(ev.Type), printable(ev.Actor), printable(ev.Subject))
		if len(ev.Data) > 0 {
			fmt.Fprintf(w, "data     %s\n", printable(string(ev.Data)))
		}
	}
	fmt.Fprintf(w, "prev     %s\nhash     %s\n", ev.Prev, ev.Hash)
}

func auditProve(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "prove EVENT",
		Short: "Prove that an event is in the record, and check the proof",
		Long: `Prints the event with a proof that leads from it to a signed checkpoint, after checking event, proof and signature on this
machine. With --json the proof can be kept, and checked by anybody with an implementation of RFC 6962.`,
		Example: "  ringfence audit prove 42\n  ringfence audit prove 42 --json > event-42.proof.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := proofOf(cmd, e, args[0])
			if err != nil {
				return err
			}
			log, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Record, error) { return c.Record(ctx, false) })
			if err != nil {
				return err
			}
			if err := checkProof(p, log.Publics()); err != nil {
				return errs.Wrap(errs.Internal, err, "the proof does not hold")
			}
			return e.show(cmd, p, func(w io.Writer) {
				showEvent(w, p)
				fmt.Fprintf(w, "leaf     %s\n", p.Leaf)
				for _, h := range p.Path {
					fmt.Fprintf(w, "  with   %s\n", h)
				}
				fmt.Fprintf(w, "root     %s\nproved   by the checkpoint of %d events\n", p.Root, p.Size)
			})
		},
	}
}

func checkProof(p record.Proof, keys []string) error {
	o, err := audit.OpenCheckpoint([]byte(p.Checkpoint), keys)
	if err != nil {
		return err
	}
	if !p.Removed {
		if err := audit.Verify(p.Event.Seq-1, p.Event.Prev, []audit.Event{p.Event}); err != nil {
			return err
		}
	}
	path, err := audit.ParseHashes(p.Path)
	if err != nil {
		return err
	}
	return audit.CheckEvent(o.Head, p.Event.Seq, p.Event.Hash, path)
}

func auditCheckpoint(e *env) *cobra.Command {
	var latest bool
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print a signed checkpoint of the record as it is now",
		Long: `Prints what the record is, signed: the log's name, how many events there are, and the hash of the tree over them. Keep it where
nobody reaches it who can write to the database: ringfence audit verify --checkpoint finds by it whatever is changed afterwards.`,
		Example: "  ringfence audit checkpoint > kept.checkpoint",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]byte, error) { return c.Checkpoint(ctx, !latest) })
			if err != nil {
				return err
			}
			if e.json {
				return jsonLine(cmd.OutOrStdout(), map[string]string{"checkpoint": string(b)})
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	cmd.Flags().BoolVar(&latest, "latest", false, "the newest that was signed at its time, with what witnesses said of it; needs no token")
	return cmd
}

func auditStatus(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say whether the record is what it was",
		Long:    "Compares the record with the checkpoints that were shipped, now, and says what is wrong. The exit status is 1 when something is.",
		Example: "  ringfence audit status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Record, error) { return c.Record(ctx, true) })
			if err != nil {
				return err
			}
			if err := e.show(cmd, r, func(w io.Writer) { showLog(w, r) }); err != nil || len(r.Wrong) == 0 {
				return err
			}
			return errs.E(errs.Internal, "the record is not what it was").Next("See docs/record.md, or after a restore: ringfence audit accept --reason …")
		},
	}
}

func showLog(w io.Writer, r wire.Record) {
	fmt.Fprintf(w, "log  %s\n", r.Origin)
	for _, k := range r.Keys {
		fmt.Fprintf(w, "key  %s since %s\n", k.Public, k.Since.Local().Format(time.DateTime))
	}
	for _, f := range r.Wrong {
		fmt.Fprintf(w, "%s  %s\n", colours(w).red("wrong"), printable(f.Why))
	}
	if len(r.Wrong) == 0 {
		fmt.Fprintln(w, "the record continues all that was shipped")
	}
}

func auditRotate(e *env) *cobra.Command {
	return reasoned(e, &cobra.Command{
		Use:     "rotate --reason REASON",
		Short:   "Replace the key that checkpoints are signed with",
		Example: "  ringfence audit rotate --reason \"who held the old one has left\"",
	}, func(ctx context.Context, c *client.Client, reason string) (record.Log, error) {
		return c.RotateRecordKey(ctx, reason)
	})
}

func auditAccept(e *env) *cobra.Command {
	return reasoned(e, &cobra.Command{
		Use:     "accept --reason REASON",
		Short:   "Accept that the record does not continue what was shipped, as after a restore",
		Example: "  ringfence audit accept --reason \"restored the backup of this morning\"",
	}, func(ctx context.Context, c *client.Client, reason string) (record.Log, error) {
		return c.AcceptRecord(ctx, reason)
	})
}

func reasoned(e *env, cmd *cobra.Command, do func(context.Context, *client.Client, string) (record.Log, error)) *cobra.Command {
	var reason string
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if reason == "" {
			return errs.E(errs.Invalid, "--reason: missing, expected why, for the record")
		}
		log, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (record.Log, error) { return do(ctx, c, reason) })
		if err != nil {
			return err
		}
		return e.show(cmd, log, func(w io.Writer) { showLog(w, wire.Record{Log: log}) })
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}
