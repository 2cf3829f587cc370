package objective

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/alert"
	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/slo"
	"github.com/ringfence/ringfence/internal/store"
)

const actor = "system:objective"

// state is what of an objective outlives the process.
type state struct {
	Alerts   map[string]*firing `json:"alerts,omitempty"` // by key of the condition
	Over     []alert.Alert      `json:"over,omitempty"`   // ended lately: who is killed before that is told tells it later
	LastData time.Time          `json:"lastData,omitzero"`
	Since    time.Time          `json:"since"` // when it began to be watched
}

// firing is an alert, or a condition that has not held for long enough to be one.
type firing struct {
	Held  time.Time `json:"held"` // since when the condition holds
	Since time.Time `json:"since,omitzero"`
	Alert alert.Alert
}

// keyOf names a condition of an objective; nil is the one without data.
func keyOf(c *slo.Condition) string {
	if c == nil {
		return "no data"
	}
	return c.Severity + "/" + c.Name
}

// begin watches an objective, from where an earlier process left off.
func (e *Engine) begin(ctx context.Context, o *slo.Objective, now time.Time) (*watch, error) {
	w := &watch{objective: o, hash: hashOf(o), dirty: map[int64]bool{}, state: state{Since: now}, begun: now}
	for range o.Parts {
		w.books = append(w.books, &slo.Book{Slice: o.Slice()})
	}
	doc, err := e.Store.Get(ctx, KindState, o.ID)
	switch {
	case err == nil:
		w.rev = doc.Rev
		if json.Unmarshal(doc.Body, &w.state) != nil {
			w.state = state{Since: now}
		}
	case !errs.Is(err, errs.Missing):
		return nil, err
	}
	if w.state.Alerts == nil {
		w.state.Alerts = map[string]*firing{}
	}
	for _, a := range lately(w.state.Over, now) {
		e.sending.ended(a, a.EndsAt)
	}
	after := ""
	for {
		docs, err := e.Store.List(ctx, store.Page{Kind: KindBook, Prefix: o.ID + "/", After: after, Limit: 100})
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			e.pages[d.Name] = d.Rev
			w.restore(d.Body)
			after = d.Name
		}
		if len(docs) < 100 {
			break
		}
	}
	w.forgetConditions()
	return w, nil
}

// forgetConditions lets go of what is counted for windows that may be others now.
func (w *watch) forgetConditions() { w.counts, w.readAt = nil, time.Time{} }

// judge decides on the alerts of an objective, records what changed, and keeps what a restart goes on with.
func (e *Engine) judge(ctx context.Context, w *watch, now time.Time) error {
	o := w.objective
	if o.Unmeasured != "" {
		return nil
	}
	var events []audit.Event
	before := pending(w.state.Alerts)
	next := map[string]*firing{}
	read := func(d time.Duration) []slo.Count { return w.counts[d] }
	for i := range o.Conditions {
		c := &o.Conditions[i]
		if c.Quiet {
			continue
		}
		was := w.state.Alerts[keyOf(c)]
		holds, known := c.Holds(o, read)
		f := advance(was, holds, known, c.For, now)
		if f != nil {
			next[keyOf(c)] = f
			f.Alert = e.alertOf(o, c, f.Since)
		}
		events = append(events, w.told(c, was, f, now)...)
	}
	if f, es := e.silence(w, now); f != nil || es != nil {
		events = append(events, es...)
		if f != nil {
			next[keyOf(nil)] = f
		}
	}
	old := w.state
	w.state.Over = lately(w.state.Over, now)
	for key, was := range w.state.Alerts { // of conditions that there are no more
		if next[key] == nil && !was.Since.IsZero() {
			w.state.Over = append(w.state.Over, e.sending.ended(was.Alert, now))
		}
	}
	changed := len(events) > 0 || !slices.Equal(before, pending(next))
	w.state.Alerts = next
	if !changed {
		return nil
	}
	return e.keep(ctx, w, old, events, now)
}

// pending are the conditions that hold, and since when.
func pending(all map[string]*firing) []string {
	var list []string
	for key, f := range all {
		list = append(list, key+" "+f.Held.UTC().String())
	}
	slices.Sort(list)
	return list
}

// advance is the state of an alert after a condition was looked at: while nothing is known it stays as it is.
func advance(was *firing, holds, known bool, after time.Duration, now time.Time) *firing {
	switch {
	case holds && was == nil:
		was = &firing{Held: now}
	case !holds && !known && was != nil && !was.Since.IsZero():
		return was
	case !holds:
		return nil
	}
	next := *was
	if next.Since.IsZero() && now.Sub(next.Held) >= after {
		next.Since = now
	}
	return &next
}

// silence is the alert that nothing is measured.
func (e *Engine) silence(w *watch, now time.Time) (*firing, []audit.Event) {
	o := w.objective
	windows := o.Windows()
	if len(windows) == 0 {
		return nil, nil
	}
	was := w.state.Alerts[keyOf(nil)]
	if slo.Known(o, w.counts[windows[0]]) {
		w.state.LastData = now
		return nil, w.told(nil, was, nil, now)
	}
	since := w.heard()
	if since.IsZero() {
		since = w.state.Since
	}
	if was == nil && now.Sub(w.begun) < windows[0]+settle { // after a start the first scrapes are on their way
		return nil, nil
	}
	if now.Sub(since) < o.Quiet || o.NoData == slo.NoDataIgnore && !wantsNoData(o) {
		return nil, nil
	}
	f := was
	if f == nil {
		f = &firing{Held: since, Since: now}
	}
	f.Alert = e.alertOf(o, nil, f.Since)
	return f, w.told(nil, was, f, now)
}

// settle is how long after a start that nothing was measured says nothing.
const settle = time.Minute

// heard is when something was measured last, of all parts; what is stored of it is as old as the last change of an alert, so the books are
// asked too.
func (w *watch) heard() time.Time {
	least := w.books[0].Last()
	for _, b := range w.books[1:] {
		if t := b.Last(); t.Before(least) {
			least = t
		}
	}
	if w.state.LastData.After(least) {
		return w.state.LastData
	}
	return least
}

func wantsNoData(o *slo.Objective) bool {
	for _, c := range o.Conditions {
		if c.NoData {
			return true
		}
	}
	return false
}

// told are the events of a change.
func (w *watch) told(c *slo.Condition, was, is *firing, now time.Time) []audit.Event {
	before, after := was != nil && !was.Since.IsZero(), is != nil && !is.Since.IsZero()
	if before == after {
		return nil
	}
	o := w.objective
	verbs := [2]string{"slo.recovered", "slo.burning"}
	if c == nil {
		verbs = [2]string{"slo.heard", "slo.silent"}
	}
	d := Told{Objective: o.ID, Service: o.Service, Severity: o.NoData, Target: o.Target, Rows: w.rows(c)}
	if r, ok := o.Remaining(w.window(), now); ok {
		d.Remaining = &r
	}
	if c != nil {
		d.Severity, d.Condition = c.Severity, c.Name
	}
	verb := verbs[1]
	if before {
		verb, d.Since = verbs[0], was.Since
	}
	ev, err := audit.New(now, verb, actor, "slo/"+o.SLO, d)
	if err != nil {
		return nil
	}
	return []audit.Event{ev}
}

// Told is what an event says of an alert that began or ended.
type Told struct {
	Objective string    `json:"objective"`
	Service   string    `json:"service"`
	Severity  string    `json:"severity"`
	Condition string    `json:"condition,omitempty"`
	Target    float64   `json:"target"`
	Remaining *float64  `json:"remaining,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Rows      []Rates   `json:"rows,omitempty"`
}

// keep stores the state with its events. When another control plane was faster, its state is taken and judged at the next step.
func (e *Engine) keep(ctx context.Context, w *watch, old state, events []audit.Event, now time.Time) error {
	body, err := json.Marshal(w.state)
	if err != nil {
		return err
	}
	_, err = e.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: KindState, Name: w.objective.ID, Rev: w.rev, Updated: now, Body: body}}, Events: events})
	if err == nil {
		w.rev++
		return nil
	}
	w.state = old
	if errs.Is(err, errs.Conflict) {
		if doc, gerr := e.Store.Get(ctx, KindState, w.objective.ID); gerr == nil {
			w.rev = doc.Rev
			fresh := state{Since: now}
			if json.Unmarshal(doc.Body, &fresh) == nil {
				w.state = fresh
			}
		}
		return nil
	}
	return err
}

func (e *Engine) alertOf(o *slo.Objective, c *slo.Condition, since time.Time) alert.Alert {
	a := alert.Alert{Labels: o.Labels(c), Annotations: o.Annotations(c), StartsAt: since}
	if e.URL != nil {
		a.GeneratorURL = e.URL("/slos/" + o.ID)
	}
	return a
}

// save stores the pages of books that changed, and drops those that are too old.
func (e *Engine) save(ctx context.Context, now time.Time) error {
	var wr store.Write
	var clean []*watch
	for _, id := range e.order() {
		w := e.watched[id]
		if len(w.dirty) == 0 {
			continue
		}
		clean = append(clean, w)
		oldest := w.books[0].At(w.memory(now)) / perPage
		for n := range w.dirty {
			if n < oldest {
				continue
			}
			body, err := w.pageOf(n)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s/%010d", id, n)
			wr.Puts = append(wr.Puts, store.Doc{Kind: KindBook, Name: name, Rev: e.pages[name], Updated: now, Body: body})
		}
		for name, rev := range e.pages {
			if strings.HasPrefix(name, id+"/") && name < fmt.Sprintf("%s/%010d", id, oldest) {
				wr.Deletes = append(wr.Deletes, store.Doc{Kind: KindBook, Name: name, Rev: rev})
			}
		}
	}
	if len(wr.Puts)+len(wr.Deletes) == 0 {
		return nil
	}
	_, err := e.Store.Commit(ctx, wr)
	switch {
	case errs.Is(err, errs.Conflict): // another control plane keeps them too: take its revisions
		for _, d := range append(wr.Puts, wr.Deletes...) {
			doc, gerr := e.Store.Get(ctx, d.Kind, d.Name)
			if gerr != nil {
				delete(e.pages, d.Name)
				continue
			}
			e.pages[d.Name] = doc.Rev
		}
		return nil
	case err != nil:
		return err
	}
	for _, d := range wr.Puts {
		e.pages[d.Name]++
	}
	for _, d := range wr.Deletes {
		delete(e.pages, d.Name)
	}
	for _, w := range clean {
		clear(w.dirty)
	}
	return nil
}

// gone ends the alerts of an objective that there is no more, and forgets what was kept of it.
func (e *Engine) gone(ctx context.Context, w *watch, now time.Time) error {
	for _, f := range w.state.Alerts {
		if !f.Since.IsZero() {
			e.sending.ended(f.Alert, now)
		}
	}
	return e.drop(ctx, w.objective.ID)
}

func (e *Engine) drop(ctx context.Context, id string) error {
	var wr store.Write
	if doc, err := e.Store.Get(ctx, KindState, id); err == nil {
		wr.Deletes = append(wr.Deletes, store.Doc{Kind: KindState, Name: id, Rev: doc.Rev})
	}
	docs, err := e.Store.List(ctx, store.Page{Kind: KindBook, Prefix: id + "/"})
	if err != nil {
		return err
	}
	for _, d := range docs {
		wr.Deletes = append(wr.Deletes, store.Doc{Kind: KindBook, Name: d.Name, Rev: d.Rev})
		delete(e.pages, d.Name)
	}
	if len(wr.Deletes) == 0 {
		return nil
	}
	_, err = e.Store.Commit(ctx, wr)
	return err
}

// sweep ends what an earlier process watched and is no longer declared.
func (e *Engine) sweep(ctx context.Context, still map[string]bool) error {
	docs, err := e.Store.List(ctx, store.Page{Kind: KindState})
	if err != nil {
		return err
	}
	for _, d := range docs {
		if still[d.Name] {
			continue
		}
		var s state
		if json.Unmarshal(d.Body, &s) == nil {
			for _, f := range s.Alerts {
				if !f.Since.IsZero() {
					e.sending.ended(f.Alert, e.Now().UTC())
				}
			}
		}
		if err := e.drop(ctx, d.Name); err != nil {
			return err
		}
	}
	return nil
}
