package logs

import (
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
)

// Sources of entries.
const (
	Output  = "output"  // an instance's standard output and error
	Gateway = "gateway" // a request that failed or was slow
	OTLP    = "otlp"
	Script  = "page"      // an error of a page's script, once for each that is new
	Notes   = "ringfence" // what the pipeline says of itself: that entries were dropped or sampled
)

// Limits of an entry; longer ones are cut, with a mark.
const (
	MaxText       = 16 << 10
	MaxAttributes = 64
	MaxLabel      = 200
	MaxBatch      = 5000
)

// Labels say whose an entry is. They are few in kind; what differs by request belongs into the text or the attributes.
type Labels struct {
	Service  string `json:"service"`
	Version  string `json:"version,omitempty"`
	Ring     string `json:"ring,omitempty"`
	Unit     string `json:"unit,omitempty"`
	Instance string `json:"instance,omitempty"`
	Source   string `json:"source,omitempty"`
}

// Entry is one line of a log.
type Entry struct {
	Seq      uint64    `json:"seq,omitempty"` // given by the store
	Time     time.Time `json:"time"`
	Severity Severity  `json:"severity,omitempty"`
	Labels
	Text       string            `json:"text"`
	Trace      string            `json:"trace,omitempty"`
	Span       string            `json:"span,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Severity is a number of OpenTelemetry's: 0 for unknown, then four each of trace, debug, info, warn, error and fatal.
type Severity uint8

// The least of each kind.
const (
	Unknown Severity = 0
	Trace   Severity = 1
	Debug   Severity = 5
	Info    Severity = 9
	Warn    Severity = 13
	Error   Severity = 17
	Fatal   Severity = 21
)

var severities = []string{"trace", "debug", "info", "warn", "error", "fatal"}

func (s Severity) String() string {
	if s == 0 {
		return ""
	}
	return severities[min(int(s-1)/4, len(severities)-1)]
}

// MarshalText writes a severity as a word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it.
func (s *Severity) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSeverity(string(b))
	return err
}

// ParseSeverity reads a word; "" is Unknown.
func ParseSeverity(word string) (Severity, error) {
	if word == "" {
		return Unknown, nil
	}
	if s := severityOf(word); s != Unknown {
		return s, nil
	}
	return Unknown, errs.E(errs.Invalid, "severity %.40q: expected one of %s", word, strings.Join(severities, ", "))
}

var words = map[string]Severity{"trace": Trace, "trc": Trace, "debug": Debug, "dbg": Debug, "dbug": Debug, "info": Info, "inf": Info, "information": Info, "notice": Info + 1,
	"warn": Warn, "wrn": Warn, "warning": Warn, "error": Error, "err": Error, "eror": Error, "severe": Error, "fatal": Fatal, "panic": Fatal, "critical": Fatal, "crit": Fatal, "emergency": Fatal, "alert": Fatal}

func severityOf(word string) Severity {
	if len(word) > 12 {
		return Unknown
	}
	return words[strings.ToLower(word)]
}

// Cut keeps an entry within the limits.
func (e *Entry) Cut() {
	e.Text = strings.ToValidUTF8(e.Text, "�")
	if len(e.Text) > MaxText {
		e.Text = strings.ToValidUTF8(e.Text[:MaxText], "") + " … cut"
	}
	for _, l := range []*string{&e.Service, &e.Version, &e.Ring, &e.Unit, &e.Instance, &e.Source, &e.Trace, &e.Span} {
		*l = strings.ToValidUTF8(*l, "�")
		if len(*l) > MaxLabel {
			*l = strings.ToValidUTF8((*l)[:MaxLabel], "")
		}
	}
	n := 0
	for k, v := range e.Attributes {
		if n++; n > MaxAttributes {
			delete(e.Attributes, k)
			continue
		}
		if len(v) > MaxText {
			v = v[:MaxText]
		}
		e.Attributes[k] = strings.ToValidUTF8(v, "�")
	}
}

// Batch is what is appended at once, wholly or not at all. Of a stream, bytes From to To are in it; what a store has of a stream it does not take again.
type Batch struct {
	Stream  string  `json:"stream,omitempty"`
	From    int64   `json:"from,omitempty"`
	To      int64   `json:"to,omitempty"`
	Entries []Entry `json:"entries"`
}

// Stream is something that is written to and read from the beginning on.
type Stream struct {
	ID     string
	Labels Labels
	Size   int64 // where the next byte will be
}
