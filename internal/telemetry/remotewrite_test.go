package telemetry

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/ringfence/ringfence/internal/tsdb"
)

type world struct {
	t  testing.TB
	db *tsdb.DB
	in *Intake
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), ServiceSeries: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Metrics = db
	return &world{t, db, New(o)}
}

// send sends a message as senders do.
func (w *world) send(contentType string, message interface{ Marshal() ([]byte, error) }) *httptest.ResponseRecorder {
	w.t.Helper()
	raw, err := message.Marshal()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.post(contentType, "snappy", snappy.Encode(nil, raw))
}

func (w *world) post(contentType, packing string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if packing != "" {
		r.Header.Set("Content-Encoding", packing)
	}
	a := httptest.NewRecorder()
	w.in.RemoteWrite().ServeHTTP(a, r)
	return a
}

func (w *world) value(expr string, at time.Time) string {
	w.t.Helper()
	all, err := w.db.Query(w.t.Context(), expr, at)
	if err != nil {
		w.t.Fatal(err)
	}
	var said []string
	for _, v := range all {
		said = append(said, fmt.Sprint(v.Value))
	}
	return strings.Join(said, " ")
}

const type2 = protobufMedia + ";proto=" + message2

func series2(st *writev2.SymbolsTable, samples []writev2.Sample, hs []writev2.Histogram, ls ...string) writev2.TimeSeries {
	return writev2.TimeSeries{LabelsRefs: st.SymbolizeLabels(labels.FromStrings(ls...), nil), Samples: samples, Histograms: hs,
		Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: st.Symbolize("What it is.")}}
}

func good2(now int64) *writev2.Request {
	st := writev2.NewSymbolTable()
	h := writev2.Histogram{Count: &writev2.Histogram_CountInt{CountInt: 3}, ZeroCount: &writev2.Histogram_ZeroCountInt{ZeroCountInt: 1}, ZeroThreshold: 1e-9, Sum: 4, Timestamp: now,
		PositiveSpans: []writev2.BucketSpan{{Offset: 0, Length: 2}}, PositiveDeltas: []int64{1, 0}}
	one := series2(&st, []writev2.Sample{{Value: 1, Timestamp: now - 1000}, {Value: 2, Timestamp: now}}, nil, "__name__", "a_total", "service", "shop")
	one.Exemplars = []writev2.Exemplar{{LabelsRefs: st.SymbolizeLabels(labels.FromStrings("trace_id", "abc"), nil), Value: 1, Timestamp: now}}
	two := series2(&st, nil, []writev2.Histogram{h}, "__name__", "h", "service", "shop")
	return &writev2.Request{Timeseries: []writev2.TimeSeries{one, two}, Symbols: st.Symbols()}
}

func expect(t *testing.T, a *httptest.ResponseRecorder, status int, counts string) {
	t.Helper()
	got := a.Header().Get(writtenHeader+"Samples-Written") + " " + a.Header().Get(writtenHeader+"Histograms-Written") + " " + a.Header().Get(writtenHeader+"Exemplars-Written")
	if a.Code != status || got != counts {
		t.Fatalf("%d with counts %q, want %d with %q: %s", a.Code, got, status, counts, a.Body)
	}
}

func TestRemoteWrite2(t *testing.T) {
	w := newWorld(t, Options{})
	now := time.Now()
	expect(t, w.send(type2, good2(now.UnixMilli())), 204, "2 1 1")
	expect(t, w.send(type2, good2(now.UnixMilli())), 204, "2 1 1") // sent again
	if got := w.value(`count_over_time(a_total[1m])`, now); got != "2" {
		t.Errorf("sent twice: %s samples", got)
	}
	if got := w.value(`histogram_count(h{service="shop"})`, now); got != "3" {
		t.Errorf("histogram: %s", got)
	}
	form := url.Values{"query": {"a_total"}, "start": {fmt.Sprint(now.Unix() - 60)}, "end": {fmt.Sprint(now.Unix() + 60)}}
	a := httptest.NewRecorder()
	w.db.Handler().ServeHTTP(a, httptest.NewRequest(http.MethodGet, "/api/v1/query_exemplars?"+form.Encode(), nil))
	if !strings.Contains(a.Body.String(), `"trace_id":"abc"`) {
		t.Errorf("exemplars: %s", a.Body)
	}
	a = httptest.NewRecorder()
	w.db.Handler().ServeHTTP(a, httptest.NewRequest(http.MethodGet, "/api/v1/metadata?metric=a_total", nil))
	if !strings.Contains(a.Body.String(), `"help":"What it is."`) {
		t.Errorf("metadata: %s", a.Body)
	}
}

// What is wrong is refused, the rest is stored, and the sender is told of both.
func TestRemoteWrite2PartlyWrong(t *testing.T) {
	w := newWorld(t, Options{})
	now := time.Now()
	at := now.UnixMilli()
	st := writev2.NewSymbolTable()
	s := func(v float64, at int64) []writev2.Sample { return []writev2.Sample{{Value: v, Timestamp: at}} }
	req := &writev2.Request{Timeseries: []writev2.TimeSeries{
		series2(&st, s(1, at), nil, "__name__", "good"),
		series2(&st, s(1, at), nil, "service", "nameless"),
		series2(&st, s(1, at), nil, "__name__", "ringfence_requests_total"),
		series2(&st, s(1, at), nil, "__name__", "up", "job", "gateway"),
		series2(&st, s(1, at+3_600_000), nil, "__name__", "ahead"),
		series2(&st, nil, nil, "__name__", "empty"),
		{LabelsRefs: []uint32{1}, Samples: s(1, at)},
		{LabelsRefs: []uint32{1, 9999}, Samples: s(1, at)},
		series2(&st, s(5, at), nil, "__name__", "good", "x", "1"),
	}}
	bad := series2(&st, nil, []writev2.Histogram{{Count: &writev2.Histogram_CountInt{CountInt: 9}, Timestamp: at, PositiveSpans: []writev2.BucketSpan{{Length: 3}}, PositiveDeltas: []int64{1}}}, "__name__", "badh")
	req.Timeseries = append(req.Timeseries, bad)
	req.Symbols = st.Symbols()
	a := w.send(type2, req)
	expect(t, a, 400, "2 0 0")
	for _, want := range []string{"ringfence_", "job gateway", "ahead", "at least one sample", "badh"} {
		if !strings.Contains(a.Body.String(), want) {
			t.Errorf("%q is not in: %s", want, a.Body)
		}
	}
	if got := w.value(`sum(good)`, now); got != "6" {
		t.Error(got)
	}
}

func TestRemoteWrite1(t *testing.T) {
	w := newWorld(t, Options{})
	now := time.Now()
	at := now.UnixMilli()
	name := []prompb.Label{{Name: "__name__", Value: "b"}, {Name: "job", Value: "x"}}
	req := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: name, Samples: []prompb.Sample{{Value: 1, Timestamp: at - 2000}, {Value: 2, Timestamp: at - 1000}, {Value: math.Float64frombits(value.StaleNaN), Timestamp: at}}}},
		Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_GAUGE, MetricFamilyName: "b", Help: "Bees."}}}
	for _, kind := range []string{"", protobufMedia, protobufMedia + ";proto=" + message1, protobufMedia + "; proto=" + message1 + "; charset=utf-8"} {
		if a := w.send(kind, req); a.Code != 204 || a.Header().Get(writtenHeader+"Samples-Written") != "" {
			t.Fatalf("%q: %d %s", kind, a.Code, a.Body)
		}
	}
	if got := w.value("b", now.Add(-time.Second)); got != "2" {
		t.Error(got)
	}
	if got := w.value("b", now); got != "" {
		t.Errorf("after a stale marker: %s", got)
	}
	req.Timeseries[0].Samples = []prompb.Sample{{Value: 9, Timestamp: at}}
	req.Timeseries = append(req.Timeseries, prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "c"}}, Samples: []prompb.Sample{{Value: 7, Timestamp: at}}})
	if a := w.send("", req); a.Code != 400 || w.value("c", now) != "7" {
		t.Errorf("%d %s: another value for the same time is wrong, the rest is stored", a.Code, a.Body)
	}
}

func TestRemoteWriteRefuses(t *testing.T) {
	w := newWorld(t, Options{MaxBody: 1000})
	huge := snappy.Encode(nil, make([]byte, 5000))
	cases := []struct {
		kind, packing string
		body          []byte
		want          int
	}{
		{"application/json", "snappy", nil, 415},
		{protobufMedia + ";proto=other", "snappy", nil, 415},
		{protobufMedia + ";proto", "snappy", nil, 415},
		{type2, "gzip", nil, 415},
		{type2, "zstd", nil, 415},
		{type2, "snappy", []byte("no snappy at all"), 400},
		{type2, "snappy", snappy.Encode(nil, []byte("no message")), 400},
		{"", "", snappy.Encode(nil, []byte("no message")), 400},
		{type2, "snappy", huge, 413},
		{type2, "snappy", make([]byte, 2000), 413},
		{type2, "snappy", snappy.Encode(nil, nil), 204},
	}
	for _, c := range cases {
		if a := w.post(c.kind, c.packing, c.body); a.Code != c.want {
			t.Errorf("%s, %s, %.20q: %d %s, want %d", c.kind, c.packing, c.body, a.Code, a.Body, c.want)
		}
	}
}

func TestRemoteWriteBusy(t *testing.T) {
	w := newWorld(t, Options{AtOnce: 1})
	w.in.busy <- struct{}{}
	a := w.send(type2, good2(time.Now().UnixMilli()))
	expect(t, a, 503, "0 0 0")
	if a.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestRemoteWriteLimit(t *testing.T) {
	w := newWorld(t, Options{})
	st := writev2.NewSymbolTable()
	req := &writev2.Request{}
	for i := range 1010 {
		req.Timeseries = append(req.Timeseries, series2(&st, []writev2.Sample{{Value: 1, Timestamp: time.Now().UnixMilli()}}, nil, "__name__", "m", "service", "shop", "i", fmt.Sprint(i)))
	}
	req.Symbols = st.Symbols()
	a := w.send(type2, req)
	expect(t, a, 400, "1000 0 0")
	if !strings.Contains(a.Body.String(), "shop has 1000 series already") || !strings.Contains(a.Body.String(), "10 in all") && strings.Count(a.Body.String(), "already") != 10 {
		t.Error(a.Body)
	}
}

func FuzzRemoteWrite(f *testing.F) {
	one, err := good2(1_700_000_000_000).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one, true)
	f.Add(one, false)
	f.Add([]byte{}, true)
	w := newWorld(f, Options{})
	f.Fuzz(func(t *testing.T, raw []byte, second bool) {
		kind := protobufMedia
		if second {
			kind = type2
		}
		a := w.post(kind, "snappy", snappy.Encode(nil, raw))
		if a.Code != 204 && a.Code != 400 {
			t.Fatalf("%d: %s", a.Code, a.Body)
		}
		if a := w.post(kind, "snappy", raw); a.Code != 204 && a.Code != 400 && a.Code != 413 {
			t.Fatalf("%d: %s", a.Code, a.Body)
		}
	})
}
