package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/breach"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
)

func breachCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "breach",
		Short: "Answer a breach: contain it, keep evidence, recover, close it",
		Long: `A breach is led from its start to its end. It cannot be closed before it is contained, evidence is kept, the recovery checklist is
done, and it is written down how it was detected, answered and made good.`,
		Example: "  ringfence breach start --title \"ann's laptop is stolen\" --principal ann\n  ringfence breach contain breach-0001",
	})
	cmd.AddCommand(breachStart(e), breachList(e), breachShow(e), breachContain(e), breachEvidence(e),
		asking(e, "answer BREACH QUESTION TEXT", "answer", "Write down how it was detected, answered (respond) or made good (recover)", "  ringfence breach answer breach-0001 detect \"the alert TokenUsedFromTwoPlaces\"", 3),
		asking(e, "role BREACH ROLE NAME", "role", "Give a role: lead, investigator, speaker or scribe", "  ringfence breach role breach-0001 scribe bob", 3),
		asking(e, "step BREACH STEP", "step", "Tick a step of the recovery checklist off", "  ringfence breach step breach-0001 scope", 2),
		asking(e, "notified BREACH WHOM", "notified", "Write down who was told", "  ringfence breach notified breach-0001 \"the data protection authority\"", 2),
		asking(e, "repaired BREACH REPAIR", "repaired", "Write down that something was repaired", "  ringfence breach repaired breach-0001 r1", 2),
		asking(e, "close BREACH REVIEW", "close", "Close it, with a review: were rules kept, and what follows?", "  ringfence breach close breach-0001 \"rules were kept; tokens expire from now on\"", 2),
		breachRepair(e), breachSigns(e), breachHoney(e))
	return cmd
}

func breachStart(e *env) *cobra.Command {
	var d wire.BreachDraft
	cmd := &cobra.Command{
		Use:     "start --title TITLE",
		Short:   "Start the response, and an incident that it is led in",
		Example: "  ringfence breach start --title \"ann's laptop is stolen\" --principal ann --severity 1 --notify-within 72h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.Title == "" {
				return errs.E(errs.Invalid, "--title: missing, expected what is known, in a line")
			}
			return answerBreach(cmd, e, func(ctx context.Context, c *client.Client) (wire.Breach, error) { return c.StartBreach(ctx, d) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.Title, "title", "", "what is known, in a line")
	f.IntVar(&d.Severity, "severity", 1, "0 is the worst, 4 the mildest")
	f.StringArrayVar(&d.Principals, "principal", nil, "name of an identity in wrong hands; may be given several times")
	f.StringVar(&d.NotifyWithin, "notify-within", "", "how soon those concerned have to be told, such as 72h")
	return cmd
}

func answerBreach(cmd *cobra.Command, e *env, call func(context.Context, *client.Client) (wire.Breach, error)) error {
	b, err := ask(cmd.Context(), e, call)
	if err != nil {
		return err
	}
	return e.show(cmd, b, func(w io.Writer) { showBreach(w, b) })
}

func showBreach(w io.Writer, b wire.Breach) {
	state := "open"
	if !b.Closed.IsZero() {
		state = "closed " + b.Closed.Local().Format(time.DateTime)
	}
	fmt.Fprintf(w, "%s, severity %d, %s: %s\n", b.ID, b.Severity, state, printable(b.Title))
	fmt.Fprintf(w, "started %s by %s", b.Started.Local().Format(time.DateTime), printable(b.By))
	if b.Incident != "" {
		fmt.Fprintf(w, ", led in incident %s", b.Incident)
	}
	fmt.Fprintln(w)
	for _, c := range b.Contained {
		fmt.Fprintf(w, "contained  %s by %s: %s\n", c.At.Local().Format(time.DateTime), printable(c.By), printable(c.What))
	}
	for _, x := range b.Evidence {
		fmt.Fprintf(w, "evidence   %d events, root %s, by %s\n", x.Events, x.Root, printable(x.By))
	}
	for _, q := range breach.Questions {
		if text := b.Answers[q]; text != "" {
			fmt.Fprintf(w, "%-10s %s\n", q, printable(text))
		}
	}
	for _, r := range b.Repairs {
		done := "due " + r.Due.Local().Format(time.DateOnly)
		if !r.Done.IsZero() {
			done = "done"
		}
		fmt.Fprintf(w, "repair %s  %s (%s, severity %d, %s)\n", r.ID, printable(r.Text), printable(r.Owner), r.Severity, done)
	}
	if !b.Closed.IsZero() {
		return
	}
	if !b.NotifyDue.IsZero() && len(b.Notified) == 0 {
		fmt.Fprintf(w, "to be told by %s\n", b.NotifyDue.Local().Format(time.DateTime))
	}
	for _, l := range b.Left {
		fmt.Fprintf(w, "left       %s\n", l)
	}
}

func breachList(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List breaches", Example: "  ringfence breach list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Breaches, error) { return c.Breaches(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				for _, b := range all.Items {
					showBreach(w, wire.Breach{State: b, Left: b.Left()})
				}
				if len(all.Items) == 0 {
					fmt.Fprintln(w, "there is none")
				}
			})
		},
	}
}

func breachShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "show BREACH", Short: "Show a breach, and what is left to do", Example: "  ringfence breach show breach-0001", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return answerBreach(cmd, e, func(ctx context.Context, c *client.Client) (wire.Breach, error) { return c.Breach(ctx, args[0]) })
		},
	}
}

func breachContain(e *env) *cobra.Command {
	var w wire.Contain
	cmd := &cobra.Command{
		Use:   "contain BREACH",
		Short: "End all sessions and tokens of the identities, and stop the line",
		Long: `Ends at once and everywhere what the identities of the breach can do, and stops the line, so that nothing that they began goes on. What
could not be done is said, and the rest is done; it may be asked again. To bring back what was good: ringfence redeploy SERVICE.`,
		Example: "  ringfence breach contain breach-0001\n  ringfence breach contain breach-0001 --principal bob --go-on",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return answerBreach(cmd, e, func(ctx context.Context, c *client.Client) (wire.Breach, error) { return c.Contain(ctx, args[0], w) })
		},
	}
	cmd.Flags().StringVar(&w.Principal, "principal", "", "only this identity (default all that the breach names)")
	cmd.Flags().BoolVar(&w.GoOn, "go-on", false, "do not stop the line")
	return cmd
}

// asking is a command that does one thing with a breach: the words after it are a name, a text or both.
func asking(e *env, use, verb, short, example string, words int) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(words),
		RunE: func(cmd *cobra.Command, args []string) error {
			a := breach.Ask{Verb: verb, Text: args[words-1]}
			switch {
			case words == 3:
				a.Name = args[1]
			case verb == "step" || verb == "repaired":
				a.Name, a.Text = args[1], ""
			}
			return answerBreach(cmd, e, func(ctx context.Context, c *client.Client) (wire.Breach, error) {
				return c.AskOfBreach(ctx, args[0], a)
			})
		},
	}
}

func breachRepair(e *env) *cobra.Command {
	a := breach.Ask{Verb: "repair"}
	cmd := &cobra.Command{
		Use: "repair BREACH TEXT", Short: "Write down what has to be repaired; the severity sets the deadline",
		Example: "  ringfence breach repair breach-0001 \"tokens for people expire\" --owner team-platform --severity 2", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Text = args[1]
			return answerBreach(cmd, e, func(ctx context.Context, c *client.Client) (wire.Breach, error) {
				return c.AskOfBreach(ctx, args[0], a)
			})
		},
	}
	cmd.Flags().StringVar(&a.Owner, "owner", "", "who does it")
	cmd.Flags().IntVar(&a.Severity, "severity", 3, "0: two days, 1: a week, 2: two weeks, 3 and 4: four weeks")
	return cmd
}

// proofsKept bounds the proofs in a bundle; all events are in it anyway.
const proofsKept = 200

func breachEvidence(e *env) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "evidence BREACH -o DIR",
		Short: "Keep the whole record, signed, with the breach and proofs of what its identities did",
		Long: `Writes an export of the record that can be verified without a server (ringfence audit verify), and beside it the breach, what looks like one,
what its identities get to, and a proof of each of the newest events of theirs.`,
		Example: "  ringfence breach evidence breach-0001 -o evidence",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return errs.E(errs.Invalid, "-o: missing, expected a new folder")
			}
			return answerBreach(cmd, e, func(ctx context.Context, c *client.Client) (wire.Breach, error) {
				return keepEvidence(ctx, c, args[0], to)
			})
		},
	}
	cmd.Flags().StringVarP(&to, "out", "o", "", "new folder")
	return cmd
}

func keepEvidence(ctx context.Context, c *client.Client, id, dir string) (wire.Breach, error) {
	b, err := c.Breach(ctx, id)
	if err != nil {
		return b, err
	}
	o, err := exportTo(ctx, c, dir)
	if err != nil {
		return b, err
	}
	signs, err := c.Detections(ctx)
	if err != nil {
		return b, err
	}
	files := map[string]any{"breach.json": b, "detections.json": signs}
	for _, p := range b.Principals {
		if r, err := c.Reach(ctx, p); err == nil { // one that is contained gets nowhere
			files["reach-"+filepath.Base(p)+".json"] = r
		}
		events, err := c.Events(ctx, wire.EventQuery{Actor: "user:" + strings.TrimPrefix(p, "user:"), Limit: proofsKept, Newest: true})
		if err != nil {
			return b, err
		}
		for _, ev := range events.Items {
			if files[fmt.Sprintf("proof-%d.json", ev.Seq)], err = c.Proof(ctx, ev.Seq); err != nil {
				return b, err
			}
		}
	}
	for name, v := range files {
		if err := writeFile(filepath.Join(dir, name), func(w io.Writer) error {
			enc := json.NewEncoder(w)
			enc.SetIndent("", "  ")
			return enc.Encode(v)
		}); err != nil {
			return b, err
		}
	}
	fmt.Fprintf(os.Stderr, "%d events and %d files are in %s; verify them with: ringfence audit verify %s\n", o.Size, len(files), dir, dir)
	return c.AskOfBreach(ctx, id, breach.Ask{Verb: "evidence", Evidence: &breach.Evidence{Events: o.Size, Root: o.Root.String()}})
}

func breachSigns(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "signs", Short: "List what looks like a breach now, with what contains it; and the rules that look for it", Example: "  ringfence breach signs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Detections, error) { return c.Detections(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				for _, d := range all.Items {
					fmt.Fprintf(w, "%s  %s  event %d: %s\n  owner %s: %s\n", d.At.Local().Format(time.DateTime), colours(w).red(d.Name), d.Seq, printable(d.Why), d.Owner, d.Playbook)
				}
				if len(all.Items) == 0 {
					fmt.Fprintln(w, "nothing looks like a breach")
				}
				for _, r := range all.Rules {
					fmt.Fprintf(w, "rule %s: %s\n", r.Name, r.About)
				}
			})
		},
	}
}

func breachHoney(e *env) *cobra.Command {
	var h wire.Honey
	cmd := &cobra.Command{
		Use:     "bait SUBJECT",
		Short:   "Lay out bait: a token, flag, flag set or service that nobody has a reason to touch",
		Example: "  ringfence token create backup-old --role viewer && ringfence breach bait token/backup-old\n  ringfence breach bait token/backup-old --take-up",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h.Subject = args[0]
			_, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Honey, error) { return h, c.LayHoney(ctx, h) })
			if err != nil {
				return err
			}
			return e.show(cmd, h, func(w io.Writer) {
				if h.TakenUp {
					fmt.Fprintf(w, "%s is bait no longer\n", printable(h.Subject))
					return
				}
				fmt.Fprintf(w, "%s is bait: whoever touches it raises %s\n", printable(h.Subject), breach.HoneyTouched)
			})
		},
	}
	cmd.Flags().BoolVar(&h.TakenUp, "take-up", false, "it is bait no longer")
	return cmd
}

func reachCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "reach PRINCIPAL",
		Short: "Say what a stolen identity gets to, and how",
		Long: `Follows the graph from a name: by its own rights, by the names that it may take, by the changes that it can bring to users ring by ring. The nearest
comes first. Rights are those of roles; rules in Cedar may take some of them away.`,
		Example: "  ringfence reach ann",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Reach, error) { return c.Reach(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) {
				for _, x := range r.Reached {
					last := x.Path[len(x.Path)-1]
					fmt.Fprintf(w, "%s%s: %s (from %s)\n", strings.Repeat("  ", len(x.Path)-1), printable(x.What), printable(last.By), printable(last.From))
				}
				if len(r.Reached) == 0 {
					fmt.Fprintf(w, "%s gets to nothing\n", printable(r.Principal))
				}
			})
		},
	}
}
