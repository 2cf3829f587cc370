package api

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/store"
)

// How many requests a caller may make: a burst, then so many each second. Denials are recorded up to a rate of
// their own, so that who may do nothing cannot fill the record.
const (
	callerRate, callerBurst = 200, 400
	denialRate, denialBurst = 1, 20
	maxCallers              = 10_000
)

// bucket holds tokens; each request takes one.
type bucket struct {
	rate, burst, level float64
	at                 time.Time
}

func newBucket(rate, burst float64) bucket { return bucket{rate: rate, burst: burst, level: burst} }

// take reports whether there was a token, and if not how long until there is one.
func (b *bucket) take(now time.Time) (bool, time.Duration) {
	if !b.at.IsZero() {
		b.level = math.Min(b.burst, b.level+b.rate*math.Max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
	if b.level < 1 {
		return false, time.Duration((1 - b.level) / b.rate * float64(time.Second))
	}
	b.level--
	return true, 0
}

// limits has a bucket for each caller.
type limits struct{ *callers }

type callers struct {
	mu sync.Mutex
	by map[string]*bucket
}

func newLimits() limits { return limits{&callers{by: map[string]*bucket{}}} }

// take returns the answer to give to a caller who asks too often, nil when all is well.
func (c *callers) take(caller string, now time.Time) *problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.by[caller]
	if b == nil {
		c.forget(now)
		fresh := newBucket(callerRate, callerBurst)
		b = &fresh
		c.by[caller] = b
	}
	ok, wait := b.take(now)
	if ok {
		return nil
	}
	p := newProblem(http.StatusTooManyRequests, errs.Unavailable, "too many requests", "Wait a little, then try again.")
	p.headers = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait.Seconds())))}}
	return p
}

// forget drops callers whose buckets are full again: knowing them changes nothing. When that leaves too many, all go.
func (c *callers) forget(now time.Time) {
	if len(c.by) < maxCallers {
		return
	}
	for caller, b := range c.by {
		if now.Sub(b.at).Seconds()*b.rate >= b.burst {
			delete(c.by, caller)
		}
	}
	if len(c.by) >= maxCallers {
		clear(c.by)
	}
}

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// denials records who was refused.
type denials struct {
	store  Store
	logger *slog.Logger

	mu     sync.Mutex
	limit  bucket
	silent int
}

// Denied is the data of the event access.denied.
type Denied struct {
	Method     string `json:"method"`
	Path       string `json:"path"`
	From       string `json:"from" doc:"address of the caller"`
	Why        string `json:"why"`
	Unrecorded int    `json:"unrecorded,omitempty" doc:"how many denials before this one were too many to record"`
}

func (d *denials) record(r *http.Request, rt route, actor string, why error, now time.Time) {
	d.mu.Lock()
	ok, _ := d.limit.take(now)
	silent := d.silent
	if d.silent = 0; !ok {
		d.silent = silent + 1
	}
	d.mu.Unlock()
	if !ok {
		return
	}
	data := Denied{Method: r.Method, Path: clip(r.URL.Path, 200), From: peer(r), Why: why.Error(), Unrecorded: silent}
	e, err := audit.New(now, "access.denied", actor, "api/"+rt.id, data)
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		_, err = d.store.Commit(ctx, store.Write{Events: []audit.Event{e}})
	}
	if err != nil {
		d.logger.Error("a denial could not be recorded", "err", err)
	}
}
