package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/client"
)

func eventsCommand(e *env) *cobra.Command {
	var q wire.EventQuery
	var follow bool
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Print the record: who did what, and what was decided on which evidence",
		Long:    "Prints the newest entries of the record, the oldest of them first. With --json each is an object on a line of its own.",
		Example: "  ringfence events --limit 20\n  ringfence events --subject rollout/shop-3 --json\n  ringfence events --follow --type rollout.",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.patient(watchPatience)
			if !follow {
				c, err = e.client()
			}
			if err != nil {
				return err
			}
			return e.events(cmd, c, q, follow)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Subject, "subject", "", "only of this subject, as kind/name")
	f.StringVar(&q.Type, "type", "", "only types that begin with this")
	f.Int64Var(&q.After, "after", 0, "only with a greater number")
	f.IntVar(&q.Limit, "limit", 50, "at most so many of those that are there, up to 1000")
	f.BoolVarP(&follow, "follow", "f", false, "go on with new ones")
	return cmd
}

func (e *env) events(cmd *cobra.Command, c *client.Client, q wire.EventQuery, follow bool) error {
	ctx, w := cmd.Context(), cmd.OutOrStdout()
	q.Newest = q.After == 0
	page, err := c.Events(ctx, q)
	if err != nil {
		return err
	}
	if q.Newest {
		slices.Reverse(page.Items)
	}
	last := int64(-1)
	for _, ev := range page.Items {
		if err := e.event(w, ev); err != nil {
			return err
		}
		last = ev.Seq
	}
	if !follow {
		return nil
	}
	for ev, err := range c.Follow(ctx, max(last, q.After, 0), q.Subject, q.Type) {
		if err == nil {
			err = e.event(w, ev)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *env) event(w io.Writer, ev audit.Event) error {
	if e.json {
		return jsonLine(w, ev)
	}
	_, err := fmt.Fprintln(w, eventLine(ev, colours(w)))
	return err
}

// eventLine is an event on one line: when, what, to what, by whom, why.
func eventLine(ev audit.Event, c paint) string {
	var d struct {
		Ring, From, To, Reason, Why, Action string
	}
	_ = json.Unmarshal(ev.Data, &d) // other events have other data; what is missing stays empty
	head := ev.Time.Local().Format("2006-01-02 15:04:05") + "  " + typeOf(printable(ev.Type), c) + strings.Repeat(" ", max(1, 20-len(ev.Type)))
	line := ev.Subject
	if d.Ring != "" {
		line += " ring " + d.Ring
	}
	switch {
	case d.From != "" && d.To != "":
		line += " " + d.From + " → " + d.To
	case d.To != "":
		line += " " + d.To
	}
	line += " by " + ev.Actor
	for _, more := range []string{d.Action, d.Reason, d.Why} {
		if more != "" {
			line += ": " + more
		}
	}
	return head + printable(line)
}

func typeOf(t string, c paint) string {
	switch {
	case strings.HasSuffix(t, ".halted"), strings.HasPrefix(t, "rollback."), t == "access.denied":
		return c.red(t)
	case strings.HasSuffix(t, ".passed"), strings.HasSuffix(t, ".succeeded"):
		return c.green(t)
	}
	return t
}

func jsonLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func eachLine(r io.Reader, do func(string) error) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := do(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
