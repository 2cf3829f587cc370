package send

import (
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/notify"
)

// repeated stands above what may have been told before.
const repeated = "This may be a repeat: it is not known whether the message arrived when it was first sent."

// marks stand before titles; colours are not for everyone.
var marks = map[notify.Mood]string{notify.Good: "✅", notify.Bad: "🛑", notify.Warn: "⚠️", notify.Calm: "ℹ️"}

func titled(m notify.Message) string {
	if mark := marks[m.Mood]; mark != "" {
		return mark + " " + m.Title
	}
	return m.Title
}

// history are the lines of a message with their times, in UTC: a channel has readers in many places.
func history(m notify.Message) []string {
	var lines []string
	for _, l := range m.Lines {
		lines = append(lines, l.At.UTC().Format(time.TimeOnly)+"  "+l.Text)
	}
	return lines
}

// plain is the whole message in text.
func plain(m notify.Message) string {
	var b strings.Builder
	part := func(s string) {
		if s != "" {
			b.WriteString(s + "\n\n")
		}
	}
	if m.Repeat {
		part(repeated)
	}
	part(titled(m))
	part(m.Why)
	var facts []string
	for _, f := range m.Facts {
		facts = append(facts, f.Name+": "+f.Value)
	}
	part(strings.Join(facts, "\n"))
	if lines := history(m); len(lines) > 0 {
		part("What happened (" + m.At.UTC().Format("2 January 2006") + ", times in UTC):\n" + strings.Join(lines, "\n"))
	}
	if m.Next != "" {
		part("What to do: " + m.Next)
	}
	part(m.Link)
	return strings.TrimRight(b.String(), "\n") + "\n"
}
