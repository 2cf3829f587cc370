package workload

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"

	"github.com/ringfence/ringfence/internal/errs"
)

// ports hands out loopback ports. A private range below the system's ephemeral ports is used, as a port found
// by listening on :0 may be given to any outgoing connection before the instance binds it. A port is taken
// until it is put back, so two instances never share one; against strangers a trial bind has to do, and an
// instance that still loses the race exits and is given another.
type ports struct {
	low, high int

	mu    sync.Mutex
	taken map[int]bool
}

func newPorts(low, high int) *ports { return &ports{low: low, high: high, taken: map[int]bool{}} }

// claim takes a port that is in use by an adopted instance.
func (p *ports) claim(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[port] = true
}

// take returns `prefer` when it is free, else another port.
func (p *ports) take(prefer int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	span := p.high - p.low + 1
	first := rand.IntN(span)
	for i := -1; i < span; i++ {
		port := p.low + (first+i+span)%span
		if i < 0 {
			port = prefer
		}
		if port != 0 && !p.taken[port] && bindable(port) {
			p.taken[port] = true
			return port, nil
		}
	}
	return 0, errs.E(errs.Unavailable, "no free port from %d to %d", p.low, p.high)
}

func (p *ports) put(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, port)
}

func bindable(port int) bool {
	l, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
