package gateway

import (
	"math/rand/v2"
	"sync"
	"time"
)

// stream is a WebSocket, an event stream or a gRPC stream that may outlive its version's turn.
type stream struct{ end func() }

// streamSet holds the open streams of a version and closes them when their time is over.
type streamSet struct {
	mu       sync.Mutex
	open     map[*stream]struct{}
	timer    *time.Timer // set while the version is out of every ring
	deadline time.Time   // when the timer ends the streams; zero while the version is in
	spread   time.Duration
	idle     []chan struct{}
}

// add takes a stream in; end is called once its time is over, from another goroutine.
func (s *streamSet) add(end func()) *stream {
	st := &stream{end: end}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[st] = struct{}{}
	if !s.deadline.IsZero() && !time.Now().Before(s.deadline) {
		go end() // it was on its way when its version's streams were closed
	}
	return st
}

func (s *streamSet) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st)
	if len(s.open) == 0 {
		for _, ch := range s.idle {
			close(ch)
		}
		s.idle = nil
	}
}

func (s *streamSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// none returns a channel that is closed once no stream is open.
func (s *streamSet) none() <-chan struct{} {
	ch := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 {
		close(ch)
		return ch
	}
	s.idle = append(s.idle, ch)
	return ch
}

// left starts the time that streams still have; it changes nothing when it is already running.
func (s *streamSet) left(timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deadline.IsZero() {
		return
	}
	s.deadline = time.Now().Add(timeout)
	s.spread = min(timeout/10, 30*time.Second)
	s.timer = time.AfterFunc(timeout, s.expire)
}

// back stops that time: the version is in a ring again.
func (s *streamSet) back() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer, s.deadline = nil, time.Time{}
}

// endNow ends the open streams, and those that are still on their way.
func (s *streamSet) endNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = time.Now()
	for st := range s.open {
		go st.end()
	}
}

// expire ends the open streams, each at a random moment of the spread: clients that all reconnect at once would
// stampede. A stream that a return of the version overtakes is ended all the same; its client reconnects.
func (s *streamSet) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.open {
		after := time.Duration(0)
		if s.spread > 0 {
			after = rand.N(s.spread)
		}
		time.AfterFunc(after, st.end)
	}
}
