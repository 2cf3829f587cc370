package ofrep

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ringfence/ringfence/internal/flag"
)

// limits are how fast each key may ask. They are not many: their names come from Keys.
type limits struct {
	rate  float64
	burst int
	keys  sync.Map // name → *rate.Limiter
}

func (l *limits) take(name string) *refusal {
	if l.rate <= 0 {
		return nil
	}
	of, ok := l.keys.Load(name)
	if !ok {
		of, _ = l.keys.LoadOrStore(name, rate.NewLimiter(rate.Limit(l.rate), l.burst))
	}
	now := time.Now()
	reserved := of.(*rate.Limiter).ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reserved.CancelAt(now)
	return &refusal{status: http.StatusTooManyRequests, code: flag.General, details: "this key asks too often", wait: wait}
}
