package demo

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

// view shows a rollout as it goes: redrawn in place in a terminal, else a line at each change.
type view struct {
	out      io.Writer
	terminal bool
	lines    int // drawn and to be drawn over
	last     string
	began    time.Time
}

func newView(out io.Writer, terminal bool) *view {
	return &view{out: out, terminal: terminal, began: time.Now()}
}

func (v *view) step(format string, args ...any) {
	fmt.Fprintf(v.out, "%6.1fs  %s\n", time.Since(v.began).Seconds(), fmt.Sprintf(format, args...))
}

// done leaves what was drawn and begins a new block.
func (v *view) done() { v.lines, v.last = 0, "" }

func (v *view) show(r wire.Rollout, t Counts) {
	if v.terminal {
		v.draw(r, t)
		return
	}
	line := fmt.Sprintf("%s %s", r.Rollout.To, r.Rollout.Phase)
	if r.Rollout.Ring >= 0 {
		line += " " + r.Rollout.Rings[r.Rollout.Ring].Name
	}
	if r.Rollout.Phase.Ended() {
		line += ": " + r.Rollout.Reason
	}
	if line != v.last {
		v.step("  %s", line)
		v.last = line
	}
}

func (v *view) draw(r wire.Rollout, t Counts) {
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	lines := []string{fmt.Sprintf("  \x1b[1m%s\x1b[0m  %s", r.Rollout.To, clip(r.Waiting, 110))}
	for i, ring := range r.Rollout.Rings {
		lines = append(lines, ringLine(r, i, ring))
	}
	for _, g := range gates(r) {
		lines = append(lines, gateLine(g))
	}
	lines = append(lines, fmt.Sprintf("  %d requests, %d failed by the service, %d failed by Ringfence", t.Requests, t.FailedByService, t.FailedByRingfence))
	for _, l := range lines {
		b.WriteString("\x1b[2K" + l + "\n")
	}
	for i := len(lines); i < v.lines; i++ {
		b.WriteString("\x1b[2K\n")
	}
	v.lines = max(v.lines, len(lines))
	_, _ = io.WriteString(v.out, b.String())
}

const barWidth = 24

// ringLine is one ring with its bake filling up.
func ringLine(r wire.Rollout, i int, ring rollout.Ring) string {
	share, mark, note := 0.0, " ", ""
	for _, st := range r.Rollout.Stages {
		if st.Ring != ring.Name {
			continue
		}
		users := st.Users
		switch {
		case st.Verdict == health.Fail:
			share, mark = 1, "\x1b[31m✗\x1b[0m"
		case !st.Left.IsZero():
			share, mark = 1, "\x1b[32m✓\x1b[0m"
		case !st.Baking.IsZero():
			share, mark = time.Since(st.Baking).Seconds()/max(time.Duration(ring.Bake).Seconds(), 0.001), "\x1b[33m●\x1b[0m"
			if r.Evidence != nil {
				users = max(users, r.Evidence.Users)
			}
		}
		note = fmt.Sprintf("%d users", users)
	}
	full := int(math.Round(barWidth * min(1, share)))
	return fmt.Sprintf("  %s %-8s %s%s  %s", mark, ring.Name, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), note)
}

// gates are the judgements of now, or those that ended the last ring.
func gates(r wire.Rollout) []health.Judgement {
	if r.Evidence != nil && len(r.Evidence.Gates) > 0 {
		return r.Evidence.Gates
	}
	if n := len(r.Rollout.Stages); n > 0 {
		return r.Rollout.Stages[n-1].Gates
	}
	return nil
}

// gateLine shows the evidence against its threshold on a logarithmic scale.
func gateLine(g health.Judgement) string {
	e := g.Evidence
	share := 0.0
	if e.Threshold > 1 && e.E > 1 {
		share = min(1, math.Log(e.E)/math.Log(e.Threshold))
	}
	full := int(math.Round(barWidth * share))
	return fmt.Sprintf("    %-7s  e %s%s %9.3g of %.0f   new %d of %d bad, stable %d of %d   %s",
		g.Gate.Signal, strings.Repeat("▓", full), strings.Repeat("░", barWidth-full), e.E, e.Threshold,
		e.CanaryBad, e.CanaryRequests, e.StableBad, e.StableRequests, g.Verdict)
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
