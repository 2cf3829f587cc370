package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	paced   = 6 // rounds at an ordinary pace, faster than that of the samples' own times so that nobody waits for minutes
	pace    = 3 * time.Second
	asked   = 15
)

// take sends series, as fast as they are taken and then at an ordinary pace, and looks at memory once garbage was collected after that:
// what a server has in it right after a storm depends on when it did that last. The first samples, by which series are made, are not timed.
func take(p pair, series, rounds int) (r [2]result, err error) {
	all := rounds + paced + 1
	bodies := encode(series, all, time.Now().Add(-time.Duration(all)*every).Truncate(time.Second))
	var before [2]int64
	var base [2]float64
	var cpu, wall [2]time.Duration
	send := func(n int) error {
		return p.turns(n, func(side int, s *beside.Server) error {
			began := time.Now()
			err := send(s, bodies[n])
			wall[side] += time.Since(began)
			return err
		})
	}
	if err := p.turns(0, func(side int, s *beside.Server) (err error) {
		if base[side], err = s.Live(time.Time{}); err != nil {
			return err
		}
		before[side], err = s.Memory()
		return err
	}); err != nil {
		return r, err
	}
	if err := send(0); err != nil {
		return r, err
	}
	if err := p.turns(0, func(side int, s *beside.Server) (err error) {
		cpu[side], err = s.CPU()
		return err
	}); err != nil {
		return r, err
	}
	wall = [2]time.Duration{}
	for n := range rounds {
		if err := send(1 + n); err != nil {
			return r, err
		}
	}
	n := float64(series * rounds)
	if err := p.turns(0, func(side int, s *beside.Server) error {
		used, err := s.CPU()
		r[side] = result{"taken": n / wall[side].Seconds(), "cpu": n / (used - cpu[side]).Seconds()}
		return err
	}); err != nil {
		return r, err
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := range paced {
		if err := send(1 + rounds + n); err != nil {
			return r, err
		}
		<-tick.C
	}
	ended := time.Now()
	return r, p.turns(0, func(side int, s *beside.Server) error {
		live, err := s.Live(ended)
		if err != nil {
			return err
		}
		after, err := s.Memory()
		r[side]["memory"], r[side]["live"] = float64(after-before[side])/float64(series), (live-base[side])/float64(series)
		return err
	})
}

// send sends the requests of a round.
func send(s *beside.Server, round [][]byte) error {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(senders)
	for _, body := range round {
		group.Go(func() error { return s.Write(ctx, body) })
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
func ask(p pair, end time.Time) (r [2]result, err error) {
	if err := p.turns(0, func(_ int, s *beside.Server) error { return s.Settle() }); err != nil {
		return r, err
	}
	r = [2]result{{}, {}}
	for _, q := range []struct {
		name, expr string
		lines      int
	}{{"sum", `sum by (service) (rate(requests_total[5m]))`, 1}, {"each", `rate(requests_total[5m])`, daySeries}, {"raw", `requests_total`, daySeries}} {
		for n := range asked {
			err := p.turns(n, func(side int, s *beside.Server) error {
				began := time.Now()
				raw, err := s.Range(q.expr, end.Add(-dayPoints*time.Minute), end, 5*time.Minute)
				took := time.Since(began).Seconds() * 1000
				if err != nil {
					return err
				}
				var got model.Matrix
				if err := json.Unmarshal(raw, &got); err != nil || len(got) != q.lines || len(got[0].Values) < 280 {
					return fmt.Errorf("%s: %d lines, %w", q.expr, len(got), err)
				}
				if best := r[side][q.name]; best == 0 || took < best {
					r[side][q.name] = took
				}
				return nil
			})
			if err != nil {
				return r, err
			}
		}
	}
	return r, nil
}
