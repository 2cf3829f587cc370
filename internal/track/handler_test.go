package track

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ringfence/ringfence/internal/errs"
)

// byToken knows one key.
var byToken = KeysFunc(func(r *http.Request) (string, error) {
	if r.Header.Get("Authorization") != "Bearer good" {
		return "", errs.E(errs.Denied, "no such key")
	}
	return "prod", nil
})

func serve(t *testing.T) (*Store, *httptest.Server) {
	t.Helper()
	s := openNew(t)
	server := httptest.NewServer(s.Handler(byToken, nil))
	t.Cleanup(server.Close)
	return s, server
}

type headers map[string]string

// post sends a body and returns the answer.
func post(t *testing.T, url string, body []byte, h headers) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer good")
	r.Header.Set("Content-Type", "application/json")
	for k, v := range h {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(answer)
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

const twoEvents = `{"events":[
	{"type":"exposure","id":"e1","time":"2026-03-04T12:00:00Z","targetingKey":"u1","flag":"checkout","set":"shop","variant":"on","context":{"country":"DE","age":42,"new":true}},
	{"type":"metric","id":"e2","time":"2026-03-04T12:00:01.5+00:00","targetingKey":"u1","metric":"order","value":12.5}]}`

func TestTrack(t *testing.T) {
	s, server := serve(t)
	url := server.URL + "/v1/track"
	for _, step := range []struct {
		name, body string
		headers    headers
		want       string
	}{
		{"events", twoEvents, nil, `{"accepted":2,"duplicates":0}`},
		{"again", twoEvents, nil, `{"accepted":0,"duplicates":2}`},
		{"a batch under a key", `{"events":[{"type":"metric","targetingKey":"u2","metric":"order"}]}`, headers{"Idempotency-Key": "k1"}, `{"accepted":1,"duplicates":0}`},
		{"the same", `{"events":[{"type":"metric","targetingKey":"u2","metric":"order"}]}`, headers{"Idempotency-Key": "k1"}, `{"accepted":0,"duplicates":1}`},
		{"packed", string(zipped([]byte(`{"events":[{"type":"metric","targetingKey":"u3","metric":"order"}]}`))), headers{"Content-Encoding": "gzip"}, `{"accepted":1,"duplicates":0}`},
		{"nothing", `{"events":[]}`, nil, `{"accepted":0,"duplicates":0}`},
	} {
		status, h, body := post(t, url, []byte(step.body), step.headers)
		if status != http.StatusOK || strings.TrimSpace(body) != step.want || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", step.name, status, body)
		}
	}
	if n := stored(t, s, "metrics"); n != 3 {
		t.Errorf("%d metric events", n)
	}
	q := week()
	q.Where = map[string]string{"country": "DE", "age": "42", "new": "true"}
	wantCounts(t, counts(t, s, q), "map[on:1]")
	q.Where["country"] = "FR"
	wantCounts(t, counts(t, s, q), "map[]")
	if used, err := s.Usage(t.Context(), "prod"); err != nil || len(used) != 1 || used[0].Set != "shop" {
		t.Errorf("%v, %v", used, err)
	}
}

func TestTrackRefuses(t *testing.T) {
	s, server := serve(t)
	event := func(more string) string {
		return `{"events":[{"type":"metric","targetingKey":"u","metric":"order"},{` + more + `}]}`
	}
	many := strings.Repeat(`{},`, MaxEvents)
	attributes := ""
	for i := range maxAttributes {
		attributes += fmt.Sprintf(`"a%d":1,`, i)
	}
	for _, c := range []struct {
		name, body string
		headers    headers
		status     int
		field      string
	}{
		{"no key", twoEvents, headers{"Authorization": "Bearer bad"}, 401, ""},
		{"not JSON", "events", nil, 400, ""},
		{"nothing", "", nil, 400, ""},
		{"a list", "[]", nil, 400, ""},
		{"cut off", `{"events":[{"type":"metric","targetingKey":"u","metric":"order"}`, nil, 400, ""},
		{"more after it", `{"events":[]} {}`, nil, 400, ""},
		{"no events", `{}`, nil, 400, "events"},
		{"another field", `{"event":[]}`, nil, 400, "event"},
		{"events twice", `{"events":[],"events":[]}`, nil, 400, "events"},
		{"no list", `{"events":{}}`, nil, 400, ""},
		{"not an event", `{"events":[1]}`, nil, 400, "events[0]"},
		{"no type", event(`"targetingKey":"u"`), nil, 400, "events[1].type"},
		{"another type", event(`"type":"view"`), nil, 400, "events[1].type"},
		{"unknown field", event(`"type":"metric","user":"u"`), nil, 400, "events[1].user"},
		{"no user", event(`"type":"metric","metric":"order"`), nil, 400, "events[1].targetingKey"},
		{"no variant", event(`"type":"exposure","targetingKey":"u","flag":"f"`), nil, 400, "events[1].variant"},
		{"no metric", event(`"type":"metric","targetingKey":"u"`), nil, 400, "events[1].metric"},
		{"a flag of a metric", event(`"type":"metric","targetingKey":"u","metric":"m","flag":"f"`), nil, 400, "events[1].flag"},
		{"a value of an exposure", event(`"type":"exposure","targetingKey":"u","flag":"f","variant":"on","value":1`), nil, 400, "events[1].value"},
		{"text as value", event(`"type":"metric","targetingKey":"u","metric":"m","value":"1"`), nil, 400, "events[1].value"},
		{"a number as user", event(`"type":"metric","targetingKey":1,"metric":"m"`), nil, 400, "events[1].targetingKey"},
		{"a bad time", event(`"type":"metric","targetingKey":"u","metric":"m","time":"yesterday"`), nil, 400, "events[1].time"},
		{"too old", event(`"type":"metric","targetingKey":"u","metric":"m","time":"2020-01-01T00:00:00Z"`), nil, 400, "events[1].time"},
		{"of the future", event(`"type":"metric","targetingKey":"u","metric":"m","time":"2026-03-06T00:00:00Z"`), nil, 400, "events[1].time"},
		{"a zero byte", event(`"type":"metric","targetingKey":"u\u0000","metric":"m"`), nil, 400, "events[1].targetingKey"},
		{"a nested attribute", event(`"type":"metric","targetingKey":"u","metric":"m","context":{"a":{}}`), nil, 400, "events[1].context.a"},
		{"a null attribute", event(`"type":"metric","targetingKey":"u","metric":"m","context":{"a":null}`), nil, 400, "events[1].context.a"},
		{"many attributes", event(`"type":"metric","targetingKey":"u","metric":"m","context":{` + attributes + `"z":1}`), nil, 400, "events[1].context"},
		{"a list of attributes", event(`"type":"metric","targetingKey":"u","metric":"m","context":[]`), nil, 400, "events[1].context"},
		{"too many", `{"events":[` + strings.Repeat(`{"type":"metric","targetingKey":"u","metric":"order"},`, MaxEvents) + `{}]}`, nil, 400, "events"},
		{"wrong before too many", `{"events":[` + many + `{}]}`, nil, 400, "events[0].type"},
		{"another media type", twoEvents, headers{"Content-Type": "text/plain"}, 400, ""},
		{"another packing", twoEvents, headers{"Content-Encoding": "br"}, 400, ""},
		{"not packed", twoEvents, headers{"Content-Encoding": "gzip"}, 400, ""},
		{"too large", twoEvents + strings.Repeat(" ", maxTrackBody), nil, 413, ""},
		{"a bomb", string(zipped([]byte(twoEvents + strings.Repeat(" ", maxTrackBody)))), headers{"Content-Encoding": "gzip"}, 413, ""},
		{"a long batch key", twoEvents, headers{"Idempotency-Key": strings.Repeat("k", maxID+1)}, 400, ""},
	} {
		status, h, body := post(t, server.URL+"/v1/track", []byte(c.body), c.headers)
		var p problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != c.status || p.Status != c.status || p.Detail == "" ||
			h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s %v", c.name, status, body, err)
			continue
		}
		if c.field != "" && (len(p.Problems) != 1 || p.Problems[0].Field != c.field || p.Problems[0].Message == "") {
			t.Errorf("%s: %s, expected it of %s", c.name, body, c.field)
		}
	}
	if n := stored(t, s, "metrics") + stored(t, s, "exposures"); n != 0 {
		t.Errorf("%d events of refused batches are stored", n)
	}
}

func TestBusyAndBroken(t *testing.T) {
	s, server := serve(t)
	s.backlog.Add(maxBacklog)
	for _, path := range []string{"/v1/track", "/v1/logs"} {
		body := twoEvents
		if path == "/v1/logs" {
			body = logsJSON(t, evaluation("u1", "on", noon))
		}
		status, h, text := post(t, server.URL+path, []byte(body), nil)
		if status != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	s.backlog.Add(-maxBacklog)
	if err := s.journal.writer.Close(); err != nil {
		t.Fatal(err)
	}
	status, h, text := post(t, server.URL+"/v1/track", []byte(twoEvents), nil)
	if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("%d %s", status, text)
	}
	resp, err := http.Get(server.URL + "/v1/track")
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Error(resp, err)
	}
	_ = resp.Body.Close()
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value float64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: value}}}
}

func evaluation(key, variant string, when time.Time) *logs.LogRecord {
	return &logs.LogRecord{EventName: evaluationEvent, TimeUnixNano: uint64(when.UnixNano()), Attributes: []*common.KeyValue{
		text("feature_flag.key", "checkout"), text("feature_flag.result.variant", variant), text("feature_flag.context.id", key),
		text("feature_flag.set.id", "shop"), text("feature_flag.provider.name", "flagd"), text("feature_flag.result.reason", "split")}}
}

func measured(key, name string, value float64, when time.Time) *logs.LogRecord {
	return &logs.LogRecord{EventName: metricEvent, TimeUnixNano: uint64(when.UnixNano()), Attributes: []*common.KeyValue{
		text("feature_flag.context.id", key), text("metric.name", name), number("metric.value", value)}}
}

func logsOf(records ...*logs.LogRecord) *logs.LogsData {
	return &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}}}}}
}

func logsJSON(t *testing.T, records ...*logs.LogRecord) string {
	t.Helper()
	b, err := protojson.Marshal(logsOf(records...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func logsProto(t *testing.T, records ...*logs.LogRecord) string {
	t.Helper()
	b, err := proto.Marshal(logsOf(records...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogs(t *testing.T) {
	s, server := serve(t)
	url := server.URL + "/v1/logs"
	former := &logs.LogRecord{ObservedTimeUnixNano: uint64(noon.UnixNano()), Attributes: []*common.KeyValue{text("event.name", "feature_flag.evaluation"),
		text("feature_flag.key", "checkout"), text("feature_flag.variant", "off"), text("feature_flag.context.id", "u2")}}
	boolean := evaluation("u3", "", noon)
	boolean.Attributes = append(boolean.Attributes, &common.KeyValue{Key: "feature_flag.result.value", Value: &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}})
	failed := evaluation("u4", "on", noon)
	failed.Attributes = append(failed.Attributes, text("error.type", "flag_not_found"))
	body := logsProto(t, evaluation("u1", "on", noon), measured("u1", "order", 3.5, at(time.Minute)), former, boolean, failed)
	pb := headers{"Content-Type": protobufMedia}
	for range 2 { // the second time it is an exporter's repetition
		if status, h, answer := post(t, url, []byte(body), pb); status != 200 || answer != "" || h.Get("Content-Type") != protobufMedia {
			t.Errorf("%d %q %q", status, h.Get("Content-Type"), answer)
		}
	}
	if status, _, answer := post(t, url, zipped([]byte(logsJSON(t, evaluation("u5", "on", noon)))), headers{"Content-Encoding": "gzip"}); status != 200 || answer != `{"partialSuccess":{}}` {
		t.Errorf("%d %q", status, answer)
	}
	wantCounts(t, counts(t, s, week()), "map[off:1 on:2 true:1]")
	if n := stored(t, s, "metrics"); n != 1 {
		t.Errorf("%d metric events", n)
	}
}

func TestLogsThatAreNotKept(t *testing.T) {
	s, server := serve(t)
	nobody, future := evaluation("", "on", noon), evaluation("u1", "on", at(72*time.Hour))
	bad := measured("u1", "order", 1, noon)
	bad.Attributes[2] = text("metric.value", "much")
	records := []*logs.LogRecord{{Body: &common.AnyValue{}}, nobody, future, bad, evaluation("u1", "on", noon)}
	status, _, answer := post(t, server.URL+"/v1/logs", []byte(logsJSON(t, records...)), nil)
	if status != 200 || !strings.Contains(answer, `"rejectedLogRecords":"4"`) || !strings.Contains(answer, "log record 1: targetingKey") || !strings.Contains(answer, "1 log records are no events") {
		t.Errorf("%d %s", status, answer)
	}
	status, _, answer = post(t, server.URL+"/v1/logs", []byte(logsProto(t, records[:1]...)), headers{"Content-Type": protobufMedia})
	_, _, n := protowire.ConsumeField([]byte(answer))
	inner, _ := protowire.ConsumeBytes([]byte(answer)[1:])
	_, _, tagged := protowire.ConsumeTag(inner)
	if rejected, _ := protowire.ConsumeVarint(inner[max(tagged, 1):]); status != 200 || n != len(answer) || rejected != 1 {
		t.Errorf("%d %q", status, answer)
	}
	wantCounts(t, counts(t, s, week()), "map[on:1]")
	for name, c := range map[string]struct {
		body    string
		headers headers
		status  int
	}{
		"not JSON":     {"{", nil, 400},
		"no protobuf":  {"\xff\xff", headers{"Content-Type": protobufMedia}, 400},
		"another type": {"", headers{"Content-Type": "text/plain"}, 400},
		"no key":       {"{}", headers{"Authorization": ""}, 401},
		"too large":    {strings.Repeat(" ", MaxBody+1), nil, 413},
	} {
		if status, _, answer := post(t, server.URL+"/v1/logs", []byte(c.body), c.headers); status != c.status || answer == "" {
			t.Errorf("%s: %d %q", name, status, answer)
		}
	}
}

func TestTraces(t *testing.T) {
	s, server := serve(t)
	event := func(name string, attributes ...*common.KeyValue) *trace.Span_Event {
		return &trace.Span_Event{Name: name, TimeUnixNano: uint64(noon.UnixNano()), Attributes: attributes}
	}
	flag := evaluation("u1", "on", noon).GetAttributes()
	spans := []*trace.Span{
		{Name: "GET /", TraceId: []byte("0123456789abcdef"), SpanId: []byte("01234567"), Events: []*trace.Span_Event{
			event("feature_flag.evaluation", flag...), event("exception"), event("ringfence.metric", measured("u1", "order", 2, noon).GetAttributes()...)}},
		{Name: "nothing of ours"},
		{Events: []*trace.Span_Event{event("feature_flag", text("feature_flag.key", "checkout"))}},
	}
	data := &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{ScopeSpans: []*trace.ScopeSpans{{Spans: spans}}}}}
	asProto, err := proto.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	asJSON := []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"30313233343536373839616263646566","spanId":"3031323334353637","events":[
		{"name":"feature_flag.evaluation","timeUnixNano":"1772625600000000000","attributes":[{"key":"feature_flag.key","value":{"stringValue":"checkout"}},
		{"key":"feature_flag.context.id","value":{"stringValue":"u9"}},{"key":"feature_flag.result.variant","value":{"stringValue":"off"}}]}]}]}]}]}`)
	for range 2 {
		if status, _, answer := post(t, server.URL+"/v1/traces", asProto, headers{"Content-Type": protobufMedia}); status != 200 || !strings.Contains(answer, "span 2, event 0") {
			t.Errorf("%d %q", status, answer)
		}
		if status, _, answer := post(t, server.URL+"/v1/traces", asJSON, nil); status != 200 || answer != `{"partialSuccess":{}}` {
			t.Errorf("%d %s", status, answer)
		}
	}
	wantCounts(t, counts(t, s, week()), "map[off:1 on:1]")
	if n := stored(t, s, "metrics"); n != 1 {
		t.Errorf("%d metric events", n)
	}
}
