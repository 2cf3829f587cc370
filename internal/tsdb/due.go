package tsdb

import "sync"

// due knows, for every gateway, the time of the scrape that is in flight or comes next. Everything before the
// earliest of them is settled: no sample can be added to it.
type due struct {
	mu     sync.Mutex
	next   map[string]int64 // by target key, in milliseconds
	handed int64            // the latest time that was called settled
}

// add registers a gateway whose first scrape is wanted at t and returns the time it gets: later than anything
// that was called settled.
func (d *due) add(key string, t int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = map[string]int64{}
	}
	t = max(t, d.handed+1)
	d.next[key] = t
	return t
}

// move says that the scrape before t is over.
func (d *due) move(key string, t int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next[key] = t
}

func (d *due) remove(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.next, key)
}

// settled returns the latest time, not after now, up to which all scrapes are in.
func (d *due) settled(now int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.next {
		now = min(now, t-1)
	}
	d.handed = max(d.handed, now)
	return now
}
