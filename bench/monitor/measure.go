package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sync/errgroup"

	"github.com/ringfence/ringfence/bench/beside"
)

const (
	batch   = 2000 // samples of one request, as Prometheus sends them
	senders = 4    // connections
	every   = 15 * time.Second
)

// start starts one side over what it finds.
type start func(beside.Seed) (*beside.Server, error)

func measure(begin start, series, rounds int) (result, error) {
	taken, err := with(begin, nil, func(s *beside.Server) (result, error) { return take(s, series, rounds) })
	if err != nil {
		return nil, err
	}
	end := time.Now().Truncate(time.Minute)
	asked, err := with(begin, func(folder string) error { return day(folder, end) }, func(s *beside.Server) (result, error) { return ask(s, end) })
	maps.Copy(taken, asked)
	return taken, err
}

// with hands a new server to use and ends it.
func with(begin start, seed beside.Seed, use func(*beside.Server) (result, error)) (r result, err error) {
	s, err := begin(seed)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stop := s.Stop(); err == nil {
			err = stop
		}
	}()
	return use(s)
}

// take sends series. Their making is not measured; what they cost in memory is.
func take(s *beside.Server, series, rounds int) (result, error) {
	bodies := encode(series, rounds, time.Now().Add(-time.Duration(rounds)*every).Truncate(time.Second))
	before, err := s.Memory()
	if err != nil {
		return nil, err
	}
	if err := send(s, bodies, 0, 1); err != nil {
		return nil, err
	}
	cpu, err := s.CPU()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := send(s, bodies, 1, rounds); err != nil {
		return nil, err
	}
	wall := time.Since(began)
	used, err := s.CPU()
	if err != nil {
		return nil, err
	}
	after, err := s.Memory()
	if err != nil {
		return nil, err
	}
	live, err := s.Live()
	n := float64(series * (rounds - 1))
	return result{"taken": n / wall.Seconds(), "cpu": n / (used - cpu).Seconds(), "memory": float64(after-before) / float64(series), "live": live / float64(series)}, err
}

// send sends rounds, each series in the order of time.
func send(s *beside.Server, bodies [][][]byte, from, to int) error {
	group, ctx := errgroup.WithContext(context.Background())
	for n := range senders {
		group.Go(func() error {
			for _, round := range bodies[from:to] {
				for i := n; i < len(round); i += senders {
					if err := s.Write(ctx, round[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// encode makes all requests before anything is measured.
func encode(series, rounds int, start time.Time) [][][]byte {
	all := make([][][]byte, rounds)
	for n := range rounds {
		for from := 0; from < series; from += batch {
			all[n] = append(all[n], pack(from, min(from+batch, series), start.Add(time.Duration(n)*every), func(i int) (labels.Labels, float64) {
				return labels.FromStrings("__name__", fmt.Sprint("http_requests_", i%20, "_total"), "service", fmt.Sprint("service-", i%10), "version", "v1", "instance", fmt.Sprint("i-", i%100),
					"code", fmt.Sprint(i%7), "path", fmt.Sprint("/p/", i)), float64(n * (i%50 + 1))
			}))
		}
	}
	return all
}

func pack(from, to int, at time.Time, sample func(i int) (labels.Labels, float64)) []byte {
	symbols := writev2.NewSymbolTable()
	req := &writev2.Request{}
	for i := from; i < to; i++ {
		ls, v := sample(i)
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: symbols.SymbolizeLabels(ls, nil), Samples: []writev2.Sample{{Value: v, Timestamp: at.UnixMilli()}},
			Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER}})
	}
	req.Symbols = symbols.Symbols()
	raw, err := req.Marshal()
	if err != nil {
		panic(err) // it is of our own making
	}
	return snappy.Encode(nil, raw)
}

// What is asked for: a day of series, by the minute.
const (
	daySeries = 1000
	dayPoints = 24 * 60
)

// day fills a database with a day that ends then. It is written as Prometheus writes it, and read by either as it is.
func day(folder string, end time.Time) error {
	db, err := tsdb.Open(folder, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	for n := range dayPoints {
		app := db.Appender(context.Background())
		for i := range daySeries {
			ls := labels.FromStrings("__name__", "requests_total", "service", "shop", "i", fmt.Sprint(i))
			if _, err := app.Append(0, ls, end.Add(time.Duration(n-dayPoints)*time.Minute).UnixMilli(), float64(n*i)); err != nil {
				return errors.Join(err, app.Rollback(), db.Close())
			}
		}
		if err := app.Commit(); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return errors.Join(db.Compact(context.Background()), db.Close())
}

// ask asks for that day, by the best of some times.
func ask(s *beside.Server, end time.Time) (result, error) {
	if err := s.Settle(); err != nil {
		return nil, err
	}
	r := result{}
	for _, q := range []struct {
		name, expr string
		lines      int
	}{{"sum", `sum by (service) (rate(requests_total[5m]))`, 1}, {"each", `rate(requests_total[5m])`, daySeries}, {"raw", `requests_total`, daySeries}} {
		for range 7 {
			began := time.Now()
			raw, err := s.Range(q.expr, end.Add(-dayPoints*time.Minute), end, 5*time.Minute)
			took := time.Since(began).Seconds() * 1000
			if err != nil {
				return nil, err
			}
			var got model.Matrix
			if err := json.Unmarshal(raw, &got); err != nil || len(got) != q.lines || len(got[0].Values) < 280 {
				return nil, fmt.Errorf("%s: %d lines, %w", q.expr, len(got), err)
			}
			if r[q.name] == 0 || took < r[q.name] {
				r[q.name] = took
			}
		}
	}
	return r, nil
}
