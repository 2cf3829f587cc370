// Command monitor measures how Ringfence takes metrics in, what they cost in memory and how fast they are asked, beside Prometheus of
// the same version: its own receiver, database with its own settings, and engine. Each is measured in a process of its own.
//
//	go run . [-series 10000] [-rounds 60]
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// result is what was measured of one side.
type result struct {
	PerCPUSecond float64 // samples
	PerSeries    float64 // bytes of heap
	Query        float64 // seconds
}

// side is one of those that are compared.
type side interface {
	handler() http.Handler
	query(expr string, from, to time.Time, step time.Duration) (points int)
	close()
}

var sides = map[string]func(dir string) side{"ringfence": newRingfence, "prometheus": newPrometheus}

func main() {
	which := flag.String("side", "", "measure this one and print JSON")
	series := flag.Int("series", 10_000, "series")
	rounds := flag.Int("rounds", 60, "samples of each")
	repeats := flag.Int("repeats", 3, "times that each side is measured; the medians count")
	flag.Parse()
	if *which != "" {
		if err := json.NewEncoder(os.Stdout).Encode(measure(sides[*which], *series, *rounds)); err != nil {
			panic(err)
		}
		return
	}
	all := map[string][]result{}
	for range *repeats {
		for _, name := range []string{"prometheus", "ringfence"} {
			out, err := exec.Command(os.Args[0], "-side", name, fmt.Sprint("-series=", *series), fmt.Sprint("-rounds=", *rounds)).Output()
			var r result
			if err == nil {
				err = json.Unmarshal(out, &r)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, name, err)
				os.Exit(1)
			}
			all[name] = append(all[name], r)
		}
	}
	p, r := medians(all["prometheus"]), medians(all["ringfence"])
	fmt.Printf("%-44s %14s %14s %7s\n", "", "Prometheus", "Ringfence", "ratio")
	fmt.Printf("%-44s %14.0f %14.0f %7.2f  (goal at least 0.9)\n", "samples per CPU-second, remote write 2.0", p.PerCPUSecond, r.PerCPUSecond, r.PerCPUSecond/p.PerCPUSecond)
	fmt.Printf("%-44s %14.0f %14.0f %7.2f  (goal at most 1.1)\n", "bytes of heap per series", p.PerSeries, r.PerSeries, r.PerSeries/p.PerSeries)
	fmt.Printf("%-44s %14.3f %14.3f %7.2f  (goal at most 1.0)\n", "seconds, rate over 24 h of 1,000 series", p.Query, r.Query, r.Query/p.Query)
}

func medians(all []result) (m result) {
	of := func(f func(result) float64) float64 {
		vs := make([]float64, len(all))
		for i, r := range all {
			vs[i] = f(r)
		}
		slices.Sort(vs)
		return vs[len(vs)/2]
	}
	return result{of(func(r result) float64 { return r.PerCPUSecond }), of(func(r result) float64 { return r.PerSeries }), of(func(r result) float64 { return r.Query })}
}

func measure(make func(string) side, series, rounds int) (r result) {
	dir, err := os.MkdirTemp("", "bench-monitor-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s := make(dir)
	defer s.close()
	server := httptest.NewServer(s.handler())
	defer server.Close()
	start := time.Now().Add(-30 * time.Minute).Truncate(time.Second)
	bodies := encode(series, rounds, start)
	first := bodies[0]
	before := heap()
	for _, b := range first { // series are made once
		send(server.URL, b)
	}
	cpu := used()
	for _, round := range bodies[1:] {
		for _, b := range round {
			send(server.URL, b)
		}
	}
	r.PerCPUSecond = float64(series*(rounds-1)) / (used() - cpu).Seconds()
	r.PerSeries = float64(heap()-before) / float64(series)
	runtime.KeepAlive(bodies)
	r.Query = ask(make)
	return r
}

const batch = 2000 // samples of one request, as Prometheus sends them

// encode makes all requests before anything is measured.
func encode(series, rounds int, start time.Time) [][][]byte {
	all := make([][][]byte, rounds)
	for n := range rounds {
		for from := 0; from < series; from += batch {
			st := writev2.NewSymbolTable()
			req := &writev2.Request{}
			for i := from; i < min(from+batch, series); i++ {
				ls := labels.FromStrings("__name__", fmt.Sprint("http_requests_", i%20, "_total"), "service", fmt.Sprint("service-", i%10), "version", "v1", "instance", fmt.Sprint("i-", i%100), "code", fmt.Sprint(i%7), "path", fmt.Sprint("/p/", i))
				req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: st.SymbolizeLabels(ls, nil), Samples: []writev2.Sample{{Value: float64(n * (i%50 + 1)), Timestamp: start.Add(time.Duration(n) * 15 * time.Second).UnixMilli()}},
					Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER}})
			}
			req.Symbols = st.Symbols()
			raw, err := req.Marshal()
			if err != nil {
				panic(err)
			}
			all[n] = append(all[n], snappy.Encode(nil, raw))
		}
	}
	return all
}

func send(url string, body []byte) {
	req, err := http.NewRequest(http.MethodPost, url+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	req.Header.Set("Content-Encoding", "snappy")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		panic(resp.Status)
	}
}

// ask fills a day of 1,000 series by the minute and asks for their rate, by the best of some times.
func ask(make func(string) side) float64 {
	dir, err := os.MkdirTemp("", "bench-monitor-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s := make(dir)
	defer s.close()
	server := httptest.NewServer(s.handler())
	defer server.Close()
	const series, points = 1000, 24 * 60
	end := time.Now().Truncate(time.Minute)
	start := end.Add(-points * time.Minute)
	for n := range points {
		st := writev2.NewSymbolTable()
		req := &writev2.Request{}
		for i := range series {
			ls := labels.FromStrings("__name__", "requests_total", "service", "shop", "i", fmt.Sprint(i))
			req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: st.SymbolizeLabels(ls, nil), Samples: []writev2.Sample{{Value: float64(n * i), Timestamp: start.Add(time.Duration(n) * time.Minute).UnixMilli()}}})
		}
		req.Symbols = st.Symbols()
		raw, err := req.Marshal()
		if err != nil {
			panic(err)
		}
		send(server.URL, snappy.Encode(nil, raw))
	}
	best := 1e9
	for range 5 {
		runtime.GC()
		began := time.Now()
		if n := s.query(`sum by (service) (rate(requests_total[5m]))`, start, end, 5*time.Minute); n < 200 {
			panic(fmt.Sprint(n, " points"))
		}
		best = min(best, time.Since(began).Seconds())
	}
	return best
}

func heap() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// used is the processor time of this process. The sender is a part of it, the same for both sides.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
