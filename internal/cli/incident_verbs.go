package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

// incidentVerbs are the commands that take an incident and a text.
func incidentVerbs(e *env) []*cobra.Command {
	var all []*cobra.Command
	for _, v := range []struct {
		use, short, example string
		verb                incident.Verb
		text                int // how many arguments beside the incident: 0, or 1 for the text
	}{
		{"ack INCIDENT", "Take an incident: nobody else is called", "ack inc-7", incident.Ack, 0},
		{"note INCIDENT TEXT", "Write something into the timeline", "note inc-7 \"the queue grows\"", incident.Note, 1},
		{"update INCIDENT TEXT", "Tell all notifiers how it stands", "update inc-7 \"payments fail for some; we are taking v9 back\"", incident.Update, 1},
		{"reopen INCIDENT", "Say that it is back", "reopen inc-7", incident.Reopen, 0},
		{"close INCIDENT", "Close an incident of which nothing is left to do", "close inc-7", incident.Close, 0},
	} {
		all = append(all, &cobra.Command{Use: v.use, Short: v.short, Example: "  ringfence incident " + v.example, Args: cobra.ExactArgs(1 + v.text),
			RunE: func(cmd *cobra.Command, args []string) error {
				a := wire.IncidentAsk{}
				if v.text > 0 {
					a.Text = args[1]
				}
				return command(cmd, e, args[0], v.verb, a)
			}})
	}
	return all
}

func incidentResolve(e *env) *cobra.Command {
	var end, reason string
	cmd := &cobra.Command{
		Use: "resolve INCIDENT", Short: "Say that what was wrong is put right", Example: "  ringfence incident resolve inc-7\n  ringfence incident resolve inc-7 --impact-end 20m", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := moment(end)
			if err != nil {
				return err
			}
			return command(cmd, e, args[0], incident.Resolve, wire.IncidentAsk{ImpactEnd: t, Text: reason})
		},
	}
	cmd.Flags().StringVar(&end, "impact-end", "", "the last bad event, when the data does not say: a time, or a duration ago")
	cmd.Flags().StringVar(&reason, "reason", "", "how, for the record")
	return cmd
}

func incidentImpact(e *env) *cobra.Command {
	var start, end, text string
	cmd := &cobra.Command{
		Use: "impact INCIDENT", Short: "Say when users were hurt, and what they noticed, when the data does not",
		Example: "  ringfence incident impact inc-7 --start 2026-01-02T15:04:05Z --end 20m --text \"orders were lost\"", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a := wire.IncidentAsk{ImpactText: text}
			var err error
			if a.ImpactStart, err = moment(start); err == nil {
				a.ImpactEnd, err = moment(end)
			}
			if err != nil {
				return err
			}
			return command(cmd, e, args[0], incident.Measure, a)
		},
	}
	cmd.Flags().StringVar(&start, "start", "", "the first bad event: a time, or a duration ago")
	cmd.Flags().StringVar(&end, "end", "", "the last one")
	cmd.Flags().StringVar(&text, "text", "", "what users noticed")
	return cmd
}

func incidentCause(e *env) *cobra.Command {
	a := wire.IncidentAsk{}
	cmd := &cobra.Command{
		Use: "cause INCIDENT [CANDIDATE]", Short: "Confirm the cause, or name it unknown",
		Long:    "Confirms a candidate, by its rank or reference in the list of causes, or what --text says. --unknown names the cause unknown;\n--text then says what was looked at.",
		Example: "  ringfence incident cause inc-7 1\n  ringfence incident cause inc-7 --text \"the provider's network\"\n  ringfence incident cause inc-7 --unknown --text \"logs, traces and the network show nothing\"", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				a.Cause = args[1]
			}
			return command(cmd, e, args[0], incident.Blame, a)
		},
	}
	cmd.Flags().StringVar(&a.Text, "text", "", "what it was, in a sentence")
	cmd.Flags().BoolVar(&a.Unknown, "unknown", false, "it was looked for and not found")
	return cmd
}

func incidentRate(e *env) *cobra.Command {
	var severity int
	a := wire.IncidentAsk{}
	cmd := &cobra.Command{
		Use: "rate INCIDENT", Short: "Change severity, commander or title", Example: "  ringfence incident rate inc-7 --severity 1 --commander ann", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("severity") {
				a.Severity = &severity
			}
			return command(cmd, e, args[0], incident.Rate, a)
		},
	}
	cmd.Flags().IntVar(&severity, "severity", 2, "0 to 4")
	cmd.Flags().StringVar(&a.Commander, "commander", "", "who leads")
	cmd.Flags().StringVar(&a.Title, "title", "", "what is wrong, in a line")
	return cmd
}

func incidentAction(e *env) *cobra.Command {
	cmd := family(&cobra.Command{Use: "action", Short: "Set, change and tick off action items",
		Example: "  ringfence incident action add inc-7 \"test the empty basket\" --owner bob --due 2026-12-01\n  ringfence incident action done inc-7 1"})
	var due string
	a := wire.IncidentAsk{}
	flags := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&a.Owner, "owner", "", "who does it")
		c.Flags().StringVar(&due, "due", "", "until when: a date")
		return c
	}
	act := func(cmd *cobra.Command, id string) error {
		if due != "" {
			t, err := time.Parse(time.DateOnly, due)
			if err != nil {
				return errs.E(errs.Invalid, "due %q: expected a date such as 2026-12-01", due)
			}
			a.Due = t
		}
		return command(cmd, e, id, incident.Act, a)
	}
	number := func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return errs.E(errs.Invalid, "action item %q: expected its number", s)
		}
		a.Action = n
		return nil
	}
	cmd.AddCommand(flags(&cobra.Command{Use: "add INCIDENT TEXT", Short: "Set an action item", Example: "  ringfence incident action add inc-7 \"test the empty basket\" --owner bob --due 2026-12-01", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Text = args[1]
			return act(cmd, args[0])
		}}))
	cmd.AddCommand(flags(&cobra.Command{Use: "edit INCIDENT NUMBER", Short: "Change an action item", Example: "  ringfence incident action edit inc-7 1 --due 2026-12-08", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := number(args[1]); err != nil {
				return err
			}
			return act(cmd, args[0])
		}}))
	cmd.AddCommand(&cobra.Command{Use: "done INCIDENT NUMBER", Short: "Tick an action item off", Example: "  ringfence incident action done inc-7 1", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := number(args[1]); err != nil {
				return err
			}
			a.Done = true
			return act(cmd, args[0])
		}})
	return cmd
}

func incidentActions(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "actions", Short: "List the open action items of all incidents", Example: "  ringfence incident actions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]responder.OpenAction, error) {
				return c.IncidentActions(ctx)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, a := range all {
					due := ""
					if !a.Due.IsZero() {
						due = a.Due.Format(time.DateOnly)
					}
					if a.Overdue {
						due += " overdue"
					}
					rows = append(rows, []string{a.Incident, strconv.Itoa(a.Number), a.Owner, due, short(time.Duration(a.Age * float64(time.Second))), a.Text})
				}
				table(w, []string{"INCIDENT", "ITEM", "OWNER", "DUE", "AGE", "WHAT"}, rows)
			})
		},
	}
}

func incidentPostmortem(e *env) *cobra.Command {
	a := wire.IncidentAsk{}
	cmd := &cobra.Command{
		Use: "postmortem INCIDENT", Short: "Print the postmortem, in Markdown; write what only people know",
		Long:    "Prints the document that is made from the record: impact, times, cause, action items, timeline. With --well, --badly or\n--lucky, that is written into it first.",
		Example: "  ringfence incident postmortem inc-7 > inc-7.md\n  ringfence incident postmortem inc-7 --well \"seen within a minute\" --badly \"no test of the empty basket\"", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (string, error) {
				if a.Well+a.Badly+a.Lucky != "" {
					if _, err := c.CommandIncident(ctx, args[0], incident.Learn, a); err != nil {
						return "", err
					}
				}
				return c.Postmortem(ctx, args[0])
			})
			if err != nil {
				return err
			}
			return e.show(cmd, map[string]string{"markdown": doc}, func(w io.Writer) { fmt.Fprint(w, doc) })
		},
	}
	cmd.Flags().StringVar(&a.Well, "well", "", "what went well")
	cmd.Flags().StringVar(&a.Badly, "badly", "", "what did not")
	cmd.Flags().StringVar(&a.Lucky, "lucky", "", "where luck helped")
	return cmd
}

func incidentTrends(e *env) *cobra.Command {
	var service string
	var span time.Duration
	var parts int
	cmd := &cobra.Command{
		Use: "trends", Short: "Say how fast incidents were noticed, mitigated and put right, over time", Example: "  ringfence incident trends\n  ringfence incident trends --service shop --span 720h --parts 6", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]incident.Trend, error) {
				return c.IncidentTrends(ctx, service, span, parts)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				var rows [][]string
				for _, t := range all {
					rows = append(rows, []string{t.From.Local().Format("2006-01-02 15:04"), strconv.Itoa(t.Incidents), strconv.Itoa(t.ByPeople), lasted(t.Detect), lasted(t.Acknowledge), lasted(t.Tell), lasted(t.Mitigate), lasted(t.Remediate)})
				}
				table(w, []string{"FROM", "INCIDENTS", "BY PEOPLE", "TTD", "TAKEN AFTER", "TTN", "TTM", "TTR"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only of this service")
	cmd.Flags().DurationVar(&span, "span", 7*24*time.Hour, "how long each part is")
	cmd.Flags().IntVar(&parts, "parts", 12, "how many parts")
	return cmd
}
