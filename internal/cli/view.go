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
	head := fmt.Sprintf("%s  %s  plan %s  ", s.ID, change(s.From, s.To), s.Plan)
	lines := []string{c.bold(cut(head, width-20)) + phase(s, c)}
	for _, line := range notable(s) {
		lines = append(lines, cut("  "+printable(line), width))
	}
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
	if p := r.Pending; p != nil && !strings.Contains(r.Waiting, p.Missing) {
		lines = append(lines, cut("  then "+printable(p.Missing), width))
	}
	return append(lines, cut("  → "+printable(r.Waiting), width))
}

// notable is what is not said of every rollout: what it changes besides the release, and by which way of its own.
func notable(s rollout.State) []string {
	var lines, changes []string
	for _, ch := range s.Changes {
		changes = append(changes, fmt.Sprintf("%s %s → %s", ch.Kind, orNone(ch.From), orNone(ch.To)))
	}
	if strings.ContainsAny(s.From+s.To, "@~") {
		lines = append(lines, strings.Join(changes, ", "))
	}
	var ways []string
	if s.Lane != "" {
		ways = append(ways, "lane "+string(s.Lane))
	}
	if s.Through {
		ways = append(ways, "through freezes")
	}
	if s.Spared > 0 {
		ways = append(ways, "not for "+few(spared(s), 3))
	}
	switch way := strings.Join(ways, ", "); {
	case s.Why != "" && way == "":
		lines = append(lines, "released because: "+s.Why)
	case s.Why != "":
		lines = append(lines, way+": "+s.Why)
	case way != "":
		lines = append(lines, way)
	}
	if len(s.Units) > 1 {
		lines = append(lines, "units "+strings.Join(unitsText(s), ", "))
	}
	return lines
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func spared(s rollout.State) []string {
	var names []string
	for _, r := range s.Rings[max(0, len(s.Rings)-s.Spared):] {
		names = append(names, "ring "+r.Name)
	}
	return names
}

// unitsText names the units, with what ran before where that is another version than in most.
func unitsText(s rollout.State) []string {
	units := make([]string, len(s.Units))
	for i, u := range s.Units {
		units[i] = u
		if before, other := s.Before[u]; other {
			units[i] += " (from " + before + ")"
		}
	}
	return units
}

func phase(s rollout.State, c paint) string {
	text := phaseText(s)
	switch {
	case s.Phase == rollout.Succeeded:
		return c.green(text)
	case s.Phase == rollout.RolledBack || s.Phase == rollout.RollingBack || s.Halted && !s.Phase.Ended():
		return c.red(text)
	}
	return c.yellow(text)
}

// phaseText is the phase, and whether a person or a gate keeps it there.
func phaseText(s rollout.State) string {
	switch text := string(s.Phase); {
	case s.Phase.Ended() || s.Phase == rollout.RollingBack:
		return text
	case s.Halted:
		return text + ", halted"
	case s.Paused:
		return text + ", paused"
	default:
		return text
	}
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
	if n := requests(judged); n > 0 {
		parts = append(parts, fmt.Sprintf("%d requests", n))
	}
	if st.Verdict != "" {
		parts = append(parts, string(st.Verdict))
	}
	if !st.Left.IsZero() {
		parts = append(parts, short(st.Left.Sub(st.Exposed)))
	}
	return strings.Join(parts, "  ")
}

// requests is how many went to the new version, as the gate that saw most of them says.
func requests(judged []health.Judgement) int64 {
	most := int64(0)
	for _, j := range judged {
		most = max(most, j.Evidence.CanaryRequests)
	}
	return most
}

// gates shows the evidence of the current ring, gate by gate, and that of the gates before the next one.
func gates(r wire.Rollout, c paint, width int) []string {
	if r.Evidence == nil {
		return nil
	}
	var lines []string
	for _, j := range r.Evidence.Gates {
		lines = append(lines, gate(r.Rollout, j, "", c, width))
	}
	for _, j := range r.Evidence.Before {
		lines = append(lines, gate(r.Rollout, j, "before the next ring, ", c, width))
	}
	return lines
}

// gate is one line: of a comparison, how far its e-value is from its threshold; of the others, the first reason.
func gate(s rollout.State, j health.Judgement, before string, c paint, width int) string {
	name := before + rollout.Key(j.Gate)
	if j.Gate.Name == "" && j.Gate.Over != "" {
		name += "s"
	}
	for _, g := range s.Gates {
		if g.Informing && rollout.Key(g.Gate) == rollout.Key(j.Gate) {
			name += " (informing)"
		}
	}
	ev := j.Evidence
	text := strings.Join(j.Reasons[:min(1, len(j.Reasons))], "")
	if j.Gate.Signal == health.SignalErrors || j.Gate.Signal == health.SignalLatency {
		text = fmt.Sprintf("e %s of %s  new %s  stable %s", figure(ev.E), figure(ev.Threshold),
			ratio(ev.CanaryBad, ev.CanaryRequests), ratio(ev.StableBad, ev.StableRequests))
	}
	return cut("  "+printable(name+": "+text), width-6) + "  " + verdict(j.Verdict, c)
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
