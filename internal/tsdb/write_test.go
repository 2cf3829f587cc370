package tsdb

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
)

func TestWriteTakesEachSampleByItself(t *testing.T) {
	db := openTest(t, Options{})
	now := time.Now().Truncate(time.Second)
	long := strings.Repeat("x", maxLabelValue+1)
	samples := []metric.Sample{
		metric.New("ringfence_probe_success", now, 1, "probe", "home"),
		metric.New("", now, 1),
		metric.New("a", now.Add(ahead+time.Minute), 1),
		metric.New("a", now, 1, "l", long),
		metric.New("a", now, 2),
		metric.New("a", now.Add(-2*lateness), 2),
		metric.New("a", now.Add(-lateness/2), 3),
		metric.New("a\xff", now, 3),
	}
	refused, err := db.Write(t.Context(), samples)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range refused {
		got = append(got, fmt.Sprint(r.Index, r.Reason))
	}
	if want := "1labels 2future 3labels 5old 7labels"; strings.Join(got, " ") != want {
		t.Fatalf("refused %v, want %v", got, want)
	}
	if v := one(t, db, "ringfence_probe_success", now); v != 1 {
		t.Error(v)
	}
	if v := one(t, db, "a", now); v != 2 {
		t.Error(v)
	}
	refused, err = db.Write(t.Context(), []metric.Sample{metric.New("a", now.Add(-2*lateness-blockRange), 2), metric.New("a", now, 5), metric.New("a", now, 2)})
	if err != nil || len(refused) != 2 || refused[0].Reason != metric.Old || refused[1].Reason != metric.Duplicate {
		t.Fatalf("%+v, %v", refused, err)
	}
	if v := one(t, db, "a", now.Add(-lateness/2)); v != 3 {
		t.Errorf("late: %v", v)
	}
}

func TestOthersDoNotWriteWhatIsRingfences(t *testing.T) {
	db := openTest(t, Options{})
	b, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	for _, ls := range []labels.Labels{
		labels.FromStrings("__name__", "ringfence_requests_total", "service", "shop"),
		labels.FromStrings("__name__", "up", "job", "gateway", "instance", "x"),
	} {
		_, err := b.Append(0, ls, 0, now, 1, nil, nil, storage.AppendV2Options{})
		if why, ok := Refusal(err); !ok || why != metric.Forbidden {
			t.Errorf("%s: %v", ls, err)
		}
	}
	bad := &histogram.Histogram{Count: 5, Sum: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1}}
	_, err = b.Append(0, labels.FromStrings("__name__", "h"), 0, now, 0, bad, nil, storage.AppendV2Options{})
	if why, ok := Refusal(err); !ok || why != metric.Histogram {
		t.Errorf("%v", err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
}

// An up that someone sends without job and instance must not pass for a scrape of the gateway.
func TestPushedUpIsNoScrape(t *testing.T) {
	db := openTest(t, Options{})
	start := time.Now().Add(-time.Minute).Truncate(time.Second)
	series := `ringfence_requests_total{service="shop",version="v1",ring="all",code="200"}`
	putScrape(t, db, "g", start, map[string]float64{series: 10})
	putScrape(t, db, "g", start.Add(10*time.Second), map[string]float64{series: 15})
	b, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(0, labels.FromStrings("__name__", "up", "service", "shop"), 0, start.Add(5*time.Second).UnixMilli(), 1, nil, nil, storage.AppendV2Options{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	samples, times, err := db.Counts(t.Context(), CountsQuery{Service: "shop", Canary: "v1", From: start, To: start.Add(20 * time.Second)})
	if err != nil || len(samples) != 1 || samples[0].Canary.Requests != 5 || !times[0].Equal(start.Add(10*time.Second)) {
		t.Fatalf("%v at %v, %v", samples, times, err)
	}
}

func TestServiceHasSoManySeries(t *testing.T) {
	told := make(chan metric.Limited, 8)
	dir := t.TempDir()
	db, err := Open(Options{Dir: dir, ServiceSeries: 3, Limited: func(l metric.Limited) { told <- l }})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var many []metric.Sample
	for i := range 6 {
		many = append(many, metric.New("m", now, 1, "service", "shop", "i", fmt.Sprint(i)))
	}
	many = append(many, metric.New("m", now, 1, "service", "other"), metric.New("ringfence_x", now, 1, "service", "shop"))
	refused, err := db.Write(t.Context(), many)
	if err != nil || len(refused) != 3 || refused[0].Index != 3 || refused[0].Reason != metric.Limit {
		t.Fatalf("%+v, %v", refused, err)
	}
	select {
	case l := <-told:
		if l.Service != "shop" || l.Series != 3 || l.Limit != 3 || l.Refused != 1 || !strings.Contains(l.Example, `i="3"`) {
			t.Errorf("%+v", l)
		}
	case <-time.After(time.Minute):
		t.Fatal("nobody was told")
	}
	if _, err := db.Write(t.Context(), []metric.Sample{metric.New("m", now.Add(time.Second), 2, "service", "shop", "i", "0")}); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(db)
	families, err := reg.Gather()
	if err != nil || len(families) != 4 {
		t.Fatalf("%v, %v", families, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: dir, ServiceSeries: 1}) // what is there stays
	if v := one(t, again, `sum(m{service="shop"})`, now.Add(time.Second)); v != 4 {
		t.Error(v)
	}
	refused, err = again.Write(t.Context(), []metric.Sample{metric.New("m", now.Add(time.Second), 2, "service", "shop", "i", "9")})
	if err != nil || len(refused) != 1 {
		t.Errorf("%+v, %v", refused, err)
	}
	if len(told) != 0 {
		t.Error("told twice")
	}
}

func TestScrapeLeavesOutWhatIsTooMuch(t *testing.T) {
	db := openTest(t, Options{ServiceSeries: 3})
	target, _, err := Target{URL: "http://x", Labels: map[string]string{"job": "service", "service": "shop", "instance": "1"}}.normal()
	if err != nil {
		t.Fatal(err)
	}
	in := newIngest(target)
	var page strings.Builder
	for i := range 5 {
		fmt.Fprintf(&page, "m{i=\"%d\"} 1\n", i)
	}
	at := time.Now().Add(-time.Minute)
	for i := range 3 {
		if err := db.store(&in, at.Add(time.Duration(i)*time.Second).UnixMilli(), "text/plain", []byte(page.String()), time.Millisecond, nil); err != nil {
			t.Fatal(err)
		}
	}
	if v := one(t, db, `count(m)`, at.Add(2*time.Second)); v != 3 {
		t.Error(v)
	}
	if v := one(t, db, `up{service="shop"}`, at.Add(2*time.Second)); v != 1 {
		t.Error(v)
	}
	if err := db.store(&in, at.Add(3*time.Second).UnixMilli(), "text/plain", []byte("m{i=\"4\"} 1\n"), time.Millisecond, nil); err != nil {
		t.Fatal(err)
	}
	none(t, db, `m{i="0"}`, at.Add(3*time.Second))
}

func TestFullDiskRefusesWrites(t *testing.T) {
	db := openTest(t, Options{})
	db.space.free = func() (uint64, error) { return 1, nil }
	_, err := db.Write(context.Background(), []metric.Sample{metric.New("a", time.Now(), 1)})
	if !errs.Is(err, errs.Unavailable) {
		t.Fatal(err)
	}
}
