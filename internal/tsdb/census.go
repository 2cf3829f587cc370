package tsdb

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/ringfence/ringfence/internal/metric"
)

const (
	defaultServiceSeries = 20_000
	maxAllSeries         = 2_000_000
	reportRoom           = 1000 // above the limit, for what scrapes say of themselves
	tellAgainAfter       = time.Hour
)

// census counts the series in memory by the service that they belong to, and refuses new ones of a service that has too
// many. Ringfence's own are not counted: evidence is never refused. It is the inner database's lifecycle callback.
type census struct {
	limit int
	total int

	mu     sync.Mutex
	begun  bool // what is on disk has been read again
	all    int
	by     map[string]*share
	hits   chan metric.Limited
	refuse map[metric.Reason]int64
}

// share is what one service has.
type share struct {
	series  int
	refused int64
	told    time.Time
}

func newCensus(limit int) *census {
	return &census{limit: limit, total: max(maxAllSeries, limit), by: map[string]*share{}, hits: make(chan metric.Limited, 64), refuse: map[metric.Reason]int64{}}
}

// errLimit is why a series is not made.
type errLimit struct {
	service string
	limit   int
}

func (e *errLimit) Error() string {
	return fmt.Sprintf("%s has %d series already, and may not have more", e.service, e.limit)
}

// serviceOf is whose series it is; "" for Ringfence's own.
func serviceOf(ls labels.Labels) string {
	if len(ls.Get(model.MetricNameLabel)) > len(metric.Reserved) && ls.Get(model.MetricNameLabel)[:len(metric.Reserved)] == metric.Reserved {
		return ""
	}
	job := ls.Get("job")
	if job == metric.GatewayJob {
		return ""
	}
	if s := ls.Get("service"); s != "" {
		return s
	}
	if job != "" {
		return job
	}
	return "unknown"
}

// PreCreation says whether a series may be made.
func (c *census) PreCreation(ls labels.Labels) error {
	service := serviceOf(ls)
	if service == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.by[service]
	has := 0
	if of != nil {
		has = of.series
	}
	limit, total := c.limit, c.total
	if slices.Contains(reportNames[:], ls.Get(model.MetricNameLabel)) { // that a target is up is worth knowing also then
		limit, total = limit+reportRoom, total+total/10
	}
	if !c.begun || has < limit && c.all < total {
		return nil
	}
	if of == nil { // it is the sum that is too large
		return &errLimit{"the database", c.total}
	}
	of.refused++
	if now := time.Now(); now.Sub(of.told) >= tellAgainAfter {
		select {
		case c.hits <- metric.Limited{Service: service, Series: of.series, Limit: c.limit, Refused: of.refused, Example: ls.String()}:
			of.told = now
		default:
		}
	}
	return &errLimit{service, of.series}
}

// PostCreation counts a series.
func (c *census) PostCreation(ls labels.Labels) {
	service := serviceOf(ls)
	if service == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.by[service]
	if of == nil {
		of = &share{}
		c.by[service] = of
	}
	of.series++
	c.all++
}

// PostDeletion counts those that are no longer in memory.
func (c *census) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ls := range gone {
		service := serviceOf(ls)
		of := c.by[service]
		if of == nil {
			continue
		}
		of.series--
		c.all--
		if of.series <= 0 {
			delete(c.by, service)
		}
	}
}

// begin ends the time in which series are only read again.
func (c *census) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
}

func (c *census) refused(why metric.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse[why]++
}
