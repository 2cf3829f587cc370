package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/api/wire"
	"github.com/ringfence/ringfence/internal/health"
	"github.com/ringfence/ringfence/internal/rollout"
)

const barWidth = 12

// view draws a rollout in a few lines of at most width characters.
func view(r wire.Rollout, c paint, width int) []string {
	s := r.Rollout
	from := s.From
	if from == "" {
		from = "nothing"
	}
	head := fmt.Sprintf("%s  %s → %s  plan %s  ", s.ID, from, s.To, s.Plan)
	lines := []string{c.bold(cut(head, width-16)) + phase(s, c)}
	names := 4
	for _, ring := range s.Rings {
		names = min(max(names, len(ring.Name)), 20)
	}
	for i, ring := range s.Rings {
		left := width - names - barWidth - 6
		lines = append(lines, fmt.Sprintf("  %-*s  %s  %s", names, cut(ring.Name, names), bar(s, i, c), cut(stageText(r, i), left)))
	}
	lines = append(lines, gates(r, c, width)...)
	if s.Phase == rollout.RollingBack {
		lines = append(lines, cut("  ← "+printable(s.Reason), width))
	}
	return append(lines, cut("  → "+printable(r.Waiting), width))
}

func phase(s rollout.State, c paint) string {
	text := string(s.Phase)
	if s.Paused && !s.Phase.Ended() {
		text += ", paused"
	}
	switch s.Phase {
	case rollout.Succeeded:
		return c.green(text)
	case rollout.RolledBack, rollout.RollingBack:
		return c.red(text)
	}
	return c.yellow(text)
}

// bar shows how far ring i is: full once passed, and filling while it bakes.
func bar(s rollout.State, i int, c paint) string {
	n := int(math.Round(share(s, i) * barWidth))
	full, empty := strings.Repeat("█", n), strings.Repeat("░", barWidth-n)
	if s.Phase == rollout.RolledBack || s.Phase == rollout.RollingBack {
		return c.red(full) + c.dim(empty)
	}
	return c.green(full) + c.dim(empty)
}

// share is the part of ring i's bake that is over.
func share(s rollout.State, i int) float64 {
	st := stageIn(s, i)
	switch {
	case s.Phase == rollout.Succeeded || st != nil && st.Verdict == health.Pass && !st.Left.IsZero():
		return 1
	case st == nil || st.Baking.IsZero():
		return 0
	}
	end := st.Left
	if end.IsZero() {
		end = time.Now()
	}
	bake := time.Duration(s.Rings[i].Bake)
	if bake <= 0 {
		return 0
	}
	return math.Min(1, math.Max(0, end.Sub(st.Baking).Seconds()/bake.Seconds()))
}

func stageIn(s rollout.State, i int) *rollout.Stage {
	for j := len(s.Stages) - 1; j >= 0; j-- {
		if s.Stages[j].Ring == s.Rings[i].Name {
			return &s.Stages[j]
		}
	}
	return nil
}

// stageText says in a few words what was seen in ring i.
func stageText(r wire.Rollout, i int) string {
	s := r.Rollout
	st := stageIn(s, i)
	if st == nil {
		return "bake " + s.Rings[i].Bake.String()
	}
	users, judged := st.Users, st.Gates
	if r.Evidence != nil && i == s.Ring && st.Left.IsZero() {
		users, judged = max(users, r.Evidence.Users), r.Evidence.Gates
	}
	parts := []string{fmt.Sprintf("%d users", users)}
	if len(judged) > 0 {
		parts = append(parts, fmt.Sprintf("%d requests", judged[0].Evidence.CanaryRequests))
	}
	if st.Verdict != "" {
		parts = append(parts, string(st.Verdict))
	}
	if !st.Left.IsZero() {
		parts = append(parts, short(st.Left.Sub(st.Exposed)))
	}
	return strings.Join(parts, "  ")
}

// gates shows the evidence of the current ring: how far each gate's e-value is from its threshold.
func gates(r wire.Rollout, c paint, width int) []string {
	if r.Evidence == nil {
		return nil
	}
	var lines []string
	for _, j := range r.Evidence.Gates {
		name := j.Gate.Signal
		if j.Gate.Over != "" {
			name += " over " + j.Gate.Over + "s"
		}
		ev := j.Evidence
		row := fmt.Sprintf("  %s: e %s of %s  new %s  stable %s  ", name, figure(ev.E), figure(ev.Threshold),
			ratio(ev.CanaryBad, ev.CanaryRequests), ratio(ev.StableBad, ev.StableRequests))
		lines = append(lines, cut(row, width-4)+verdict(j.Verdict, c))
	}
	return lines
}

func figure(x float64) string {
	if x >= 1e6 {
		return fmt.Sprintf("%.1e", x)
	}
	return fmt.Sprintf("%.3g", x)
}

func ratio(bad, all int64) string { return fmt.Sprintf("%d/%d", bad, all) }

func verdict(v health.Verdict, c paint) string {
	switch v {
	case health.Pass:
		return c.green(string(v))
	case health.Fail:
		return c.red(string(v))
	}
	return c.yellow(string(v))
}

// cut keeps a line within width characters, so that it does not wrap.
func cut(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:width-1]) + "…"
}
