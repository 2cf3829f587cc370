package logs

import (
	"encoding/json"
	"strings"
	"time"
)

// Line makes an entry of a line that a program wrote. Time and severity are the line's own when it has them in one of the common
// shapes: JSON, key=value, a word at the beginning. The text stays as it was written.
func Line(text string, seen time.Time) Entry {
	e := Entry{Time: seen, Text: text}
	switch trimmed := strings.TrimLeft(text, " \t"); {
	case strings.HasPrefix(trimmed, "{"):
		e.fromJSON(trimmed)
	default:
		e.Severity = severityIn(trimmed)
		e.at(firstTime(trimmed))
	}
	return e
}

var (
	timeKeys     = []string{"time", "ts", "timestamp", "@timestamp"}
	severityKeys = []string{"level", "severity", "lvl", "severityText"}
	traceKeys    = []string{"trace_id", "traceId", "traceID", "trace"}
)

func (e *Entry) fromJSON(text string) {
	var m map[string]any
	if json.Unmarshal([]byte(text), &m) != nil {
		return
	}
	first := func(keys []string) string {
		for _, k := range keys {
			if s, ok := m[k].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	e.Severity = severityOf(first(severityKeys))
	if t := first(traceKeys); len(t) <= MaxLabel {
		e.Trace = t
	}
	e.at(first(timeKeys))
}

// at takes a program's own time when it is near the one at which its line was seen: clocks of programs may be anywhere.
func (e *Entry) at(s string) {
	if len(s) < len("2006-01-02T15:04:05") || s[4] != '-' {
		return
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			if d := e.Time.Sub(t); d > -time.Minute && d < 24*time.Hour {
				e.Time = t
			}
			return
		}
	}
}

// firstTime is the first word, or what stands behind time= there.
func firstTime(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return strings.Trim(strings.TrimPrefix(word, "time="), `"[]`)
}

// severityIn looks at level=… and at the first words.
func severityIn(s string) Severity {
	head := s[:min(len(s), 200)]
	for _, key := range []string{"level=", "severity=", "lvl="} {
		if at := strings.Index(head, key); at >= 0 {
			word, _, _ := strings.Cut(strings.Trim(head[at+len(key):], `"`), " ")
			return severityOf(strings.Trim(word, `",`))
		}
	}
	if strings.HasPrefix(head, "panic: ") || strings.HasPrefix(head, "fatal error: ") {
		return Fatal
	}
	for i, word := range strings.Fields(head) {
		if i == 4 {
			break
		}
		bare := strings.Trim(word, "[]():|")
		if len(bare) > 2 && (bare == strings.ToUpper(bare) || strings.ContainsAny(word, "[:")) {
			if s := severityOf(bare); s != Unknown {
				return s
			}
		}
	}
	return Unknown
}
