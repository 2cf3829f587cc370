package tsdb

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
)

// openBehind opens metrics that another server keeps: one with Prometheus' own receiver and our query API.
func openBehind(t *testing.T) (there, here *DB) {
	t.Helper()
	there = openTest(t, Options{})
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", there.Handler())
	mux.HandleFunc("POST /api/v1/write", func(w http.ResponseWriter, r *http.Request) {
		if err := receive(there, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	here, err := OpenRemote(RemoteOptions{URL: server.URL + "/", Token: "t0ken"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := here.Close(); err != nil {
			t.Error(err)
		}
	})
	return there, here
}

// receive stores what remote write 1.0 brings.
func receive(db *DB, r *http.Request) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if raw, err = snappy.Decode(nil, raw); err != nil {
		return err
	}
	var req prompb.WriteRequest
	if err := req.Unmarshal(raw); err != nil {
		return err
	}
	app := db.tsdb.Appender(r.Context())
	b := labels.NewScratchBuilder(8)
	for _, ts := range req.Timeseries {
		ls := ts.ToLabels(&b, nil)
		for _, s := range ts.Samples {
			if _, err := app.Append(0, ls, s.Timestamp, s.Value); err != nil {
				return err
			}
		}
		for _, h := range ts.Histograms {
			if _, err := app.AppendHistogram(0, ls, h.Timestamp, h.ToIntHistogram(), nil); err != nil {
				return err
			}
		}
	}
	return app.Commit()
}

// fillGateway writes scrapes of a gateway with both versions of a service.
func fillGateway(t *testing.T, db *DB, start time.Time) {
	t.Helper()
	for i := range 20 {
		app := db.kept.Appender(context.Background())
		at := start.Add(time.Duration(i) * 5 * time.Second).UnixMilli()
		gateway := []string{"job", "gateway", "instance", "g", "unit", "local"}
		add := func(v float64, ls ...string) {
			if _, err := app.Append(0, labels.FromStrings(append(gateway, ls...)...), at, v); err != nil {
				t.Fatal(err)
			}
		}
		add(1, "__name__", "up")
		for k, version := range []string{"v1", "v2"} {
			n := float64(i * (100 - 90*k))
			add(n, "__name__", requestsMetric, "service", "shop", "version", version, "ring", "all", "code", "200")
			add(float64(i*k), "__name__", requestsMetric, "service", "shop", "version", version, "ring", "all", "code", "500")
			h := &histogram.Histogram{Schema: 3, ZeroThreshold: 1e-128, ZeroCount: uint64(i), Count: uint64(i*3 + i), Sum: n, PositiveSpans: []histogram.Span{{Offset: -8, Length: 2}, {Offset: 5, Length: 1}}, PositiveBuckets: []int64{int64(i), 0, 0}}
			ls := labels.FromStrings(append(gateway, "__name__", secondsMetric, "service", "shop", "version", version)...)
			if _, err := app.AppendHistogram(0, ls, at, h, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBehindAnotherServerEvidenceIsTheSame(t *testing.T) {
	there, here := openBehind(t)
	start := time.Now().Add(-5 * time.Minute).Truncate(time.Second)
	fillGateway(t, here, start)
	q := CountsQuery{Service: "shop", Canary: "v2", Stable: "v1", From: start, To: start.Add(5 * time.Minute)}
	a, at, err := there.Counts(t.Context(), q)
	if err != nil || len(a) != 19 {
		t.Fatalf("%d samples, %v", len(a), err)
	}
	b, bt, err := here.Counts(t.Context(), q)
	if err != nil || !reflect.DeepEqual(a, b) || !reflect.DeepEqual(at, bt) {
		t.Errorf("counts differ: %d, %d, %v", len(a), len(b), err)
	}
	ha, _, err := there.Histograms(t.Context(), "shop", "v2", "v1", q.From, q.To)
	if err != nil || len(ha) != 19 || ha[0].Canary == nil {
		t.Fatalf("%v, %v", ha, err)
	}
	hb, _, err := here.Histograms(t.Context(), "shop", "v2", "v1", q.From, q.To)
	if err != nil || len(hb) != len(ha) {
		t.Fatal(len(hb), err)
	}
	for i := range ha {
		if !reflect.DeepEqual(ha[i].Canary, hb[i].Canary) || !near(ha[i].Bounds, hb[i].Bounds) {
			t.Fatalf("histogram %d: %v, %v", i, ha[i], hb[i])
		}
	}
	end := start.Add(95 * time.Second)
	for _, expr := range []string{`sum(rate(ringfence_requests_total[1m]))`, `up`, `1+1`, `absent(nothing)`} {
		va, err1 := there.Query(t.Context(), expr, end)
		vb, err2 := here.Query(t.Context(), expr, end)
		if err1 != nil || err2 != nil || len(va) != len(vb) || len(va) != 1 || va[0].Value != vb[0].Value {
			t.Errorf("%s: %v %v, %v %v", expr, va, err1, vb, err2)
		}
		la, err1 := there.Values(t.Context(), expr, start, end, 5*time.Second)
		lb, err2 := here.Values(t.Context(), expr, start, end, 5*time.Second)
		if err1 != nil || err2 != nil || len(la) != len(lb) || !near(la[5:], lb[5:]) {
			t.Errorf("%s: %v %v, %v %v", expr, la, err1, lb, err2)
		}
	}
	if _, err := here.Query(t.Context(), "sum(", end); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}

func near(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-12*math.Abs(a[i]) {
			return false
		}
	}
	return true
}

func TestBehindAnotherServerScrapesAndWrites(t *testing.T) {
	there, here := openBehind(t)
	now := time.Now()
	if refused, err := here.Write(t.Context(), []metric.Sample{metric.New("ringfence_probe_success", now, 1, "probe", "home"), metric.New("", now, 1)}); err != nil || len(refused) != 1 {
		t.Fatal(refused, err)
	}
	target, _, err := Target{URL: "http://x", Labels: map[string]string{"job": "service", "service": "shop"}}.normal()
	if err != nil {
		t.Fatal(err)
	}
	in := newIngest(target)
	if err := here.store(&in, now.UnixMilli(), "text/plain", []byte("a 1\nb 2\n"), time.Millisecond, nil); err != nil {
		t.Fatal(err)
	}
	if err := here.store(&in, now.Add(time.Second).UnixMilli(), "text/plain", []byte("a 3\n"), time.Millisecond, nil); err != nil {
		t.Fatal(err)
	}
	at := now.Add(time.Second)
	if one(t, there, "ringfence_probe_success", at) != 1 || one(t, there, "a", at) != 3 {
		t.Error("not there")
	}
	none(t, there, "b", at)
	// The API passes on what may be asked, and nothing else.
	form := url.Values{"query": {"a"}, "time": {secondsOf(at.UnixMilli())}}
	code, body := request(t, here.Handler(), http.MethodPost, "/api/v1/query", form)
	var said struct {
		Data struct{ Result []remoteSeries }
	}
	if err := json.Unmarshal([]byte(body), &said); err != nil || code != 200 || len(said.Data.Result) != 1 || said.Data.Result[0].Value.v != 3 {
		t.Errorf("%d %s %v", code, body, err)
	}
	if code, _ := request(t, here.Handler(), http.MethodPost, "/api/v1/write", nil); code == 200 || code == 204 {
		t.Errorf("writes are passed on: %d", code)
	}
}

func TestBehindAServerThatIsAway(t *testing.T) {
	db, err := OpenRemote(RemoteOptions{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Query(t.Context(), "up", time.Now()); !errs.Is(err, errs.Unavailable) {
		t.Error(err)
	}
	if _, err := db.Write(t.Context(), []metric.Sample{metric.New("a", time.Now(), 1)}); !errs.Is(err, errs.Unavailable) {
		t.Error(err)
	}
	if code, _ := request(t, db.Handler(), http.MethodGet, "/api/v1/query", url.Values{"query": {"up"}}); code != 503 {
		t.Error(code)
	}
	for _, bad := range []string{"", "ftp://x", "http://", "http://u:p@x", "http://x?a=b"} {
		if _, err := OpenRemote(RemoteOptions{URL: bad}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzRemoteHistogram(f *testing.F) {
	f.Add([]byte(`[1.5,{"count":"3","sum":"4","buckets":[[3,"-0.1","0.1","1"],[0,"1","2","2"]]}]`))
	f.Add([]byte(`[1,{"count":"3","sum":"4","buckets":[[0,"-2","-1","2"]]}]`))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		var h remoteHistogram
		if h.UnmarshalJSON(raw) == nil && h.h != nil {
			_ = h.h.Validate()
		}
	})
}
