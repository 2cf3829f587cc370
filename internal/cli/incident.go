package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/incident"
	"github.com/ringfence/ringfence/internal/responder"
)

func incidentCommand(e *env) *cobra.Command {
	cmd := family(&cobra.Command{
		Use:   "incident",
		Short: "See what hurts, take back what did it, learn",
		Long: `An incident is opened by an alert that wakes people, by a rollout that is halted or taken back, or by a person. It goes from
open over acknowledged, mitigated and resolved to closed, and is closed only when nothing of its checklist is left.`,
		Example: "  ringfence incident list\n  ringfence incident show inc-7\n  ringfence incident mitigate inc-7",
	})
	cmd.AddCommand(incidentList(e), incidentShow(e), incidentCauses(e), incidentOpen(e), incidentMitigate(e), incidentPostmortem(e), incidentTrends(e), incidentActions(e))
	cmd.AddCommand(incidentVerbs(e)...)
	cmd.AddCommand(incidentResolve(e), incidentImpact(e), incidentCause(e), incidentRate(e), incidentAction(e))
	return cmd
}

func incidentList(e *env) *cobra.Command {
	var state, service string
	cmd := &cobra.Command{
		Use: "list", Short: "List incidents, newest first", Example: "  ringfence incident list\n  ringfence incident list --state live --service shop", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) ([]incident.State, error) {
				return c.Incidents(ctx, state, service)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, all, func(w io.Writer) {
				rows := make([][]string, len(all))
				for i, s := range all {
					t := s.Times()
					rows[i] = []string{s.ID, strconv.Itoa(s.Severity), string(s.Phase), s.Service, ago(s.Detected), lasted(t.Detect), lasted(t.Mitigate), lasted(t.Remediate), personName(s.Commander), s.Title}
				}
				table(w, []string{"INCIDENT", "SEV", "STATE", "SERVICE", "DETECTED", "TTD", "TTM", "TTR", "COMMANDER", "TITLE"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "all", "all, open (not closed) or live (not mitigated)")
	cmd.Flags().StringVar(&service, "service", "", "only of this service")
	return cmd
}

// lasted is a duration of an incident, "" when it is not known.
func lasted(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return incident.Span(time.Duration(*seconds * float64(time.Second)))
}

func personName(actor string) string {
	return strings.TrimPrefix(actor, "user:")
}

func incidentShow(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "show INCIDENT", Short: "Show what may be the cause, what may end it, what happened, what is left to do", Example: "  ringfence incident show inc-7", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (responder.View, error) { return c.Incident(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, v, func(w io.Writer) { showIncident(w, v) })
		},
	}
}

func showIncident(w io.Writer, v responder.View) {
	c, s := colours(w), v.Incident
	state := c.red(string(s.Phase))
	if !s.Live() {
		state = c.green(string(s.Phase))
	}
	fmt.Fprintf(w, "%s  severity %d  %s  %s\n", c.bold(s.ID+" "+printable(s.Title)), s.Severity, state, printable(s.Service))
	if s.Impact.Where != "" {
		fmt.Fprintf(w, "  seen first in %s, as the %s says\n", printable(s.Impact.Where), s.Impact.Source)
	}
	if text := cmp.Or(s.Impact.Text, v.Impact); text != "" {
		fmt.Fprintf(w, "  users: %s\n", printable(text))
	}
	if v.Runbook != "" {
		fmt.Fprintf(w, "  runbook: %s\n", printable(v.Runbook))
	}
	t := v.Times
	var times []string
	for _, x := range []struct {
		name string
		v    *float64
	}{{"TTD", t.Detect}, {"taken after", t.Acknowledge}, {"TTN", t.Tell}, {"TTM", t.Mitigate}, {"TTR", t.Remediate}} {
		if x.v != nil {
			times = append(times, x.name+" "+lasted(x.v))
		}
	}
	if len(times) > 0 {
		fmt.Fprintf(w, "  %s\n", strings.Join(times, "  "))
	}
	if s.Commander != "" {
		fmt.Fprintf(w, "  led by %s\n", printable(personName(s.Commander)))
	}
	showRemedies(w, v.Remedies, c)
	showCauses(w, v.Causes, 3, c)
	fmt.Fprintln(w, c.bold("checklist"))
	for _, it := range v.Checklist {
		if it.Done {
			fmt.Fprintf(w, "  %s %s\n", c.green("✓"), printable(it.Text))
			continue
		}
		fmt.Fprintf(w, "  ✗ %s: %s\n", printable(it.Text), it.How)
	}
	fmt.Fprintln(w, c.bold("timeline"))
	for _, l := range v.Timeline {
		text := printable(l.Text)
		if l.Mark != "" {
			text = c.bold(text)
		}
		fmt.Fprintf(w, "  %s  %s\n", l.At.Local().Format("Jan 02 15:04:05"), text)
	}
}

func showRemedies(w io.Writer, all []responder.Remedy, c paint) {
	for i, r := range all {
		switch {
		case r.Why != "":
			fmt.Fprintf(w, "  ✗ %s: %s\n", printable(r.Label), printable(r.Why))
		case i == 0:
			fmt.Fprintf(w, "  %s %s: ringfence incident mitigate\n", c.bold("→"), c.bold(printable(r.Label)))
		default:
			fmt.Fprintf(w, "  → %s: --by %s/%s\n", printable(r.Label), r.Kind, printable(r.Ref))
		}
	}
}

func showCauses(w io.Writer, causes responder.Causes, most int, c paint) {
	fmt.Fprintln(w, c.bold("likely causes"))
	for _, cand := range causes.Candidates[:min(most, len(causes.Candidates))] {
		fmt.Fprintf(w, "  %d. %s  %s", cand.Rank, c.bold(printable(cand.Title)), incident.Odds(cand.Share))
		if cand.Ref != "" {
			fmt.Fprintf(w, "  %s", printable(cand.Ref))
		}
		fmt.Fprintf(w, "\n     %s\n", printable(cand.Why))
	}
}

func incidentCauses(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "causes INCIDENT", Short: "Rank what may be the cause, with reasons and numbers",
		Long: `Ranks every change near the incident, and what is no change: a dependency that is down, one customer only, requests that
stay away, instances that crash, a full disk, a certificate. Each has its share of the odds, and says why in numbers.`,
		Example: "  ringfence incident causes inc-7\n  ringfence incident causes inc-7 --json", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (responder.View, error) { return c.Incident(ctx, args[0]) })
			if err != nil {
				return err
			}
			return e.show(cmd, v.Causes, func(w io.Writer) {
				showCauses(w, v.Causes, 20, colours(w))
				var rows [][]string
				for _, p := range v.Causes.Parts {
					rows = append(rows, []string{p.Version, p.Ring, incident.Number(p.Before.Requests), incident.Percent(p.Before.Rate()), incident.Number(p.Since.Requests), incident.Number(p.Since.Bad), incident.Percent(p.Since.Rate())})
				}
				if rows != nil {
					table(w, []string{"VERSION", "RING", "BEFORE", "BAD", "SINCE", "BAD", "SHARE"}, rows)
				}
			})
		},
	}
}

func incidentOpen(e *env) *cobra.Command {
	var d responder.Draft
	var severity int
	var since string
	cmd := &cobra.Command{
		Use: "open TITLE", Short: "Open an incident that you have seen", Example: "  ringfence incident open \"customers cannot pay\" --service shop --severity 1", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Title, d.Severity = args[0], &severity
			var err error
			if d.Since, err = moment(since); err != nil {
				return err
			}
			s, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (incident.State, error) { return c.OpenIncident(ctx, d) })
			if err != nil {
				return err
			}
			return e.show(cmd, s, func(w io.Writer) { fmt.Fprintf(w, "%s opened, severity %d\n", s.ID, s.Severity) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.Service, "service", "", "the service that hurts")
	f.IntVar(&severity, "severity", 2, "0 (everything is down) to 4 (nobody was hurt)")
	f.StringVar(&d.Commander, "commander", "", "who leads")
	f.StringVar(&d.Text, "impact", "", "what users notice")
	f.StringVar(&since, "since", "", "since when: a time such as 2026-01-02T15:04:05Z, or a duration ago such as 20m")
	return cmd
}

// moment is a time as people write it: in RFC 3339, as a date, or as a duration before now.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return time.Now().Add(-d).UTC(), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.E(errs.Invalid, "time %q: expected one such as 2026-01-02T15:04:05Z, a date, or a duration ago such as 20m", s)
}

func incidentMitigate(e *env) *cobra.Command {
	var by, reason, at string
	var done bool
	cmd := &cobra.Command{
		Use:   "mitigate INCIDENT",
		Short: "Take back what is suspected, with one command",
		Long: `Does what is offered first: while a change is a suspect, taking it back. --by does something else: rollback/ROLLOUT,
halt/ROLLOUT, flag-off/SET/KEY or redeploy/SERVICE. --done does nothing but say that users are not hurt any more; an incident
whose rollouts are back and whose alerts are over is mitigated by itself.`,
		Example: "  ringfence incident mitigate inc-7\n  ringfence incident mitigate inc-7 --by redeploy/shop --reason \"v9 loses orders\"\n  ringfence incident mitigate inc-7 --done",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if done {
				t, err := moment(at)
				if err != nil {
					return err
				}
				return command(cmd, e, args[0], incident.Mitigate, wire.IncidentAsk{Text: reason, At: t})
			}
			r := wire.IncidentRemedy{Reason: reason}
			r.Kind, r.Ref, _ = strings.Cut(by, "/")
			out, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (responder.Remedied, error) {
				return c.RemedyIncident(ctx, args[0], r)
			})
			if err != nil {
				return err
			}
			return e.show(cmd, out, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", out.Incident.ID, printable(out.Done.Label)) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&by, "by", "", "what to do, such as rollback/shop-7, flag-off/shop/new-checkout or redeploy/shop")
	f.BoolVar(&done, "done", false, "only say that users are not hurt any more")
	f.StringVar(&at, "at", "", "with --done: since when")
	f.StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// command does something with an incident and says how it stands.
func command(cmd *cobra.Command, e *env, id string, verb incident.Verb, a wire.IncidentAsk) error {
	s, err := ask(cmd.Context(), e, func(ctx context.Context, c *client.Client) (incident.State, error) {
		return c.CommandIncident(ctx, id, verb, a)
	})
	if err != nil {
		return err
	}
	return e.show(cmd, s, func(w io.Writer) { fmt.Fprintf(w, "%s is %s\n", s.ID, s.Phase) })
}
