package servicing

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

const (
	system    = "system:servicing"
	lookLimit = 15 * time.Second // for one look at a database that may not answer
	maxError  = 500
)

// holding is what is done to databases at the moment: at most one thing to each.
type holding struct {
	mu   sync.Mutex
	text map[string]string
}

func (h *holding) of(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text[name]
}

func (h *holding) say(name, what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text[name] != "" {
		h.text[name] = what
	}
}

func (h *holding) begin(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text[name] != "" {
		return false
	}
	if h.text == nil {
		h.text = map[string]string{}
	}
	h.text[name] = "looking"
	return true
}

func (h *holding) end(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.text, name)
}

// Run looks at all databases every so often, and does to each what was asked for, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	tick := time.NewTicker(e.Every)
	defer tick.Stop()
	for {
		docs, err := e.Store.List(ctx, store.Page{Kind: resource.KindDatabase})
		if err != nil && ctx.Err() == nil {
			e.Logger.Error("cannot read the databases", "err", err)
		}
		for _, d := range docs {
			if !e.held.begin(d.Name) {
				continue
			}
			work.Go(func() {
				defer e.held.end(d.Name)
				if err := e.visit(ctx, d.Name); err != nil && ctx.Err() == nil {
					e.Logger.Warn("database", "name", d.Name, "err", err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// visit does what is to be done to a database, and learns how it is.
func (e *Engine) visit(ctx context.Context, name string) error {
	st, err := e.look(ctx, name, nil)
	for err == nil && ctx.Err() == nil && e.mine(st) {
		did := e.do(ctx, name, *st.Step)
		if ctx.Err() != nil {
			return nil // it is found again
		}
		st, err = e.look(ctx, name, did)
		if did != nil {
			return did
		}
	}
	return err
}

// mine reports whether there is something to do. A start that has failed waits for somebody to ask again, and one from elsewhere is
// left to whoever began it.
func (e *Engine) mine(st layer.State) bool {
	return st.Going() != "" || st.Busy() && st.Step.Error == "" && st.Step.Text != ""
}

// do carries out a step.
func (e *Engine) do(ctx context.Context, name string, step layer.Step) error {
	e.held.say(name, string(step.Phase))
	switch step.Phase {
	case layer.Starting:
		m, err := e.Read(step.File, []byte(step.Text))
		if err != nil {
			return err
		}
		return e.Databases.Start(ctx, name, m, func(doing string) { e.held.say(name, "starting: "+doing) })
	case layer.Completing:
		return e.Databases.Complete(ctx, name, step)
	case layer.Returning:
		return e.Databases.Rollback(ctx, name, step)
	}
	return nil
}

// look learns how a database is, and records what has changed. failed is what came of an attempt, nil when it succeeded or there was none.
func (e *Engine) look(ctx context.Context, name string, failed error) (layer.State, error) {
	within, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	seen, lookErr := e.Databases.Look(within, name)
	for {
		st, doc, err := e.read(ctx, name)
		if err != nil {
			return st, err
		}
		now := e.now().UTC()
		var next layer.State
		var events []audit.Event
		if lookErr != nil {
			next = st
			next.Trouble = brief(lookErr)
		} else {
			next = st.Learn(seen, now)
			if failed != nil && next.Step != nil && st.Step != nil && next.Step.Phase == st.Step.Phase && st.Busy() {
				next = next.Failed(brief(failed), errs.KindOf(failed) != errs.Unavailable, now)
			}
			if events, err = e.news(name, st, next, failed); err != nil {
				return st, err
			}
		}
		if body, err := json.Marshal(next); err != nil || bytes.Equal(body, doc.Body) {
			return next, err
		}
		if lookErr != nil && doc.Rev == 0 {
			return next, lookErr // what was never seen is not known
		}
		err = e.write(ctx, doc, next, events...)
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue
		}
		if err == nil {
			err = lookErr
		}
		return next, err
	}
}

// news are the events of what a look, or an attempt, has shown.
func (e *Engine) news(name string, was, is layer.State, failed error) ([]audit.Event, error) {
	told := func(typ string, step *layer.Step, reason string) ([]audit.Event, error) {
		t := Told{Live: is.Live, Reason: reason}
		if step != nil {
			t.Migration, t.Version, t.Previous = step.Name, step.Version, step.Previous
		}
		ev, err := e.event(typ, system, name, t)
		return []audit.Event{ev}, err
	}
	ended := is.Last != nil && (was.Last == nil || !was.Last.At.Equal(is.Last.At))
	switch {
	case ended && is.Last.Phase == layer.Completed:
		return told(evCompleted, is.Last, is.Last.Why)
	case ended:
		return told(evRolledBack, is.Last, is.Last.Why)
	case failed != nil && is.Step != nil && is.Step.Error != "" && (was.Step == nil || was.Step.Error != is.Step.Error):
		return told(evRefused, is.Step, is.Step.Error)
	case is.Step != nil && is.Step.Phase == layer.Started && (was.Step == nil || was.Step.Phase == layer.Starting):
		return told(evStarted, is.Step, is.Step.Why)
	case !slices.Equal(was.Live, is.Live):
		return told(evSeen, is.Step, "")
	}
	return nil, nil
}

// brief is an error as it is kept: a line, without more than is needed.
func brief(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	if hint := errs.HintOf(err); hint != "" {
		s += ". " + hint
	}
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
