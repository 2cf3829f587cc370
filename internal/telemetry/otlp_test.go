package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	collector "go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/ringfence/ringfence/internal/otlp"
)

func ts(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }

// export is a request with a counter, a gauge, both kinds of histograms and a summary of the shop.
func export(now time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	r := md.ResourceMetrics().AppendEmpty()
	r.Resource().Attributes().PutStr("service.name", "shop")
	r.Resource().Attributes().PutStr("service.version", "v2")
	r.Resource().Attributes().PutStr("service.instance.id", "shop-1")
	ms := r.ScopeMetrics().AppendEmpty().Metrics()
	m := ms.AppendEmpty()
	m.SetName("http.server.requests")
	m.SetUnit("{request}")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := sum.DataPoints().AppendEmpty()
	p.SetIntValue(7)
	p.SetTimestamp(ts(now))
	p.Attributes().PutStr("http.route", "/cart")
	m = ms.AppendEmpty()
	m.SetName("queue.length")
	g := m.SetEmptyGauge().DataPoints().AppendEmpty()
	g.SetDoubleValue(1.5)
	g.SetTimestamp(ts(now))
	m = ms.AppendEmpty()
	m.SetName("latency")
	m.SetUnit("s")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	hp := h.DataPoints().AppendEmpty()
	hp.SetTimestamp(ts(now))
	hp.SetCount(3)
	hp.SetSum(1)
	hp.ExplicitBounds().FromRaw([]float64{0.1, 1})
	hp.BucketCounts().FromRaw([]uint64{1, 1, 1})
	m = ms.AppendEmpty()
	m.SetName("size")
	m.SetUnit("By")
	e := m.SetEmptyExponentialHistogram()
	e.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	ep := e.DataPoints().AppendEmpty()
	ep.SetTimestamp(ts(now))
	ep.SetCount(2)
	ep.SetSum(3)
	ep.Positive().BucketCounts().FromRaw([]uint64{1, 1})
	return md
}

// delta adds a sum of so many points of delta temporality.
func delta(md pmetric.Metrics, n int) {
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
	m.SetName("delta")
	sum := m.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for range n {
		sum.DataPoints().AppendEmpty().SetIntValue(1)
	}
}

func (w *world) otlp(kind, packing string, body []byte, more ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/metrics", bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if packing != "" {
		r.Header.Set("Content-Encoding", packing)
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	a := httptest.NewRecorder()
	w.in.OTLP().ServeHTTP(a, r)
	return a
}

func proto(t testing.TB, md pmetric.Metrics) []byte {
	t.Helper()
	b, err := collector.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func asJSON(t testing.TB, md pmetric.Metrics) []byte {
	t.Helper()
	b, err := collector.NewExportRequestFromMetrics(md).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func TestOTLP(t *testing.T) {
	now := time.Now()
	md := export(now)
	for _, c := range []struct {
		name, kind, packing string
		body                []byte
		want                string
	}{
		{"protobuf", protobufMedia, "", proto(t, md), ""},
		{"protobuf, gzip", protobufMedia, "gzip", zip(proto(t, md)), ""},
		{"JSON", "application/json", "", asJSON(t, md), "{}"},
		{"JSON with a parameter, gzip", "application/json; charset=utf-8", "gzip", zip(asJSON(t, md)), "{}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			a := w.otlp(c.kind, c.packing, c.body)
			media := strings.Split(c.kind, ";")[0]
			if a.Code != 200 || a.Body.String() != c.want || a.Header().Get("Content-Type") != media {
				t.Fatalf("%d %q %q", a.Code, a.Body, a.Header())
			}
			for expr, want := range map[string]string{
				`http_server_requests_total{service="shop",version="v2",instance="shop-1",http_route="/cart"}`: "7",
				`queue_length`:                   "1.5",
				`latency_seconds_bucket{le="1"}`: "2",
				`histogram_count(size_bytes)`:    "2",
				`target_info{job="shop"}`:        "1",
				`count({service="shop"})`:        "9", // a counter, a gauge, 3 buckets with sum and count, a native one, target_info
			} {
				if got := w.value(expr, now); got != want {
					t.Errorf("%s = %q, want %s", expr, got, want)
				}
			}
		})
	}
}

type partialJSON struct {
	PartialSuccess struct {
		RejectedDataPoints string
		ErrorMessage       string
	}
}

func TestOTLPPartial(t *testing.T) {
	w := newWorld(t, Options{})
	now := time.Now()
	md := export(now)
	delta(md, 3)
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	hist := ms.At(2).Histogram().DataPoints().AppendEmpty() // all of its seven samples are one point
	ms.At(2).Histogram().DataPoints().At(0).CopyTo(hist)
	hist.Attributes().PutStr("x", "late")
	hist.SetTimestamp(ts(now.Add(-48 * time.Hour)))
	own := ms.AppendEmpty()
	own.SetName("ringfence.requests")
	own.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(ts(now))
	a := w.otlp("application/json", "", asJSON(t, md))
	var said partialJSON
	if err := json.Unmarshal(a.Body.Bytes(), &said); err != nil || a.Code != 200 || said.PartialSuccess.RejectedDataPoints != "5" || !strings.Contains(said.PartialSuccess.ErrorMessage, "Delta") {
		t.Fatalf("%d %s %v", a.Code, a.Body, err)
	}
	if got := w.value(`sum(queue_length) + sum(http_server_requests_total)`, now); got != "8.5" {
		t.Errorf("the good ones: %s", got)
	}
	// In protobuf as well.
	b := w.otlp(protobufMedia, "", proto(t, md))
	resp := collector.NewExportResponse()
	if err := resp.UnmarshalProto(b.Body.Bytes()); err != nil || resp.PartialSuccess().RejectedDataPoints() != 5 {
		t.Errorf("%v, %q", err, b.Body)
	}
}

// A point over which the translator stumbles keeps none of the others out.
func TestOTLPPointsAreTranslatedAlone(t *testing.T) {
	w := newWorld(t, Options{})
	now := time.Now()
	md := export(now)
	points := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(1).Gauge().DataPoints()
	bad := points.AppendEmpty()
	bad.SetTimestamp(ts(now))
	bad.Attributes().PutStr("", "a label needs a name")
	after := points.AppendEmpty()
	after.SetTimestamp(ts(now))
	after.SetDoubleValue(4)
	after.Attributes().PutStr("n", "2")
	a := w.otlp("application/json", "", asJSON(t, md))
	var said partialJSON
	if err := json.Unmarshal(a.Body.Bytes(), &said); err != nil || said.PartialSuccess.RejectedDataPoints != "1" {
		t.Fatalf("%s %v", a.Body, err)
	}
	if got := w.value(`sum(queue_length)`, now); got != "5.5" {
		t.Errorf("the others: %s", got)
	}
}

func TestOTLPRefuses(t *testing.T) {
	w := newWorld(t, Options{MaxBody: 2000})
	for _, c := range []struct {
		name, kind, packing string
		body                []byte
		status              int
	}{
		{"no encoding of ours", "text/plain", "", nil, 415},
		{"no packing of ours", protobufMedia, "zstd", nil, 415},
		{"no protobuf", protobufMedia, "", []byte("\xff\xff\xff"), 400},
		{"no JSON", "application/json", "", []byte("{"), 400},
		{"no gzip", "application/json", "gzip", []byte("{}"), 400},
		{"too large", protobufMedia, "", make([]byte, 2001), 413},
		{"too large, unpacked", protobufMedia, "gzip", zip(make([]byte, 100_000)), 413},
		{"empty", protobufMedia, "", nil, 200},
		{"empty JSON", "application/json", "", []byte("{}"), 200},
		{"fields to come", "application/json", "", []byte(`{"resourceMetrics":[],"toCome":1}`), 200},
	} {
		a := w.otlp(c.kind, c.packing, c.body)
		if a.Code != c.status {
			t.Errorf("%s: %d %q, want %d", c.name, a.Code, a.Body, c.status)
		}
		if media := a.Header().Get("Content-Type"); media != c.kind && c.kind != "text/plain" {
			t.Errorf("%s: Content-Type %q", c.name, media)
		}
		if a.Code >= 400 && c.kind == "application/json" && !strings.Contains(a.Body.String(), `"message":`) {
			t.Errorf("%s: no Status: %s", c.name, a.Body)
		}
	}
}

func TestOTLPBrowsers(t *testing.T) {
	w := newWorld(t, Options{Origins: []string{"https://shop.example"}})
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://evil.example": ""} {
		r := httptest.NewRequest(http.MethodOptions, "/v1/metrics", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		a := httptest.NewRecorder()
		w.in.OTLP().ServeHTTP(a, r)
		if a.Code != 204 || a.Header().Get("Access-Control-Allow-Origin") != want || (want != "") != strings.Contains(a.Header().Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: %d %v", origin, a.Code, a.Header())
		}
		b := w.otlp("application/json", "", []byte("{}"), "Origin", origin)
		if b.Code != 200 || b.Header().Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %d %v", origin, b.Code, b.Header())
		}
	}
}

func TestOTLPFullDiskIsTriedAgain(t *testing.T) {
	w := newWorld(t, Options{})
	w.in.service = otlp.New(otlp.Service{Take: func(context.Context, otlp.Request) (otlp.Partial, error) { return otlp.Partial{}, otlp.ErrBusy }})
	a := w.otlp(protobufMedia, "", nil)
	if a.Code != 429 || a.Header().Get("Retry-After") == "" || a.Header().Get("Content-Type") != protobufMedia {
		t.Errorf("%d %v", a.Code, a.Header())
	}
}

// A client of grpc's own sends to the handler.
func TestGRPC(t *testing.T) {
	w := newWorld(t, Options{MaxBody: 20_000})
	mux := http.NewServeMux()
	mux.Handle("POST "+otlp.MetricsCall, w.in.GRPC())
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	conn, err := grpc.NewClient(strings.TrimPrefix(server.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := collector.NewGRPCClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	now := time.Now()
	md := export(now)
	for _, o := range [][]grpc.CallOption{nil, {grpc.UseCompressor("gzip")}} {
		resp, err := client.Export(ctx, collector.NewExportRequestFromMetrics(md), o...)
		if err != nil || resp.PartialSuccess().RejectedDataPoints() != 0 {
			t.Fatal(err)
		}
	}
	if got := w.value("queue_length", now); got != "1.5" {
		t.Error(got)
	}
	delta(md, 2)
	resp, err := client.Export(ctx, collector.NewExportRequestFromMetrics(md))
	if err != nil || resp.PartialSuccess().RejectedDataPoints() != 2 || resp.PartialSuccess().ErrorMessage() == "" {
		t.Errorf("%v, %v", resp, err)
	}
	delta(md, 10_000)
	if _, err = client.Export(ctx, collector.NewExportRequestFromMetrics(md)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	w.in.busyForTest()
	if _, err = client.Export(ctx, collector.NewExportRequestFromMetrics(export(now))); status.Code(err) != codes.Unavailable || len(status.Convert(err).Details()) != 1 {
		t.Errorf("busy: %v, %v", err, status.Convert(err).Details())
	}
}

// busyForTest makes the service refuse everything.
func (t *Intake) busyForTest() {
	*t.service = *otlp.New(otlp.Service{Take: func(context.Context, otlp.Request) (otlp.Partial, error) { return otlp.Partial{}, otlp.ErrBusy }})
}

func FuzzOTLP(f *testing.F) {
	md := export(time.Unix(1_700_000_000, 0))
	f.Add(proto(f, md), false)
	f.Add(asJSON(f, md), true)
	f.Add([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","sum":{"dataPoints":[{}]}}]}]}]}`), true)
	w := newWorld(f, Options{})
	f.Fuzz(func(t *testing.T, raw []byte, inJSON bool) {
		kind := protobufMedia
		if inJSON {
			kind = "application/json"
		}
		if a := w.otlp(kind, "", raw); a.Code != 200 && a.Code != 400 {
			body, _ := io.ReadAll(a.Body)
			t.Fatal(fmt.Sprint(a.Code, string(body)))
		}
	})
}
