package track

import (
	"strings"
	"testing"
	"time"

	entries "github.com/ringfence/ringfence/internal/logs"
)

const mixed = `{"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "service.version", "value": {"stringValue": "v2"}}]},
  "scopeLogs": [{"logRecords": [
    {"timeUnixNano": "1772366400000000000", "severityNumber": 17, "body": {"stringValue": "no card"}, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "attributes": [{"key": "user.plan", "value": {"stringValue": "pro"}}, {"key": "ring", "value": {"stringValue": "canary"}}]},
    {"eventName": "ringfence.metric", "attributes": [{"key": "metric.name", "value": {"stringValue": "purchase"}}, {"key": "feature_flag.context.id", "value": {"stringValue": "ann"}}]},
    {"severityText": "warn", "body": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}}}]}]}]}`

func TestRecordsThatAreNoEventsAreLogEntries(t *testing.T) {
	now := time.Unix(1772366500, 0)
	f, err := logsReader(true)([]byte(mixed), true, now, now.Add(-time.Hour))
	if err != nil || len(f.events) != 1 || len(f.rest) != 2 || f.lost != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	e := f.rest[0]
	if e.Service != "shop" || e.Version != "v2" || e.Ring != "canary" || e.Severity != entries.Error || e.Text != "no card" || e.Source != entries.OTLP ||
		e.Trace != "4bf92f3577b34da6a3ce929d0e0e4736" || e.Attributes["user.plan"] != "pro" || e.Time.Unix() != 1772366400 {
		t.Errorf("%+v", e)
	}
	if e := f.rest[1]; e.Severity != entries.Warn || !strings.Contains(e.Text, `"a"`) || !e.Time.Equal(now) {
		t.Errorf("%+v", e)
	}
	if f, err := logsReader(false)([]byte(mixed), true, now, now.Add(-time.Hour)); err != nil || f.lost != 2 || len(f.rest) != 0 {
		t.Errorf("without a store for them: %+v, %v", f, err)
	}
}
