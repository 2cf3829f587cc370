package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage/remote"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"github.com/ringfence/ringfence/internal/telemetry"
	"github.com/ringfence/ringfence/internal/tsdb"
)

var quiet = slog.New(slog.DiscardHandler)

type ringfence struct {
	db *tsdb.DB
	in *telemetry.Intake
}

func newRingfence(dir string) side {
	db, err := tsdb.Open(tsdb.Options{Dir: dir, ServiceSeries: 1_000_000})
	if err != nil {
		panic(err)
	}
	return &ringfence{db, telemetry.New(telemetry.Options{Metrics: db})}
}

func (r *ringfence) handler() http.Handler { return r.in.RemoteWrite() }

func (r *ringfence) query(expr string, from, to time.Time, step time.Duration) int {
	lines, err := r.db.QueryRange(context.Background(), expr, from, to, step)
	if err != nil || len(lines) != 1 {
		panic(err)
	}
	return len(lines[0].Points)
}

func (r *ringfence) close() { _ = r.db.Close() }

type prom struct {
	db     *promtsdb.DB
	engine *promql.Engine
}

func newPrometheus(dir string) side {
	opts := promtsdb.DefaultOptions()
	opts.OutOfOrderTimeWindow = time.Hour.Milliseconds() // as a receiver of remote write is set up
	db, err := promtsdb.Open(dir, quiet, prometheus.NewRegistry(), opts, nil)
	if err != nil {
		panic(err)
	}
	p := parser.NewParser(parser.Options{})
	return &prom{db, promql.NewEngine(promql.EngineOpts{Logger: quiet, Reg: prometheus.NewRegistry(), Parser: p, MaxSamples: 50_000_000, Timeout: 2 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true})}
}

func (p *prom) handler() http.Handler {
	return remote.NewWriteHandler(quiet, prometheus.NewRegistry(), p.db, remoteapi.MessageTypes{remoteapi.WriteV2MessageType}, false, false, false)
}

func (p *prom) query(expr string, from, to time.Time, step time.Duration) int {
	q, err := p.engine.NewRangeQuery(context.Background(), p.db, nil, expr, from, to, step)
	if err != nil {
		panic(err)
	}
	defer q.Close()
	m, err := q.Exec(context.Background()).Matrix()
	if err != nil || len(m) != 1 {
		panic(err)
	}
	return len(m[0].Floats)
}

func (p *prom) close() { _ = p.db.Close() }
