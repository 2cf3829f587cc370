package notify

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// KindCursor is the kind of the documents that say what each notifier has been told, by its name.
const KindCursor = "NotifierCursor"

// Cursor is how far a notifier is.
type Cursor struct {
	Seq     int64    `json:"seq"`               // what was recorded up to here is dealt with: told, given up, or not wanted
	Done    []int64  `json:"done,omitempty"`    // and so are these after it, in order
	Sending *Sending `json:"sending,omitempty"` // the message that comes next, once an attempt was made
	Failing *Failing `json:"failing,omitempty"` // since the last message that was taken
}

// Sending is a message that is being sent, or was tried and waits for another attempt. What is in it does not change.
type Sending struct {
	ID       string    `json:"id"`
	Events   []int64   `json:"events"`
	Due      time.Time `json:"due"`              // when it should have been sent
	By       string    `json:"by,omitempty"`     // the worker that sends it now; empty between attempts
	Lease    fleet.Dur `json:"lease,omitempty"`  // how long that takes at most
	Next     time.Time `json:"next,omitzero"`    // when another attempt may begin, between attempts
	Attempts int       `json:"attempts"`         // begun so far
	Unsure   bool      `json:"unsure,omitempty"` // one of them ended without anybody knowing whether it was taken
}

// Failing says that a receiver takes nothing now.
type Failing struct {
	Since   time.Time `json:"since"`
	Refused time.Time `json:"refused,omitzero"` // since when it answers that it will not take what it is sent
	Error   string    `json:"error"`
}

// position is a cursor as it is stored.
type position struct {
	Cursor
	rev int64
}

// load reads a notifier's cursor; one that has none begins where it was declared.
func (e *Engine) load(ctx context.Context, name string) (position, error) {
	p, err := e.stored(ctx, name)
	if errs.Is(err, errs.Missing) {
		return e.begin(ctx, name)
	}
	return p, err
}

func (e *Engine) stored(ctx context.Context, name string) (position, error) {
	doc, err := e.Store.Get(ctx, KindCursor, name)
	if err != nil {
		return position{}, err
	}
	p := position{rev: doc.Rev}
	if err := json.Unmarshal(doc.Body, &p.Cursor); err != nil {
		return p, errs.Wrap(errs.Internal, err, "cursor of notifier %s is damaged", name)
	}
	return p, nil
}

// begin makes a cursor at the event that declared the notifier: what happens from then on is told, and nothing of before.
func (e *Engine) begin(ctx context.Context, name string) (position, error) {
	var p position
	events, err := e.Store.Events(ctx, store.EventQuery{Subject: resource.Key(resource.KindNotifier, name), Type: "resource.", Backward: true})
	if err != nil {
		return p, err
	}
	for _, ev := range events {
		if ev.Type == "resource.deleted" {
			break
		}
		p.Seq = ev.Seq
	}
	if p.Seq == 0 { // not on the record, as when resources came with a restore
		newest, err := e.Store.Events(ctx, store.EventQuery{Backward: true, Limit: 1})
		if err != nil {
			return p, err
		}
		if len(newest) > 0 {
			p.Seq = newest[0].Seq
		}
	}
	return e.save(ctx, name, p)
}

// save replaces the cursor, with events that go with it. It fails with errs.Conflict when another process was faster.
func (e *Engine) save(ctx context.Context, name string, p position, events ...audit.Event) (position, error) {
	body, err := json.Marshal(p.Cursor)
	if err != nil {
		return p, err
	}
	_, err = e.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindCursor, Name: name, Rev: p.rev, Body: body}}, Events: events})
	if err == nil {
		p.rev++
	}
	return p, err
}

// settled is the cursor once the message it was sending is dealt with. pending are the events that are wanted and not
// dealt with, in order, out of all up to read.
func (c Cursor) settled(pending []audit.Event, read int64) Cursor {
	done := slices.Concat(c.Done, c.Sending.Events)
	slices.Sort(done)
	c.Sending, c.Seq = nil, max(c.Seq, read)
	for _, ev := range pending {
		if !slices.Contains(done, ev.Seq) {
			c.Seq = ev.Seq - 1
			break
		}
	}
	c.Done = slices.DeleteFunc(done, func(seq int64) bool { return seq <= c.Seq })
	return c
}
