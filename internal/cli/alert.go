package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/pager"
)

func alertCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "alert",
		Short: "See what is wrong, take it, silence it, and find out what was only noise",
		Long: `Shows alerts and the pages that they make, takes them so that nobody else is called, silences them, and says which
rules were worth waking somebody. Rules and routes are declared with ringfence apply.`,
		Example: `  ringfence alert list
  ringfence alert ack 4f2c --note "looking at it"
  ringfence alert silence --match service=shop --for 1h --reason "load test"`,
	})
	cmd.AddCommand(alertList(e), alertShow(e), alertAck(e), alertSilence(e), alertRules(e), alertNoise(e))
	return cmd
}

func alertList(e *env) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the pages that are on, the alerts of each, and why others are not told",
		Long: `Lists pages, each with its alerts, and alerts that fire without anyone being told: a symptom of another alert, silenced,
or at a time of rest. With --all also what was over within the last hour.`,
		Example: "  ringfence alert list\n  ringfence alert list --all\n  ringfence alert list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (pager.Overview, error) { return c.Alerts(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, o, func(w io.Writer) { showAlerts(w, o, all) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what is over")
	return cmd
}

func showAlerts(w io.Writer, o pager.Overview, all bool) {
	var rows [][]string
	for _, p := range o.Pages {
		state := "firing"
		if p.Ack != nil {
			state = "taken by " + strings.TrimPrefix(p.Ack.By, "user:")
		}
		what := fmt.Sprintf("%d alerts", len(p.Alerts))
		if len(p.Alerts) == 1 {
			what = "1 alert"
		}
		if n := len(p.Symptoms); n > 0 {
			what += fmt.Sprintf(", explains %d more", n)
		}
		if p.Nobody {
			what += ", nobody is told"
		}
		rows = append(rows, []string{p.Key[:8], p.Severity, p.Service, p.Owner, state, ago(p.Started), what})
	}
	if len(rows) > 0 {
		table(w, []string{"PAGE", "SEVERITY", "SERVICE", "OWNER", "STATE", "SINCE", "WHAT"}, rows)
		fmt.Fprintln(w)
	}
	rows = nil
	for _, a := range o.Alerts {
		if !a.Firing() && !all {
			continue
		}
		rows = append(rows, []string{a.ID[:8], alert.Grade(a.Labels[alert.Severity]), a.Labels[alert.Service], a.Labels[alert.Name], alertState(a), ago(a.StartsAt),
			cmp.Or(a.Annotations[alert.Summary], a.Annotations[alert.Description])})
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "Nothing fires.")
		return
	}
	table(w, []string{"ALERT", "SEVERITY", "SERVICE", "NAME", "STATE", "SINCE", "SUMMARY"}, rows)
}

// alertState is how an alert stands, in a word or two.
func alertState(a alert.Standing) string {
	switch {
	case a.Expired:
		return "given up"
	case !a.Firing():
		return "over"
	case len(a.SilencedBy) > 0:
		return "silenced"
	case a.Cause != "":
		return "symptom of " + a.Cause[:8]
	case a.Muted:
		return "at rest"
	case a.Ack.Holds(time.Now()):
		return "taken by " + strings.TrimPrefix(a.Ack.By, "user:")
	case a.Unheard:
		return "unheard"
	case a.Flapping:
		return "flapping"
	}
	return "firing"
}

func alertShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "show ALERT",
		Short:   "Show one alert: whom it concerns, what to do, and what happened to it",
		Long:    "Shows an alert by its fingerprint, or how that begins, with who owns it, its runbook, what users notice and its past.",
		Example: "  ringfence alert show 4f2c19aa",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (client.AlertDetail, error) { return c.Alert(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, a, func(w io.Writer) { showAlert(w, a) })
		},
	}
}

func showAlert(w io.Writer, a client.AlertDetail) {
	fmt.Fprintf(w, "%s: %s\n", printable(a.Labels[alert.Name]), alertState(a.Standing))
	rows := [][2]string{{"summary", a.Annotations[alert.Summary]}, {"description", a.Annotations[alert.Description]}, {"impact", a.Annotations[alert.Impact]}, {"runbook", a.Annotations[alert.Runbook]},
		{"service", a.Labels[alert.Service]}, {"owner", a.Labels[alert.Owner]}, {"severity", a.Labels[alert.Severity]}, {"since", ago(a.StartsAt)}, {"last heard", ago(a.Heard)},
		{"told", strings.Join(a.Told, ", ")}, {"cause", a.Cause}, {"silenced by", strings.Join(a.SilencedBy, ", ")}, {"look at", a.GeneratorURL}}
	if a.Ack != nil {
		rows = append(rows, [2]string{"taken by", a.Ack.By + " " + a.Ack.Note})
	}
	for _, r := range rows {
		if r[1] != "" {
			fmt.Fprintf(w, "  %-12s %s\n", r[0], printable(r[1]))
		}
	}
	fmt.Fprintf(w, "  %-12s %s\n", "labels", printable(labelLine(a.Labels)))
	if len(a.Events) > 0 {
		fmt.Fprintln(w)
		out := make([][]string, len(a.Events))
		for i, ev := range a.Events {
			out[i] = []string{ev.Time.UTC().Format(time.DateTime), ev.Type, ev.Actor}
		}
		table(w, []string{"TIME", "EVENT", "BY"}, out)
	}
}

func labelLine(labels map[string]string) string {
	words := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, alert.Matcher{Name: k, Value: labels[k], IsEqual: true}.String())
	}
	return strings.Join(words, " ")
}

func alertAck(e *env) *cobra.Command {
	var ack wire.TakeAlert
	var during time.Duration
	cmd := &cobra.Command{
		Use:   "ack ALERT|PAGE",
		Short: "Take an alert or a page: nobody else is called for it",
		Long: `Takes an alert, or all that a page holds now. As long as it is taken, nobody is told again that it lasts, and nobody else is
called; an alert that joins the page later is told. With --for others are called again after that time if it still fires.`,
		Example: `  ringfence alert ack 4f2c19aa --note "restarting the database"
  ringfence alert ack 4f2c19aa --for 2h
  ringfence alert ack 4f2c19aa --undo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if during < 0 || during > 0 && ack.Undo {
				return errs.E(errs.Invalid, "--for: expected a time to come, without --undo")
			}
			if during > 0 {
				ack.Until = time.Now().Add(during)
			}
			done, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]alert.Record, error) {
				return c.AckAlert(ctx, args[0], ack)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, done, func(w io.Writer) {
				word := "taken"
				if ack.Undo {
					word = "given back"
				}
				for _, r := range done {
					fmt.Fprintf(w, "%s %s %s\n", r.ID[:8], printable(r.Labels[alert.Name]), word)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&ack.Note, "note", "", "what is being done about it")
	f.DurationVar(&during, "for", 0, "time after which others are called again; default never")
	f.BoolVar(&ack.Undo, "undo", false, "give it back")
	return cmd
}

func alertSilence(e *env) *cobra.Command {
	var s wire.NewSilence
	var during time.Duration
	var end string
	list := false
	cmd := &cobra.Command{
		Use:   "silence --match LABEL=VALUE --for TIME --reason WHY",
		Short: "Keep alerts from being told for a while, end that, or list what is silenced",
		Long: `Keeps alerts from being told that meet all conditions, which are written as Alertmanager's: =, !=, =~ and !~. Who said so and why is
on the record. They go on being shown; when they end meanwhile, those who were told that they fire are told that, too.`,
		Example: `  ringfence alert silence --match service=shop --match severity!=page --for 1h --reason "load test"
  ringfence alert silence --list
  ringfence alert silence --end 0b5e3d4a-6a3c-4a52-9a27-0d6c1a7a3a55`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case list:
				return listSilences(cmd, e)
			case end != "":
				_, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (struct{}, error) {
					return struct{}{}, c.EndSilence(ctx, end)
				})
				if err != nil {
					return err
				}
				return e.show(cmd, wire.MadeSilence{ID: end}, func(w io.Writer) { fmt.Fprintf(w, "silence %s is over\n", printable(end)) })
			case len(s.Matchers) == 0 || during <= 0 || s.Reason == "":
				return errs.E(errs.Invalid, "expected --match, --for and --reason; or --list; or --end")
			}
			s.Until = time.Now().Add(during)
			made, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (wire.MadeSilence, error) { return c.Silence(ctx, s) })
			if err != nil {
				return err
			}
			return e.show(cmd, made, func(w io.Writer) {
				fmt.Fprintf(w, "silence %s until %s\n", made.ID, s.Until.UTC().Format(time.RFC3339))
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&s.Matchers, "match", nil, "a condition on a label, such as service=shop; may be repeated")
	f.DurationVar(&during, "for", 0, "how long")
	f.StringVar(&s.Reason, "reason", "", "why, for the record")
	f.StringVar(&end, "end", "", "end the silence of this ID")
	f.BoolVar(&list, "list", false, "list silences")
	return cmd
}

func listSilences(cmd *cobra.Command, e *env) error {
	o, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (pager.Overview, error) { return c.Alerts(ctx) })
	if err != nil {
		return err
	}
	return e.show(cmd, o.Silences, func(w io.Writer) {
		var rows [][]string
		for _, s := range o.Silences {
			rows = append(rows, []string{s.ID, s.State(time.Now()), s.EndsAt.UTC().Format(time.RFC3339), s.CreatedBy, s.Matchers.String(), s.Comment})
		}
		if len(rows) == 0 {
			fmt.Fprintln(w, "Nothing is silenced.")
			return
		}
		table(w, []string{"SILENCE", "STATE", "UNTIL", "BY", "WHAT", "WHY"}, rows)
	})
}

func alertRules(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "rules",
		Short:   "List the rules that are evaluated, and how they do",
		Long:    "Lists the rules that make alerts and series, with what they say now, whether they can be evaluated and how long that took.",
		Example: "  ringfence alert rules\n  ringfence alert rules --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			groups, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]client.RuleGroup, error) { return c.AlertRules(ctx) })
			if err != nil {
				return err
			}
			return e.show(cmd, groups, func(w io.Writer) {
				var rows [][]string
				for _, g := range groups {
					for _, r := range g.Rules {
						rows = append(rows, []string{g.File + "/" + g.Name, r.Name, cmp.Or(r.State, r.Type), r.Health, strconv.Itoa(len(r.Alerts)), r.Query + map[bool]string{true: " (" + r.LastError + ")"}[r.LastError != ""]})
					}
				}
				if len(rows) == 0 {
					fmt.Fprintln(w, "No rules are declared. Apply AlertRules, or a rule file of Prometheus, with: ringfence apply -f FILE")
					return
				}
				table(w, []string{"GROUP", "RULE", "STATE", "HEALTH", "ALERTS", "QUERY"}, rows)
			})
		},
	}
}

func alertNoise(e *env) *cobra.Command {
	since := ""
	cmd := &cobra.Command{
		Use:   "noise",
		Short: "Say by rule how much of what fired was worth it",
		Long: `Reads from the record what fired, and what people did about it. Noise is what people were told of and nobody did anything
about, what came back within an hour, and what fired while another alert of the same service already did.`,
		Example: "  ringfence alert noise\n  ringfence alert noise --since 720h --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (pager.Report, error) { return c.AlertNoise(ctx, since) })
			if err != nil {
				return err
			}
			return e.show(cmd, r, func(w io.Writer) {
				var rows [][]string
				for _, n := range r.Rules {
					rows = append(rows, []string{n.Alert, strconv.Itoa(n.Fired), strconv.Itoa(n.Told), strconv.Itoa(n.Ignored), strconv.Itoa(n.Flapped), strconv.Itoa(n.Duplicated),
						fmt.Sprintf("%.0f %%", 100*n.Share), n.Advice})
				}
				if len(rows) == 0 {
					fmt.Fprintln(w, "Nothing fired.")
					return
				}
				table(w, []string{"ALERT", "FIRED", "TOLD", "IGNORED", "FLAPPED", "DUPLICATED", "NOISE", "ADVICE"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "168h", "a time, or how long ago")
	return cmd
}
