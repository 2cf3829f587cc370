package tsdb

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/metric"
)

// Target is something to scrape.
type Target struct {
	URL         string            // of the metrics, http or https
	Labels      map[string]string // put on every series; job defaults to "ringfence", instance to the URL's host and port
	Interval    time.Duration     // default 5s
	Timeout     time.Duration     // default half the interval, at most 10s; never longer than the interval
	BearerToken string
	Gateway     bool         // its ringfence_ metrics are believed: they are evidence. Never true of a service
	Own         bool         // its ringfence_ metrics are believed, but are no evidence: Ringfence's other processes
	Local       http.Handler // asked instead of the URL, when it is in this process
}

const (
	defaultInterval = 5 * time.Second
	minInterval     = 100 * time.Millisecond
	maxTimeout      = 10 * time.Second
	resyncEvery     = time.Second
	maxTargets      = 2000
)

func targetKey(job, instance string) string { return job + "\x00" + instance }

// normal returns t with defaults filled in, its labels a copy, and its key.
func (t Target) normal() (Target, string, error) {
	u, err := url.Parse(t.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return t, "", errs.E(errs.Invalid, "scrape target %q: expected an http or https URL", t.URL)
	}
	ls := map[string]string{"job": "ringfence", "instance": u.Host}
	if u.Port() == "" {
		ls["instance"] = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	maps.Copy(ls, t.Labels)
	t.Labels = ls
	if !t.Gateway && ls["job"] == metric.GatewayJob {
		return t, "", errs.E(errs.Invalid, "scrape target %s: the job %s is the gateways' own", t.URL, metric.GatewayJob)
	}
	if t.Interval <= 0 {
		t.Interval = defaultInterval
	}
	t.Interval = max(t.Interval.Truncate(time.Millisecond), minInterval)
	if t.Timeout <= 0 {
		t.Timeout = min(t.Interval/2, maxTimeout)
	}
	t.Timeout = min(t.Timeout, t.Interval)
	return t, targetKey(ls["job"], ls["instance"]), nil
}

func (t Target) same(o Target) bool {
	return t.URL == o.URL && maps.Equal(t.Labels, o.Labels) && t.Interval == o.Interval &&
		t.Timeout == o.Timeout && t.BearerToken == o.BearerToken && t.Gateway == o.Gateway && t.Own == o.Own && (t.Local == nil) == (o.Local == nil)
}

// Run scrapes what targets returns until ctx ends. It asks for the targets every second; those that are no longer
// returned are marked stale. Series are not marked when ctx ends, so that a restart leaves no hole. Only one Run at a time.
func (db *DB) Run(ctx context.Context, targets func() []Target) error {
	if !db.scraping.TryLock() {
		return errs.E(errs.Conflict, "metrics are being scraped already, or closed")
	}
	defer db.scraping.Unlock()
	s := scraper{db: db, loops: map[string]*loop{}}
	defer s.wait()
	tick := time.NewTicker(resyncEvery)
	defer tick.Stop()
	for {
		s.sync(ctx, targets())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// scraper keeps one loop per target.
type scraper struct {
	db      *DB
	loops   map[string]*loop
	running sync.WaitGroup
	refused string // the last complaint about targets, to say it once
}

func (s *scraper) wait() { s.running.Wait() }

func (s *scraper) sync(ctx context.Context, targets []Target) {
	wanted := map[string]Target{}
	var refused string
	for _, t := range targets {
		t, key, err := t.normal()
		switch _, twice := wanted[key]; {
		case err != nil:
			refused = err.Error()
		case twice:
			refused = "two scrape targets with the same job and instance: " + t.URL
		case len(wanted) == maxTargets:
			refused = "too many scrape targets"
		default:
			wanted[key] = t
		}
	}
	if refused != "" && refused != s.refused {
		s.db.log.Warn("scrape target refused", "err", refused)
	}
	s.refused = refused

	after := map[string]int64{}
	for key, l := range s.loops {
		if t, ok := wanted[key]; ok && t.same(l.target) {
			delete(wanted, key)
			continue
		}
		l.end() // before its successor with other settings begins: they share a key
		delete(s.loops, key)
		after[key] = l.last
	}
	for key, t := range wanted {
		s.loops[key] = s.start(ctx, key, t, after[key])
	}
}

// start begins to scrape t at once, but later than after.
func (s *scraper) start(ctx context.Context, key string, t Target, after int64) *loop {
	ctx, cancel := context.WithCancel(ctx)
	l := newLoop(s.db, key, t)
	l.cancel = cancel
	first := max(time.Now().UnixMilli(), after+1)
	if t.Gateway {
		first = s.db.due.add(key, first)
	}
	s.running.Go(func() {
		defer close(l.done)
		l.run(ctx, first)
	})
	return l
}
