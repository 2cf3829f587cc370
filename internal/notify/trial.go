package notify

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// EvTested is recorded when somebody sends a test message.
const EvTested = "notify.tested"

// Tested is the data of EvTested.
type Tested struct {
	Channel string `json:"channel"`
	Error   string `json:"error,omitempty" doc:"why it did not arrive"`
}

// Test sends a test message, once and at once, beside what is being told. What the receiver said is in the answer; an
// error says that nothing was tried, or that it could not be recorded.
func (e *Engine) Test(ctx context.Context, actor, name string) (Tested, error) {
	r, err := e.Catalog.Get(ctx, resource.KindNotifier, name)
	if err != nil {
		return Tested{}, err
	}
	spec, err := resource.As[resource.Notifier](r)
	if err != nil {
		return Tested{}, err
	}
	spec = spec.Defaults()
	told := Tested{Channel: spec.To.Channel()}
	attempt, cancel := context.WithTimeout(ctx, spec.Timeout.D(0))
	defer cancel()
	if err := e.Sender.Send(attempt, spec.To, e.testMessage(actor, name)); err != nil {
		told.Error = err.Error()
	}
	ev, err := audit.New(e.now(), EvTested, actor, subject(name), told)
	if err != nil {
		return told, err
	}
	write, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite) // it was sent, whoever still waits for the answer
	defer cancel()
	_, err = e.Store.Commit(write, store.Write{Events: []audit.Event{ev}})
	return told, err
}

func (e *Engine) testMessage(actor, name string) Message {
	now := e.now()
	id := "test-" + rand.Text()
	ev := audit.Event{Time: now, Type: EvTested, Actor: actor, Subject: subject(name)}
	text := fmt.Sprintf("%s tries whether messages of notifier %s arrive", person(actor), name)
	return Message{
		ID: id, At: now, Mood: Calm, Title: "Ringfence: test message", Why: text + ". They do.", Link: e.link("notifier/" + name),
		Facts:  []Fact{{"Notifier", name}, {"Sent by", person(actor)}},
		Next:   "Nothing: this is only a test.",
		Events: []Event{{Event: ev, ID: id, Source: e.source(), Text: text, Link: e.link(ev.Subject)}},
	}
}

// Status is how a notifier stands.
type Status struct {
	Name     string
	Channel  string
	Waiting  int       // events that are on the record and not dealt with, at most maxWaiting
	Failing  time.Time // since when the receiver takes nothing; zero when it does
	Error    string    // of the last attempt
	Attempts int       // to send the message that is next
	Next     time.Time // when the next attempt may begin
}

const maxWaiting = 1000

// Statuses says how all notifiers stand.
func (e *Engine) Statuses(ctx context.Context) ([]Status, error) {
	var all []Status
	for after := ""; ; {
		rs, err := e.Catalog.List(ctx, resource.KindNotifier, after, 0)
		if err != nil || len(rs) == 0 {
			return all, err
		}
		for _, r := range rs {
			s, err := e.status(ctx, r)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		after = rs[len(rs)-1].Metadata.Name
	}
}

func (e *Engine) status(ctx context.Context, r resource.Resource) (Status, error) {
	spec, err := resource.As[resource.Notifier](r)
	if err != nil {
		return Status{}, err
	}
	s := Status{Name: r.Metadata.Name, Channel: spec.To.Channel()}
	at, err := e.stored(ctx, s.Name)
	if errs.Is(err, errs.Missing) { // it was declared just now
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if at.Failing != nil {
		s.Failing, s.Error = at.Failing.Since, at.Failing.Error
	}
	if at.Sending != nil {
		s.Attempts, s.Next = at.Sending.Attempts, at.Sending.Next
	}
	w := &worker{engine: e, name: s.Name, spec: spec.Defaults(), at: at, seen: at.Seq}
	if err := w.read(ctx); err != nil {
		return s, err
	}
	s.Waiting = min(len(w.pending), maxWaiting)
	return s, nil
}
