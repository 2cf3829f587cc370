package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/notify"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/rollout"
	"github.com/ringfence/ringfence/internal/store"
)

// memory is a store with the promises of the real ones.
type memory struct {
	mu      sync.Mutex
	docs    map[[2]string]store.Doc
	events  []audit.Event
	changed chan struct{}
}

func newMemory() *memory {
	return &memory{docs: map[[2]string]store.Doc{}, changed: make(chan struct{})}
}

func (m *memory) Get(_ context.Context, kind, name string) (store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.docs[[2]string{kind, name}]
	if !ok {
		return d, errs.E(errs.Missing, "no %s %s", kind, name)
	}
	return d, nil
}

func (m *memory) List(_ context.Context, p store.Page) ([]store.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []store.Doc
	for _, d := range m.docs {
		if d.Kind == p.Kind && d.Name > p.After {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b store.Doc) int { return strings.Compare(a.Name, b.Name) })
	if p.Limit > 0 && len(all) > p.Limit {
		all = all[:p.Limit]
	}
	return all, nil
}

func (m *memory) Commit(_ context.Context, w store.Write) ([]audit.Event, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range slices.Concat(w.Puts, w.Deletes) {
		if m.docs[[2]string{d.Kind, d.Name}].Rev != d.Rev {
			return nil, errs.E(errs.Conflict, "%s %s is at another revision", d.Kind, d.Name)
		}
	}
	for _, d := range w.Puts {
		d.Rev++
		m.docs[[2]string{d.Kind, d.Name}] = d
	}
	for _, d := range w.Deletes {
		delete(m.docs, [2]string{d.Kind, d.Name})
	}
	var sealed []audit.Event
	for _, e := range w.Events {
		seq, prev := int64(0), audit.Genesis
		if n := len(m.events); n > 0 {
			seq, prev = m.events[n-1].Seq, m.events[n-1].Hash
		}
		e = audit.Seal(seq, prev, e)
		m.events, sealed = append(m.events, e), append(sealed, e)
	}
	if len(sealed) > 0 {
		close(m.changed)
		m.changed = make(chan struct{})
	}
	return sealed, nil
}

func (m *memory) Events(_ context.Context, q store.EventQuery) ([]audit.Event, error) {
	q, err := q.Check()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []audit.Event
	for _, e := range m.events {
		if e.Seq > q.After && (q.Before == 0 || e.Seq < q.Before) && (q.Subject == "" || e.Subject == q.Subject) && strings.HasPrefix(e.Type, q.Type) {
			all = append(all, e)
		}
	}
	if q.Backward {
		slices.Reverse(all)
	}
	return all[:min(len(all), q.Limit)], nil
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// plane is one control plane's way to the store and to the receivers. Once dead it can do nothing any more.
type plane struct {
	*memory
	world  *world
	mu     sync.Mutex
	dead   bool
	commit func(w store.Write, do func() error) error // stands between the engine and the store
}

var errDead = errors.New("this process is dead")

func (p *plane) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *plane) alive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	return nil
}

// onCommit puts f in the way of what is written.
func (p *plane) onCommit(f func(store.Write, func() error) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commit = f
}

func (p *plane) Commit(ctx context.Context, w store.Write) (sealed []audit.Event, err error) {
	do := func() error {
		if err := p.alive(); err != nil {
			return err
		}
		var err error
		sealed, err = p.memory.Commit(ctx, w)
		return err
	}
	p.mu.Lock()
	hook := p.commit
	p.mu.Unlock()
	if hook != nil {
		err = hook(w, do)
	} else {
		err = do()
	}
	return sealed, err
}

func (p *plane) Events(ctx context.Context, q store.EventQuery) ([]audit.Event, error) {
	if err := p.alive(); err != nil {
		return nil, err
	}
	return p.memory.Events(ctx, q)
}

func (p *plane) Send(ctx context.Context, to resource.Receiver, m notify.Message) error {
	if err := p.alive(); err != nil {
		return err
	}
	return p.world.receive(ctx, p, to, m)
}

// receipt is a message as it was taken.
type receipt struct {
	notify.Message
	at time.Time
	to string // the file of its secret
}

func (r receipt) seqs() []int64 {
	var all []int64
	for _, e := range r.Events {
		all = append(all, e.Seq)
	}
	return all
}

// world is one database with what is around it.
type world struct {
	t     *testing.T
	store *memory

	mu       sync.Mutex
	taken    []receipt
	tried    int
	answer   func(ctx context.Context, p *plane, to string, m notify.Message, take func()) error // default: take
	rollouts map[string]rollout.State
}

func newWorld(t *testing.T) *world {
	return &world{t: t, store: newMemory(), rollouts: map[string]rollout.State{}}
}

func (w *world) receive(ctx context.Context, p *plane, to resource.Receiver, m notify.Message) error {
	var name string
	switch {
	case to.Slack != nil:
		name = to.Slack.URLFile
	case to.Webhook != nil:
		name = to.Webhook.SecretFile
	}
	take := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.taken = append(w.taken, receipt{m, time.Now(), name})
	}
	w.mu.Lock()
	w.tried++
	answer := w.answer
	w.mu.Unlock()
	if answer != nil {
		return answer(ctx, p, name, m, take)
	}
	take()
	return nil
}

func (w *world) answers(f func(ctx context.Context, p *plane, to string, m notify.Message, take func()) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

func (w *world) attempts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tried
}

func (w *world) got(to string) []receipt {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []receipt
	for _, r := range w.taken {
		if r.to == to {
			all = append(all, r)
		}
	}
	return all
}

func (w *world) Find(_ context.Context, id string) (rollout.State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.rollouts[id]
	if !ok {
		return s, errs.E(errs.Missing, "no rollout %s", id)
	}
	return s, nil
}

// declared is the catalog of a store.
type declared struct{ *memory }

func (d declared) Get(ctx context.Context, kind, name string) (resource.Resource, error) {
	doc, err := d.memory.Get(ctx, kind, name)
	if err != nil {
		return resource.Resource{}, err
	}
	var r resource.Resource
	return r, json.Unmarshal(doc.Body, &r)
}

func (d declared) List(ctx context.Context, kind, after string, limit int) ([]resource.Resource, error) {
	docs, err := d.memory.List(ctx, store.Page{Kind: kind, After: after, Limit: limit})
	all := make([]resource.Resource, len(docs))
	for i, doc := range docs {
		if err := json.Unmarshal(doc.Body, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, err
}

// apply declares a resource, with its event.
func (w *world) apply(kind, name, spec string, labels ...string) {
	w.t.Helper()
	r := resource.Resource{APIVersion: resource.APIVersion, Kind: kind, Metadata: resource.Metadata{Name: name}, Spec: json.RawMessage(spec)}
	for i := 0; i+1 < len(labels); i += 2 {
		if r.Metadata.Labels == nil {
			r.Metadata.Labels = map[string]string{}
		}
		r.Metadata.Labels[labels[i]] = labels[i+1]
	}
	body, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	old, _ := w.store.Get(w.t.Context(), kind, name)
	w.commit(store.Write{Puts: []store.Doc{{Kind: kind, Name: name, Rev: old.Rev, Body: body}}, Events: []audit.Event{w.event("resource.applied", r.Key(), nil)}})
}

func (w *world) remove(kind, name string) {
	w.t.Helper()
	old, err := w.store.Get(w.t.Context(), kind, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.commit(store.Write{Deletes: []store.Doc{old}, Events: []audit.Event{w.event("resource.deleted", resource.Key(kind, name), nil)}})
}

func (w *world) event(typ, subject string, data any) audit.Event {
	w.t.Helper()
	e, err := audit.New(time.Now(), typ, "user:ann", subject, data)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) commit(write store.Write) []audit.Event {
	w.t.Helper()
	sealed, err := w.store.Commit(w.t.Context(), write)
	if err != nil {
		w.t.Fatal(err)
	}
	return sealed
}

// happens records an event and returns its number.
func (w *world) happens(typ, subject string) int64 {
	w.t.Helper()
	return w.commit(store.Write{Events: []audit.Event{w.event(typ, subject, rollout.Event{Ring: "canary"})}})[0].Seq
}

// start runs a control plane until it is stopped.
func (w *world) start() (p *plane, stop func()) {
	p = &plane{memory: w.store, world: w}
	e := notify.New(notify.Options{Store: p, Catalog: declared{w.store}, Rollouts: w, Changes: w.store, Sender: p, Link: "https://ringfence.example.com/"})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return p, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
}

// kill ends a control plane as a crash does: nothing of it has an effect any more.
func kill(p *plane, stop func()) {
	p.die()
	stop()
}

func (w *world) cursor(name string) notify.Cursor {
	w.t.Helper()
	doc, err := w.store.Get(w.t.Context(), notify.KindCursor, name)
	if err != nil {
		w.t.Fatal(err)
	}
	var c notify.Cursor
	if err := json.Unmarshal(doc.Body, &c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) recorded(typ string) []audit.Event {
	w.t.Helper()
	all, err := w.store.Events(w.t.Context(), store.EventQuery{Type: typ})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func slackTo(name, more string) string {
	return fmt.Sprintf(`{"to":{"slack":{"urlFile":%q}}%s}`, name, more)
}

func hookTo(name, more string) string {
	return fmt.Sprintf(`{"to":{"webhook":{"url":"https://hook.example.com","secretFile":%q}}%s}`, name, more)
}

// after lets a time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
