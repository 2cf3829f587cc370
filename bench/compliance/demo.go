package main

import (
	"math"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

const (
	interval = 5 * time.Second
	history  = 55 * time.Minute // late samples are taken for an hour
)

// demo makes requests with the series that the cases ask for, of three instances: gauges, counters that begin anew, histograms, and a
// series that comes and goes.
func demo(end time.Time) (bodies [][]byte) {
	add := func(name string, at func(t float64) float64, ls ...string) {
		b := labels.NewBuilder(labels.FromStrings(ls...))
		bodies = append(bodies, pack(b.Set("__name__", name).Set("job", "demo").Labels(), end, at))
	}
	for n, port := range []string{"10000", "10001", "10002"} {
		instance, k := "demo.promlabs.com:"+port, float64(n+1)
		with := func(ls ...string) []string { return append([]string{"instance", instance}, ls...) }
		add("demo_num_cpus", func(float64) float64 { return 4 }, with()...)
		for i, kind := range []string{"used", "cached", "buffers", "free"} {
			add("demo_memory_usage_bytes", func(t float64) float64 { return 1e9 + 1e8*float64(i) + 1e7*k*math.Sin(t/60+float64(i)) }, with("type", kind)...)
		}
		for i, mode := range []string{"idle", "system", "user"} {
			add("demo_cpu_usage_seconds_total", func(t float64) float64 { return math.Mod(t, 1100+100*k) * 0.3 * float64(i+1) }, with("mode", mode)...)
		}
		add("demo_disk_usage_bytes", func(t float64) float64 { return 4e10 + math.Mod(t, 7200)*1e5*k }, with()...)
		add("demo_disk_total_bytes", func(float64) float64 { return 2.5e11 }, with()...)
		add("demo_batch_last_success_timestamp_seconds", func(t float64) float64 { return t - math.Mod(t, 100*k) }, with()...)
		add("demo_intermittent_metric", intermittent, with()...)
		for i, method := range []string{"GET", "POST"} {
			for j, status := range []string{"200", "500"} {
				rate := k * float64(2*i+j+1)
				ls := with("method", method, "status", status, "path", "/api/foo")
				count := func(t float64) float64 { return math.Floor(math.Mod(t, 86400) * rate) }
				for b, le := range []string{"0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "+Inf"} {
					add("demo_api_request_duration_seconds_bucket", func(t float64) float64 { return math.Floor(count(t) * float64(b+1) / 8) }, append(ls, "le", le)...)
				}
				add("demo_api_request_duration_seconds_count", count, ls...)
				add("demo_api_request_duration_seconds_sum", func(t float64) float64 { return count(t) * 0.07 }, ls...)
			}
		}
	}
	return bodies
}

// intermittent is there for two minutes of three, and is said to be gone.
func intermittent(t float64) float64 {
	switch at := math.Mod(t, 180); {
	case at < 120:
		return 1
	case at < 120+interval.Seconds():
		return math.Float64frombits(value.StaleNaN)
	}
	return math.NaN() // nothing is sent
}

func pack(ls labels.Labels, end time.Time, at func(t float64) float64) []byte {
	symbols := writev2.NewSymbolTable()
	series := writev2.TimeSeries{LabelsRefs: symbols.SymbolizeLabels(ls, nil)}
	for t := end.Add(-history); !t.After(end); t = t.Add(interval) {
		v := at(float64(t.Unix()))
		if math.IsNaN(v) && !value.IsStaleNaN(v) {
			continue
		}
		series.Samples = append(series.Samples, writev2.Sample{Value: v, Timestamp: t.UnixMilli()})
	}
	req := &writev2.Request{Timeseries: []writev2.TimeSeries{series}, Symbols: symbols.Symbols()}
	raw, err := req.Marshal()
	if err != nil {
		panic(err) // it is of our own making
	}
	return snappy.Encode(nil, raw)
}
