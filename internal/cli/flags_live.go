package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/flag"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/switchboard"
)

// onFlag is a command about one flag of a control plane: its set, key and environment.
func onFlag(cmd *cobra.Command, run func(cmd *cobra.Command, s flag.Subject) error) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	env := cmd.Flags().String("environment", flag.Production, "where")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := flag.ParseSubject(args[0])
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("environment") {
			s.Environment = *env
		}
		return run(cmd, s)
	}
	return cmd
}

func flagsListCommand(e *env) *cobra.Command {
	var env string
	var stale bool
	cmd := &cobra.Command{
		Use:   "list [SET]",
		Short: "List flags, how far they are shown, and what is to be done about them",
		Example: `  ringfence flags list
  ringfence flags list shop --environment staging
  ringfence flags list --stale`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set := strings.Join(args, "")
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]switchboard.View, error) { return c.Flags(ctx, set, env) })
			if err != nil {
				return err
			}
			if stale {
				all = staleOnly(all)
			}
			return e.show(cmd, all, func(w io.Writer) {
				if stale {
					showStale(w, all)
					return
				}
				rows := make([][]string, len(all))
				for i, v := range all {
					rows[i] = []string{v.Set + "/" + v.Key, string(v.Kind), v.State, gives(v), rampWords(v.Rollout), ago(v.Asked), v.Owner}
				}
				table(w, []string{"FLAG", "KIND", "STATE", "EVERYONE", "ROLLOUT", "ASKED", "OWNER"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&env, "environment", flag.Production, "where")
	cmd.Flags().BoolVar(&stale, "stale", false, "only flags to look at: fully out, not asked for, past their expiry, archived")
	return cmd
}

func staleOnly(all []switchboard.View) []switchboard.View {
	only := []switchboard.View{}
	for _, v := range all {
		if len(v.Stale) > 0 {
			only = append(only, v)
		}
	}
	return only
}

func showStale(w io.Writer, all []switchboard.View) {
	var rows [][]string
	for _, v := range all {
		for _, s := range v.Stale {
			rows = append(rows, []string{v.Set + "/" + v.Key, string(s.Reason), s.Advice, v.Owner})
		}
	}
	table(w, []string{"FLAG", "WHY", "WHAT TO DO", "OWNER"}, rows)
}

// gives is what those get of a flag for whom nothing else is said.
func gives(v switchboard.View) string {
	switch {
	case v.State != "enabled":
		return "code default"
	case v.Everyone != "":
		return v.Everyone
	case v.Targeted:
		return "by rule"
	case v.Default == "":
		return "code default"
	}
	return v.Default
}

func rampWords(r *switchboard.Ramp) string {
	if r == nil {
		return ""
	}
	words := fmt.Sprintf("%s %s", r.To, r.Phase)
	if r.Ring != "" && !r.Phase.Ended() {
		words += fmt.Sprintf(" in %s (%d of %d)", r.Ring, r.At+1, len(r.Rings))
	}
	return words
}

func flagsShowCommand(e *env) *cobra.Command {
	return onFlag(&cobra.Command{
		Use:     "show SET/KEY",
		Short:   "Show a flag as it is in an environment",
		Example: "  ringfence flags show shop/new-checkout",
	}, func(cmd *cobra.Command, s flag.Subject) error {
		v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (switchboard.View, error) {
			return c.Flag(ctx, s.Set, s.Key, s.Environment)
		})
		if err != nil {
			return err
		}
		return e.show(cmd, v, func(w io.Writer) { showFlag(w, v) })
	})
}

func showFlag(w io.Writer, v switchboard.View) {
	c := colours(w)
	fmt.Fprintf(w, "%s  %s in %s\n", c.bold(printable(v.Set+"/"+v.Key)), v.State, printable(v.Environment))
	if v.Description != "" {
		fmt.Fprintln(w, printable(v.Description))
	}
	rows := [][]string{{"everyone gets", gives(v)}}
	for _, x := range v.Variants {
		raw, err := json.Marshal(x.Value)
		if err != nil {
			raw = []byte("?")
		}
		rows = append(rows, []string{"variant " + x.Name, string(raw)})
	}
	if p := v.Exposure; p != nil {
		rows = append(rows, []string{"shown by", fmt.Sprintf("plan %s, variant %s, %g %% of a ring in trial go without", p.Plan, p.Variant, p.Control)})
	}
	if v.Rollout != nil {
		rows = append(rows, []string{"rollout", v.Rollout.ID + ": " + rampWords(v.Rollout)}, []string{"", v.Rollout.Reason})
	}
	for _, s := range v.Stale {
		rows = append(rows, []string{"look at it", string(s.Reason) + ": " + s.Advice})
	}
	for _, r := range append(rows, []string{"kind", string(v.Kind)}, []string{"owner", v.Owner}) {
		if r[1] != "" {
			fmt.Fprintf(w, "  %-14s %s\n", printable(r[0]), printable(r[1]))
		}
	}
}

func flagsExposeCommand(e *env) *cobra.Command {
	var x wire.Exposing
	var watch bool
	cmd := onFlag(&cobra.Command{
		Use:   "expose SET/KEY",
		Short: "Begin to show a variant to users, ring by ring",
		Long: `Begins a rollout that shows a variant of a flag to the users of its plan's rings, one ring after the other. In the ring that
is being tried a part of the users goes without it, and both parts are compared by the plan's gates; when they say that it
hurts, everyone goes back by itself. The commands of rollouts apply: ringfence rollout status flag:SET:KEY --watch.`,
		Example: `  ringfence flags expose shop/new-checkout --watch
  ringfence flags expose shop/new-checkout --variant "on" --force --reason "the fix is in v12"`,
	}, func(cmd *cobra.Command, s flag.Subject) error {
		x.Environment = s.Environment
		out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.Rollout, error) {
			return c.Expose(ctx, s.Set, s.Key, x)
		})
		return e.started(cmd, out, watch, err)
	})
	fl := cmd.Flags()
	fl.StringVar(&x.Variant, "variant", "", "the variant (default the one that the flag's exposure declares)")
	fl.StringVar(&x.Lane, "hotfix", "", "a faster way: sev0 (everyone at once), hotfix (all rings with shorter bakes); needs --reason")
	fl.BoolVar(&x.Force, "force", false, "also a variant that was taken back before; needs --reason")
	fl.BoolVar(&x.ThroughFreeze, "through-freeze", false, "do not wait for freezes; needs --reason")
	fl.BoolVar(&x.Replace, "replace", false, "in place of another variant that is being rolled out")
	fl.StringVar(&x.Reason, "reason", "", "why, for the record")
	fl.BoolVarP(&watch, "watch", "w", false, "follow the rollout to its end")
	return cmd
}

func flagsOffCommand(e *env) *cobra.Command {
	var reason string
	cmd := onFlag(&cobra.Command{
		Use:   "off SET/KEY --reason WHY",
		Short: "Take a flag's variant back from everyone at once",
		Long: `Takes back what a flag shows, by the shortest way: a rollout in flight is rolled back, one that has ended is returned from,
and a flag without either is disabled, so that callers use their own defaults. No review, freeze or stopped line holds it up.`,
		Example: "  ringfence flags off shop/new-checkout --reason \"carts are lost\"",
	}, func(cmd *cobra.Command, s flag.Subject) error {
		off, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (switchboard.Off, error) {
			off, err := c.SwitchOff(ctx, s.Set, s.Key, wire.FlagAction{Environment: s.Environment, Reason: reason})
			if err != nil || off.Rollout == nil {
				return off, err
			}
			return off, inForce(ctx, c, off.Rollout)
		})
		if err != nil {
			return err
		}
		return e.show(cmd, off, func(w io.Writer) {
			switch off.Did {
			case "disabled":
				fmt.Fprintf(w, "%s/%s is disabled in %s: callers use their own defaults\n", s.Set, s.Key, s.Environment)
			case "nothing":
				fmt.Fprintf(w, "%s/%s is disabled in %s already\n", s.Set, s.Key, s.Environment)
			default:
				word := "everyone goes back to"
				if off.Rollout.Phase.Ended() {
					word = "everyone is back at"
				}
				fmt.Fprintf(w, "%s: %s %s\n", off.Rollout.ID, word, backTo(off))
			}
		})
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("reason") // the flag is there: it was added above
	return cmd
}

// inForce waits until a rollout that takes a variant back has ended: it takes well under a second, unless a data plane that
// serves flags does not answer. Then it is left to go on.
func inForce(ctx context.Context, c *client.Client, s *rollout.State) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := c.Rollout(ctx, s.ID)
		if err == nil {
			*s = now.Rollout
		}
		if ctx.Err() != nil || err == nil && s.Phase.Ended() {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func backTo(off switchboard.Off) string {
	if off.Did == "returned" {
		return off.Rollout.To
	}
	return off.Rollout.From
}

// flagsTurnCommand is one of the verbs that take nothing but a reason.
func flagsTurnCommand(e *env, verb, short, done string) *cobra.Command {
	var reason string
	cmd := onFlag(&cobra.Command{
		Use: verb + " SET/KEY", Short: short, Example: fmt.Sprintf("  ringfence flags %s shop/new-checkout --reason \"…\"", verb),
	}, func(cmd *cobra.Command, s flag.Subject) error {
		return e.edited(cmd, done+" "+s.Set+"/"+s.Key, func(ctx context.Context, c *client.Client) (switchboard.Edited, error) {
			return c.TurnFlag(ctx, s.Set, s.Key, verb, wire.FlagAction{Environment: s.Environment, Reason: reason})
		})
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// edited tells what came of an edit.
func (e *env) edited(cmd *cobra.Command, done string, call func(context.Context, *client.Client) (switchboard.Edited, error)) error {
	out, err := ask(cmd.Context(), e, call)
	if err != nil {
		return err
	}
	return e.show(cmd, out, func(w io.Writer) {
		for _, c := range out.Changes {
			fmt.Fprintf(w, "%s: %s → %s\n", printable(c.Path), orNothing(c.Old), orNothing(c.New))
		}
		switch {
		case out.Request != nil:
			fmt.Fprintf(w, "it needs a review: change request %s waits for %s\n", out.Request.ID, printable(out.Request.Missing))
		case len(out.Changes) == 0:
			fmt.Fprintln(w, "it is so already")
		default:
			fmt.Fprintln(w, printable(done))
		}
	})
}

func orNothing(raw json.RawMessage) string {
	if raw == nil {
		return "nothing"
	}
	return printable(string(raw))
}

func flagsUndoCommand(e *env) *cobra.Command {
	var u wire.FlagUndo
	cmd := onFlag(&cobra.Command{
		Use: "undo SET/KEY", Short: "Take the last change of a flag's definition back",
		Long:    "Takes back the last change of a flag's definition, or the one that --at names by the number of its event (ringfence events).",
		Example: "  ringfence flags undo shop/new-checkout --reason \"wrong rule\"",
	}, func(cmd *cobra.Command, s flag.Subject) error {
		return e.edited(cmd, "taken back", func(ctx context.Context, c *client.Client) (switchboard.Edited, error) {
			return c.UndoFlag(ctx, s.Set, s.Key, u)
		})
	})
	cmd.Flags().Int64Var(&u.At, "at", 0, "number of the change's event (default the last one)")
	cmd.Flags().StringVar(&u.Reason, "reason", "", "why, for the record")
	return cmd
}

func flagsSetCommand(e *env) *cobra.Command {
	var edit wire.FlagEdit
	var patch string
	cmd := onFlag(&cobra.Command{
		Use: "set SET/KEY --patch JSON", Short: "Change a flag's definition",
		Long: `Changes a flag's definition by a JSON merge patch: what stands in it replaces what is there, null takes a field away. A flag that
is not there yet is made. Where the set names reviewers, the change waits for them.`,
		Example: `  ringfence flags set shop/page-size --patch '{"defaultVariant":"large"}' --reason "faster index"`,
	}, func(cmd *cobra.Command, s flag.Subject) error {
		if err := json.Unmarshal([]byte(patch), &edit.Patch); err != nil || edit.Patch == nil {
			return errs.E(errs.Invalid, "--patch: expected a JSON object")
		}
		return e.edited(cmd, "changed "+s.Set+"/"+s.Key, func(ctx context.Context, c *client.Client) (switchboard.Edited, error) {
			return c.EditFlag(ctx, s.Set, s.Key, edit)
		})
	})
	cmd.Flags().StringVar(&patch, "patch", "", "a JSON merge patch of the flag")
	cmd.Flags().StringVar(&edit.Reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("patch") // the flag is there: it was added above
	return cmd
}

func flagsExplainCommand(e *env) *cobra.Command {
	var user, raw string
	cmd := onFlag(&cobra.Command{
		Use: "explain SET/KEY --user KEY", Short: "Say what a user gets of a flag, and why",
		Example: `  ringfence flags explain shop/new-checkout --user carol
  ringfence flags explain shop/new-checkout --context '{"targetingKey":"carol","plan":"beta"}'`,
	}, func(cmd *cobra.Command, s flag.Subject) error {
		q := wire.FlagQuestion{Environment: s.Environment, Context: map[string]any{}}
		if err := json.Unmarshal([]byte(raw), &q.Context); err != nil || q.Context == nil {
			return errs.E(errs.Invalid, "--context: expected a JSON object")
		}
		if user != "" {
			q.Context["targetingKey"] = user
		}
		x, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (switchboard.Explanation, error) {
			return c.Explain(ctx, s.Set, s.Key, q)
		})
		if err != nil {
			return err
		}
		return e.show(cmd, x, func(w io.Writer) {
			showAnswer(w, x.Key, flag.Result{Value: x.Value, Variant: x.Variant, Reason: x.Reason, Code: x.Code, Details: x.Details})
			for i, step := range x.Steps {
				mark := " "
				if step.Decides {
					mark = "→"
				}
				fmt.Fprintf(w, "  %s %s. %s: %s\n", mark, strconv.Itoa(i+1), step.Name, printable(step.Says))
			}
		})
	})
	cmd.Flags().StringVar(&user, "user", "", "the user's targeting key")
	cmd.Flags().StringVar(&raw, "context", "{}", "evaluation context, a JSON object with targetingKey and attributes")
	return cmd
}

func flagsPreviewCommand(e *env) *cobra.Command {
	var user, choice string
	cmd := onFlag(&cobra.Command{
		Use: "preview SET/KEY --user KEY --choice in|out|none", Short: "Note what a user wants of a flag's preview",
		Example: "  ringfence flags preview shop/new-checkout --user carol --choice in",
	}, func(cmd *cobra.Command, s flag.Subject) error {
		_, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.Choose(ctx, s.Set, s.Key, wire.FlagChoice{Environment: s.Environment, TargetingKey: user, Choice: choice})
		})
		if err != nil {
			return err
		}
		return e.show(cmd, map[string]string{"flag": s.String(), "targetingKey": user, "choice": choice}, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s for %s/%s\n", printable(user), choice, s.Set, s.Key)
		})
	})
	cmd.Flags().StringVar(&user, "user", "", "the user's targeting key")
	cmd.Flags().StringVar(&choice, "choice", "in", "in, out or none")
	_ = cmd.MarkFlagRequired("user") // the flag is there: it was added above
	return cmd
}
