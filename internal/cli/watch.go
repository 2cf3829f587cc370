package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/client"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/rollout"
)

const (
	// watchPatience is how long a watched rollout may be out of sight, as while the control plane is upgraded.
	watchPatience = time.Minute
	redrawEvery   = 500 * time.Millisecond
)

// watch follows a rollout to its end: drawn on a terminal, else one line, or with --json one object, for each event.
func (e *env) watch(cmd *cobra.Command, which string) error {
	c, err := e.patient(watchPatience)
	if err != nil {
		return err
	}
	r, err := c.Rollout(cmd.Context(), which)
	if err != nil {
		return err
	}
	id := r.Rollout.ID
	w := cmd.OutOrStdout()
	if isTerminal(w) && !e.json {
		r, err = redraw(cmd.Context(), c, w, id)
	} else {
		r, err = e.follow(cmd.Context(), c, w, id)
	}
	if err != nil {
		return err
	}
	if r.Rollout.Phase != rollout.Succeeded {
		return errs.E(errs.Internal, "%s of %s ended as %s: %s", id, r.Rollout.To, r.Rollout.Phase, r.Rollout.Reason)
	}
	return nil
}

var ends = map[string]rollout.Phase{
	rollout.EvSucceeded: rollout.Succeeded, rollout.EvRolledBack: rollout.RolledBack, rollout.EvSuperseded: rollout.Superseded,
}

// follow prints the rollout's events from its beginning to its end.
func (e *env) follow(ctx context.Context, c *client.Client, w io.Writer, id string) (wire.Rollout, error) {
	for ev, err := range c.Follow(ctx, 0, "rollout/"+id, "") {
		if err != nil {
			return wire.Rollout{}, err
		}
		if e.json {
			if err := json.NewEncoder(w).Encode(ev); err != nil {
				return wire.Rollout{}, err
			}
		} else {
			fmt.Fprintln(w, eventLine(ev, colours(w)))
		}
		if end, ok := ends[ev.Type]; ok {
			// After a success there may have been a rollback, whose events are still to come.
			if r, err := c.Rollout(ctx, id); err != nil || r.Rollout.Phase == end {
				return r, err
			}
		}
	}
	return wire.Rollout{}, ctx.Err()
}

// redraw draws the rollout again and again in the same place until it has ended.
func redraw(ctx context.Context, c *client.Client, w io.Writer, id string) (wire.Rollout, error) {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	drawn := 0
	for {
		r, err := c.Rollout(ctx, id)
		if err != nil {
			return r, err
		}
		lines := view(r, colours(w), columns(w))
		var b strings.Builder
		if drawn > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", drawn)
		}
		for _, line := range lines {
			b.WriteString("\r" + line + "\x1b[K\n")
		}
		b.WriteString("\x1b[J")
		if _, err := io.WriteString(w, b.String()); err != nil {
			return r, err
		}
		drawn = len(lines)
		if r.Rollout.Phase.Ended() {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
	}
}

func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n >= 40 {
			return n - 1
		}
	}
	return 79
}
