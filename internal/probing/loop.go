package probing

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/synthetic"
)

// Runner looks at all targets of a job once, and answers with a round for each version.
type Runner interface {
	Run(ctx context.Context, job synthetic.Job) []synthetic.Round
}

// Work says what one prober has to look at.
type Work interface {
	Jobs(ctx context.Context) ([]synthetic.Job, error)
}

// Loop is one prober.
type Loop struct {
	Name   string
	Runner Runner
	Work   Work
	Take   func(context.Context, []synthetic.Round) // what becomes of what is seen; it does not wait
	Every  time.Duration                            // how often Work is asked; default 2s
	AtOnce int                                      // jobs under way; default 16
	Logger *slog.Logger

	mu     sync.Mutex
	active map[string]bool
	next   map[string]time.Time
}

// Run looks until ctx ends, and returns when nothing is under way.
func (l *Loop) Run(ctx context.Context) error {
	if l.Every == 0 {
		l.Every = 2 * time.Second
	}
	if l.AtOnce == 0 {
		l.AtOnce = 16
	}
	l.active, l.next = map[string]bool{}, map[string]time.Time{}
	room := make(chan struct{}, l.AtOnce)
	var under sync.WaitGroup
	defer under.Wait()
	var jobs []synthetic.Job
	asked := time.Time{}
	for ctx.Err() == nil {
		now := time.Now()
		if now.Sub(asked) >= l.Every {
			got, err := l.Work.Jobs(ctx)
			if err == nil {
				jobs = got
				l.forget(jobs)
			} else if ctx.Err() == nil {
				l.Logger.Warn("what to probe cannot be read; what was known is probed on", "err", err)
			}
			asked = now
		}
		wait := l.Every
		for _, job := range jobs {
			at := l.due(job, now)
			if at.After(now) {
				wait = min(wait, at.Sub(now))
				continue
			}
			l.begin(ctx, job, room, &under)
		}
		pause(ctx, max(wait, 5*time.Millisecond))
	}
	return nil
}

// due is when a job is next to be looked at: the first time at once.
func (l *Loop) due(job synthetic.Job, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active[job.Probe] {
		return now.Add(l.Every)
	}
	at, known := l.next[job.Probe]
	if !known {
		return now
	}
	return at
}

func (l *Loop) begin(ctx context.Context, job synthetic.Job, room chan struct{}, under *sync.WaitGroup) {
	l.mu.Lock()
	l.active[job.Probe] = true
	l.next[job.Probe] = following(job, l.Name, time.Now())
	l.mu.Unlock()
	under.Go(func() {
		select {
		case room <- struct{}{}:
			rounds := l.Runner.Run(ctx, job)
			<-room
			for i := range rounds {
				rounds[i].Prober = l.Name
			}
			if ctx.Err() == nil && len(rounds) > 0 { // else it was broken off, which says nothing
				l.Take(ctx, rounds)
			}
		case <-ctx.Done():
		}
		l.mu.Lock()
		delete(l.active, job.Probe)
		l.mu.Unlock()
	})
}

// following is the next time after now at which a job is due.
func following(job synthetic.Job, prober string, now time.Time) time.Time {
	every := time.Duration(job.Spec.Every)
	h := fnv.New32a()
	_, _ = h.Write([]byte(job.Probe + "\x00" + prober))
	shift := every * time.Duration(h.Sum32()%1000) / 1000
	return now.Add(-shift).Truncate(every).Add(every + shift)
}

func (l *Loop) forget(jobs []synthetic.Job) {
	there := map[string]bool{}
	for _, j := range jobs {
		there[j.Probe] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.next {
		if !there[name] {
			delete(l.next, name)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Outbox hands rounds on, and keeps them while nobody takes them.
type Outbox struct {
	Push   func(ctx context.Context, rounds []synthetic.Round, dropped int64) error
	Most   int // rounds that are kept; default 20,000
	Logger *slog.Logger

	mu      sync.Mutex
	kept    []synthetic.Round
	dropped int64
	wake    chan struct{}
	once    sync.Once
}

const (
	pushMost  = 500
	keptMost  = 20_000
	pushPause = 30 * time.Second
)

func (o *Outbox) signal() chan struct{} {
	o.once.Do(func() { o.wake = make(chan struct{}, 1) })
	return o.wake
}

// Add keeps rounds to be handed on.
func (o *Outbox) Add(_ context.Context, rounds []synthetic.Round) {
	most := o.Most
	if most == 0 {
		most = keptMost
	}
	o.mu.Lock()
	o.kept = append(o.kept, rounds...)
	if over := len(o.kept) - most; over > 0 {
		o.kept = append(o.kept[:0], o.kept[over:]...)
		o.dropped += int64(over)
	}
	o.mu.Unlock()
	select {
	case o.signal() <- struct{}{}:
	default:
	}
}

// Run hands on until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	wait := time.Second
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.signal():
		}
		for o.push(ctx, &wait) {
		}
	}
}

// push hands some on, and says whether more are left.
func (o *Outbox) push(ctx context.Context, wait *time.Duration) bool {
	o.mu.Lock()
	some := o.kept[:min(len(o.kept), pushMost):min(len(o.kept), pushMost)]
	dropped := o.dropped
	last := len(some)
	if last > 0 {
		some = append([]synthetic.Round(nil), some...)
	}
	o.mu.Unlock()
	if last == 0 || ctx.Err() != nil {
		return false
	}
	if err := o.Push(ctx, some, dropped); err != nil {
		if ctx.Err() == nil {
			o.Logger.Warn("what was seen is not taken; it is kept", "rounds", last, "again", wait.String(), "err", err)
		}
		pause(ctx, *wait)
		*wait = min(2**wait, pushPause)
		return true
	}
	*wait = time.Second
	o.mu.Lock()
	defer o.mu.Unlock()
	cut := max(0, last-int(o.dropped-dropped)) // what was dropped meanwhile was among them
	o.kept = append(o.kept[:0], o.kept[min(cut, len(o.kept)):]...)
	o.dropped -= dropped
	return len(o.kept) > 0
}
