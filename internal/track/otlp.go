package track

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/murmur3"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ringfence/ringfence/internal/errs"
	entries "github.com/ringfence/ringfence/internal/logs"
)

// The names of events, and of our own attributes; feature_flag.* are those of OpenTelemetry's semantic conventions.
const (
	evaluationEvent = "feature_flag.evaluation"
	formerEvent     = "feature_flag" // of the span events of conventions before 1.33
	metricEvent     = "ringfence.metric"
)

const (
	protobufMedia = "application/x-protobuf"
	jsonMedia     = "application/json"
)

// found is what an OpenTelemetry request holds for us.
type found struct {
	events  []Event
	timed   bool // every event carries its own time, so that a request with the same bytes is the same one
	lost    int  // records or spans that are not kept
	why     string
	refused bool // some of them because they were wrong
	rest    []entries.Entry
}

// wrong notes a record or span of ours that cannot be kept.
func (f *found) wrong(format string, args ...any) {
	if !f.refused {
		f.why, f.refused = fmt.Sprintf(format, args...), true
	}
	f.lost++
}

// otlp serves one of OpenTelemetry's services: of the request's messages only those are used of which events are made.
func (h *handler) otlp(read func(body []byte, asJSON bool, now time.Time, oldest time.Time) (*found, error)) func(request) answer {
	return func(r request) answer {
		asJSON, err := isJSON(r.Request)
		if err != nil {
			return h.otlpError(r.Request, err)
		}
		now := h.store.now()
		f, err := read(r.body, asJSON, now, now.Add(-h.store.retention))
		if err != nil {
			return h.otlpError(r.Request, err)
		}
		if err := h.store.keep(r.Context(), r.environment, f, r.body, h.rest); err != nil {
			return h.otlpError(r.Request, err)
		}
		return partial(asJSON, r.URL.Path, f)
	}
}

// keep stores the events of a request, and hands on what else it held.
func (s *Store) keep(ctx context.Context, environment string, f *found, body []byte, rest Rest) error {
	b := Batch{Environment: environment, Events: f.events}
	if f.timed && len(f.events) > 0 { // exporters send a request again when an answer is late
		sum, print := murmur3.Sum128(body)
		b.Key, b.Print = "otlp "+strconv.FormatUint(sum, 16), print
	}
	if len(f.events) > 0 || len(f.rest) == 0 {
		if _, err := s.Append(ctx, b); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(f.rest, entries.MaxBatch) {
		if err := rest(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// TakeLogs takes one message of OpenTelemetry's logs service, however it came. It returns how many records are not kept, and why.
func (s *Store) TakeLogs(ctx context.Context, environment string, body []byte, asJSON bool, rest Rest) (lost int64, why string, err error) {
	now := s.now()
	f, err := logsReader(rest != nil)(body, asJSON, now, now.Add(-s.retention))
	if err == nil {
		err = s.keep(ctx, environment, f, body, rest)
	}
	if err != nil {
		return 0, "", err
	}
	return int64(f.lost), f.why, nil
}

func isJSON(r *http.Request) (bool, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != protobufMedia && media != jsonMedia {
		return false, errs.E(errs.Invalid, "Content-Type %.60q: expected %s or %s", r.Header.Get("Content-Type"), protobufMedia, jsonMedia)
	}
	return media == jsonMedia, nil
}

// partial is the answer to a request that was taken, except for what was lost.
func partial(asJSON bool, path string, f *found) answer {
	field := "rejectedLogRecords"
	if path == "/v1/traces" {
		field = "rejectedSpans"
	}
	a := answer{status: http.StatusOK, media: protobufMedia}
	switch {
	case asJSON && f.lost == 0:
		a.media, a.body = jsonMedia, []byte(`{"partialSuccess":{}}`)
	case asJSON:
		a.media = jsonMedia
		a.body, _ = json.Marshal(map[string]map[string]string{"partialSuccess": {field: strconv.Itoa(f.lost), "errorMessage": f.why}})
	case f.lost > 0:
		var m []byte
		m = protowire.AppendVarint(protowire.AppendTag(m, 1, protowire.VarintType), uint64(f.lost))
		m = protowire.AppendString(protowire.AppendTag(m, 2, protowire.BytesType), f.why)
		a.body = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), m)
	}
	return a
}

// otlpError answers with google.rpc.Status, as OTLP/HTTP wants it, in the request's own encoding.
func (h *handler) otlpError(r *http.Request, err error) answer {
	status, retry := statusOf(err)
	msg := h.told(r, err, status)
	code := uint64(3) // INVALID_ARGUMENT
	switch status {
	case http.StatusUnauthorized:
		code = 16 // UNAUTHENTICATED
	case http.StatusTooManyRequests:
		code = 8 // RESOURCE_EXHAUSTED
	case http.StatusServiceUnavailable:
		code = 14 // UNAVAILABLE
	case http.StatusInternalServerError:
		code = 13 // INTERNAL
	}
	a := answer{status: status, media: protobufMedia, retry: retry}
	if asJSON, err := isJSON(r); asJSON || err != nil {
		a.media = jsonMedia
		a.body, _ = json.Marshal(map[string]any{"code": code, "message": msg})
		return a
	}
	a.body = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), code)
	a.body = protowire.AppendString(protowire.AppendTag(a.body, 2, protowire.BytesType), msg)
	return a
}

func decode(body []byte, asJSON bool, m proto.Message) error {
	var err error
	if asJSON {
		err = (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(bytes.TrimSpace(body), m)
	} else {
		err = (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m)
	}
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "the body is not as OTLP has it")
	}
	return nil
}

// logsReader makes events of a request of OpenTelemetry's logs service, and with rest log entries of its other records.
func logsReader(rest bool) func([]byte, bool, time.Time, time.Time) (*found, error) {
	return func(body []byte, asJSON bool, now, oldest time.Time) (*found, error) {
		return readLogs(body, asJSON, now, oldest, rest)
	}
}

// LogsData has the same fields as that request.
func readLogs(body []byte, asJSON bool, now, oldest time.Time, rest bool) (*found, error) {
	var data logs.LogsData
	if err := decode(body, asJSON, &data); err != nil {
		return nil, err
	}
	f := &found{timed: true}
	others, n := 0, 0
	for _, resource := range data.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				if err := f.log(record, n, now, oldest); err != nil {
					return nil, err
				} else if ours(logName(record)) {
				} else if rest {
					f.rest = append(f.rest, entryOf(resource.GetResource(), record, asJSON, now))
				} else {
					others++
				}
				n++
			}
		}
	}
	if f.lost += others; others > 0 {
		note := fmt.Sprintf("%d log records are no events of flags or metrics and are not kept", others)
		if f.refused {
			note = f.why + "; " + note
		}
		f.why = note
	}
	return f, nil
}

func ours(name string) bool {
	return name == evaluationEvent || name == formerEvent || name == metricEvent
}

// logName is a record's event name, which before it had a field of its own was an attribute.
func logName(r *logs.LogRecord) string {
	if r.GetEventName() != "" {
		return r.GetEventName()
	}
	for _, a := range r.GetAttributes() {
		if a.GetKey() == "event.name" {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

func (f *found) log(r *logs.LogRecord, n int, now, oldest time.Time) error {
	name := logName(r)
	if !ours(name) {
		return nil
	}
	nanos := r.GetTimeUnixNano()
	if nanos == 0 {
		nanos = r.GetObservedTimeUnixNano()
	}
	return f.event(name, nanos, r.GetAttributes(), "", fmt.Sprintf("log record %d", n), now, oldest)
}

// readTraces makes events of the span events of a request of OpenTelemetry's trace service. Spans themselves are not kept,
// and are not called lost: the pipelines that send them send them elsewhere too.
func readTraces(body []byte, asJSON bool, now, oldest time.Time) (*found, error) {
	var data trace.TracesData
	if err := decode(body, asJSON, &data); err != nil {
		return nil, err
	}
	f := &found{timed: true}
	n := 0
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := hex.EncodeToString(span.GetTraceId()) + hex.EncodeToString(span.GetSpanId())
				for i, e := range span.GetEvents() {
					if !ours(e.GetName()) {
						continue
					}
					if err := f.event(e.GetName(), e.GetTimeUnixNano(), e.GetAttributes(), fmt.Sprint("span ", id, " ", i), fmt.Sprintf("span %d, event %d", n, i), now, oldest); err != nil {
						return nil, err
					}
				}
				n++
			}
		}
	}
	return f, nil
}

// event makes one event of attributes, or notes what is wrong with it.
func (f *found) event(name string, nanos uint64, attributes []*common.KeyValue, id, where string, now, oldest time.Time) error {
	e, skip, bad := fromAttributes(name, attributes)
	if skip {
		return nil
	}
	if e.ID == "" {
		e.ID = id
	}
	e.Time = now
	if nanos != 0 {
		e.Time = time.Unix(int64(nanos/1e9), int64(nanos%1e9))
	} else {
		f.timed = false
	}
	if bad == nil {
		bad = e.check(oldest, now.Add(maxAhead))
	}
	if bad != nil {
		f.wrong("%s: %s", where, bad.Error())
		return nil
	}
	if len(f.events) == maxOTLPEvents {
		return errs.E(errs.Invalid, "more than %d events in a request", maxOTLPEvents).Next("Set the exporter's batch size lower.")
	}
	f.events = append(f.events, e)
	return nil
}

// fromAttributes reads what the conventions say of an event. An evaluation that failed shows no one a variant and is skipped.
func fromAttributes(name string, attributes []*common.KeyValue) (e Event, skip bool, bad *wrong) {
	e.Kind = Exposure
	if name == metricEvent {
		e.Kind, e.Value = Metric, 1
	}
	value := ""
	for _, a := range attributes {
		v := a.GetValue()
		switch a.GetKey() {
		case "feature_flag.context.id":
			e.Key = textOf(v)
		case "log.record.uid":
			e.ID = textOf(v)
		case "feature_flag.key":
			e.Name = nameFor(e, Exposure, v)
		case "feature_flag.set.id":
			e.Set = textOf(v)
		case "feature_flag.result.variant":
			e.Variant = textOf(v)
		case "feature_flag.variant", "feature_flag.result.value": // of earlier conventions; of a provider without variants
			value = textOf(v)
		case "feature_flag.result.reason":
			skip = skip || e.Kind == Exposure && (v.GetStringValue() == "error" || v.GetStringValue() == "ERROR")
		case "error.type":
			skip = skip || e.Kind == Exposure
		case "metric.name":
			e.Name = nameFor(e, Metric, v)
		case "metric.value":
			var ok bool
			if e.Value, ok = numberOf(v); !ok && e.Kind == Metric {
				bad = wrongf("metric.value", "expected a number")
			}
		}
	}
	if e.Variant == "" {
		e.Variant = value
	}
	if e.Kind == Metric {
		e.Variant, e.Set = "", ""
	} else {
		e.Value = 0
	}
	return e, skip, bad
}

// nameFor is a name for an event of its kind, and what the event has for one of the other.
func nameFor(e Event, kind Kind, v *common.AnyValue) string {
	if e.Kind != kind {
		return e.Name
	}
	return textOf(v)
}

// textOf is a scalar as text.
func textOf(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	}
	return ""
}

func numberOf(v *common.AnyValue) (float64, bool) {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_IntValue:
		return float64(v.IntValue), true
	case *common.AnyValue_DoubleValue:
		return v.DoubleValue, finite(v.DoubleValue)
	case *common.AnyValue_StringValue:
		f, err := strconv.ParseFloat(v.StringValue, 64)
		return f, err == nil && finite(f)
	}
	return 0, false
}
