package wire

import (
	"time"

	"github.com/ringfence/ringfence/internal/logs"
)

// LogEntry is one line of a log.
type LogEntry struct {
	Seq        uint64            `json:"seq,omitempty" doc:"its number, which grows as entries are taken"`
	Time       time.Time         `json:"time"`
	Severity   string            `json:"severity,omitempty" doc:"trace, debug, info, warn, error or fatal; left out when it is not known"`
	Service    string            `json:"service"`
	Version    string            `json:"version,omitempty"`
	Ring       string            `json:"ring,omitempty" doc:"ring of the user whose request it is about"`
	Unit       string            `json:"unit,omitempty"`
	Instance   string            `json:"instance,omitempty"`
	Source     string            `json:"source,omitempty" doc:"output of an instance, gateway, otlp, or ringfence about the pipeline itself"`
	Text       string            `json:"text"`
	Trace      string            `json:"trace,omitempty"`
	Span       string            `json:"span,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// LogEntryOf is an entry as it is told.
func LogEntryOf(e logs.Entry) LogEntry {
	return LogEntry{e.Seq, e.Time, e.Severity.String(), e.Service, e.Version, e.Ring, e.Unit, e.Instance, e.Source, e.Text, e.Trace, e.Span, e.Attributes}
}

// Entry is it as it is kept.
func (e LogEntry) Entry() logs.Entry {
	severity, _ := logs.ParseSeverity(e.Severity)
	return logs.Entry{Seq: e.Seq, Time: e.Time, Severity: severity, Text: e.Text, Trace: e.Trace, Span: e.Span, Attributes: e.Attributes,
		Labels: logs.Labels{Service: e.Service, Version: e.Version, Ring: e.Ring, Unit: e.Unit, Instance: e.Instance, Source: e.Source}}
}

// LogPage is some entries.
type LogPage struct {
	Items   []LogEntry `json:"items"`
	Next    string     `json:"next,omitempty" doc:"before of the next request; left out at the end"`
	Last    uint64     `json:"last" doc:"number of the newest entry there is, for after of the stream"`
	Partial bool       `json:"partial,omitempty" doc:"there was too much to read it all in time: older entries may be missing"`
}

// LogCounts is how many entries there are.
type LogCounts struct {
	By      []string   `json:"by"`
	Items   []LogCount `json:"items"`
	Partial bool       `json:"partial,omitempty"`
}

// LogCount is how many entries have the same values.
type LogCount struct {
	Values  []string `json:"values,omitempty" doc:"of what was counted by, in that order; left out of the rest that is not told apart"`
	Entries int64    `json:"entries"`
	Errors  int64    `json:"errors" doc:"of severity error and above"`
	Steps   []int64  `json:"steps,omitempty" doc:"entries by step from the beginning of the time"`
}

// LogFilter says which entries are meant.
type LogFilter struct {
	Service, Version, Ring, Unit, Instance, Source []string
	Severity, Text, Trace                          string
	Since                                          time.Duration
	From, To                                       time.Time
	Limit                                          int
	Before                                         string
	By                                             []string
	Step                                           time.Duration
}

// LogBatch is what a data plane sends: a part of one stream.
type LogBatch struct {
	Stream  string     `json:"stream" maxLength:"1000"`
	From    int64      `json:"from"`
	To      int64      `json:"to"`
	Entries []LogEntry `json:"entries" maxItems:"5000"`
}

// LogTaken says how far a stream was taken, which may be farther than was sent.
type LogTaken struct {
	To int64 `json:"to"`
}
