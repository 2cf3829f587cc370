package flaggate

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits are how fast each key may ask. They are not many: their names come from Keys.
type limits struct {
	keys sync.Map // name → *rate.Limiter
}

// take counts a request of a key, or says how long it has to wait.
func (g *Gate) take(name string) *Refusal {
	if g.Rate <= 0 {
		return nil
	}
	of, ok := g.limits.keys.Load(name)
	if !ok {
		burst := g.Burst
		if burst <= 0 {
			burst = max(1, int(2*g.Rate))
		}
		of, _ = g.limits.keys.LoadOrStore(name, rate.NewLimiter(rate.Limit(g.Rate), burst))
	}
	now := time.Now()
	reserved := of.(*rate.Limiter).ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reserved.CancelAt(now)
	r := refusal(http.StatusTooManyRequests, "this key asks too often")
	r.Wait = wait
	return r
}
