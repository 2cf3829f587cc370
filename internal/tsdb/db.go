package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
)

// Options of a database. Only Dir is needed.
type Options struct {
	Dir       string
	Retention time.Duration // how long samples are kept; default 15 days
	MaxBytes  int64         // size of the blocks over which the oldest are dropped; 0: no limit
	Logger    *slog.Logger
	Transport http.RoundTripper // for scrapes; default a plain one that uses no proxy

	ServiceSeries int                  // how many series a service may have in memory; default 20,000
	Limited       func(metric.Limited) // is told when a service has them all, at most once an hour; nil: nobody
}

const (
	defaultRetention = 15 * 24 * time.Hour
	blockRange       = 2 * time.Hour
	maintainEvery    = time.Minute
	queryTimeout     = 30 * time.Second
	maxQuerySamples  = 5_000_000 // 80 MB at the worst
	diskReserve      = 64 << 20
	maxExemplars     = 20_000 // the latest
)

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	dir    string
	log    *slog.Logger
	tsdb   *promtsdb.DB
	remote *remote // nil when they are kept here
	kept   samples // where they are read from and written to
	engine *promql.Engine
	parser parser.Parser
	client *http.Client

	due      due
	meta     families
	census   *census
	space    space
	queries  chan struct{}
	rules    atomic.Pointer[Rules] // nil: none are evaluated
	scraping sync.Mutex            // held while Run runs

	stop   context.CancelFunc
	done   chan struct{}
	closed sync.Once
}

// Open opens the database in o.Dir, making the folder when there is none and replaying what was not yet in blocks.
func Open(o Options) (*DB, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "make metrics folder %s", o.Dir)
	}
	census := newCensus(o.ServiceSeries)
	inner, err := openTSDB(o, census)
	if err != nil {
		return nil, err
	}
	census.begin()
	p := parser.NewParser(parser.Options{})
	ctx, stop := context.WithCancel(context.Background())
	db := &DB{
		dir: o.Dir, log: o.Logger, tsdb: inner, kept: inner, parser: p, census: census,
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: o.Logger, Parser: p, MaxSamples: maxQuerySamples, Timeout: queryTimeout,
			EnableAtModifier: true, EnableNegativeOffset: true,
			NoStepSubqueryIntervalFn: func(int64) int64 { return defaultStep.Milliseconds() },
		}),
		client:  newClient(o.Transport),
		space:   space{free: func() (uint64, error) { return freeBytes(o.Dir) }, reserve: diskReserve},
		queries: make(chan struct{}, maxConcurrentQueries),
		stop:    stop, done: make(chan struct{}),
	}
	go db.maintain(ctx)
	go db.tell(ctx, o.Limited)
	return db, nil
}

// samples is where samples are kept.
type samples interface {
	storage.Queryable
	storage.Appendable
	storage.AppendableV2
	storage.ExemplarQueryable
}

// tell tells of services that have all the series that they may have.
func (db *DB) tell(ctx context.Context, limited func(metric.Limited)) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-db.census.hits:
			db.log.Warn("metrics of a service are refused: it has as many series as it may have", "service", l.Service, "series", l.Series, "example", l.Example)
			if limited != nil {
				limited(l)
			}
		}
	}
}

func (o *Options) check() error {
	if o.Dir == "" {
		return errs.E(errs.Invalid, "metrics: no folder given")
	}
	if o.Retention < 0 || o.MaxBytes < 0 || o.ServiceSeries < 0 {
		return errs.E(errs.Invalid, "metrics: retention, size limit and number of series must not be negative")
	}
	if o.ServiceSeries == 0 {
		o.ServiceSeries = defaultServiceSeries
	}
	if o.Retention == 0 {
		o.Retention = defaultRetention
	}
	if o.Retention < blockRange {
		return errs.E(errs.Invalid, "metrics: retention is %s, expected at least %s", o.Retention, blockRange)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "metrics folder %s", o.Dir)
	}
	o.Dir = dir
	return nil
}

// openTSDB opens the inner database with settings for hundreds of series rather than millions.
func openTSDB(o Options, c *census) (db *promtsdb.DB, err error) {
	opts := promtsdb.DefaultOptions()
	opts.RetentionDuration = o.Retention.Milliseconds()
	opts.MaxBytes = o.MaxBytes
	opts.MinBlockDuration = blockRange.Milliseconds()
	opts.MaxBlockDuration = max(blockRange, o.Retention/10).Milliseconds()
	opts.StripeSize = 1 << 10
	opts.WALSegmentSize = 16 << 20
	opts.WALCompression = compression.Snappy
	opts.HeadChunksWriteBufferSize = chunks.MinWriteBufferSize
	opts.MaxBlockChunkSegmentSize = 64 << 20
	opts.WALReplayConcurrency = 2
	opts.OutOfOrderTimeWindow = lateness.Milliseconds()
	opts.EnableExemplarStorage = true
	opts.MaxExemplars = maxExemplars
	opts.SeriesLifecycleCallback = c
	// The inner database's own timer writes chunks in a goroutine that panics when the disk is full. Ours does
	// the same only while there is room, so the inner one is never to fire.
	opts.BlockReloadInterval = math.MaxInt64
	defer func() {
		if r := recover(); r != nil {
			err = errs.E(errs.Unavailable, "open metrics in %s: %v", o.Dir, r)
		}
	}()
	db, err = promtsdb.Open(o.Dir, o.Logger, nil, opts, nil)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errs.Wrap(errs.Conflict, err, "metrics folder %s is in use by another process", o.Dir).
			Next("stop the other process or choose another folder")
	case err != nil:
		return nil, errs.Wrap(errs.Unavailable, err, "open metrics in %s", o.Dir)
	}
	return db, nil
}

// Close flushes and closes the database. The context of Run must have ended before.
func (db *DB) Close() (err error) {
	db.closed.Do(func() {
		db.stop()
		<-db.done
		db.scraping.Lock() // waits for Run
		db.client.CloseIdleConnections()
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("close metrics: %v", r)
			}
		}()
		if db.tsdb == nil {
			return
		}
		if e := db.tsdb.Close(); e != nil {
			err = errs.Wrap(errs.Unavailable, e, "close metrics")
		}
	})
	return err
}
