package gateway

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringfence/ringfence/internal/logs"
)

// Of requests that failed or were slow, some are noted, so that one can look at them: of each service, version and ring so many
// between two calls of Notes. The others are counted, and Notes says how many they were. Metrics count every request.
const (
	notesEach = 20
	notesAll  = 2000
	slowNote  = 3 * time.Second // for services that say nothing of slow requests
)

// notes are what waits to be taken.
type notes struct {
	mu   sync.Mutex
	list []logs.Entry
	by   sync.Map // seriesKey → *noted
}

// noted is how many entries a series may still add, and how many it did not; a flood costs two atomic operations a request.
type noted struct{ left, away atomic.Int64 }

func (n *notes) of(k seriesKey) *noted {
	v, _ := n.by.LoadOrStore(k, new(noted))
	return v.(*noted)
}

// note takes an entry of a request that failed or was slow.
func (x *exchange) note(took time.Duration) {
	s := x.last.series
	failed := x.code >= 500
	if !failed {
		limit := slowNote
		if len(s.slow) > 0 {
			limit = s.slow[len(s.slow)-1].over
		}
		if took <= limit {
			return
		}
	}
	if s.noted.left.Add(-1) < 0 {
		s.noted.away.Add(1)
		return
	}
	e := logs.Entry{Time: time.Now(), Severity: logs.Warn, Labels: logs.Labels{Service: s.key.service, Version: s.key.version, Ring: s.key.ring, Unit: s.m.unit, Source: logs.Gateway}}
	path := x.r.URL.Path // without the query, which may say who asks
	if len(path) > 300 {
		path = path[:300] + "…"
	}
	e.Attributes = map[string]string{"method": x.r.Method, "path": path, "code": strconv.Itoa(x.code), "ms": strconv.FormatInt(took.Milliseconds(), 10)}
	word := "slow"
	if failed {
		e.Severity, word = logs.Error, "failed"
		if x.failure != "" {
			e.Attributes["reason"] = x.failure
			word += ", " + x.failure
		}
	}
	e.Text = fmt.Sprintf("%s %s %d in %s (%s)", x.r.Method, path, x.code, took.Round(time.Millisecond), word)
	e.Trace, e.Span = traceOf(x.r.Header.Get("Traceparent"))
	n := &s.m.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) < notesAll {
		n.list = append(n.list, e)
		return
	}
	s.noted.away.Add(1)
}

// traceOf reads a traceparent of W3C's Trace Context.
func traceOf(s string) (trace, span string) {
	p := strings.Split(s, "-")
	if len(p) < 4 || len(p[1]) != 32 || len(p[2]) != 16 || strings.Trim(p[1]+p[2], "0123456789abcdef") != "" {
		return "", ""
	}
	return p[1], p[2]
}

// Notes takes what was noted since, and lets as much be noted again. Until it is called first, nothing is.
func (g *Gateway) Notes() []logs.Entry {
	n := &g.metrics.notes
	n.mu.Lock()
	out := n.list
	n.list = nil
	n.mu.Unlock()
	n.by.Range(func(k, v any) bool {
		key, count := k.(seriesKey), v.(*noted)
		count.left.Store(notesEach)
		if away := count.away.Swap(0); away > 0 {
			out = append(out, logs.Entry{Time: time.Now(), Severity: logs.Warn,
				Labels:     logs.Labels{Service: key.service, Version: key.version, Ring: key.ring, Unit: g.unit, Source: logs.Notes},
				Text:       fmt.Sprintf("%d more requests that failed or were slow are not noted one by one", away),
				Attributes: map[string]string{"sampled_away": strconv.FormatInt(away, 10)}})
		}
		return true
	})
	return out
}
