package servicing

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/ringfence/ringfence/internal/audit"
	"github.com/ringfence/ringfence/internal/ddl"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/layer"
	"github.com/ringfence/ringfence/internal/resource"
	"github.com/ringfence/ringfence/internal/store"
)

// Store keeps documents and the record.
type Store interface {
	Get(ctx context.Context, kind, name string) (store.Doc, error)
	List(ctx context.Context, p store.Page) ([]store.Doc, error)
	Commit(ctx context.Context, w store.Write) ([]audit.Event, error)
}

// Databases are the declared databases, by name. Each call connects anew: errs.Unavailable when that is not possible, errs.Conflict when
// the database refuses what is asked of it, and then nothing was changed. report may be called with what is being done.
type Databases interface {
	Look(ctx context.Context, name string) (layer.Seen, error)
	Plan(ctx context.Context, name string, m ddl.Migration) (ddl.Plan, error)
	Start(ctx context.Context, name string, m ddl.Migration, report func(string)) error
	Complete(ctx context.Context, name string, step layer.Step) error
	Rollback(ctx context.Context, name string, step layer.Step) error
}

// Options of an Engine.
type Options struct {
	Store     Store
	Databases Databases
	Uses      func(ctx context.Context) ([]layer.Use, error)        // what is in production
	Read      func(file string, text []byte) (ddl.Migration, error) // of a migration's file
	Changed   func()                                                // what is known of a database has changed
	Logger    *slog.Logger
	Every     time.Duration // between looks at a database; default 10s
}

// Engine services databases. Make it with New; Run carries out what was asked for.
type Engine struct {
	Options
	wake chan struct{}
	now  func() time.Time
	held holding
}

// New makes an engine.
func New(o Options) *Engine {
	o.Every = cmp.Or(o.Every, 10*time.Second)
	return &Engine{Options: o, wake: make(chan struct{}, 1), now: time.Now}
}

// View is a database for people.
type View struct {
	layer.State
	Doing string      `json:"doing,omitempty" doc:"what is being done to it now"`
	Uses  []layer.Use `json:"uses" doc:"what of it is in production"`
}

// Order asks for a step.
type Order struct {
	Name         string // of the migration
	Baked        bool   // the new version proved itself elsewhere; only to complete
	AllowUnknown bool
	Force        bool // sessions of the version that goes may fail; only to roll back
	Why          string
}

// The types of events.
const (
	evStarting   = "schema.starting"
	evCompleting = "schema.completing"
	evReturning  = "schema.returning"
	evStarted    = "schema.started"
	evCompleted  = "schema.completed"
	evRolledBack = "schema.rolled-back"
	evRefused    = "schema.refused"
	evSeen       = "schema.seen"
)

// Told is the data of these events.
type Told struct {
	Migration string   `json:"migration,omitempty"`
	Version   string   `json:"version,omitempty"`
	Previous  string   `json:"previous,omitempty"`
	Live      []string `json:"live,omitempty"`
	Digest    string   `json:"digest,omitempty" doc:"of the migration's file"`
	Baked     bool     `json:"baked,omitempty" doc:"a person says that the new version proved itself elsewhere"`
	Unknown   bool     `json:"allowUnknown,omitempty" doc:"a person answers for sessions that do not say which version they use"`
	Force     bool     `json:"force,omitempty"`
	Reason    string   `json:"reason,omitempty"`
}

// Databases returns all databases that are declared.
func (e *Engine) List(ctx context.Context) ([]View, error) {
	docs, err := e.Store.List(ctx, store.Page{Kind: resource.KindDatabase})
	if err != nil {
		return nil, err
	}
	uses, err := e.Uses(ctx)
	if err != nil {
		return nil, err
	}
	all := []View{}
	for _, d := range docs {
		st, _, err := e.read(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, e.view(st, uses))
	}
	return all, nil
}

// Show returns one database.
func (e *Engine) Show(ctx context.Context, name string) (View, error) {
	if err := e.declared(ctx, name); err != nil {
		return View{}, err
	}
	st, _, err := e.read(ctx, name)
	if err != nil {
		return View{}, err
	}
	uses, err := e.Uses(ctx)
	return e.view(st, uses), err
}

func (e *Engine) view(st layer.State, uses []layer.Use) View {
	v := View{State: st, Uses: []layer.Use{}, Doing: e.held.of(st.Database)}
	for _, u := range uses {
		if u.Database == st.Database {
			v.Uses = append(v.Uses, u)
		}
	}
	return v
}

func (e *Engine) declared(ctx context.Context, name string) error {
	_, err := e.Store.Get(ctx, resource.KindDatabase, name)
	if errs.Is(err, errs.Missing) {
		return errs.E(errs.Missing, "there is no database %q", name).Next("Apply a resource of kind Database; see: ringfence database list")
	}
	return err
}

func (e *Engine) read(ctx context.Context, name string) (layer.State, store.Doc, error) {
	doc, err := e.Store.Get(ctx, layer.Kind, name)
	if errs.Is(err, errs.Missing) {
		return layer.State{Database: name, Live: []string{}}, store.Doc{}, nil
	}
	var st layer.State
	if err == nil {
		err = json.Unmarshal(doc.Body, &st)
	}
	return st, doc, err
}

// maxFile bounds the file of a migration.
const maxFile = 256 << 10

// Start asks for a migration: its new version is made beside the old one. Nothing is done when the database says that it cannot be.
func (e *Engine) Start(ctx context.Context, actor, name, file, text string, o Order) (View, error) {
	if len(text) > maxFile {
		return View{}, errs.E(errs.Invalid, "the migration's file has %d bytes, expected at most %d", len(text), maxFile)
	}
	m, err := e.Read(file, []byte(text))
	if err != nil {
		return View{}, err
	}
	if err := e.declared(ctx, name); err != nil {
		return View{}, err
	}
	return e.turn(ctx, name, func(st layer.State, _ []layer.Use) (layer.State, audit.Event, error) {
		if err := st.MayStart(m.Name); err != nil {
			return st, audit.Event{}, err
		}
		if st.Step != nil && st.Step.Text != "" && st.Step.Text != text {
			return st, audit.Event{}, errs.E(errs.Conflict, "migration %s was started from another file", m.Name).Next("Roll it back, or give the changed file another name.")
		}
		if st.Step != nil && (st.Step.Phase == layer.Started || st.Step.Text != "" && st.Step.Error == "") {
			return st, audit.Event{}, nil // a retry
		}
		p, err := e.Databases.Plan(ctx, name, m)
		if st.Step == nil && err != nil {
			return st, audit.Event{}, err
		}
		step := layer.Step{Name: m.Name, Version: p.Version, Previous: cmp.Or(p.Previous, p.Schema), File: file, Text: text, By: actor, Why: o.Why}
		if st.Step != nil { // it goes on where it is, by what was planned then
			step.Version, step.Previous = st.Step.Version, st.Step.Previous
		}
		ev, err := e.event(evStarting, actor, name, Told{Migration: m.Name, Version: step.Version, Previous: step.Previous, Digest: m.Digest, Reason: o.Why})
		return st.Begun(step, e.now().UTC()), ev, err
	})
}

// Complete asks that the old version goes. It is refused while anything in production needs it.
func (e *Engine) Complete(ctx context.Context, actor, name string, o Order) (View, error) {
	if o.Baked && strings.TrimSpace(o.Why) == "" {
		return View{}, errs.E(errs.Invalid, "reason: missing, expected where the new version proved itself")
	}
	return e.toward(ctx, actor, name, layer.Completing, o)
}

// Return asks that the new version goes. It is refused while anything in production needs it.
func (e *Engine) Return(ctx context.Context, actor, name string, o Order) (View, error) {
	return e.toward(ctx, actor, name, layer.Returning, o)
}

func (e *Engine) toward(ctx context.Context, actor, name string, to layer.Phase, o Order) (View, error) {
	if err := e.declared(ctx, name); err != nil {
		return View{}, err
	}
	return e.turn(ctx, name, func(st layer.State, uses []layer.Use) (layer.State, audit.Event, error) {
		if st.Step == nil && st.Last != nil && st.Last.Name == o.Name && (to == layer.Completing) == (st.Last.Phase == layer.Completed) {
			return st, audit.Event{}, nil // a retry of what is done
		}
		err, typ := st.MayReturn(o.Name, uses), evReturning
		if to == layer.Completing {
			err, typ = st.MayComplete(o.Name, uses, o.Baked), evCompleting
		}
		if err != nil || st.Step.Phase == to {
			return st, audit.Event{}, err
		}
		ev, err := e.event(typ, actor, name, Told{Migration: o.Name, Version: st.Step.Version, Previous: st.Step.Previous, Baked: o.Baked, Unknown: o.AllowUnknown, Force: o.Force, Reason: o.Why})
		return st.Toward(to, actor, o.Why, o.AllowUnknown, o.Force, e.now().UTC()), ev, err
	})
}

func (e *Engine) event(typ, actor, name string, data Told) (audit.Event, error) {
	return audit.New(e.now().UTC(), typ, actor, "database/"+name, data)
}

// turn decides on what is there, and again when another writer was faster: a rollout that begins, or another step.
func (e *Engine) turn(ctx context.Context, name string, decide func(layer.State, []layer.Use) (layer.State, audit.Event, error)) (View, error) {
	for {
		st, doc, err := e.read(ctx, name) // before what is in production is read: whoever starts something replaces it
		if err != nil {
			return View{}, err
		}
		uses, err := e.Uses(ctx)
		if err != nil {
			return View{}, err
		}
		if doc.Rev == 0 {
			return e.view(st, uses), errs.E(errs.Unavailable, "database %s has not been looked at yet", name).Next("See why, and try again: ringfence database show %s", name)
		}
		next, ev, err := decide(st, uses)
		if err != nil || ev.Type == "" {
			return e.view(st, uses), err
		}
		err = e.write(ctx, doc, next, ev)
		if errs.Is(err, errs.Conflict) && ctx.Err() == nil {
			continue
		}
		if err == nil {
			e.Wake()
		}
		return e.view(next, uses), err
	}
}

func (e *Engine) write(ctx context.Context, doc store.Doc, next layer.State, events ...audit.Event) error {
	body, err := json.Marshal(next)
	if err != nil {
		return err
	}
	_, err = e.Store.Commit(ctx, store.Write{Puts: []store.Doc{{Kind: layer.Kind, Name: next.Database, Rev: doc.Rev, Body: body}}, Events: events})
	if err == nil && e.Changed != nil {
		e.Changed()
	}
	return err
}

// Wake has every database looked at soon.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
