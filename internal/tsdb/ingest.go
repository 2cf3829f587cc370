package tsdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"
)

const (
	maxSamples    = 50_000 // of one scrape
	maxLabels     = 64     // of one series
	maxLabelValue = 4 << 10
)

// ingest turns the expositions of one target into samples. It remembers the series of the scrape before.
type ingest struct {
	target    []labels.Label
	own       bool // may write what is Ringfence's own
	round     uint64
	series    map[string]*exposed // by the series as it stands in the exposition
	report    [3]exposed
	batch     []sample
	help      map[string]Family
	described bool // help has changed since it was published
}

// exposed is one series of the target. One without labels is not stored.
type exposed struct {
	labels labels.Labels
	ref    storage.SeriesRef
	round  uint64 // the last scrape that had it
	live   bool   // its last stored sample is no stale marker
	over   bool   // it was refused, as its service has too many
}

type sample struct {
	of *exposed
	v  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
	ex []exemplar.Exemplar
}

var reportNames = [3]string{"up", "scrape_duration_seconds", "scrape_samples_scraped"}

func newIngest(t Target) ingest {
	in := ingest{own: t.Gateway || t.Own, series: map[string]*exposed{}, help: map[string]Family{}}
	labels.FromMap(t.Labels).Range(func(l labels.Label) { in.target = append(in.target, l) })
	for i, name := range reportNames {
		b := labels.NewBuilder(labels.FromMap(t.Labels))
		in.report[i].labels = b.Set(model.MetricNameLabel, name).Labels()
	}
	return in
}

// parse reads an exposition into the batch. Nothing is stored yet: a wrong line refuses the whole.
func (in *ingest) parse(contentType string, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil { // what a target sends must not end this process
			err = fmt.Errorf("parse metrics: %v", r)
		}
	}()
	in.round++
	in.batch = in.batch[:0]
	if !strings.HasPrefix(contentType, "application/vnd.google.protobuf") && bytes.IndexByte(body, 0) >= 0 {
		return errors.New("parse metrics: zero byte in text") // which the parser would take for the end
	}
	p, err := textparse.New(body, contentType, nil, textparse.ParserOptions{FallbackContentType: "text/plain"})
	if p == nil {
		return err
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("parse metrics: %w", err)
		}
		var raw []byte
		var s sample
		switch entry {
		case textparse.EntrySeries:
			raw, _, s.v = p.Series()
		case textparse.EntryHistogram:
			raw, _, s.h, s.fh = p.Histogram()
		default:
			in.describe(p, entry)
			continue
		}
		if len(in.batch) == maxSamples {
			return fmt.Errorf("more than %d samples in one scrape", maxSamples)
		}
		if s.of, err = in.lookup(p, raw); err != nil {
			return err
		}
		seen := s.of.round == in.round
		s.of.round = in.round
		if !seen && !s.of.labels.IsEmpty() { // of a series that is exposed twice the first counts
			s.ex = exemplarsOf(p)
			in.batch = append(in.batch, s)
		}
	}
}

func (in *ingest) lookup(p textparse.Parser, raw []byte) (*exposed, error) {
	if e := in.series[string(raw)]; e != nil {
		return e, nil
	}
	var own labels.Labels
	p.Labels(&own)
	final, err := in.relabel(own)
	if err != nil {
		return nil, err
	}
	e := &exposed{labels: final}
	in.series[string(raw)] = e
	return e, nil
}

// relabel puts the target's labels on a series. An exposed label of the same name and another value is kept with the
// prefix exported_. Series that only this program may write come back without labels.
func (in *ingest) relabel(own labels.Labels) (labels.Labels, error) {
	name := own.Get(model.MetricNameLabel)
	if name == "" || !own.IsValid(model.UTF8Validation) {
		return labels.EmptyLabels(), fmt.Errorf("series %s: invalid name", own)
	}
	for _, mine := range reportNames {
		if name == mine {
			return labels.EmptyLabels(), nil
		}
	}
	if !in.own && strings.HasPrefix(name, reservedPrefix) {
		return labels.EmptyLabels(), nil
	}
	b := labels.NewBuilder(own)
	for _, l := range in.target {
		if was := own.Get(l.Name); was != "" && was != l.Value {
			b.Set("exported_"+l.Name, was)
		}
		b.Set(l.Name, l.Value)
	}
	final := b.Labels()
	if n := final.Len(); n > maxLabels {
		return final, fmt.Errorf("series %s has %d labels, expected at most %d", name, n, maxLabels)
	}
	err := final.Validate(func(l labels.Label) error {
		if len(l.Value) > maxLabelValue {
			return fmt.Errorf("series %s: label %s is longer than %d bytes", name, l.Name, maxLabelValue)
		}
		return nil
	})
	return final, err
}

// store appends one scrape, whole or not at all. With a failure, or when parsing or storing fails, what was live is
// marked stale and up is 0. It returns why the scrape failed.
func (db *DB) store(in *ingest, at int64, contentType string, body []byte, took time.Duration, failure error) error {
	if failure == nil {
		failure = in.parse(contentType, body)
	}
	if failure == nil {
		if failure = db.commit(in, at, 1, took); failure == nil {
			return nil
		}
	}
	in.drop()
	if err := db.commit(in, at, 0, took); err != nil {
		return errors.Join(failure, fmt.Errorf("record the failure: %w", err))
	}
	return failure
}

// commit appends the batch, stale markers for what was live and is not in it, and the report, in one transaction.
func (db *DB) commit(in *ingest, at int64, up float64, took time.Duration) error {
	if err := db.space.check(); err != nil {
		return err
	}
	app := db.kept.Appender(context.Background())
	app.SetOptions(inOrder)
	err := in.append(app, at)
	for i, v := range [3]float64{up, took.Seconds(), float64(len(in.batch))} {
		if err == nil {
			err = put(app, &in.report[i], at, v)
		}
	}
	if err != nil {
		return errors.Join(err, app.Rollback())
	}
	if err := app.Commit(); err != nil {
		return err
	}
	in.settle(up == 1)
	return nil
}

// refusedBy says that a series is one too many for its service. The others of the scrape are stored.
func refusedBy(err error) bool {
	var limit *errLimit
	return errors.As(err, &limit)
}

// maxExemplarsOf bounds those of one sample.
const maxExemplarsOf = 10

func exemplarsOf(p textparse.Parser) (all []exemplar.Exemplar) {
	var e exemplar.Exemplar
	for len(all) < maxExemplarsOf && p.Exemplar(&e) {
		if e.HasTs { // others cannot be told from those of the scrape before
			all = append(all, e)
		}
		e = exemplar.Exemplar{}
	}
	return all
}

// put appends one value. Two series that differ only in how they are written are one: the first value stays.
func put(app storage.Appender, e *exposed, at int64, v float64) error {
	ref, err := app.Append(e.ref, e.labels, at, v)
	if err == nil {
		e.ref = ref
	} else if errors.Is(err, storage.ErrDuplicateSampleForTimestamp) {
		err = nil
	}
	return err
}

func (in *ingest) append(app storage.Appender, at int64) (err error) {
	for _, s := range in.batch {
		if s.h != nil || s.fh != nil {
			s.of.ref, err = app.AppendHistogram(s.of.ref, s.of.labels, at, s.h, s.fh)
		} else {
			err = put(app, s.of, at, s.v)
		}
		if s.of.over = refusedBy(err); s.of.over {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.of.labels, err)
		}
		for _, e := range s.ex {
			_, _ = app.AppendExemplar(s.of.ref, s.of.labels, e) // one that is no later than the last is none anew
		}
	}
	for _, e := range in.series {
		if e.live && e.round != in.round {
			if err := put(app, e, at, staleMarker); err != nil && !refusedBy(err) {
				return fmt.Errorf("%s: %w", e.labels, err)
			}
		}
	}
	return nil
}

// settle notes what a stored scrape made live. Series that are gone after a scrape that worked are forgotten.
func (in *ingest) settle(worked bool) {
	for raw, e := range in.series {
		e.live = e.round == in.round && !e.labels.IsEmpty() && !e.over
		if worked && e.round != in.round {
			delete(in.series, raw)
		}
	}
	clear(in.batch)
	in.batch = in.batch[:0]
}

// drop gives up on the scrape at hand. Series that were never stored are forgotten, so that expositions that are
// refused do not fill the memory.
func (in *ingest) drop() {
	in.round++
	clear(in.batch)
	in.batch = in.batch[:0]
	for raw, e := range in.series {
		if !e.live {
			delete(in.series, raw)
		}
	}
}

// storeGone marks everything of the target stale, its report too.
func (db *DB) storeGone(in *ingest, at int64) error {
	if err := db.space.check(); err != nil {
		return err
	}
	in.drop()
	app := db.kept.Appender(context.Background())
	app.SetOptions(inOrder)
	err := in.append(app, at)
	for i := range in.report {
		if err == nil {
			err = put(app, &in.report[i], at, staleMarker)
		}
	}
	if err != nil {
		return errors.Join(err, app.Rollback())
	}
	return app.Commit()
}

// inOrder are the options of scrapes: what was called settled must not change, also when the clock is set back.
var inOrder = &storage.AppendOptions{DiscardOutOfOrder: true}

var staleMarker = math.Float64frombits(0x7ff0000000000002)
