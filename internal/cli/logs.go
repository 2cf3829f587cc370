package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/logs"
)

// logsAsk is what the flags of logs say.
type logsAsk struct {
	wire.LogFilter
	from, to      string
	follow, files bool
}

func logsCommand(e *env) *cobra.Command {
	var ask logsAsk
	cmd := &cobra.Command{
		Use:   "logs SERVICE",
		Short: "Search logs: what instances wrote, requests that failed or were slow, OpenTelemetry's",
		Long: `Prints the newest log entries of a service, the oldest of them first: time, severity, version/instance or ring, text.
Words of --grep are all to be in an entry, in any case; in quotes, a phrase; after a -, one that is not.
Requests that failed or were slow carry their ring (--source gateway); a flood of them is sampled, and an entry says how many were left out.
With --by they are counted instead. With --files the files of the instances are read where they run, which works before anything was sent.`,
		Example: `  ringfence logs shop
  ringfence logs shop --version v2 --ring canary --severity error --since 15m
  ringfence logs shop --grep 'payment -timeout' --json
  ringfence logs shop --severity error --by version --by ring
  ringfence logs shop --follow`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.Service = args
			return e.logs(cmd, ask)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&ask.Version, "version", nil, "only of this version; may be given several times")
	f.StringSliceVar(&ask.Ring, "ring", nil, "only of requests of users in this ring")
	f.StringSliceVar(&ask.Unit, "unit", nil, "only of this unit")
	f.StringSliceVar(&ask.Instance, "instance", nil, "only of this instance, a number from 1")
	f.StringSliceVar(&ask.Source, "source", nil, "only from output, gateway, otlp or ringfence")
	f.StringVar(&ask.Severity, "severity", "", "only trace, debug, info, warn, error or fatal, and above")
	f.StringVar(&ask.Text, "grep", "", "only with these words")
	f.StringVar(&ask.Trace, "trace", "", "only of this trace")
	f.DurationVar(&ask.Since, "since", time.Hour, "how far back")
	f.StringVar(&ask.from, "from", "", "begin at this time, such as 2026-03-01T12:00:00Z, instead of --since")
	f.StringVar(&ask.to, "to", "", "end at this time")
	f.IntVar(&ask.Limit, "limit", 100, "at most so many of those that are there, up to 5000")
	f.StringSliceVar(&ask.By, "by", nil, "count by service, version, ring, unit, instance, source or severity")
	f.BoolVarP(&ask.follow, "follow", "f", false, "go on with new ones")
	f.BoolVar(&ask.files, "files", false, "read the files of the instances where they run")
	cmd.MarkFlagsMutuallyExclusive("by", "follow")
	return cmd
}

func (e *env) logs(cmd *cobra.Command, ask logsAsk) error {
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"--from", ask.from, &ask.From}, {"--to", ask.to, &ask.To}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, t.text)
		if err != nil {
			return errs.E(errs.Invalid, "%s %q: expected a time such as 2026-03-01T12:00:00Z", t.name, t.text)
		}
		*t.into = at
	}
	if ask.from != "" {
		ask.Since = 0
	} else if ask.Since <= 0 {
		return errs.E(errs.Invalid, "--since %s: expected a duration such as 15m", ask.Since)
	}
	if ask.files {
		return e.logFiles(cmd, ask)
	}
	c, err := e.client()
	if ask.follow {
		c, err = e.patient(watchPatience)
	}
	if err != nil {
		return err
	}
	if len(ask.By) > 0 {
		return e.logCounts(cmd, c, ask.LogFilter)
	}
	return e.logEntries(cmd, c, ask)
}

// logFiles reads where the instances run.
func (e *env) logFiles(cmd *cobra.Command, ask logsAsk) error {
	q := wire.LogQuery{Service: ask.Service[0], Tail: ask.Limit, Follow: ask.follow}
	one := func(name string, all []string) (string, error) {
		if len(all) > 1 {
			return "", errs.E(errs.Invalid, "%s: expected one with --files", name)
		}
		return strings.Join(all, ""), nil
	}
	var err error
	if q.Version, err = one("--version", ask.Version); err != nil {
		return err
	}
	if q.Unit, err = one("--unit", ask.Unit); err != nil {
		return err
	}
	n, err := one("--instance", ask.Instance)
	if err == nil && n != "" {
		if q.Instance, err = strconv.Atoi(n); err != nil {
			err = errs.E(errs.Invalid, "--instance %q: expected a number", n)
		}
	}
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	r, err := c.Logs(cmd.Context(), q)
	if err != nil {
		return err
	}
	defer r.Close()
	return copyLogs(cmd, e, r)
}

func (e *env) logEntries(cmd *cobra.Command, c *client.Client, ask logsAsk) error {
	ctx, w := cmd.Context(), cmd.OutOrStdout()
	page, err := c.FindLogs(ctx, ask.LogFilter)
	if err != nil {
		return err
	}
	slices.Reverse(page.Items)
	for _, entry := range page.Items {
		if err := e.logEntry(w, entry); err != nil {
			return err
		}
	}
	if page.Partial {
		fmt.Fprintln(cmd.ErrOrStderr(), "There was too much to read it all in time: older entries may be missing. Ask for a shorter time, a version, or a severity.")
	}
	if !ask.follow {
		if len(page.Items) == 0 && !e.json {
			fmt.Fprintf(cmd.ErrOrStderr(), "No entries of %s in this time.\n", strings.Join(ask.Service, ", "))
		}
		return nil
	}
	f := ask.LogFilter
	f.Since, f.From, f.To, f.Limit = 0, time.Time{}, time.Time{}, 0
	for entry, err := range c.TailLogs(ctx, f, page.Last) {
		if err == nil {
			err = e.logEntry(w, entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *env) logCounts(cmd *cobra.Command, c *client.Client, f wire.LogFilter) error {
	f.Limit = 0
	counts, err := c.CountLogs(cmd.Context(), f)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if e.json {
		return jsonLine(w, counts)
	}
	head := make([]string, 0, len(f.By)+2)
	for _, by := range f.By {
		head = append(head, strings.ToUpper(by))
	}
	rows := make([][]string, 0, len(counts.Items))
	for _, c := range counts.Items {
		row := make([]string, 0, len(f.By)+2)
		for i := range f.By {
			value := "…"
			if i < len(c.Values) {
				if value = c.Values[i]; value == "" {
					value = "–"
				}
			}
			row = append(row, printable(value))
		}
		rows = append(rows, append(row, fmt.Sprint(c.Entries), fmt.Sprint(c.Errors)))
	}
	table(w, append(head, "ENTRIES", "ERRORS"), rows)
	return nil
}

func (e *env) logEntry(w io.Writer, entry wire.LogEntry) error {
	if e.json {
		return jsonLine(w, entry)
	}
	_, err := fmt.Fprintln(w, logLine(entry, colours(w)))
	return err
}

// logLine is an entry on one line; what could steer a terminal is taken out.
func logLine(entry wire.LogEntry, c paint) string {
	severity := fmt.Sprintf("%-5s", strings.ToUpper(entry.Severity))
	switch s, _ := logs.ParseSeverity(entry.Severity); {
	case s >= logs.Error:
		severity = c.red(severity)
	case s >= logs.Warn:
		severity = c.yellow(severity)
	}
	whose := entry.Version
	if entry.Instance != "" {
		whose += "/" + entry.Instance
	}
	if entry.Ring != "" {
		whose += " " + entry.Ring
	}
	return entry.Time.Local().Format("2006-01-02 15:04:05.000") + " " + severity + " " + printable(whose) + "  " + printable(strings.ReplaceAll(entry.Text, "\t", "    "))
}
