package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entry is one line of a timeline.
type Entry struct {
	At    time.Time `json:"at"`
	Actor string    `json:"actor,omitempty"`
	Type  string    `json:"type"`
	Ref   string    `json:"ref,omitempty" doc:"what it happened to, such as rollout/shop-7"`
	Text  string    `json:"text"`
	Mark  string    `json:"mark,omitempty" doc:"onset, detected, mitigated or end, where the line is one of these"`
}

// Dossier is what a postmortem is made from, beside the incident.
type Dossier struct {
	Timeline []Entry
	Causes   []Candidate
	Users    int64 // who got what hurt, 0 when that is not known
	Link     string
}

// Postmortem is the document, in Markdown. The same incident and dossier give the same text.
func Postmortem(s State, d Dossier) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# %s: %s", s.ID, plain(s.Title))
	p("")
	p("| | |\n|---|---|")
	row := func(name, value string) {
		if value != "" {
			p("| %s | %s |", name, cell(value))
		}
	}
	row("Service", s.Service)
	row("Severity", fmt.Sprintf("%d, %s", s.Severity, Severities[min(max(s.Severity, 0), MaxSeverity)]))
	row("State", string(s.Phase))
	row("Commander", who(s.Commander))
	row("Owner", s.Owner)
	row("Page", d.Link)
	p("\n## Impact\n")
	p("%s\n", impactWords(s, d))
	p("## How fast\n")
	p("| Measure | Time | From | To |\n|---|---|---|---|")
	t := s.Times()
	safe := s.Mitigated
	if end := s.Impact.End; !end.IsZero() && end.Before(safe) {
		safe = end
	}
	for _, m := range []struct {
		name     string
		v        *float64
		from, to time.Time
	}{{"TTD, to detect", t.Detect, s.Impact.Start, s.Detected}, {"to acknowledge", t.Acknowledge, s.Detected, s.Acknowledged}, {"TTN, to tell", t.Tell, s.Impact.Start, s.Told},
		{"TTM, to mitigate", t.Mitigate, s.Impact.Start, safe}, {"TTR, to remediate", t.Remediate, s.Impact.Start, s.Resolved}} {
		p("| %s | %s | %s | %s |", m.name, seconds(m.v), clock(m.from), clock(m.to))
	}
	p("\n## Cause\n")
	p("%s", causeWords(s, d))
	p("\n## What went well\n\n%s\n", learned(s.Learned, func(l Learned) string { return l.Well }))
	p("## What did not\n\n%s\n", learned(s.Learned, func(l Learned) string { return l.Badly }))
	if s.Learned != nil && s.Learned.Lucky != "" {
		p("## Where luck helped\n\n%s\n", text(s.Learned.Lucky))
	}
	p("## Action items\n")
	p("%s", actionTable(s.Actions))
	p("## Timeline\n")
	for _, e := range d.Timeline {
		mark := ""
		if e.Mark != "" {
			mark = " **" + e.Mark + "**"
		}
		p("- %s%s %s", clock(e.At), mark, plain(e.Text))
	}
	return b.String()
}

func impactWords(s State, d Dossier) string {
	var parts []string
	if s.Impact.Text != "" {
		parts = append(parts, text(s.Impact.Text))
	}
	return strings.Join(append(parts, plain(strings.Join(s.ImpactSaid(d.Users), " "))), " ")
}

// ImpactSaid says in sentences from when to when users were hurt, where that was seen first, and how many got what hurt when that is known.
func (s State) ImpactSaid(users int64) []string {
	var parts []string
	switch i := s.Impact; {
	case i.Start.IsZero():
		parts = append(parts, "When it began is not known.")
	case i.End.IsZero():
		parts = append(parts, fmt.Sprintf("From %s on, as the %s says; the end is not known.", clock(i.Start), source(i.Source)))
	default:
		parts = append(parts, fmt.Sprintf("From %s to %s, %s, as the %s says.", clock(i.Start), clock(i.End), Span(i.End.Sub(i.Start)), source(i.Source)))
	}
	if s.Impact.Where != "" {
		parts = append(parts, "It was seen first in "+s.Impact.Where+".")
	}
	if users > 0 {
		parts = append(parts, fmt.Sprintf("%s users got what hurt.", Number(float64(users))))
	}
	return parts
}

func source(s string) string {
	switch s {
	case "person":
		return "person who entered it"
	case "":
		return "record"
	}
	return s
}

func causeWords(s State, d Dossier) string {
	var b strings.Builder
	switch c := s.Cause; {
	case c == nil:
		b.WriteString("Not confirmed yet.\n")
	case c.Unknown:
		fmt.Fprintf(&b, "Unknown. %s (%s)\n", text(c.Text), who(c.By))
	default:
		fmt.Fprintf(&b, "%s (confirmed by %s", strings.TrimSpace(text(c.Text)+" `"+plain(c.Ref)+"`"), who(c.By))
		if c.Rank > 0 {
			fmt.Fprintf(&b, "; the ranking had it at %d", c.Rank)
		}
		b.WriteString(")\n")
	}
	if len(d.Causes) == 0 {
		return b.String()
	}
	b.WriteString("\n| | Candidate | Odds | Why |\n|---|---|---|---|\n")
	for _, c := range d.Causes[:min(5, len(d.Causes))] {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", c.Rank, cell(c.Title), cell(Odds(c.Share)), cell(c.Why))
	}
	return b.String()
}

func learned(l *Learned, part func(Learned) string) string {
	if l == nil || part(*l) == "" {
		return "Not written yet."
	}
	return text(part(*l))
}

func actionTable(actions []Action) string {
	if len(actions) == 0 {
		return "None.\n"
	}
	var b strings.Builder
	b.WriteString("| | What | Owner | Due | Done |\n|---|---|---|---|---|\n")
	for _, a := range slices.SortedFunc(slices.Values(actions), func(a, b Action) int { return cmp.Compare(a.Number, b.Number) }) {
		day := func(t time.Time) string {
			if t.IsZero() {
				return "–"
			}
			return t.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", a.Number, cell(a.Text), cell(cmp.Or(who(a.Owner), "–")), day(a.Due), day(a.Done))
	}
	return b.String()
}

func seconds(v *float64) string {
	if v == nil {
		return "–"
	}
	return Span(time.Duration(*v * float64(time.Second)))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func who(actor string) string {
	if name, ok := strings.CutPrefix(actor, "user:"); ok {
		return plain(name)
	}
	if strings.HasPrefix(actor, "system:") {
		return "Ringfence"
	}
	return plain(actor)
}

// plain keeps a text on one line and out of Markdown's and HTML's way.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "`", "'", "[", `\[`, "*", `\*`).Replace(s)
}

func cell(s string) string { return strings.ReplaceAll(plain(s), "|", `\|`) }

// text is what a person wrote, whose paragraphs and lists stay, but no HTML.
func text(s string) string {
	return strings.TrimSpace(strings.NewReplacer("<", "&lt;", "\r", "").Replace(s))
}
