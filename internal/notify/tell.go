package notify

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
)

const (
	firstPause   = time.Second
	steepest     = 5 * time.Minute  // pause between attempts, when the receiver does not ask for more
	longestPause = 15 * time.Minute // pause that a receiver may ask for
	refusedFor   = 10 * time.Minute // for how long a message is tried that the receiver says it will never take
)

// EvFailed is recorded when a message is given up, or did not reach all who should have got it.
const EvFailed = "notify.failed"

// Failed is the data of EvFailed.
type Failed struct {
	Title    string    `json:"title"`
	Events   []int64   `json:"events" doc:"numbers of the events that were not told"`
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due"`
	Error    string    `json:"error" doc:"of the last attempt"`
	Partly   bool      `json:"partly,omitempty" doc:"it was taken for some of those who should have got it"`
}

// tell makes one attempt to send a message: it notes that it begins, sends, and notes what came of it.
func (w *worker) tell(ctx context.Context, s Sending) error {
	m, err := w.message(ctx, s)
	if err != nil {
		return err
	}
	if s.By != "" && s.By != w.by {
		s.Unsure = true
		w.log.Warn("another process ended while it was sending; this may be a repeat", "message", s.ID)
	}
	s.By, s.Lease, s.Next = w.by, w.spec.Timeout, time.Time{}
	s.Attempts++
	p := w.at
	p.Sending = &s
	if w.at, err = w.engine.save(ctx, w.name, p); err != nil {
		return err
	}
	m.Repeat = s.Unsure
	err = w.send(ctx, m)
	return w.note(ctx, s, m.Title, err)
}

// send gives the attempt its time. When the process is told to end, it has a little more.
func (w *worker) send(ctx context.Context, m Message) error {
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.spec.Timeout.D(0))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastSend, cancel) })()
	return w.engine.Sender.Send(attempt, w.spec.To, m)
}

// note writes down what became of an attempt, and does not give up doing so while the process lives: what is known
// now would be unsure for whoever comes after.
func (w *worker) note(ctx context.Context, s Sending, title string, failure error) error {
	p, events, err := w.outcome(s, title, failure)
	if err != nil {
		return err
	}
	write := context.WithoutCancel(ctx)
	for {
		limited, cancel := context.WithTimeout(write, lastWrite)
		w.at, err = w.engine.save(limited, w.name, p, events...)
		cancel()
		switch {
		case err == nil:
			if p.Sending == nil {
				w.pending = slices.DeleteFunc(w.pending, func(ev audit.Event) bool { return slices.Contains(s.Events, ev.Seq) })
			}
			return nil
		case errs.Is(err, errs.Conflict):
			// Either this very write was taken and its answer lost, or somebody took the message over.
			return err
		case ctx.Err() != nil:
			return err
		}
		w.log.Warn("what became of a message cannot be recorded now", "message", s.ID, "error", err)
		sleep(ctx, time.Second, nil)
	}
}

// outcome is the cursor after an attempt, with what goes on the record.
func (w *worker) outcome(s Sending, title string, failure error) (position, []audit.Event, error) {
	now := w.engine.now()
	p := w.at
	p.Sending = &s
	if failure == nil {
		if p.Failing != nil {
			w.log.Info("the receiver takes messages again", "since", p.Failing.Since)
		}
		p.Cursor, p.Failing = p.settled(w.pending, w.seen), nil
		return p, nil, nil
	}
	var f *Failure
	if !errors.As(failure, &f) {
		f = &Failure{Text: failure.Error(), Unsure: true}
	}
	p.Failing = p.Failing.after(f, now)
	s.Unsure = s.Unsure || f.Unsure
	w.log.Warn("a message was not taken", "message", s.ID, "attempt", s.Attempts, "error", f.Text)
	if !f.Partly && !w.hopeless(s, *p.Failing, f, now) {
		s.By, s.Lease, s.Next = "", 0, now.Add(pause(s.Attempts, f.After))
		p.Sending = &s
		return p, nil, nil
	}
	e, err := audit.New(now, EvFailed, Actor, subject(w.name),
		Failed{Title: title, Events: s.Events, Attempts: s.Attempts, Due: s.Due, Error: f.Text, Partly: f.Partly})
	if f.Partly {
		p.Failing = nil
	}
	p.Cursor = p.settled(w.pending, w.seen)
	return p, []audit.Event{e}, err
}

// after is how it stands after one more failure; nil is a receiver that took what it was sent before.
func (f *Failing) after(failure *Failure, now time.Time) *Failing {
	next := Failing{Since: now}
	if f != nil {
		next = *f
	}
	next.Error = failure.Text
	switch {
	case !failure.Refused:
		next.Refused = time.Time{}
	case next.Refused.IsZero():
		next.Refused = now
	}
	return &next
}

// hopeless says whether a message is given up: it is overdue and the receiver has failed for long enough, both, so
// that neither a long stop of the control plane nor a receiver that is back for a moment loses anything.
func (w *worker) hopeless(s Sending, f Failing, failure *Failure, now time.Time) bool {
	patience, since := w.spec.GiveUp.D(0), f.Since
	if failure.Refused {
		patience, since = min(patience, refusedFor), f.Refused
	}
	return now.Sub(since) >= patience && now.Sub(s.Due) >= patience
}

// pause is the time to the next attempt: about twice as long each time, never in step with others.
func pause(attempts int, asked time.Duration) time.Duration {
	d := min(firstPause<<min(attempts-1, 10), steepest)
	d = d*4/5 + rand.N(d*2/5)
	return max(d, min(asked, longestPause))
}
