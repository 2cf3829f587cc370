package track

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"

	entries "github.com/ringfence/ringfence/internal/logs"
)

// labelled are the attributes of a resource, or of a record, that say whose an entry is.
var labelled = map[string]func(*entries.Labels) *string{
	"service.name":        func(l *entries.Labels) *string { return &l.Service },
	"service.version":     func(l *entries.Labels) *string { return &l.Version },
	"service.instance.id": func(l *entries.Labels) *string { return &l.Instance },
	"ring":                func(l *entries.Labels) *string { return &l.Ring },
	"unit":                func(l *entries.Labels) *string { return &l.Unit },
}

// entryOf makes a log entry of a record.
func entryOf(r *resource.Resource, record *logs.LogRecord, asJSON bool, now time.Time) entries.Entry {
	e := entries.Entry{Time: now.UTC(), Severity: entries.Severity(min(max(record.GetSeverityNumber(), 0), 24)), Labels: entries.Labels{Source: entries.OTLP}, Attributes: map[string]string{}}
	if e.Severity == entries.Unknown {
		e.Severity, _ = entries.ParseSeverity(record.GetSeverityText())
	}
	if nanos := cmp.Or(record.GetTimeUnixNano(), record.GetObservedTimeUnixNano()); nanos != 0 {
		if t := time.Unix(0, int64(nanos)).UTC(); t.Before(now.Add(maxAhead)) {
			e.Time = t
		}
	}
	for i, all := range [][]*common.KeyValue{r.GetAttributes(), record.GetAttributes()} {
		for _, a := range all {
			if into := labelled[a.GetKey()]; into != nil {
				*into(&e.Labels) = wordsOf(a.GetValue())
			} else if i == 1 {
				e.Attributes[a.GetKey()] = wordsOf(a.GetValue())
			}
		}
	}
	e.Text = wordsOf(record.GetBody())
	if name := record.GetEventName(); name != "" {
		e.Attributes["event.name"] = name
		e.Text = cmp.Or(e.Text, name)
	}
	id := hex.EncodeToString
	if asJSON { // where ids are hex, and were read as the base64 that other bytes are in JSON
		id = base64.StdEncoding.EncodeToString
	}
	e.Trace, e.Span = id(record.GetTraceId()), id(record.GetSpanId())
	return e
}

// wordsOf is a value as text; one that is no scalar is JSON.
func wordsOf(v *common.AnyValue) string {
	switch v.GetValue().(type) {
	case nil:
		return ""
	case *common.AnyValue_KvlistValue, *common.AnyValue_ArrayValue, *common.AnyValue_BytesValue:
		b, _ := protojson.Marshal(v)
		return string(b)
	}
	return textOf(v)
}
